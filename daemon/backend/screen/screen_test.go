package screen_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/backend/screen"
)

// A whole document arrives with all its values.
func TestParse(t *testing.T) {
	got, err := parse(t, goodDocument().JSON(t))
	if err != nil {
		t.Fatal(err)
	}
	wanted := screen.Screen{Title: canaryTitle, Room: &screen.Room{
		Provider: "direct", URL: "wss://clinic.example/signal", Token: canaryRoom, Expires: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC),
		ICEServers:     []screen.ICEServer{{URLs: []string{"turns:turn.example:5349?transport=tcp"}, Username: "u", Credential: "c"}},
		Participant:    screen.Participant{Name: canaryName, Role: "clinician"},
		SessionSeconds: 1800, WaitSeconds: 900, Chat: true,
	}}
	if !reflect.DeepEqual(got, wanted) {
		t.Error("the screen arrived with other values")
	}
}

func TestMissingFieldsAreNamed(t *testing.T) {
	fields := []string{
		"title", "room.provider", "room.url", "room.token", "room.expires", "room.ice_servers", "room.participant", "room.participant.name",
		"room.participant.role", "room.session_seconds", "room.wait_seconds", "room.chat", "room.report_issue",
	}
	for _, field := range fields {
		_, err := parse(t, goodDocument().With(field, nil).JSON(t))
		says(t, err, "lacks "+field)
	}
	_, err := parse(t, `{"room":{}}`)
	for _, field := range fields {
		if !strings.HasPrefix(field, "room.participant.") {
			says(t, err, field)
		}
	}
}

func TestNoRoom(t *testing.T) {
	for text, title := range map[string]string{
		`{"title":"` + canaryTitle + `","elements":[]}`: canaryTitle,
		`{"title":"Closed","room":null}`:                "Closed",
		`{}`:                                            "",
		`null`:                                          "",
		`{"title":"a\nb"}`:                              "",
		`{"title":"a","patches":{"title":{"value":"Closed"}}}`:                     "Closed",
		`{"title":"a","patches":{"title":{"value":"b\n"}}}`:                        "a",
		`{"title":"a","update":"file:///","patches":{"title":{"value":"Closed"}}}`: "a",
		`{"title":"` + strings.Repeat("é", 500) + `"}`:                             strings.Repeat("é", 500),
		`{"title":"` + strings.Repeat("é", 501) + `"}`:                             "",
	} {
		got, err := parse(t, text)
		if err != nil || got.Room != nil || got.Title != title || !reflect.DeepEqual(got.Patch, screen.Patch{}) {
			t.Errorf("%.60s: title %q, room %v, %v", text, got.Title, got.Room, err)
		}
	}
}

func TestWrongValues(t *testing.T) {
	many := func(n int, v any) []any { return slices.Repeat([]any{v}, n) }
	turn := func(url string) []any {
		return []any{document{"urls": []string{url}, "username": canaryName, "credential": canaryRoom}}
	}
	for _, tt := range []struct {
		field string
		value any
		says  string
	}{
		{"title", strings.Repeat("é", 501), "title is not"},
		{"title", "a\u202eb", "title is not"},
		{"title", 7, "title is of the kind number"},
		{"room", canaryID, "room is of the kind string"},
		{"room", many(1, canaryID), "room is of the kind array"},
		{"room.provider", canaryName, "room.provider is not"},
		{"room.provider", "", "room.provider is not"},
		{"room.provider", "Direct", "room.provider is not"},
		{"room.url", "", "room.url is not"},
		{"room.url", "https://clinic.example/", "room.url is not wss"},
		{"room.url", "ws://10.0.0.1/" + canaryID, "room.url is not wss"},
		{"room.url", "wss://elsewhere.example/" + canaryID, "room.url names a host"},
		{"room.url", "ws://127.0.0.1:1/", "room.url names a host"},
		{"room.url", "wss:///x", "room.url is not"},
		{"room.url", "wss://a/" + strings.Repeat("x", 2048), "room.url is not"},
		{"room.url", "ws://%zz", "room.url is not"},
		{"room.token", "", "room.token is not"},
		{"room.token", canaryRoom + "\n", "room.token is not"},
		{"room.token", strings.Repeat("a", 4097), "room.token is not"},
		{"room.expires", "tomorrow", "room.expires is not a time"},
		{"room.expires", "", "room.expires is not a time"},
		{"room.expires", 1e9, "room.expires is of the kind number"},
		{"room.participant", canaryName, "room.participant is of the kind string"},
		{"room.participant.name", strings.Repeat("é", 201), "room.participant.name is not"},
		{"room.participant.name", canaryName + "\x1b[2J", "room.participant.name is not"},
		{"room.participant.role", "", "room.participant.role is not"},
		{"room.participant.role", canaryName, "room.participant.role is not"},
		{"room.session_seconds", 0, "room.session_seconds is not 1 to 86400"},
		{"room.session_seconds", -1, "room.session_seconds is not"},
		{"room.session_seconds", 86401, "room.session_seconds is not"},
		{"room.session_seconds", "1800", "room.session_seconds is of the kind string"},
		{"room.session_seconds", 1.5, "room.session_seconds is of the kind number"},
		{"room.wait_seconds", 0, "room.wait_seconds is not"},
		{"room.wait_seconds", 1e300, "room.wait_seconds is of the kind number"},
		{"room.chat", "yes", "room.chat is of the kind string"},
		{"room.report_issue", 1, "room.report_issue is of the kind number"},
		{"room.ice_servers", document{}, "room.ice_servers is of the kind object"},
		{"room.ice_servers", many(17, document{"urls": []string{"stun:a"}}), "more than 16"},
		{"room.ice_servers", many(1, document{}), "ice_servers[0].urls has not 1 to 8"},
		{"room.ice_servers", many(1, document{"urls": many(9, "stun:a")}), "ice_servers[0].urls has not 1 to 8"},
		{"room.ice_servers", many(1, document{"urls": "stun:a"}), "is of the kind string"},
		{"room.ice_servers", many(1, document{"urls": []string{"turn:a"}}), "without username"},
		{"room.ice_servers", many(1, document{"urls": []string{"stun:a", "turn:a"}, "username": "u"}), "without username"},
		{"room.ice_servers", many(1, document{"urls": []string{"turn:a"}, "username": "u\n", "credential": "c"}), "not printable"},
		{"room.ice_servers", turn("http://a"), "urls[0] is not a stun"},
		{"room.ice_servers", turn("turn://a"), "urls[0] is not a stun"},
		{"room.ice_servers", turn("turn:a?transport=sctp"), "urls[0] is not a stun"},
		{"room.ice_servers", turn("stun:a?transport=udp"), "urls[0] is not a stun"},
		{"room.ice_servers", turn("turn:a b"), "urls[0] is not a stun"},
		{"room.ice_servers", turn("turn:" + strings.Repeat("a", 600)), "urls[0] is not a stun"},
	} {
		_, err := parse(t, goodDocument().With(tt.field, tt.value).JSON(t))
		says(t, err, tt.says)
	}
}

func TestRightValues(t *testing.T) {
	for _, tt := range []struct {
		field string
		value any
	}{
		{"title", ""},
		{"title", "Visita de José 🩺"},
		{"unknown", canaryID},
		{"room.provider", "whip"},
		{"room.provider", "janus"},
		{"room.provider", "livekit"},
		{"room.expires", "2099-01-01T00:00:00.5+02:00"},
		{"room.participant.name", strings.Repeat("é", 200)},
		{"room.participant.name", ""},
		{"room.participant.role", "interpreter"},
		{"room.session_seconds", 1},
		{"room.wait_seconds", 86400},
		{"room.chat", false},
		{"room.ice_servers", []any{}},
		{"room.ice_servers", []any{document{"urls": []string{"stun:a", "stuns:[::1]:5349", "turn:10.0.0.1:3478?transport=udp", "turns:a.b"}, "username": "1700000000:u", "credential": "c=="}}},
	} {
		if _, err := parse(t, goodDocument().With(tt.field, tt.value).JSON(t)); err != nil {
			t.Errorf("%s = %v: %v", tt.field, tt.value, err)
		}
	}
}

func TestNotJSON(t *testing.T) {
	for text, words := range map[string]string{
		"":                                     "not JSON",
		canaryID:                               "not JSON (byte 1)",
		`{"title":"` + canaryTitle:             "not JSON",
		`{} {}`:                                "not JSON",
		`[]`:                                   "it is of the kind array",
		`"` + canaryID + `"`:                   "it is of the kind string",
		"{\"title\":\"\xff\"}":                 "not UTF-8",
		strings.Repeat(`{"room":`, 5000):       "not JSON",
		strings.Repeat("[", 60_000):            "not JSON",
		`{"title":{"a":"` + canaryName + `"}}`: "title is of the kind object",
	} {
		_, err := parse(t, text)
		says(t, err, words)
	}
}

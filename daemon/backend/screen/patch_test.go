package screen_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/backend/screen"
)

// to is a pointer to a value.
func to[T any](v T) *T { return &v }

// entries gives n patches of elements that are not ours.
func entries(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"element-%d":{}`, i))
	}
	return strings.Join(all, ",")
}

const clinic = "https://clinic.example"

func TestRightPatches(t *testing.T) {
	day := 24 * time.Hour
	for text, wanted := range map[string]screen.Patch{
		`{}`: {},
		`{"patches":null,"update":null,"timeout":null}`: {},
		`{"patches":{},"elements":[1],"error":"x"}`:     {},
		`{"timeout":30}`:                         {Timeout: 30 * time.Second},
		`{"timeout":1.5}`:                        {Timeout: 1500 * time.Millisecond},
		`{"timeout":0}`:                          {},
		`{"timeout":-0.0}`:                       {},
		`{"timeout":0.001}`:                      {Timeout: time.Second},
		`{"timeout":5e-324}`:                     {Timeout: time.Second},
		`{"timeout":86400}`:                      {Timeout: day},
		`{"timeout":86401}`:                      {Timeout: day},
		`{"timeout":1e300}`:                      {Timeout: day},
		`{"update":"next"}`:                      {Update: clinic + "/base/api/v3/appointments/" + canaryID + "/next"},
		`{"update":"?n=2"}`:                      {Update: clinic + "/base/api/v3/appointments/" + canaryID + "/video-room?n=2"},
		`{"update":"/two?a=b#c"}`:                {Update: clinic + "/two?a=b"},
		`{"update":"` + clinic + `:443/two"}`:    {Update: clinic + ":443/two"},
		`{"update":"https://rooms.example/two"}`: {Update: "https://rooms.example/two"},
		`{"patches":{"title":{"value":"` + canaryTitle + `"}}}`:                                       {Title: to(canaryTitle)},
		`{"patches":{"title":{"value":""}}}`:                                                          {Title: to("")},
		`{"patches":{"title":{"value":null}}}`:                                                        {},
		`{"patches":{"title":{"visible":false}}}`:                                                     {},
		`{"patches":{"chat":{"enabled":false}}}`:                                                      {Controls: map[string]screen.ControlPatch{"chat": {Enabled: to(false)}}},
		`{"patches":{"report-issue":{"visible":true,"enabled":false,"value":7}}}`:                     {Controls: map[string]screen.ControlPatch{"report-issue": {Visible: to(true), Enabled: to(false)}}},
		`{"patches":{"mute":{"visible":null},"end-call":null,"spacer":{}}}`:                           {},
		`{"patches":{"elsewhere":"` + canaryName + `","Chat":7,"chat ":[]}}`:                          {},
		`{"patches":{"chat":{"enabled":true},"chat":{"enabled":false}}}`:                              {Controls: map[string]screen.ControlPatch{"chat": {Enabled: to(false)}}},
		`{"patches":{` + entries(63) + `,"mute":{"visible":false}}}`:                                  {Controls: map[string]screen.ControlPatch{"mute": {Visible: to(false)}}},
		`{"patches":{"start-call":{"visible":false},"end-call":{"visible":false}}, "later":{"a":[]}}`: {Controls: map[string]screen.ControlPatch{"start-call": {Visible: to(false)}, "end-call": {Visible: to(false)}}},
	} {
		got, err := parsePatch(t, text)
		if err != nil || !reflect.DeepEqual(got, wanted) {
			t.Errorf("%.80s gives %#v with update %q, %v", text, got, got.Update, err)
		}
	}
}

func TestWrongPatches(t *testing.T) {
	for text, words := range map[string]string{
		``:                                     "not JSON",
		canaryID:                               "not JSON (byte 1)",
		`null`:                                 "it is of the kind null",
		`[]`:                                   "it is of the kind array",
		`7`:                                    "it is of the kind number",
		`{} {}`:                                "not JSON",
		"{\"update\":\"\xff\"}":                "not UTF-8",
		`{"timeout":NaN}`:                      "not JSON",
		`{"timeout":Infinity}`:                 "not JSON",
		`{"timeout":"30"}`:                     "timeout is of the kind string",
		`{"timeout":true}`:                     "timeout is of the kind bool",
		`{"timeout":1e400}`:                    "timeout is of the kind number and does not fit",
		`{"timeout":-1}`:                       "timeout is not a number of seconds",
		`{"timeout":-1e300}`:                   "timeout is not a number of seconds",
		`{"update":7}`:                         "update is of the kind number",
		`{"update":""}`:                        "update names no usable address",
		`{"update":"%zz` + canaryID:            "not JSON",
		`{"update":"http://%zz/x"}`:            "update names no usable address",
		`{"update":"a:b:c\n"}`:                 "update names no usable address",
		`{"update":"file:///x"}`:               "update names an address that is not https",
		`{"update":"javascript:1"}`:            "update names an address that is not https",
		`{"update":"https:///x"}`:              "update names an address that is not https",
		`{"update":"//u:p@/x"}`:                "update names an address that is not https",
		`{"update":"//u@rooms.example/x"}`:     "update names an address that is not https",
		`{"update":"http://clinic.example/x"}`: "update names an address that is not https",
		`{"update":"http://127.0.0.1:8080/x"}`: "update names an address that is not https",
		`{"update":"http://169.254.169.254/` + canaryID + `"}`:    "update names an address that is not https",
		`{"update":"https://elsewhere.example/` + canaryID + `"}`: "update names a host that is not on the list",
		`{"update":"//clinic.example:8443/"}`:                     "update names a host that is not on the list",
		`{"update":"//clinic.example.evil.example/"}`:             "update names a host that is not on the list",
		`{"update":"` + strings.Repeat("a", 2049) + `"}`:          "update is longer than 2048",
		`{"update":"` + strings.Repeat("a", 2048) + `"}`:          "update is longer than 2048",
		`{"update":"` + strings.Repeat("é", 700) + `"}`:           "update is longer than 2048",
		`{"patches":[]}`:                                                     "patches is of the kind array",
		`{"patches":"` + canaryName + `"}`:                                   "patches is of the kind string",
		`{"patches":{` + entries(65) + `}}`:                                  "patches has more than 64 entries",
		`{"patches":{"title":"` + canaryTitle + `"}}`:                        "patches.title is of the kind string",
		`{"patches":{"title":{"value":7}}}`:                                  "patches.title.value is of the kind number",
		`{"patches":{"title":{"value":"` + strings.Repeat("é", 501) + `"}}}`: "patches.title.value is not at most 500",
		`{"patches":{"title":{"value":"a\u202eb"}}}`:                         "patches.title.value is not at most 500",
		`{"patches":{"mute":false}}`:                                         "patches.mute is of the kind bool",
		`{"patches":{"mute":{"visible":"no"}}}`:                              "patches.mute.visible is of the kind string",
		`{"patches":{"mute":{"visible":0}}}`:                                 "patches.mute.visible is of the kind number",
		`{"patches":{"chat":{"enabled":{"a":"` + canaryName + `"}}}}`:        "patches.chat.enabled is of the kind object",
		`{"timeout":-1,"update":"file:///x"}`:                                "https; timeout is not",
		`{"patches":{"chat":` + strings.Repeat("[", 30_000):                  "not JSON",
		`{"patches":` + strings.Repeat(`{"a":`, 12_000):                      "not JSON",
	} {
		_, err := parsePatch(t, text)
		says(t, err, words)
	}
}

// A screen holds the same fields, and is held to the same rules.
func TestPatchOfAScreen(t *testing.T) {
	got, err := parse(t, goodDocument().With("update", "next").With("timeout", 2.5).
		With("patches", document{"chat": document{"visible": false}, "title": document{"value": "Newer"}}).JSON(t))
	wanted := screen.Patch{
		Title: to("Newer"), Update: clinic + "/base/api/v3/appointments/" + canaryID + "/next", Timeout: 2500 * time.Millisecond,
		Controls: map[string]screen.ControlPatch{"chat": {Visible: to(false)}},
	}
	if err != nil || !reflect.DeepEqual(got.Patch, wanted) || got.Title != "Newer" {
		t.Errorf("title %q, patch %#v, %v", got.Title, got.Patch, err)
	}
	for field, tt := range map[string]struct {
		value any
		words string
	}{
		"timeout": {"soon", "wrong: timeout is of the kind string"},
		"update":  {"ftp://clinic.example/", "update names an address"},
		"patches": {document{"title": document{"value": false}}, "patches.title.value is of the kind bool"},
		"title":   {7, "title is of the kind number"},
	} {
		_, err := parse(t, goodDocument().With(field, tt.value).JSON(t))
		says(t, err, tt.words)
	}
}

// The status has said no: whatever the body is, there is a Refusal.
func TestRefusal(t *testing.T) {
	for text, wanted := range map[string]screen.Refusal{
		`{"error":"appointment_cancelled","timestamp":"2026-11-22T10:00:00Z","patches":{"title":{"value":"Cancelled"}}}`: {Code: "appointment_cancelled", Patch: screen.Patch{Title: to("Cancelled")}},
		`{"patches":{"mute":{"enabled":false}}}`:                   {Patch: screen.Patch{Controls: map[string]screen.ControlPatch{"mute": {Enabled: to(false)}}}},
		`{"error":"a","patches":{"mute":7,"title":{"value":"x"}}}`: {Code: "a"},
		`{"error":7,"timeout":60}`:                                 {Patch: screen.Patch{Timeout: time.Minute}},
		`{"error":null}`:                                           {},
		`{"error":"` + canaryTitle + `"}`:                          {},
		`{"error":"a\nb"}`:                                         {},
		`{"error":"` + strings.Repeat("a", 64) + `"}`:              {Code: strings.Repeat("a", 64)},
		`{"error":"` + strings.Repeat("a", 65) + `"}`:              {},
		`{"error":"a","update":"https://elsewhere.example/"}`:      {Code: "a"},
		`{}`: {}, `null`: {}, `[]`: {}, ``: {}, canaryID: {}, "\xff": {}, `{"error":"a"`: {},
	} {
		if got := screen.ParseRefusal([]byte(text), from(t), allowed(t)); !reflect.DeepEqual(got, wanted) {
			t.Errorf("%.80s gives %q with %#v", text, got.Code, got.Patch)
		}
	}
}

// However a Patch is printed, it shows neither title nor address.
func TestPatchPrintsNothing(t *testing.T) {
	patch, err := parsePatch(t, `{"patches":{"title":{"value":"`+canaryTitle+`"},"chat":{"visible":false}},"update":"x","timeout":9}`)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "patch", patch, "pointer", &patch)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "patch", patch, "screen", screen.Screen{Title: canaryTitle, Patch: patch})
	fmt.Fprintf(&out, "%v %+v %#v %s %v %#v\n", patch, patch, patch, &patch, []screen.Patch{patch}, struct{ P screen.Patch }{patch})
	for _, word := range []string{canaryTitle, "Canary", canaryID, "appointments"} {
		if strings.Contains(out.String(), word) {
			t.Errorf("%q is in\n%s", word, out.String())
		}
	}
	if !strings.Contains(out.String(), "Controls:1 Update:true Timeout:9s") {
		t.Errorf("nothing useful is in\n%s", out.String())
	}
}

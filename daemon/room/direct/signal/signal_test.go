package signal_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"kioskd/daemon/room/direct/signal"
)

func ptr[T any](v T) *T { return &v }

// good holds one message of each type and form, with its text on the wire.
func good() []struct {
	text string
	want signal.Message
} {
	return []struct {
		text string
		want signal.Message
	}{
		{
			`{"type":"hello","token":"t0","peer":"kiosk-ab12","name":"Room 3","role":"kiosk"}`,
			signal.Message{Type: signal.Hello, Token: "t0", Peer: "kiosk-ab12", Name: "Room 3", Role: signal.Kiosk},
		},
		{
			`{"type":"hello","token":"t0","peer":"i","name":"","role":"interpreter"}`,
			signal.Message{Type: signal.Hello, Token: "t0", Peer: "i", Role: signal.Interpreter},
		},
		{
			`{"type":"welcome","peer":"a","peers":[]}`,
			signal.Message{Type: signal.Welcome, Peer: "a", Peers: []signal.Peer{}},
		},
		{
			`{"type":"welcome","peer":"a","peers":[{"peer":"b","name":"Dr. Żak","role":"clinician"}]}`,
			signal.Message{Type: signal.Welcome, Peer: "a", Peers: []signal.Peer{{Peer: "b", Name: "Dr. Żak", Role: signal.Clinician}}},
		},
		{
			`{"type":"peer-joined","name":"Dr. <b>","role":"clinician","from":"b"}`,
			signal.Message{Type: signal.PeerJoined, From: "b", Name: "Dr. <b>", Role: signal.Clinician},
		},
		{`{"type":"peer-left","from":"b","reason":"bye"}`, signal.Message{Type: signal.PeerLeft, From: "b", Reason: signal.ReasonBye}},
		{`{"type":"peer-left","from":"b","reason":"lost"}`, signal.Message{Type: signal.PeerLeft, From: "b", Reason: signal.ReasonLost}},
		{`{"type":"peer-left","from":"b","reason":"away"}`, signal.Message{Type: signal.PeerLeft, From: "b", Reason: signal.ReasonAway}},
		{
			`{"type":"offer","to":"b","sdp":"v=0\r\n","restart":true}`,
			signal.Message{Type: signal.Offer, To: "b", SDP: "v=0\r\n", Restart: true},
		},
		{`{"type":"offer","from":"a","sdp":"v=0\r\n"}`, signal.Message{Type: signal.Offer, From: "a", SDP: "v=0\r\n"}},
		{`{"type":"answer","to":"a","sdp":"v=0\r\n"}`, signal.Message{Type: signal.Answer, To: "a", SDP: "v=0\r\n"}},
		{`{"type":"candidate","to":"a","candidate":null}`, signal.Message{Type: signal.Trickle, To: "a"}},
		{
			`{"type":"candidate","from":"a","candidate":{"candidate":"candidate:1 1 udp 2 127.0.0.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}}`,
			signal.Message{Type: signal.Trickle, From: "a", Candidate: &signal.Candidate{
				Candidate: "candidate:1 1 udp 2 127.0.0.1 9 typ host", SDPMid: ptr("0"), SDPMLineIndex: ptr(uint16(0)),
			}},
		},
		{`{"type":"away"}`, signal.Message{Type: signal.Away}},
		{`{"type":"bye"}`, signal.Message{Type: signal.Bye}},
		{`{"type":"error","code":"superseded"}`, signal.Message{Type: signal.Error, Code: signal.CodeSuperseded}},
		{`{"type":"error","code":"x","detail":"Because."}`, signal.Message{Type: signal.Error, Code: "x", Detail: "Because."}},
		{`{"type":"ping"}`, signal.Message{Type: signal.Ping}},
		{`{"type":"pong"}`, signal.Message{Type: signal.Pong}},
	}
}

func TestEveryTypeGoesBothWays(t *testing.T) {
	for _, c := range good() {
		got, err := signal.Parse([]byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: read as\n%#+v, want\n%#+v", c.text, fields(got), fields(c.want))
		}
		text, err := signal.Marshal(c.want)
		if err != nil || string(text) != c.text {
			t.Errorf("wrote %s (%v), want %s", text, err, c.text)
		}
	}
}

// fields shows what String hides, for the reader of a failed test.
func fields(m signal.Message) any {
	type plain signal.Message
	return plain(m)
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	for _, text := range []string{
		`{"type":"bye","why":"x","sdp":"v=0","candidate":{}}`,
		`{"type":"ping","nested":{"a":[1,2]}}`,
		`{"type":"away","from":"x","to":"y"}`,
	} {
		m, err := signal.Parse([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if m.SDP != "" || m.From != "" || m.To != "" || m.Candidate != nil {
			t.Errorf("%s: a field of another type was kept", text)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	cases := []struct{ text, says string }{
		{``, "JSON"},
		{`null`, "type is missing"},
		{`[]`, "JSON"},
		{`"hello"`, "JSON"},
		{`{"type":"hello"`, "JSON"},
		{`{"type":"bye"}{"type":"bye"}`, "JSON"},
		{`{"type":7}`, "JSON"},
		{`{}`, "type is missing"},
		{`{"type":"shout"}`, "type is unknown"},
		{"{\"type\":\"hello\",\"token\":\"\xff\",\"peer\":\"a\",\"role\":\"kiosk\"}", "UTF-8"},
		{`{"type":"hello","peer":"a","role":"kiosk"}`, "token is missing"},
		{`{"type":"hello","token":"t","role":"kiosk"}`, "peer is missing"},
		{`{"type":"hello","token":"t","peer":"a"}`, "role"},
		{`{"type":"hello","token":"t","peer":"a","role":"root"}`, "role"},
		{`{"type":"hello","token":"t","peer":"a b","role":"kiosk"}`, "characters"},
		{`{"type":"hello","token":"t","peer":"` + long(65) + `","role":"kiosk"}`, "over 64"},
		{`{"type":"hello","token":"` + long(1025) + `","peer":"a","role":"kiosk"}`, "over 1024"},
		{`{"type":"hello","token":"t","peer":"a","role":"kiosk","name":"` + long(129) + `"}`, "over 128"},
		{`{"type":"welcome","peer":"a"}`, "peers is missing"},
		{`{"type":"welcome","peers":[]}`, "peer is missing"},
		{`{"type":"welcome","peer":"a","peers":[{"peer":"","role":"kiosk"}]}`, "peers.peer"},
		{`{"type":"welcome","peer":"a","peers":[` + strings.TrimSuffix(strings.Repeat(`{"peer":"b","role":"kiosk"},`, 33), ",") + `]}`, "over 32"},
		{`{"type":"peer-joined","role":"kiosk"}`, "from is missing"},
		{`{"type":"peer-left","from":"a"}`, "reason"},
		{`{"type":"peer-left","from":"a","reason":"angry"}`, "reason"},
		{`{"type":"offer","sdp":"v=0"}`, "to is missing"},
		{`{"type":"offer","to":"a","from":"b","sdp":"v=0"}`, "both"},
		{`{"type":"offer","to":"a"}`, "sdp is missing"},
		{`{"type":"offer","to":"a","sdp":"` + long(30<<10+1) + `"}`, "over 30720"},
		{`{"type":"answer","to":"a","sdp":""}`, "sdp is missing"},
		{`{"type":"candidate","to":"a"}`, "candidate is missing"},
		{`{"type":"candidate","to":"a","candidate":{}}`, "candidate.candidate"},
		{`{"type":"candidate","to":"a","candidate":"x"}`, "candidate.candidate"},
		{`{"type":"candidate","to":"a","candidate":{"candidate":"x","sdpMLineIndex":-1}}`, "candidate.candidate"},
		{`{"type":"candidate","to":"a","candidate":{"candidate":"x\r\na=setup:active"}}`, "line break"},
		{`{"type":"candidate","to":"a","candidate":{"candidate":"` + long(2049) + `"}}`, "over 2048"},
		{`{"type":"candidate","to":"a","candidate":{"candidate":"x","sdpMid":"` + long(65) + `"}}`, "over 64"},
		{`{"type":"candidate","to":"a","candidate":{"candidate":"x","usernameFragment":"` + long(257) + `"}}`, "over 256"},
		{`{"type":"error"}`, "code is missing"},
		{`{"type":"error","code":"x","detail":"` + long(513) + `"}`, "over 512"},
		{`{"type":"bye","pad":"` + long(signal.MaxMessage) + `"}`, "64 KiB"},
	}
	for _, c := range cases {
		_, err := signal.Parse([]byte(c.text))
		if err == nil {
			t.Errorf("%.80s: accepted", c.text)
			continue
		}
		if !strings.HasPrefix(err.Error(), "cannot read signal message: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.80s: %q does not say %q", c.text, err, c.says)
		}
	}
}

func TestMarshalRefuses(t *testing.T) {
	for _, m := range []signal.Message{
		{},
		{Type: "shout"},
		{Type: signal.Hello, Peer: "a", Role: signal.Kiosk},
		{Type: signal.Offer, SDP: "v=0"},
		{Type: signal.Answer, To: "a"},
		{Type: signal.Trickle},
		{Type: signal.PeerLeft, From: "a", Reason: "so"},
		{Type: signal.Error, Code: "x", Detail: "\xff"},
	} {
		if b, err := signal.Marshal(m); err == nil {
			t.Errorf("wrote %s", b)
		}
	}
}

// The greatest SDP that the rules let through fits the frame even when each
// of its characters needs an escape.
func TestGreatestOfferFits(t *testing.T) {
	for _, fill := range []string{"\n", `"`, "\u2028"} {
		m := signal.Message{Type: signal.Offer, To: strings.Repeat("p", 64), SDP: strings.Repeat(fill, 30<<10/len(fill))}
		b, err := signal.Marshal(m)
		if err != nil {
			t.Errorf("%q: %v", fill, err)
		}
		if back, err := signal.Parse(b); err != nil || back.SDP != m.SDP {
			t.Errorf("%q: came back different (%v)", fill, err)
		}
	}
	_, err := signal.Parse(bytes.Repeat([]byte(" "), signal.MaxMessage+1))
	if !errors.Is(err, signal.ErrTooBig) {
		t.Errorf("%v is not ErrTooBig", err)
	}
}

func TestDirections(t *testing.T) {
	server := "welcome peer-joined peer-left error ping pong"
	client := "hello away bye ping pong"
	for _, c := range good() {
		name := string(c.want.Type)
		wantClient := strings.Contains(client, name) || c.want.To != ""
		wantServer := strings.Contains(server, name) || c.want.From != ""
		if got := c.want.FromClient(); got != wantClient {
			t.Errorf("%s: FromClient %v", c.text, got)
		}
		if got := c.want.FromServer(); got != wantServer {
			t.Errorf("%s: FromServer %v", c.text, got)
		}
	}
}

func TestNothingPrivateIsPrinted(t *testing.T) {
	m := signal.Message{Type: signal.Hello, Token: "CANARY", Peer: "CANARY", Name: "CANARY", SDP: "CANARY"}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "message", m)
	for _, text := range []string{
		fmt.Sprint(m), fmt.Sprintf("%+v", m), fmt.Sprintf("%#v", m), fmt.Sprintf("got %s", m), fmt.Sprintf("%v", &m), log.String(),
	} {
		if strings.Contains(text, "CANARY") || !strings.Contains(text, "hello") {
			t.Errorf("printed as %s", text)
		}
	}
	bad := []string{
		`{"type":"hello","token":"CANARY","peer":"CAN ARY","role":"kiosk","name":"CANARY"}`,
		`{"type":"CANARY"}`, `{"type":{"CANARY":1}}`, `CANARY`,
	}
	for _, text := range bad {
		if _, err := signal.Parse([]byte(text)); err == nil || strings.Contains(err.Error(), "CANARY") || strings.Contains(err.Error(), "CAN ARY") {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

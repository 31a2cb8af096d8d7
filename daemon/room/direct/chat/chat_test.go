package chat_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/room/direct/chat"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func TestParse(t *testing.T) {
	long := strings.Repeat("ä", chat.MaxText/2)
	for name, c := range map[string]struct {
		text string
		want chat.Frame
	}{
		"message": {
			`{"type":"message","id":"m-1","text":"Hello","at":"2026-01-02T15:04:05Z"}`,
			chat.Frame{Type: chat.Message, ID: "m-1", Text: "Hello", At: at(t, "2026-01-02T15:04:05Z")},
		},
		"another zone": {
			`{"type":"message","id":"m","text":"x","at":"2026-01-02T15:04:05.25+01:00"}`,
			chat.Frame{Type: chat.Message, ID: "m", Text: "x", At: at(t, "2026-01-02T14:04:05.25Z")},
		},
		"two lines, no time": {
			`{"type":"message","id":"A.b_c-9","text":"one\ntwo"}`,
			chat.Frame{Type: chat.Message, ID: "A.b_c-9", Text: "one\ntwo"},
		},
		"longest": {
			`{"type":"message","id":"` + strings.Repeat("i", chat.MaxID) + `","text":"` + long + `"}`,
			chat.Frame{Type: chat.Message, ID: strings.Repeat("i", chat.MaxID), Text: long},
		},
		"ack":                       {`{"type":"ack","id":"m-1"}`, chat.Frame{Type: chat.Ack, ID: "m-1"}},
		"ack with fields of others": {`{"type":"ack","id":"m-1","text":"\u0000","at":"soon","more":[1]}`, chat.Frame{Type: chat.Ack, ID: "m-1"}},
	} {
		got, err := chat.Parse([]byte(c.text))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: id %q, %d bytes at %v, %v", name, got.ID, len(got.Text), got.At, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":           ``,
		"words":             `secret`,
		"an array":          `["secret"]`,
		"text is a number":  `{"type":"message","id":"m","text":7}`,
		"no id":             `{"type":"message","text":"secret"}`,
		"id too long":       `{"type":"ack","id":"` + strings.Repeat("i", chat.MaxID+1) + `"}`,
		"id with a slash":   `{"type":"ack","id":"a/secret"}`,
		"id not ASCII":      `{"type":"ack","id":"ä"}`,
		"no text":           `{"type":"message","id":"m"}`,
		"text too long":     `{"type":"message","id":"m","text":"` + strings.Repeat("x", chat.MaxText+1) + `"}`,
		"a bell":            `{"type":"message","id":"m","text":"secret\u0007"}`,
		"a C1 control":      `{"type":"message","id":"m","text":"secret\u0085"}`,
		"carriage return":   `{"type":"message","id":"m","text":"secret\r\n"}`,
		"no time":           `{"type":"message","id":"m","text":"secret","at":"secret"}`,
		"before the years":  `{"type":"message","id":"m","text":"x","at":"0000-01-01T00:00:00Z"}`,
		"year 9999 and on":  `{"type":"message","id":"m","text":"x","at":"9999-12-31T23:59:59-01:00"}`,
		"not UTF-8":         "{\"type\":\"message\",\"id\":\"m\",\"text\":\"secret\xff\"}",
		"over the frame":    `{"type":"ack","id":"m","more":"` + strings.Repeat("x", chat.MaxFrame) + `"}`,
		"two things in one": `{"type":"ack","id":"m"}{"type":"ack","id":"m"}`,
	} {
		_, err := chat.Parse([]byte(text))
		switch {
		case err == nil || errors.Is(err, chat.ErrOther):
			t.Errorf("%s: %v", name, err)
		case !strings.HasPrefix(err.Error(), "cannot read chat frame: ") || strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: %q", name, err)
		}
	}
	for _, text := range []string{`{"type":"typing","id":7}`, `{"id":"m","text":"x"}`, `{}`} {
		if _, err := chat.Parse([]byte(text)); !errors.Is(err, chat.ErrOther) {
			t.Errorf("%s: %v, want the type to be unknown", text, err)
		}
	}
}

func TestMarshalRefusesWhatParseWould(t *testing.T) {
	for name, f := range map[string]chat.Frame{
		"no type":   {ID: "m", Text: "x"},
		"no id":     {Type: chat.Ack},
		"no text":   {Type: chat.Message, ID: "m"},
		"a control": {Type: chat.Message, ID: "m", Text: "\x1b"},
		"not UTF-8": {Type: chat.Message, ID: "m", Text: "\xff"},
		"too late":  {Type: chat.Message, ID: "m", Text: "x", At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if b, err := chat.Marshal(f); err == nil || !strings.HasPrefix(err.Error(), "cannot write chat frame: ") {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// The worst text grows to twice its size: always far below a frame.
func TestMarshalFits(t *testing.T) {
	for _, s := range []string{`"`, "\n", "<", "\u2028", "ä"} {
		f := chat.Frame{Type: chat.Message, ID: "m", Text: strings.Repeat(s, chat.MaxText/len(s)), At: time.Unix(1, 5)}
		b, err := chat.Marshal(f)
		if err != nil || len(b) > chat.MaxFrame/2 {
			t.Errorf("%q: %d bytes, %v", s, len(b), err)
		}
		if again, err := chat.Parse(b); err != nil || again.Text != f.Text || !again.At.Equal(f.At) {
			t.Errorf("%q does not come back: %v", s, err)
		}
	}
	b, err := chat.Marshal(chat.Frame{Type: chat.Ack, ID: "m", Text: "not for an ack"})
	if err != nil || string(b) != `{"type":"ack","id":"m"}` {
		t.Errorf("ack: %s, %v", b, err)
	}
}

func TestFramesAreNotPrinted(t *testing.T) {
	f := chat.Frame{Type: chat.Message, ID: "m", Text: "secret"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "frame", f)
	for _, s := range []string{fmt.Sprint(f), fmt.Sprintf("%+v %#v %s", f, f, f), log.String()} {
		if strings.Contains(s, "secret") || !strings.Contains(s, "chat message") {
			t.Errorf("printed as %s", s)
		}
	}
}

func TestMeter(t *testing.T) {
	var m chat.Meter
	now := time.Unix(1000, 0)
	warnings := 0
	take := func(n int) (passed int) {
		for range n {
			ok, warn := m.Take(now)
			if ok {
				passed++
			}
			if warn {
				warnings++
			}
		}
		return passed
	}
	for _, c := range []struct {
		after      time.Duration
		send, pass int
	}{
		{0, 500, chat.Burst},
		{100 * time.Millisecond, 50, chat.PerSecond / 10},
		{time.Second, 50, chat.PerSecond},
		{-time.Hour, 5, 0}, // a clock that went back gives nothing
		{time.Hour + time.Second, 500, chat.PerSecond},
		{time.Hour, 500, chat.Burst}, // a pause saves no more up
	} {
		now = now.Add(c.after)
		if got := take(c.send); got != c.pass {
			t.Errorf("%v later %d of %d passed, want %d", c.after, got, c.send, c.pass)
		}
	}
	if warnings != 1 {
		t.Errorf("%d warnings", warnings)
	}
}

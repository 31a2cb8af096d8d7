// Package chat is the language of a direct room's chat: what a kiosk and a
// participant's page say on the data channel named Label. The kiosk opens it,
// ordered and reliable, once on each peer connection. A frame is one JSON object
// in one text message (RFC 8831, section 6.6), at most MaxFrame bytes:
//
//	{"type":"message","id":"...","text":"...","at":"2026-01-02T15:04:05Z"}
//	{"type":"ack","id":"..."}
//
// Who receives a message answers with an ack once it keeps it, and again when
// the message comes again. Who sends repeats what was not acknowledged on the
// next channel. Types that are not known are ignored.
//
// The package owns the form of the frames and how many of them a far side may
// send: no socket, no goroutine, no clock. Imports: standard library only.
// Imported by daemon/room/direct and by the far sides that speak to it.
package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode"
	"unicode/utf8"
)

// Label names the data channel.
const Label = "chat"

// Bounds of a frame, in bytes.
const (
	MaxFrame = 16 << 10
	MaxText  = 2000
	MaxID    = 64
)

// Type says what a frame is.
type Type string

// The types.
const (
	Message Type = "message"
	Ack     Type = "ack"
)

// ErrOther is returned by Parse for a frame of a type that is not known: a newer
// far side may send it, and it is no fault.
var ErrOther = errors.New("cannot read chat frame: its type is unknown")

// Frame is one frame. Printing or logging it shows its type only: the text is
// the patient's business.
type Frame struct {
	Type Type
	ID   string    // of the message; 1 to MaxID of A-Z a-z 0-9 . _ -, unique for its sender
	Text string    // Message only: 1 to MaxText bytes of UTF-8, no control character but line feed
	At   time.Time // Message only: when it was written, in UTC; zero where the sender does not say
}

// String shows the type alone.
func (f Frame) String() string { return "chat " + string(f.Type) }

// GoString is String, for %#v.
func (f Frame) GoString() string { return f.String() }

// LogValue is String, for log/slog.
func (f Frame) LogValue() slog.Value { return slog.StringValue(f.String()) }

// wire is the JSON object.
type wire struct {
	Type Type   `json:"type"`
	ID   string `json:"id"`
	Text string `json:"text,omitempty"`
	At   string `json:"at,omitempty"`
}

// Parse reads one frame; b is the whole text message. Its errors name the field
// and never its content.
func Parse(b []byte) (Frame, error) {
	if len(b) > MaxFrame {
		return Frame{}, fmt.Errorf("cannot read chat frame: over %d bytes", MaxFrame)
	}
	if !utf8.Valid(b) {
		return Frame{}, errors.New("cannot read chat frame: not UTF-8")
	}
	var kind struct {
		Type Type `json:"type"`
	}
	// The library's texts may quote what was read: keep the kind, drop the words.
	if err := json.Unmarshal(b, &kind); err != nil {
		return Frame{}, errShape
	}
	if kind.Type != Message && kind.Type != Ack {
		return Frame{}, ErrOther
	}
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return Frame{}, errShape
	}
	f := Frame{Type: w.Type, ID: w.ID}
	if f.Type == Message {
		f.Text = w.Text
		at, err := instant(w.At)
		if err != nil {
			return Frame{}, err
		}
		f.At = at
	}
	if err := f.check(); err != nil {
		return Frame{}, fmt.Errorf("cannot read chat frame: %w", err)
	}
	return f, nil
}

var errShape = errors.New("cannot read chat frame: not a JSON object of the expected shape")

// instant reads an RFC 3339 time; an empty one is the zero time.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}, errors.New("cannot read chat frame: at is no time of RFC 3339")
	}
	return at.UTC(), nil
}

// Marshal writes one frame. It refuses what Parse would refuse.
func Marshal(f Frame) ([]byte, error) {
	if f.Type == Ack {
		f.Text, f.At = "", time.Time{}
	}
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("cannot write chat frame: %w", err)
	}
	w := wire{Type: f.Type, ID: f.ID, Text: f.Text}
	if !f.At.IsZero() {
		w.At = f.At.UTC().Format(time.RFC3339Nano)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // it would make the text grow sixfold
	if err := enc.Encode(w); err != nil {
		return nil, errors.New("cannot write chat frame: it has no JSON form")
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

func (f Frame) check() error {
	if f.Type != Message && f.Type != Ack {
		return errors.New("its type is unknown")
	}
	if err := checkID(f.ID); err != nil {
		return err
	}
	if f.Type == Ack {
		return nil
	}
	if y := f.At.UTC().Year(); y < 1 || y > 9999 {
		return errors.New("at is out of range")
	}
	return checkText(f.Text)
}

// checkID: an id is a key in stores and in pages, so it is plain ASCII.
func checkID(s string) error {
	if len(s) < 1 || len(s) > MaxID {
		return fmt.Errorf("id has not 1 to %d characters", MaxID)
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return errors.New("id has other characters than A-Z a-z 0-9 . _ -")
		}
	}
	return nil
}

func checkText(s string) error {
	if len(s) < 1 || len(s) > MaxText {
		return fmt.Errorf("text has not 1 to %d bytes", MaxText)
	}
	if !utf8.ValidString(s) {
		return errors.New("text is not UTF-8")
	}
	for _, r := range s {
		if r != '\n' && unicode.IsControl(r) {
			return errors.New("text has a control character")
		}
	}
	return nil
}

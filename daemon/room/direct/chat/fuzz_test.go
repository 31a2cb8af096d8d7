package chat_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"kioskd/daemon/room/direct/chat"
)

// FuzzParse: whatever is read can be written, fits a frame and reads back the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"type":"message","id":"m-1","text":"Hello","at":"2026-01-02T15:04:05Z"}`))
	f.Add([]byte(`{"type":"ack","id":"m-1"}`))
	f.Add([]byte(`{"type":"typing"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := chat.Parse(b)
		if errors.Is(err, chat.ErrOther) {
			return
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cannot ") {
				t.Fatalf("refused with %q", err)
			}
			return
		}
		text, err := chat.Marshal(got)
		if err != nil || len(text) > chat.MaxFrame {
			t.Fatalf("read but not written: %d bytes, %v", len(text), err)
		}
		again, err := chat.Parse(text)
		if err != nil || !reflect.DeepEqual(got, again) {
			t.Fatalf("came back different (%v)", err)
		}
	})
}

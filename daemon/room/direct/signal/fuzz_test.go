package signal_test

import (
	"reflect"
	"testing"

	"kioskd/daemon/room/direct/signal"
)

// FuzzParse: whatever is read can be written, fits the frame, reads back the
// same, and never goes both ways at once except for a keepalive.
func FuzzParse(f *testing.F) {
	for _, c := range good() {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := signal.Parse(b)
		if err != nil {
			return
		}
		text, err := signal.Marshal(m)
		if err != nil {
			t.Fatalf("read but not written: %v", err)
		}
		again, err := signal.Parse(text)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("came back different: %s (%v)", text, err)
		}
		keepalive := m.Type == signal.Ping || m.Type == signal.Pong
		if m.FromClient() && m.FromServer() && !keepalive {
			t.Fatalf("%s goes both ways", m)
		}
		if !m.FromClient() && !m.FromServer() {
			t.Fatalf("%s goes nowhere", m)
		}
	})
}

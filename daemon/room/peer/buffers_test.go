package peer

import (
	"errors"
	"io"
	"testing"

	"github.com/pion/transport/v5/packetio"

	"kioskd/daemon/room/paced"
)

// TestStreamsAreBounded: a far side that makes up streams is told of, again until
// somebody listens, and what comes on them is dropped.
func TestStreamsAreBounded(t *testing.T) {
	told, listens := 0, false
	factory := buffers(paced.New(paced.Config{Start: 1, Max: 1}), func(string) bool { told++; return listens })
	for n := range uint32(streamsMost) {
		b := factory(packetio.RTPBufferPacket, n)
		if _, err := b.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		if k, err := b.Read(make([]byte, 8)); k != 3 || err != nil {
			t.Fatalf("stream %d gives %d bytes, %v", n, k, err)
		}
		_ = b.Close()
	}
	if told != 0 {
		t.Errorf("told of after %d streams", streamsMost)
	}
	for range 3 {
		b := factory(packetio.RTCPBufferPacket, 7)
		if k, err := b.Write([]byte("abc")); k != 3 || err != nil {
			t.Errorf("writing gives %d, %v: the connection would end by itself", k, err)
		}
		if _, err := b.Read(make([]byte, 8)); !errors.Is(err, io.EOF) {
			t.Errorf("reading gives %v", err)
		}
		listens = told == 1
	}
	if told != 2 {
		t.Errorf("told %d times, want twice: once in vain", told)
	}
}

package direct_test

import (
	"net"
	"testing"
	"time"

	"github.com/pion/webrtc/v4/pkg/media"
)

// sample is a stand-in for an encoded frame: the room carries bytes, it does not look into them.
func sample() media.Sample {
	return media.Sample{Data: []byte{0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a}, Duration: 10 * time.Millisecond}
}

// listen opens the address, which has just been closed.
func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

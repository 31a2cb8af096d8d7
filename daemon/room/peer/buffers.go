package peer

import (
	"io"
	"sync/atomic"

	"github.com/pion/transport/v5/packetio"

	"kioskd/daemon/room/paced"
)

// What waits to be read of one stream, in bytes; pion's own bounds.
const (
	rtpWaits  = 1000 * 1000
	rtcpWaits = 100 * 1000
)

// streamsMost are the streams that a far side may send or speak of; a browser has a
// dozen. Pion keeps each for as long as the connection lives.
const streamsMost = 64

// buffers gives the streams of a connection their buffers. Browsers address their
// feedback to the stream whose packet came last, which may be that of the resends:
// pion reads nothing there, so the flow gets it from here.
// A far side that makes up streams without end is told of, and what comes on them is
// dropped until its connection is gone.
func buffers(flow *paced.Flow, abuse func(string) bool) func(packetio.BufferPacketType, uint32) io.ReadWriteCloser {
	var streams atomic.Int32
	var told atomic.Bool
	return func(kind packetio.BufferPacketType, ssrc uint32) io.ReadWriteCloser {
		if n := streams.Add(1); n > streamsMost {
			if abuse != nil && !told.Load() {
				told.Store(abuse("more streams than a call has"))
			}
			return nothing{}
		}
		if kind == packetio.RTCPBufferPacket && flow.Resends(ssrc) {
			return feedback{flow}
		}
		b := &buffer{packetio.NewBuffer()}
		b.SetLimitSize(rtpWaits)
		if kind == packetio.RTCPBufferPacket {
			b.SetLimitSize(rtcpWaits)
		}
		return b
	}
}

// buffer is packetio's as pion's SRTP uses it.
type buffer struct{ *packetio.Buffer }

func (b *buffer) Read(p []byte) (int, error) {
	n, _, err := b.Buffer.Read(p, nil)
	return n, err
}

func (b *buffer) Write(p []byte) (int, error) { return b.Buffer.Write(p, nil) }

// ReadWithAttributes and WriteWithAttributes keep a packet's attributes.
func (b *buffer) ReadWithAttributes(p []byte, a packetio.Attributes) (int, packetio.Attributes, error) {
	return b.Buffer.Read(p, a)
}

// WriteWithAttributes implements what pion's SRTP asks of a buffer.
func (b *buffer) WriteWithAttributes(p []byte, a packetio.Attributes) (int, error) {
	return b.Buffer.Write(p, a)
}

// nothing drops what is written.
type nothing struct{}

func (nothing) Write(b []byte) (int, error) { return len(b), nil }
func (nothing) Read([]byte) (int, error)    { return 0, io.EOF }
func (nothing) Close() error                { return nil }

// feedback hands RTCP to a flow. Nothing can be read of it.
type feedback struct{ flow *paced.Flow }

func (f feedback) Write(b []byte) (int, error) {
	f.flow.RTCP(b)
	return len(b), nil
}

func (f feedback) Read([]byte) (int, error) { return 0, io.EOF }
func (f feedback) Close() error             { return nil }

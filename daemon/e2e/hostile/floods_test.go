package hostile

import (
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestFloods: there are the twelve of the promise, each once.
func TestFloods(t *testing.T) {
	names := map[string]bool{}
	for _, f := range Floods() {
		names[f.Name] = true
	}
	if len(names) != 12 {
		t.Errorf("there are %d floods", len(names))
	}
}

// TestShred: pion's field has not moved, and a message in single bytes arrives as it was.
func TestShred(t *testing.T) {
	a, b := pair(t)
	d, err := a.CreateDataChannel("x", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, opened := make(chan int, 1), make(chan struct{})
	b.OnDataChannel(func(d *webrtc.DataChannel) { d.OnMessage(func(m webrtc.DataChannelMessage) { got <- len(m.Data) }) })
	d.OnOpen(func() { close(opened) })
	connect(t, a, b)
	await(t, opened)
	if !shred(a.SCTP()) {
		t.Fatal("the field has moved")
	}
	if err := d.Send(make([]byte, 3000)); err != nil {
		t.Fatal(err)
	}
	if n := await(t, got); n != 3000 {
		t.Errorf("%d bytes arrived", n)
	}
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// pair is two connections on loopback.
func pair(t *testing.T) (a, b *webrtc.PeerConnection) {
	t.Helper()
	var s webrtc.SettingEngine
	s.SetIncludeLoopbackCandidate(true)
	make := func() *webrtc.PeerConnection {
		pc, err := webrtc.NewAPI(webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = pc.GracefulClose() })
		return pc
	}
	return make(), make()
}

func connect(t *testing.T, a, b *webrtc.PeerConnection) {
	t.Helper()
	whole := func(pc *webrtc.PeerConnection, d webrtc.SessionDescription, err error) webrtc.SessionDescription {
		gathered := webrtc.GatheringCompletePromise(pc)
		if err == nil {
			err = pc.SetLocalDescription(d)
		}
		if err != nil {
			t.Fatal(err)
		}
		await(t, gathered)
		return *pc.LocalDescription()
	}
	o, err := a.CreateOffer(nil)
	if err := b.SetRemoteDescription(whole(a, o, err)); err != nil {
		t.Fatal(err)
	}
	o, err = b.CreateAnswer(nil)
	if err := a.SetRemoteDescription(whole(b, o, err)); err != nil {
		t.Fatal(err)
	}
}

package call_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/capture"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/daemon/call"
	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/chat"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

// guest is a participant that sends tracks and watches the kiosk.
type guest struct {
	*directtest.Clinician
	eye *eye
}

// invite brings a guest in. It sends sound, and pictures unless it is an interpreter.
func (k *kiosk) invite(t *testing.T, id string, role signal.Role) *guest {
	t.Helper()
	return k.inviteWho(t, directtest.Who{Peer: id, Name: "Name of " + id, Role: role})
}

// inviteWho is invite for a far side with habits of its own.
func (k *kiosk) inviteWho(t *testing.T, who directtest.Who) *guest {
	t.Helper()
	id, role := who.Peer, who.Role
	kinds := []webrtc.RTPCodecCapability{peer.AudioCodec(), peer.VideoCodec()}
	if role == signal.Interpreter {
		kinds = kinds[:1]
	}
	stop, fed := make(chan struct{}), sync.WaitGroup{}
	for _, kind := range kinds {
		tr, err := webrtc.NewTrackLocalStaticRTP(kind, kind.MimeType[:5], id)
		if err != nil {
			t.Fatal(err)
		}
		who.Send = append(who.Send, tr)
		fed.Go(func() { feed(stop, tr) })
	}
	t.Cleanup(func() { close(stop); fed.Wait() })
	e := newEye(t)
	who.Packet = e.packet
	return &guest{Clinician: directtest.Join(t, k.url, "t", who), eye: e}
}

// awaitMedia waits until each of these ("id kind") has arrived.
func (k *kiosk) awaitMedia(t *testing.T, want ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, w := range want {
		missing[w] = true
	}
	for len(missing) > 0 {
		m := awaitEvent[call.MediaArrived](t, k)
		delete(missing, m.ID+" "+m.Kind)
	}
}

// kindsSeen counts the packets of a view by kind.
type kindsSeen struct {
	mu   sync.Mutex
	seen map[webrtc.RTPCodecType]int
	new  chan struct{}
}

func watchKinds() *kindsSeen {
	return &kindsSeen{seen: map[webrtc.RTPCodecType]int{}, new: make(chan struct{}, 1)}
}

func (s *kindsSeen) packet(kind webrtc.RTPCodecType, _ *rtp.Packet) {
	s.mu.Lock()
	s.seen[kind]++
	s.mu.Unlock()
	select {
	case s.new <- struct{}{}:
	default:
	}
}

func (s *kindsSeen) count(kind webrtc.RTPCodecType) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[kind]
}

// await waits for n packets of a kind.
func (s *kindsSeen) await(t *testing.T, what string, kind webrtc.RTPCodecType, n int) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for s.count(kind) < n {
		select {
		case <-s.new:
		case <-deadline:
			t.Fatalf("%s: %d packets of %s, want %d", what, s.count(kind), kind, n)
		}
	}
}

func TestThreeParticipants(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	guests := map[string]*guest{
		"clin-1": k.invite(t, "clin-1", signal.Clinician),
		"clin-2": k.invite(t, "clin-2", signal.Clinician),
		"int-1":  k.invite(t, "int-1", signal.Interpreter),
	}
	k.awaitMedia(t, "clin-1 audio", "clin-1 video", "clin-2 audio", "clin-2 video", "int-1 audio")
	k.invite(t, "clin-4", signal.Clinician)

	views := map[string]*kindsSeen{}
	for id, g := range guests {
		g.eye.until(id+" to see and hear the patient", func() bool { return len(g.eye.counters) >= 5 && g.eye.loud() })
		views[id] = watchKinds()
		if _, err := newPage(t, k, id, views[id].packet); err != nil {
			t.Fatalf("a view of %s: %v", id, err)
		}
	}
	for id, v := range views {
		v.await(t, id, webrtc.RTPCodecTypeAudio, 10)
		if id != "int-1" {
			v.await(t, id, webrtc.RTPCodecTypeVideo, 10)
		}
	}
	if n := views["int-1"].count(webrtc.RTPCodecTypeVideo); n != 0 {
		t.Errorf("%d packets of video of somebody without a camera", n)
	}
	if _, err := newPage(t, k, "clin-4", nil); err == nil {
		t.Error("there is a view of a fourth participant")
	}
	if f := k.Figures(); f["frames_encoded"] > float64(k.painted.Load()) {
		t.Errorf("%v frames were encoded of %d painted: more than one encoder runs", f["frames_encoded"], k.painted.Load())
	}
	for _, g := range guests {
		if n := g.Offers(); n != 1 {
			t.Errorf("a participant got %d offers", n)
		}
	}
}

func TestOneLeavesAndReturns(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	stays, goes := k.invite(t, "clin-1", signal.Clinician), k.invite(t, "clin-2", signal.Clinician)
	k.awaitMedia(t, "clin-1 video", "clin-2 video")
	view := watchKinds()
	if _, err := newPage(t, k, "clin-2", view.packet); err != nil {
		t.Fatal(err)
	}
	view.await(t, "before", webrtc.RTPCodecTypeVideo, 5)
	goes.Say(signal.Message{Type: signal.Bye})
	if l := awaitEvent[call.PeerLeft](t, k); l.ID != "clin-2" || l.Reason != room.ReasonBye {
		t.Errorf("left: %+v", l)
	}
	goes.Vanish()
	before := view.count(webrtc.RTPCodecTypeVideo)
	back := k.invite(t, "clin-2", signal.Clinician)
	k.awaitMedia(t, "clin-2 video")
	view.await(t, "the same view, afterwards", webrtc.RTPCodecTypeVideo, before+10)
	back.eye.until("the patient again", func() bool { return len(back.eye.counters) >= 5 })
	if n := stays.Offers(); n != 1 {
		t.Errorf("the one who stayed got %d offers", n)
	}
}

// Receivers that ask without end cost one keyframe in 500 ms between them.
func TestKeyframeStorm(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	var storm sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer storm.Wait()
	defer cancel()
	for n := range 3 {
		g := k.invite(t, fmt.Sprint("clin-", n), signal.Clinician)
		g.eye.until("frames", func() bool { return len(g.eye.counters) >= 2 })
		pc, _ := g.AwaitChat()
		storm.Go(func() {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for {
				for _, r := range pc.GetReceivers() {
					if tr := r.Track(); tr != nil && tr.Kind() == webrtc.RTPCodecTypeVideo {
						_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(tr.SSRC())}})
					}
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	started, before := time.Now(), k.Figures()["key_frames_asked"]
	<-time.After(3 * time.Second)
	asked := k.Figures()["key_frames_asked"] - before
	if most := time.Since(started).Seconds()*2 + 1; asked > most || asked < 2 {
		t.Errorf("%v keyframes in %v, want 2 to %v", asked, time.Since(started), most)
	}
}

func TestChatOfTheCall(t *testing.T) {
	k := newKiosk(t)
	list := []room.Message{{ID: "a", Text: "Hello", At: time.Unix(9, 0)}}
	k.AckMessage("nobody", "x") // no room: nothing to say it in
	k.SetOutbox(list)
	k.join(t, 3)
	c := directtest.New(t, k.url, "t", nil)
	if f := c.Heard(); f.ID != "a" || f.Text != "Hello" {
		t.Errorf("heard %q", f.ID)
	}
	c.Tell(chat.Frame{Type: chat.Ack, ID: "a"})
	if e := awaitEvent[call.MessageAcked](t, k); e != (call.MessageAcked{Attempt: 3, ID: directtest.PeerID, Message: "a"}) {
		t.Errorf("acked: %+v", e)
	}
	c.Tell(chat.Frame{Type: chat.Message, ID: "b", Text: "Yes?"})
	if e := awaitEvent[call.MessageArrived](t, k); e.Attempt != 3 || e.ID != directtest.PeerID || e.Message.ID != "b" || e.Message.Text != "Yes?" {
		t.Errorf("arrived: %q of %q", e.Message.ID, e.ID)
	}
	k.AckMessage(directtest.PeerID, "b")
	if f := c.Heard(); f.Type != chat.Ack || f.ID != "b" {
		t.Errorf("heard %v", f)
	}
	// A room that is left and joined anew gets what still waits.
	k.Leave(t.Context(), room.ReasonAway)
	k.join(t, 4)
	if f := c.Heard(); f.ID != "a" {
		t.Errorf("heard %q", f.ID)
	}
	k.SetOutbox(nil)
	k.Leave(t.Context(), room.ReasonAway)
	k.join(t, 5)
	c.AwaitChat()
	c.AwaitChat()
	c.AwaitChat()
	k.SetOutbox([]room.Message{{ID: "z", Text: "z"}})
	if f := c.Heard(); f.ID != "z" {
		t.Errorf("heard %q, the outbox was emptied", f.ID)
	}
}

func TestHistoryOfARoom(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	if n := len(k.History()); n != 0 {
		t.Fatalf("%d samples without a room", n)
	}
	k.join(t, 1)
	k.invite(t, "clin-1", signal.Clinician)
	deadline, tick := time.After(20*time.Second), time.NewTicker(50*time.Millisecond)
	defer tick.Stop()
	for full := false; !full; {
		for _, s := range k.History() {
			full = full || s.SentKbps > 10 && s.ReceivedKbps > 1 && s.Frames > 0 && s.RTTms > 0 && s.Lost < 1
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no full sample: %+v", k.History())
		}
	}
	k.Leave(t.Context(), room.ReasonBye)
	n := len(k.History())
	<-time.After(1200 * time.Millisecond)
	if more := len(k.History()); more != n {
		t.Errorf("%d samples were added without a room", more-n)
	}
}

// switcher is a camera that goes over to another one by itself. The counter of
// camera b starts at bStart.
type switcher struct {
	to     chan string
	starts int
	mu     sync.Mutex
}

const bStart = 1_000_000

func (s *switcher) run(ctx context.Context, id string, put func(*capture.Frame)) {
	s.mu.Lock()
	s.starts++
	s.mu.Unlock()
	pool := capture.NewPool(width, height)
	tick := time.NewTicker(time.Second / fps)
	defer tick.Stop()
	for n := uint32(0); ; n++ {
		f := pool.Get()
		shade, first := byte(60), uint32(0)
		if id == "b" {
			shade, first = 180, bStart
		}
		for i := range f.Y {
			f.Y[i] = shade
		}
		for i := range f.Cb {
			f.Cb[i], f.Cr[i] = 128, 128
		}
		f.Time, f.Seq = time.Now(), uint64(n)
		blocks.Paint(f.Y, f.YStride, width, height, blocks.New(first+n, f.Time))
		put(f)
		select {
		case <-ctx.Done():
			return
		case id = <-s.to:
			n = 0
		case <-tick.C:
		}
	}
}

func TestSwapKeepsTheSourceAndTheConnection(t *testing.T) {
	cam := &switcher{to: make(chan string, 1)}
	k := newKioskWith(t, func(o *call.Options) {
		o.Camera, o.Switch = cam.run, func(id string) { cam.to <- id }
	})
	k.Apply(call.Media{Camera: true, CameraID: "a", Microphone: true})
	k.join(t, 1)
	g := k.invite(t, "clin-1", signal.Clinician)
	of := func(b bool) func() bool { // three frames: the counter has to go back afterwards
		return func() bool {
			n := len(g.eye.counters)
			return n > 2 && (g.eye.counters[n-1] >= bStart) == b && (g.eye.counters[n-3] >= bStart) == b
		}
	}
	g.eye.until("camera a", of(false))
	for n := range 3 {
		keys := k.Figures()["key_frames_asked"]
		k.Apply(call.Media{Camera: true, CameraID: "b", Microphone: true})
		k.Apply(call.Media{Camera: true, CameraID: "b", Microphone: true}) // the same again: no switch
		g.eye.until("camera b", of(true))
		k.Apply(call.Media{Camera: true, CameraID: "a", Microphone: true})
		g.eye.until("camera a again", of(false))
		if got := k.Figures()["key_frames_asked"] - keys; got < 2 {
			t.Errorf("round %d: %v keyframes for two switches", n, got)
		}
	}
	cam.mu.Lock()
	if cam.starts != 1 {
		t.Errorf("the source was started %d times", cam.starts)
	}
	cam.mu.Unlock()
	if n := g.Offers(); n != 1 {
		t.Errorf("%d offers", n)
	}
	// Off and on is no switch: the device closes, and the newest camera opens.
	k.Apply(call.Media{VideoOff: true, Microphone: true})
	k.Apply(call.Media{Camera: true, CameraID: "b", Microphone: true})
	g.eye.until("camera b after video off", of(true))
	cam.mu.Lock()
	defer cam.mu.Unlock()
	if cam.starts != 2 {
		t.Errorf("the source was started %d times", cam.starts)
	}
}

package call_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/mediadevices/pkg/prop"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/cmd/clinicsim/hub"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/daemon/call"
	"kioskd/daemon/room"
	"kioskd/daemon/room/direct"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const width, height, fps = 320, 240, 20

// kiosk is a call whose pictures carry a counter and whose microphone hums.
type kiosk struct {
	*call.Call
	url     string
	open    atomic.Int32 // cameras open now
	painted atomic.Int64 // frames
	events  chan call.Event
}

func newKiosk(t *testing.T) *kiosk { return newKioskWith(t, func(*call.Options) {}) }

// newKioskWith is newKiosk with other parts.
func newKioskWith(t *testing.T, change func(*call.Options)) *kiosk {
	t.Helper()
	h := hub.New(hub.Options{Authorize: func(string) (string, bool) { return "room", true }})
	srv := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); srv.Close() })
	k := &kiosk{url: "ws" + strings.TrimPrefix(srv.URL, "http"), events: make(chan call.Event, 256)}
	options := call.Options{
		Providers:    room.Providers{"direct": &direct.Provider{}},
		Path:         peer.Options{Loopback: true},
		Video:        call.VideoOptions{Prefer: []encode.Codec{encode.CodecVP8}, Params: encode.VideoParams{BitRate: 300_000}, Width: width, Height: height, FPS: fps},
		AudioEncoder: encode.OpusParams{},
		Audio:        prop.Audio{SampleRate: 48000, ChannelCount: 1, Latency: 20 * time.Millisecond},
		Camera:       k.camera, Microphone: hum, OffWords: []string{"Video is off"},
		Events: func(e call.Event) {
			select {
			case k.events <- e:
			default:
				t.Error("more events than anybody reads")
			}
		},
		Log: slog.New(slog.DiscardHandler),
	}
	change(&options)
	var err error
	if k.Call, err = call.New(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		k.Close(ctx)
	})
	return k
}

// camera paints coded frames at a steady pace.
func (k *kiosk) camera(ctx context.Context, _ string, put func(*capture.Frame)) {
	k.open.Add(1)
	defer k.open.Add(-1)
	pool := capture.NewPool(width, height)
	tick := time.NewTicker(time.Second / fps)
	defer tick.Stop()
	for n := uint32(0); ; n++ {
		f := pool.Get()
		for i := range f.Y {
			f.Y[i] = byte(60 + i%7)
		}
		for i := range f.Cb {
			f.Cb[i], f.Cr[i] = 128, 128
		}
		f.Time = time.Now()
		blocks.Paint(f.Y, f.YStride, width, height, blocks.New(n, f.Time))
		put(f)
		k.painted.Add(1)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// hum is a 440 Hz microphone.
func hum(ctx context.Context, put func([]int16, time.Time)) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	pcm := make([]int16, 480)
	for n := 0; ; {
		for i := range pcm {
			pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(n)/48000))
			n++
		}
		put(pcm, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (k *kiosk) join(t *testing.T, attempt int) {
	t.Helper()
	if err := k.Join(t.Context(), call.JoinParams{Provider: "direct", URL: k.url, Token: "t", Peer: "kiosk-1", Attempt: attempt}); err != nil {
		t.Fatal(err)
	}
}

// awaitEvent returns the next event of type T.
func awaitEvent[T call.Event](t *testing.T, k *kiosk) T {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		select {
		case e := <-k.events:
			if v, ok := e.(T); ok {
				return v
			}
		case <-deadline:
			var zero T
			t.Fatalf("no %T came", zero)
		}
	}
}

func TestCallSendsPicturesAndSound(t *testing.T) {
	k, e := newKiosk(t), newEye(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	directtest.New(t, k.url, "t", e.packet)
	if j := awaitEvent[call.Joined](t, k); j.Attempt != 1 {
		t.Errorf("in the room: %+v", j)
	}
	p := awaitEvent[call.PeerJoined](t, k)
	if p.Attempt != 1 || p.Participant.ID != directtest.PeerID {
		t.Errorf("joined: %+v", p)
	}
	e.until("30 coded frames and the tone", func() bool { return len(e.counters) >= 30 && e.loud() })
	e.mu.Lock()
	lost := 0
	for i := 1; i < len(e.counters); i++ {
		if e.counters[i] != e.counters[i-1]+1 {
			lost++
		}
	}
	e.mu.Unlock()
	if lost > 1 {
		t.Errorf("%d of %d frames do not follow the one before", lost, len(e.counters))
	}

	k.SetMuted(true)
	e.until("silence", e.silent)
	k.SetMuted(false)
	e.until("the tone again", e.loud)

	k.Apply(call.Media{VideoOff: true, Microphone: true})
	if n := k.open.Load(); n != 0 {
		t.Fatalf("%d cameras are open with the video off", n)
	}
	e.forget()
	e.until("the picture that says off", func() bool { return e.uncoded >= 2 })
	e.mu.Lock()
	if len(e.counters) > 1 { // one may have been on its way
		t.Errorf("%d frames of the patient after video off", len(e.counters))
	}
	e.mu.Unlock()
	k.Apply(call.Media{Camera: true, Microphone: true})
	e.until("the patient again", func() bool { return len(e.counters) >= 10 })
	if f := k.Figures(); f["frames_encoded"] < 30 || f["audio_packets_sent"] < 20 || f["frame_width"] != width {
		t.Errorf("figures: %v", f)
	}
}

func TestEventsOfTheFarSide(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Microphone: true})
	k.join(t, 7)
	theirs, err := webrtc.NewTrackLocalStaticRTP(peer.AudioCodec(), "audio", "clin")
	if err != nil {
		t.Fatal(err)
	}
	c := directtest.New(t, k.url, "t", nil, theirs)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		feed(stop, theirs)
	}()
	m := awaitEvent[call.MediaArrived](t, k)
	if m.Kind != "audio" || m.ID != directtest.PeerID || m.Attempt != 7 {
		t.Errorf("media: %+v", m)
	}
	c.Vanish()
	if l := awaitEvent[call.PeerLeft](t, k); l.Reason != room.ReasonLost {
		t.Errorf("left: %+v", l)
	}
	close(stop)
	<-done
}

// feed writes packets until stop closes.
func feed(stop <-chan struct{}, track *webrtc.TrackLocalStaticRTP) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := uint32(0); ; n++ {
		_ = track.WriteRTP(&rtp.Packet{
			Header:  rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: n * 960},
			Payload: []byte{0xf8, 0xff, 0xfe}, // Opus: 20 ms of silence
		})
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// page is the touchscreen page's end of one WHEP view.
type page struct {
	pc     *webrtc.PeerConnection
	id     string
	answer string
}

func newPage(t *testing.T, k *kiosk, stream string, packet func(webrtc.RTPCodecType, *rtp.Packet)) (*page, error) {
	t.Helper()
	pc, err := peer.New(peer.Options{LoopbackOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.GracefulClose() })
	pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := tr.ReadRTP()
			if err != nil {
				return
			}
			packet(tr.Kind(), p)
		}
	})
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			t.Fatal(err)
		}
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	offer, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(offer)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-gathered
	id, answer, err := k.CreateView(t.Context(), stream, pc.LocalDescription().SDP)
	if err != nil {
		return nil, err
	}
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	return &page{pc: pc, id: id, answer: answer}, nil
}

func TestViewsShareTheOneEncode(t *testing.T) {
	k, far, near, late := newKiosk(t), newEye(t), newEye(t), newEye(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	directtest.New(t, k.url, "t", far.packet)
	far.until("frames", func() bool { return len(far.counters) >= 5 })
	p, err := newPage(t, k, call.Self, near.packet)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(p.answer) {
		if strings.HasPrefix(line, "a=candidate:") && !strings.Contains(line, " 127.0.0.1 ") {
			t.Errorf("the view offers another address than loopback: %s", line)
		}
	}
	near.until("the self-view", func() bool { return len(near.counters) >= 5 })
	// A late joiner starts with a keyframe, without waiting for a natural one.
	if _, err := newPage(t, k, call.Self, late.packet); err != nil {
		t.Fatal(err)
	}
	late.until("the late self-view", func() bool { return len(late.counters) >= 5 })
	if f := k.Figures(); f["views"] != 2 {
		t.Errorf("%v views are open", f["views"])
	}
	if err := k.DeleteView(p.id); err != nil {
		t.Error(err)
	}
	if err := k.DeleteView(p.id); !errors.Is(err, call.ErrNoView) {
		t.Errorf("deleting it again: %v", err)
	}
	if err := k.PatchView(p.id, "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"); !errors.Is(err, call.ErrNoView) {
		t.Errorf("a candidate for no view: %v", err)
	}
}

func TestRemoteIsRelayedToThePage(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Microphone: true})
	k.join(t, 1)
	theirs, err := webrtc.NewTrackLocalStaticRTP(peer.AudioCodec(), "audio", "clin")
	if err != nil {
		t.Fatal(err)
	}
	directtest.New(t, k.url, "t", nil, theirs)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		feed(stop, theirs)
	}()
	defer func() { close(stop); <-done }()
	awaitEvent[call.MediaArrived](t, k)
	got := make(chan *rtp.Packet, 64)
	if _, err := newPage(t, k, directtest.PeerID, func(_ webrtc.RTPCodecType, p *rtp.Packet) {
		select {
		case got <- p:
		default:
		}
	}); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-got:
		if len(p.Payload) != 3 {
			t.Errorf("the payload changed on its way: %x", p.Payload)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nothing reached the page")
	}
}

func TestViewRefusals(t *testing.T) {
	k := newKiosk(t)
	if _, err := newPage(t, k, "nobody", nil); !errors.Is(err, call.ErrNoStream) {
		t.Errorf("a view of nobody: %v", err)
	}
	for name, offer := range map[string]string{"empty": "", "words": "not sdp", "no media": "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"} {
		if _, _, err := k.CreateView(t.Context(), call.Self, offer); err == nil {
			t.Errorf("%s: was taken as an offer", name)
		}
	}
	for i := range 17 {
		if _, err := newPage(t, k, call.Self, func(webrtc.RTPCodecType, *rtp.Packet) {}); i < 16 && err != nil {
			t.Fatalf("view %d: %v", i, err)
		} else if i == 16 && !errors.Is(err, call.ErrTooManyView) {
			t.Errorf("view 17: %v", err)
		}
	}
}

func TestJoinErrors(t *testing.T) {
	k := newKiosk(t)
	if err := k.Join(t.Context(), call.JoinParams{Provider: "smoke signals"}); !errors.Is(err, room.ErrNoProvider) {
		t.Errorf("an unknown provider: %v", err)
	}
	if err := k.Join(t.Context(), call.JoinParams{Provider: "direct", URL: "ws://127.0.0.1:1/", Token: "t", Peer: "k"}); !errors.Is(err, room.ErrUnreachable) {
		t.Errorf("no server: %v", err)
	}
	k.join(t, 1)
	if err := k.Join(t.Context(), call.JoinParams{Provider: "direct", URL: k.url, Token: "t", Peer: "k"}); !errors.Is(err, call.ErrJoined) {
		t.Errorf("a second room: %v", err)
	}
}

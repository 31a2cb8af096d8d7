package farside

import (
	"context"
	"errors"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/cmd/clinicsim/sim"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

const wait = 20 * time.Second

func TestDescriptions(t *testing.T) {
	sdp := "v=0\r\nc=IN IP4 127.0.0.1\r\na=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host\r\na=candidate:2 1 udp 1 192.0.2.1 127 typ host\r\na=end-of-candidates\r\n"
	if got, want := withoutCandidates(sdp), "v=0\r\nc=IN IP4 127.0.0.1\r\na=end-of-candidates\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want := strings.Replace(sdp, "431 127.0.0.1 5000", "431 10.0.2.2 5000", 1)
	if got := readdressed(sdp, "10.0.2.2"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// clinic starts the simulated clinic.
func clinic(t *testing.T) Options {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan sim.Addresses, 1), make(chan error, 1)
	go func() { done <- sim.Run(ctx, sim.Config{TokenFile: token}, func(a sim.Addresses) { ready <- a }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	select {
	case a := <-ready:
		b, err := os.ReadFile(token)
		if err != nil {
			t.Fatal(err)
		}
		return Options{Backend: a.Backend, Token: strings.TrimSpace(string(b)), Appointment: "a-1", Address: "127.0.0.1"}
	case err := <-done:
		done <- err
		t.Fatal("the clinic does not start")
	case <-time.After(wait):
		t.Fatal("the clinic does not start in time")
	}
	return Options{}
}

// kiosk joins the room as one and offers to whoever comes, with a picture and a
// sound that the test chooses.
type kiosk struct {
	t            *testing.T
	conn         *websocket.Conn
	pc           *webrtc.PeerConnection
	video, audio *webrtc.TrackLocalStaticSample
	heard        chan struct{} // the far side's sound has come
	answered     chan string   // its SDP
	done         chan struct{}
	to           string
}

func newKiosk(t *testing.T, o Options) *kiosk {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	url, token, err := room(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	k := &kiosk{t: t, heard: make(chan struct{}, 1), answered: make(chan string, 4), done: make(chan struct{})}
	if k.conn, _, err = websocket.Dial(ctx, url, nil); err != nil {
		t.Fatal(err)
	}
	if k.pc, err = peer.New(peer.Options{LoopbackOnly: true, Video: []string{webrtc.MimeTypeVP8}}); err != nil {
		t.Fatal(err)
	}
	k.tracks()
	k.say(signal.Message{Type: signal.Hello, Token: token, Peer: "kiosk", Role: signal.Kiosk})
	go k.read()
	t.Cleanup(func() {
		_ = k.conn.CloseNow()
		<-k.done
		if err := k.pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func (k *kiosk) tracks() {
	var errs [2]error
	k.video, errs[0] = webrtc.NewTrackLocalStaticSample(peer.VideoCodec(), "video", "kiosk")
	k.audio, errs[1] = webrtc.NewTrackLocalStaticSample(peer.AudioCodec(), "audio", "kiosk")
	for i, track := range []webrtc.TrackLocal{k.video, k.audio} {
		if errs[i] == nil {
			_, errs[i] = k.pc.AddTrack(track)
		}
		if errs[i] != nil {
			k.t.Fatal(errs[i])
		}
	}
	k.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			if _, _, err := track.ReadRTP(); err != nil {
				return
			}
			select {
			case k.heard <- struct{}{}:
			default:
			}
		}
	})
}

func (k *kiosk) say(m signal.Message) {
	b, err := signal.Marshal(m)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		err = k.conn.Write(ctx, websocket.MessageText, b)
	}
	if err != nil {
		k.t.Error(err)
	}
}

func (k *kiosk) read() {
	defer close(k.done)
	for {
		_, b, err := k.conn.Read(context.Background())
		if err != nil {
			return
		}
		m, err := signal.Parse(b)
		switch {
		case err != nil:
			k.t.Error(err)
		case m.Type == signal.Welcome && len(m.Peers) > 0: // it was there before us
			k.to = m.Peers[0].Peer
			k.offer(false)
		case m.Type == signal.PeerJoined:
			k.to = m.From
			k.offer(false)
		case m.Type == signal.Answer:
			if err := k.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}); err != nil {
				k.t.Error(err)
			}
			k.answered <- m.SDP
		}
	}
}

func (k *kiosk) offer(restart bool) {
	o, err := k.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err == nil {
		err = k.pc.SetLocalDescription(o)
	}
	if err != nil {
		k.t.Error(err)
		return
	}
	k.say(signal.Message{Type: signal.Offer, To: k.to, SDP: o.SDP, Restart: restart})
}

// show sends a picture 15 times and a tone 50 times a second until the returned
// function is called.
func (k *kiosk) show(picture *image.YCbCr, hz int) (stop func()) {
	k.t.Helper()
	eye, err := encode.NewVP8(encode.VP8Params{BitRate: 400_000, FrameRate: 15})
	if err != nil {
		k.t.Fatal(err)
	}
	voice, err := encode.NewOpus(encode.OpusParams{BitRate: 32000})
	if err != nil {
		k.t.Fatal(err)
	}
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(packet)
		defer tick.Stop()
		pcm := make([]int16, encode.OpusSamples)
		for n := 0; ; n++ {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			sine(pcm, hz, n*len(pcm))
			if data, err := voice.Encode(pcm); err == nil {
				_ = k.audio.WriteSample(media.Sample{Data: data, Duration: packet})
			}
			if n%3 != 0 {
				continue
			}
			if n%75 == 0 { // who comes late, or asks, gets one soon
				_ = eye.ForceKeyFrame()
			}
			if data, _, err := eye.Encode(&capture.Frame{YCbCr: *picture, Time: time.Now()}); err == nil {
				_ = k.video.WriteSample(media.Sample{Data: data, Duration: 3 * packet})
			}
		}
	}()
	return func() {
		close(end)
		<-done
		if err := errors.Join(eye.Close(), voice.Close()); err != nil {
			k.t.Error(err)
		}
	}
}

// expect waits for a kind of moment from now on.
func expect(t *testing.T, s *Side, kind Kind) {
	t.Helper()
	if _, err := s.Await(t.Context(), kind, time.Now(), wait); err != nil {
		t.Fatal(err)
	}
}

func TestCall(t *testing.T) {
	o := clinic(t)
	k := newKiosk(t, o)
	s, err := Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	stop := k.show(bars(320, 240), ToneHz)
	expect(t, s, Live)
	expect(t, s, Tone)
	select {
	case <-k.heard:
	case <-time.After(wait):
		t.Fatal("the kiosk does not hear the far side")
	}
	if got := s.Connected(); got != webrtc.PeerConnectionStateConnected {
		t.Errorf("connected is %s", got)
	}
	first := <-k.answered
	if !strings.Contains(first, "VP8") || strings.Contains(first, "H264") {
		t.Errorf("the answer is\n%s", first)
	}
	stop()

	// A restart keeps the connection, and what is sent changes under its eyes.
	k.offer(true)
	if again := <-k.answered; fingerprint(again) != fingerprint(first) || again == first {
		t.Error("a restart made another connection, or none")
	}
	stop = k.show(&capture.Slate(320, 240, []string{"No camera found."}).YCbCr, humHz)
	defer stop()
	expect(t, s, Slate)
	expect(t, s, Quiet)
}

// fingerprint is the connection's own certificate (RFC 8122).
func fingerprint(sdp string) string {
	for line := range strings.Lines(sdp) {
		if strings.HasPrefix(line, "a=fingerprint:") {
			return line
		}
	}
	return ""
}

// The room's end is an error of Close; before that there is no connection to speak of.
func TestRoomThatEnds(t *testing.T) {
	o := clinic(t)
	s, err := Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Connected(); got != webrtc.PeerConnectionStateUnknown {
		t.Errorf("connected is %s", got)
	}
	// The same peer joins again, which supersedes the first (package signal).
	second, err := Join(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { s.wg.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(wait):
		t.Error("the superseded side goes on")
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), signal.CodeSuperseded) {
		t.Errorf("got %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestRefusedAtTheDoor(t *testing.T) {
	o := clinic(t)
	o.Token = "wrong"
	if _, err := Join(t.Context(), o); err == nil || !strings.Contains(err.Error(), "cannot find the room") {
		t.Errorf("got %v", err)
	}
	o.Backend = "http://127.0.0.1:1"
	if _, err := Join(t.Context(), o); err == nil || !strings.Contains(err.Error(), "cannot ask for the room") {
		t.Errorf("got %v", err)
	}
}

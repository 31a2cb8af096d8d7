package sim_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/direct/signal"
)

// kiosk is a small kiosk of the test's own: it joins with a real WebSocket,
// offers with pion and sends the clinician's media back, so that the page can
// measure a whole round trip through real codecs.
type kiosk struct {
	t    *testing.T
	conn *websocket.Conn
	pc   *webrtc.PeerConnection
	wg   sync.WaitGroup
	ctx  context.Context //nolint:containedctx // the kiosk's own life
	end  context.CancelFunc

	in           chan signal.Message // what it read, offers and candidates aside
	video, audio *webrtc.TrackLocalStaticRTP
	gotVideo     atomic.Int64 // RTP packets from the page
	gotAudio     atomic.Int64
	pageVideo    atomic.Uint32 // SSRC of the page's picture

	speak   sync.Mutex // an offer goes out before the candidates that belong to it
	mu      sync.Mutex
	other   string // peer id of the clinician
	early   []webrtc.ICECandidateInit
	setDone bool
}

// joinKiosk joins as peer and offers to the clinician as soon as it is there.
func joinKiosk(t *testing.T, s screen, peer string) *kiosk {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &kiosk{t: t, ctx: ctx, end: cancel, in: make(chan signal.Message, 64)}
	dial, stop := context.WithTimeout(ctx, wait)
	defer stop()
	conn, _, err := websocket.Dial(dial, s.Room.URL, nil)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	k.conn = conn
	conn.SetReadLimit(signal.MaxMessage)
	k.send(signal.Message{Type: signal.Hello, Token: s.Room.Token, Peer: peer, Name: "Kiosk, room 3", Role: signal.Kiosk})
	k.wg.Go(k.read)
	t.Cleanup(k.close)
	return k
}

// close ends it without a word, like a crash.
func (k *kiosk) close() {
	k.end()
	_ = k.conn.CloseNow() // closed by a bye already
	if k.pc != nil {
		if err := k.pc.GracefulClose(); err != nil {
			k.t.Error(err)
		}
	}
	k.wg.Wait()
}

func (k *kiosk) send(m signal.Message) {
	b, err := signal.Marshal(m)
	if err == nil {
		ctx, stop := context.WithTimeout(k.ctx, wait)
		defer stop()
		err = k.conn.Write(ctx, websocket.MessageText, b)
	}
	if err != nil && k.ctx.Err() == nil {
		k.t.Error(err)
	}
}

func (k *kiosk) read() {
	for {
		_, b, err := k.conn.Read(k.ctx)
		if err != nil {
			return
		}
		m, err := signal.Parse(b)
		if err != nil {
			k.t.Error(err)
			return
		}
		switch {
		case m.Type == signal.Welcome && len(m.Peers) == 1:
			k.offer(m.Peers[0].Peer)
		case m.Type == signal.PeerJoined:
			k.offer(m.From)
		case m.Type == signal.Answer:
			k.answered(m)
		case m.Type == signal.Trickle && m.Candidate != nil:
			k.candidate(m.Candidate)
		}
		select {
		case k.in <- m:
		default: // a test that waits for nothing more
		}
	}
}

// expect reads on until a message of the type comes.
func (k *kiosk) expect(want signal.Type) signal.Message {
	k.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), wait)
	defer stop()
	for {
		select {
		case m := <-k.in:
			if m.Type == want {
				return m
			}
		case <-ctx.Done():
			k.t.Fatalf("no %s came", want)
		}
	}
}

// offer makes a fresh connection to the clinician, instead of any there was.
func (k *kiosk) offer(to string) {
	if k.pc != nil {
		if err := k.pc.GracefulClose(); err != nil {
			k.t.Error(err)
		}
	}
	k.mu.Lock()
	k.other, k.early, k.setDone = to, nil, false
	k.mu.Unlock()
	if err := k.connect(to); err != nil {
		k.t.Error(err)
		return
	}
	k.describe(false)
}

// describe sends an offer for the connection there is.
func (k *kiosk) describe(restart bool) {
	k.speak.Lock()
	defer k.speak.Unlock()
	offer, err := k.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err == nil {
		err = k.pc.SetLocalDescription(offer)
	}
	if err != nil {
		k.t.Error(err)
		return
	}
	k.send(signal.Message{Type: signal.Offer, To: k.other, SDP: offer.SDP, Restart: restart})
}

func (k *kiosk) connect(to string) error {
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return err
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	// The page hides its addresses behind mDNS names, so it is met as peer
	// reflexive, which pion by default takes only after a second.
	settings.SetPrflxAcceptanceMinWait(0)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	k.pc = pc
	var errs [2]error
	k.video, errs[0] = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "kiosk")
	k.audio, errs[1] = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "kiosk")
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for _, track := range []webrtc.TrackLocal{k.video, k.audio} {
		sender, err := pc.AddTrack(track)
		if err != nil {
			return err
		}
		k.wg.Go(func() { k.readRTCP(pc, sender) })
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { k.echo(track) })
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		m := signal.Message{Type: signal.Trickle, To: to}
		if c != nil {
			j := c.ToJSON()
			m.Candidate = &signal.Candidate{Candidate: j.Candidate, SDPMid: j.SDPMid, SDPMLineIndex: j.SDPMLineIndex, UsernameFragment: j.UsernameFragment}
		}
		k.speak.Lock()
		defer k.speak.Unlock()
		k.send(m)
	})
	return nil
}

// echo sends what the page sends back to it. Pion runs it on a goroutine that
// ends with the connection.
func (k *kiosk) echo(track *webrtc.TrackRemote) {
	out, count := k.audio, &k.gotAudio
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		out, count = k.video, &k.gotVideo
		k.pageVideo.Store(uint32(track.SSRC()))
	}
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		count.Add(1)
		p.Extension, p.Extensions = false, nil
		if err := out.WriteRTP(p); err != nil {
			return
		}
	}
}

// readRTCP passes the page's wish for a keyframe on to the page's own encoder.
func (k *kiosk) readRTCP(pc *webrtc.PeerConnection, sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			if _, ok := p.(*rtcp.PictureLossIndication); ok && k.pageVideo.Load() != 0 {
				_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: k.pageVideo.Load()}}) // the next one follows
			}
		}
	}
}

func (k *kiosk) answered(m signal.Message) {
	if err := k.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}); err != nil {
		k.t.Error(err)
		return
	}
	k.mu.Lock()
	early := k.early
	k.early, k.setDone = nil, true
	k.mu.Unlock()
	for _, c := range early {
		k.add(c)
	}
}

func (k *kiosk) candidate(c *signal.Candidate) {
	init := webrtc.ICECandidateInit{Candidate: c.Candidate, SDPMid: c.SDPMid, SDPMLineIndex: c.SDPMLineIndex, UsernameFragment: c.UsernameFragment}
	k.mu.Lock()
	if !k.setDone {
		k.early = append(k.early, init)
		k.mu.Unlock()
		return
	}
	k.mu.Unlock()
	k.add(init)
}

func (k *kiosk) add(c webrtc.ICECandidateInit) {
	if err := k.pc.AddICECandidate(c); err != nil {
		k.t.Log("a candidate that pion cannot use:", err) // an mDNS name
	}
}

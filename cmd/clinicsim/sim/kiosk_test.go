package sim_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/ice/v4"
	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/direct/signal"
)

// kiosk is a small kiosk of the test's own: it joins with a real WebSocket,
// offers to everybody with pion and sends each one's media back, so that a page
// can measure a whole round trip through real codecs.
type kiosk struct {
	t    *testing.T
	conn *websocket.Conn
	wg   sync.WaitGroup
	ctx  context.Context //nolint:containedctx // the kiosk's own life
	end  context.CancelFunc

	ended    chan struct{}       // closed when its connection has ended
	in       chan signal.Message // what it read, offers and candidates aside
	frames   chan frame          // chat frames that came
	gotVideo atomic.Int64        // RTP packets from the pages
	gotAudio atomic.Int64

	speak sync.Mutex // an offer goes out before the candidates that belong to it
	mu    sync.Mutex
	lines map[string]*line // by peer id
}

// line is the connection to one page.
type line struct {
	k            *kiosk
	to           string
	pc           *webrtc.PeerConnection
	chat         *webrtc.DataChannel
	opened       chan struct{} // closed when the chat is open
	video, audio *webrtc.TrackLocalStaticRTP
	pageVideo    atomic.Uint32        // SSRC of the page's picture
	also         atomic.Pointer[line] // gets the page's picture too
	keyframes    atomic.Pointer[line] // where its picture comes from, when not from its page
	gotVideo     atomic.Int64

	mu      sync.Mutex
	early   []webrtc.ICECandidateInit
	setDone bool
}

// frame is one text frame of the chat.
type frame struct{ from, text string }

// joinKiosk joins as peer and offers to every page as soon as it is there.
func joinKiosk(t *testing.T, s screen, peer string) *kiosk {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &kiosk{
		t: t, ctx: ctx, end: cancel, lines: map[string]*line{},
		ended: make(chan struct{}), in: make(chan signal.Message, 64), frames: make(chan frame, 512),
	}
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
	k.mu.Lock()
	lines := slices.Collect(maps.Values(k.lines))
	k.mu.Unlock()
	for _, l := range lines {
		if err := l.pc.GracefulClose(); err != nil {
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
	defer close(k.ended)
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
		case m.Type == signal.Welcome:
			for _, p := range m.Peers {
				k.offer(p.Peer)
			}
		case m.Type == signal.PeerJoined:
			k.offer(m.From)
		case m.Type == signal.Answer:
			k.line(m.From).answered(m)
		case m.Type == signal.Trickle && m.Candidate != nil:
			k.line(m.From).candidate(m.Candidate)
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

// line is the connection to a peer, or to the only one where peer is "".
func (k *kiosk) line(peer string) *line {
	k.mu.Lock()
	defer k.mu.Unlock()
	if peer == "" && len(k.lines) == 1 {
		for _, l := range k.lines {
			return l
		}
	}
	if l := k.lines[peer]; l != nil {
		return l
	}
	return &line{k: k} // nobody's: candidates wait in it for ever
}

// offer makes a fresh connection to a page, instead of any there was.
func (k *kiosk) offer(to string) {
	k.mu.Lock()
	old := k.lines[to]
	k.mu.Unlock()
	if old != nil {
		if err := old.pc.GracefulClose(); err != nil {
			k.t.Error(err)
		}
	}
	l := &line{k: k, to: to, opened: make(chan struct{})}
	if err := l.connect(); err != nil {
		k.t.Error(err)
		return
	}
	k.mu.Lock()
	k.lines[to] = l
	k.mu.Unlock()
	l.describe(false)
}

// describe sends an offer for the connection there is.
func (l *line) describe(restart bool) {
	l.k.speak.Lock()
	defer l.k.speak.Unlock()
	offer, err := l.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart})
	if err == nil {
		err = l.pc.SetLocalDescription(offer)
	}
	if err != nil {
		l.k.t.Error(err)
		return
	}
	l.k.send(signal.Message{Type: signal.Offer, To: l.to, SDP: offer.SDP, Restart: restart})
}

func (l *line) connect() error {
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
	// On a busy machine a page may not answer for as long as a call would wait.
	settings.SetICETimeouts(wait, 3*wait, 2*time.Second)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(settings)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return err
	}
	l.pc = pc
	if err := l.openChat(); err != nil {
		return err
	}
	var errs [2]error
	l.video, errs[0] = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "kiosk")
	l.audio, errs[1] = webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "kiosk")
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for _, track := range []webrtc.TrackLocal{l.video, l.audio} {
		sender, err := pc.AddTrack(track)
		if err != nil {
			return err
		}
		l.k.wg.Go(func() { l.readRTCP(sender) })
	}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { l.echo(track) })
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		m := signal.Message{Type: signal.Trickle, To: l.to}
		if c != nil {
			j := c.ToJSON()
			m.Candidate = &signal.Candidate{Candidate: j.Candidate, SDPMid: j.SDPMid, SDPMLineIndex: j.SDPMLineIndex, UsernameFragment: j.UsernameFragment}
		}
		l.k.speak.Lock()
		defer l.k.speak.Unlock()
		l.k.send(m)
	})
	return nil
}

// openChat makes the chat's channel: ordered and reliable, which is pion's default.
func (l *line) openChat() error {
	channel, err := l.pc.CreateDataChannel("chat", nil)
	if err != nil {
		return err
	}
	l.chat = channel
	channel.OnOpen(func() { close(l.opened) })
	channel.OnMessage(func(m webrtc.DataChannelMessage) {
		if !m.IsString {
			l.k.t.Error("the page sent a binary frame")
		}
		select {
		case l.k.frames <- frame{l.to, string(m.Data)}:
		default:
			l.k.t.Error("nobody reads the chat")
		}
	})
	return nil
}

// say sends one chat frame when the chat is open.
func (l *line) say(text string) {
	l.k.t.Helper()
	select {
	case <-l.opened:
	case <-time.After(wait):
		l.k.t.Fatal("the chat did not open")
	}
	if err := l.chat.SendText(text); err != nil {
		l.k.t.Fatal(err)
	}
}

// echo sends what the page sends back to it. Pion runs it on a goroutine that
// ends with the connection.
func (l *line) echo(track *webrtc.TrackRemote) {
	out, count := l.audio, &l.k.gotAudio
	if track.Kind() == webrtc.RTPCodecTypeVideo {
		out, count = l.video, &l.k.gotVideo
		l.pageVideo.Store(uint32(track.SSRC()))
	}
	for {
		p, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		count.Add(1)
		if out == l.video {
			l.gotVideo.Add(1)
		}
		p.Extension, p.Extensions = false, nil
		if also := l.also.Load(); also != nil && out == l.video {
			_ = also.video.WriteRTP(p) // it may be gone
		}
		if err := out.WriteRTP(p); err != nil {
			return
		}
	}
}

// copyTo sends what comes from this page to another one as well, from a keyframe on.
func (l *line) copyTo(other *line) {
	l.also.Store(other)
	other.keyframes.Store(l)
	l.askKeyframe()
}

func (l *line) askKeyframe() {
	_ = l.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: l.pageVideo.Load()}}) // the next one follows
}

// readRTCP passes the page's wish for a keyframe on to the page's own encoder.
func (l *line) readRTCP(sender *webrtc.RTPSender) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			if _, ok := p.(*rtcp.PictureLossIndication); !ok {
				continue
			}
			if from := l.keyframes.Load(); from != nil {
				from.askKeyframe()
			} else if l.pageVideo.Load() != 0 {
				l.askKeyframe()
			}
		}
	}
}

func (l *line) answered(m signal.Message) {
	if l.pc == nil {
		l.k.t.Error("an answer from nobody")
		return
	}
	if err := l.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}); err != nil {
		l.k.t.Error(err)
		return
	}
	l.mu.Lock()
	early := l.early
	l.early, l.setDone = nil, true
	l.mu.Unlock()
	for _, c := range early {
		l.add(c)
	}
}

func (l *line) candidate(c *signal.Candidate) {
	init := webrtc.ICECandidateInit{Candidate: c.Candidate, SDPMid: c.SDPMid, SDPMLineIndex: c.SDPMLineIndex, UsernameFragment: c.UsernameFragment}
	l.mu.Lock()
	if !l.setDone {
		l.early = append(l.early, init)
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.add(init)
}

func (l *line) add(c webrtc.ICECandidateInit) {
	if err := l.pc.AddICECandidate(c); err != nil {
		l.k.t.Log("a candidate that pion cannot use:", err) // an mDNS name
	}
}

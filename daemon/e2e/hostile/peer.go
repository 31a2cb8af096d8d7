// Package hostile is a participant that means harm: it joins a room as a clinician
// does and then floods the kiosk in one of the ways of Floods, from the very address
// that the kiosk talks to.
//
// Each Peer owns a WebSocket, a socket and a peer connection; Close waits for their
// goroutines. Imported by daemon/e2e.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

// joinWithin bounds the way into a call.
const joinWithin = 15 * time.Second

// Peer is in the room, with a connection to the kiosk.
type Peer struct {
	conn *websocket.Conn
	life context.Context //nolint:containedctx // ended by Close
	end  context.CancelFunc
	wg   sync.WaitGroup

	wire  *wire
	pc    *webrtc.PeerConnection
	track *track
	up    chan struct{}
	once  sync.Once

	mu     sync.Mutex
	kiosk  string // its name in the room
	answer string // the first one
	chat   *webrtc.DataChannel
}

// Join enters a room and waits until the kiosk is connected.
func Join(ctx context.Context, url, token, name string) (*Peer, error) {
	ctx, cancel := context.WithTimeout(ctx, joinWithin)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the room: %w", err)
	}
	conn.SetReadLimit(signal.MaxMessage)
	p := &Peer{conn: conn, up: make(chan struct{})}
	p.life, p.end = context.WithCancel(context.WithoutCancel(ctx))
	if err := p.connect(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	if err := p.Say(signal.Message{Type: signal.Hello, Token: token, Peer: name, Name: "Mallory", Role: signal.Clinician}); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.wg.Go(p.read)
	select {
	case <-p.up:
		return p, nil
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("cannot connect to the kiosk: %w", ctx.Err()), p.Close())
	}
}

// connect makes the connection that will answer the kiosk's offer.
func (p *Peer) connect() error {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	p.wire = &wire{UDPConn: udp}
	var media webrtc.MediaEngine
	for _, c := range []webrtc.RTPCodecParameters{
		{RTPCodecCapability: peer.VideoCodec(), PayloadType: peer.PayloadVP8}, {RTPCodecCapability: peer.AudioCodec(), PayloadType: peer.PayloadOpus},
	} {
		kind := webrtc.RTPCodecTypeVideo
		if c.MimeType == webrtc.MimeTypeOpus {
			kind = webrtc.RTPCodecTypeAudio
		}
		if err := media.RegisterCodec(c, kind); err != nil {
			return fmt.Errorf("cannot register a codec: %w", err)
		}
	}
	var s webrtc.SettingEngine
	s.SetICEUDPMux(webrtc.NewICEUDPMux(nil, p.wire))
	s.SetIncludeLoopbackCandidate(true)
	s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	p.pc, err = webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithInterceptorRegistry(&interceptor.Registry{}), webrtc.WithSettingEngine(s)).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return fmt.Errorf("cannot make a connection: %w", err)
	}
	p.track = &track{ready: make(chan struct{})}
	if _, err := p.pc.AddTrack(p.track); err != nil {
		return fmt.Errorf("cannot add a track: %w", err)
	}
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			p.once.Do(func() { close(p.up) })
		}
	})
	p.pc.OnDataChannel(func(d *webrtc.DataChannel) {
		p.mu.Lock()
		p.chat = d
		p.mu.Unlock()
	})
	return nil
}

// Close leaves without a word.
func (p *Peer) Close() error {
	p.end()
	_ = p.conn.CloseNow() // closed already where the far end went first
	p.wg.Wait()
	var errs []error
	if p.pc != nil {
		errs = append(errs, p.pc.GracefulClose())
	}
	if p.wire != nil {
		_ = p.wire.Close() // the connection may have done it
	}
	return errors.Join(errs...)
}

// Say sends a message to the room.
func (p *Peer) Say(m signal.Message) error {
	b, err := signal.Marshal(m)
	if err == nil {
		ctx, cancel := context.WithTimeout(p.life, 2*time.Second)
		defer cancel()
		err = p.conn.Write(ctx, websocket.MessageText, b)
	}
	if err != nil {
		return fmt.Errorf("cannot say %s in the room: %w", m.Type, err)
	}
	return nil
}

func (p *Peer) read() {
	for {
		_, b, err := p.conn.Read(p.life)
		if err != nil {
			return
		}
		if m, err := signal.Parse(b); err == nil && m.Type == signal.Offer {
			p.offered(m)
		}
	}
}

// offered answers the kiosk's offers; a second connection it does not make.
func (p *Peer) offered(m signal.Message) {
	p.mu.Lock()
	p.kiosk = m.From
	first := p.answer == ""
	p.mu.Unlock()
	if !first {
		return
	}
	if p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: m.SDP}) != nil {
		return
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	a, err := p.pc.CreateAnswer(nil)
	if err != nil || p.pc.SetLocalDescription(a) != nil {
		return
	}
	select {
	case <-gathered:
	case <-p.life.Done():
		return
	}
	sdp := p.pc.LocalDescription().SDP
	p.mu.Lock()
	p.answer = sdp
	p.mu.Unlock()
	_ = p.Say(signal.Message{Type: signal.Answer, To: m.From, SDP: sdp}) // a room that is gone shows in Join
}

// track writes RTP with whatever header it likes.
type track struct {
	mu    sync.Mutex
	ready chan struct{}
	out   webrtc.TrackLocalWriter
	ssrc  uint32
	pt    uint8
}

func (t *track) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	codec := c.CodecParameters()[0]
	t.out, t.ssrc, t.pt = c.WriteStream(), uint32(c.SSRC()), uint8(codec.PayloadType)
	close(t.ready)
	return codec, nil
}

func (t *track) Unbind(webrtc.TrackLocalContext) error { return nil }
func (t *track) ID() string                            { return "sound" }
func (t *track) StreamID() string                      { return "mallory" }
func (t *track) RID() string                           { return "" }
func (t *track) Kind() webrtc.RTPCodecType             { return webrtc.RTPCodecTypeAudio }

func (t *track) write(h rtp.Header, payload []byte) {
	_, _ = t.out.WriteRTP(&h, payload) // what does not go out is one packet less
}

// wire is the socket: it remembers where the kiosk is and what went there.
type wire struct {
	*net.UDPConn

	mu   sync.Mutex
	to   net.Addr
	sent [][]byte // SRTP, the newest keptMost
}

const keptMost = 256

// WriteTo implements net.PacketConn.
func (w *wire) WriteTo(b []byte, to net.Addr) (int, error) {
	if len(b) > 0 && b[0] >= 20 && b[0] < 192 { // not STUN: this is the path in use (RFC 7983)
		w.mu.Lock()
		w.to = to
		if b[0] >= 128 {
			if len(w.sent) == keptMost {
				w.sent = w.sent[1:]
			}
			w.sent = append(w.sent, append([]byte(nil), b...))
		}
		w.mu.Unlock()
	}
	return w.UDPConn.WriteTo(b, to)
}

// inject sends any datagram to the kiosk from the connection's own address.
func (w *wire) inject(b []byte) {
	w.mu.Lock()
	to := w.to
	w.mu.Unlock()
	if to != nil {
		_, _ = w.UDPConn.WriteTo(b, to) // a full buffer loses it, as a line would
	}
}

// Package directtest is a direct room's far side for tests: a signalling client
// with a pion connection that answers the kiosk's offers, as the clinician's
// page does in a browser.
//
// Imported by tests only.
package directtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/direct"
	"kioskd/daemon/room/direct/chat"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

// PeerID and Name are how the clinician joins.
const (
	PeerID = "clin-1"
	Name   = "Dr. Example"
)

// Who joins.
type Who struct {
	Peer, Name string
	Role       signal.Role
	Packet     func(kind webrtc.RTPCodecType, p *rtp.Packet) // gets every packet that arrives; may be nil
	Send       []webrtc.TrackLocal
	// Deaf answers no offer. Mute knows no pings. Unreporting says nothing of what
	// arrives: it sends no RTCP.
	Deaf, Mute, Unreporting bool
}

// Clinician is the far side.
type Clinician struct {
	who Who

	t    *testing.T
	conn *websocket.Conn
	got  chan signal.Message
	done chan struct{}

	frames chan string // what the kiosk said in the chat
	open   chan struct{}

	mu     sync.Mutex
	pc     *webrtc.PeerConnection
	chat   *webrtc.DataChannel
	offers int
}

// New joins the room at url with token as the clinician. It sends the tracks and
// hands every packet that arrives to packet, which may be nil. It vanishes with
// the test.
func New(t *testing.T, url, token string, packet func(webrtc.RTPCodecType, *rtp.Packet), send ...webrtc.TrackLocal) *Clinician {
	t.Helper()
	return Join(t, url, token, Who{Peer: PeerID, Name: Name, Role: signal.Clinician, Packet: packet, Send: send})
}

// Join is New for anybody.
func Join(t *testing.T, url, token string, who Who) *Clinician {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(signal.MaxMessage)
	c := &Clinician{
		who: who, t: t, conn: conn, got: make(chan signal.Message, 64), done: make(chan struct{}),
		frames: make(chan string, 256), open: make(chan struct{}, 8),
	}
	c.Say(signal.Message{Type: signal.Hello, Token: token, Peer: who.Peer, Name: who.Name, Role: who.Role})
	go c.read()
	t.Cleanup(c.Vanish)
	return c
}

// Say sends a message to the room.
func (c *Clinician) Say(m signal.Message) {
	b, err := signal.Marshal(m)
	if err != nil {
		c.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = c.conn.Write(ctx, websocket.MessageText, b) // a closed socket shows in what the test waits for
}

func (c *Clinician) read() {
	defer close(c.done)
	for {
		_, b, err := c.conn.Read(context.Background())
		if err != nil {
			return
		}
		m, err := signal.Parse(b)
		if err != nil {
			c.t.Error(err)
			return
		}
		select {
		case c.got <- m:
		default:
		}
		switch m.Type {
		case signal.Offer:
			if c.who.Deaf {
				c.count()
				continue
			}
			c.answer(m)
		case signal.Trickle:
			c.mu.Lock()
			if c.pc != nil && m.Candidate != nil {
				_ = c.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: m.Candidate.Candidate, SDPMid: m.Candidate.SDPMid})
			}
			c.mu.Unlock()
		default: // for the test to read from got
		}
	}
}

func (c *Clinician) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offers++
}

func (c *Clinician) answer(m signal.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offers++
	if !m.Restart {
		if c.pc != nil {
			_ = c.pc.GracefulClose()
		}
		pc, err := c.connection()
		if err != nil {
			c.t.Error(err)
			return
		}
		c.pc = pc
		pc.OnDataChannel(c.takeChat)
		pc.OnTrack(func(tr *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
			go func() { // as a browser does; ends with the connection
				for {
					if _, _, err := receiver.ReadRTCP(); err != nil {
						return
					}
				}
			}()
			newest, any := uint16(0), false
			for {
				p, _, err := tr.ReadRTP()
				if err != nil {
					return
				}
				// Probes repeat packets, which pion passes on: a browser drops them.
				if any && int16(p.SequenceNumber-newest) <= 0 {
					continue
				}
				newest, any = p.SequenceNumber, true
				if c.who.Packet != nil {
					c.who.Packet(tr.Kind(), p)
				}
			}
		})
		for _, tr := range c.who.Send {
			if _, err := pc.AddTrack(tr); err != nil {
				c.t.Error(err)
			}
		}
	}
	if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: m.SDP}); err != nil {
		c.t.Error(err)
		return
	}
	gathered := webrtc.GatheringCompletePromise(c.pc)
	a, err := c.pc.CreateAnswer(nil)
	if err == nil {
		err = c.pc.SetLocalDescription(a)
	}
	if err != nil {
		c.t.Error(err)
		return
	}
	<-gathered
	c.Say(signal.Message{Type: signal.Answer, To: m.From, SDP: c.pc.LocalDescription().SDP})
}

// connection makes the far end of a connection.
func (c *Clinician) connection() (*webrtc.PeerConnection, error) {
	if !c.who.Unreporting {
		return peer.New(peer.Options{Loopback: true})
	}
	media := &webrtc.MediaEngine{}
	if err := media.RegisterDefaultCodecs(); err != nil {
		return nil, err
	}
	var engine webrtc.SettingEngine
	engine.SetIncludeLoopbackCandidate(true)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithSettingEngine(engine), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	return api.NewPeerConnection(webrtc.Configuration{})
}

// takeChat keeps the channel that the kiosk made. Frames that nobody reads in
// time are dropped.
func (c *Clinician) takeChat(d *webrtc.DataChannel) {
	if d.Label() == direct.PulseLabel {
		d.OnMessage(func(m webrtc.DataChannelMessage) {
			if string(m.Data) == direct.Ping && !c.who.Mute {
				_ = d.SendText(direct.Pong) // a channel that closes needs no answer
			}
		})
		return
	}
	if d.Label() != chat.Label {
		c.t.Errorf("the kiosk opened a channel %q", d.Label())
		return
	}
	d.OnMessage(func(m webrtc.DataChannelMessage) {
		select {
		case c.frames <- string(m.Data):
		default:
		}
	})
	d.OnOpen(func() {
		c.mu.Lock()
		c.chat = d
		c.mu.Unlock()
		select {
		case c.open <- struct{}{}:
		default: // nobody waits for it
		}
	})
}

// AwaitChat waits for the next chat channel and returns the connection it is on.
func (c *Clinician) AwaitChat() (*webrtc.PeerConnection, *webrtc.DataChannel) {
	c.t.Helper()
	select {
	case <-c.open:
	case <-time.After(10 * time.Second):
		c.t.Fatal("the kiosk opened no chat")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pc, c.chat
}

// Heard returns the next frame that the kiosk said in the chat.
func (c *Clinician) Heard() chat.Frame {
	c.t.Helper()
	select {
	case text := <-c.frames:
		f, err := chat.Parse([]byte(text))
		if err != nil {
			c.t.Fatal(err)
		}
		return f
	case <-time.After(10 * time.Second):
		c.t.Fatal("the kiosk said nothing in the chat")
	}
	return chat.Frame{}
}

// Unheard is the number of frames of the chat that arrived and Heard has not returned.
func (c *Clinician) Unheard() int { return len(c.frames) }

// Tell says something in the chat.
func (c *Clinician) Tell(f chat.Frame) {
	c.t.Helper()
	b, err := chat.Marshal(f)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	d := c.chat
	c.mu.Unlock()
	if err := d.SendText(string(b)); err != nil {
		c.t.Error(err)
	}
}

// Offers is how many offers came.
func (c *Clinician) Offers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offers
}

// Vanish closes everything without a word.
func (c *Clinician) Vanish() {
	_ = c.conn.CloseNow()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pc != nil {
		_ = c.pc.GracefulClose()
		c.pc = nil
	}
}

// Await returns the next message of a type that the room sends.
func (c *Clinician) Await(want signal.Type) signal.Message {
	c.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case m := <-c.got:
			if m.Type == want {
				return m
			}
		case <-deadline:
			c.t.Fatalf("the clinician got no %s", want)
		}
	}
}

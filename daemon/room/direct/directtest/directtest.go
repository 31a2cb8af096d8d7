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
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

// PeerID and Name are how the clinician joins.
const (
	PeerID = "clin-1"
	Name   = "Dr. Example"
)

// Clinician is the far side.
type Clinician struct {
	// Packet gets every packet that arrives. Set it, and Send, before the kiosk joins.
	packet func(kind webrtc.RTPCodecType, p *rtp.Packet)
	send   []webrtc.TrackLocal

	t    *testing.T
	conn *websocket.Conn
	got  chan signal.Message
	done chan struct{}

	mu sync.Mutex
	pc *webrtc.PeerConnection
}

// New joins the room at url with token. It sends the tracks and hands every
// packet that arrives to packet, which may be nil. It vanishes with the test.
func New(t *testing.T, url, token string, packet func(webrtc.RTPCodecType, *rtp.Packet), send ...webrtc.TrackLocal) *Clinician {
	t.Helper()
	conn, resp, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body != nil {
		_ = resp.Body.Close()
	}
	conn.SetReadLimit(signal.MaxMessage)
	c := &Clinician{packet: packet, send: send, t: t, conn: conn, got: make(chan signal.Message, 64), done: make(chan struct{})}
	c.Say(signal.Message{Type: signal.Hello, Token: token, Peer: PeerID, Name: Name, Role: signal.Clinician})
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

func (c *Clinician) answer(m signal.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !m.Restart {
		if c.pc != nil {
			_ = c.pc.GracefulClose()
		}
		pc, err := peer.New(peer.Options{Loopback: true})
		if err != nil {
			c.t.Error(err)
			return
		}
		c.pc = pc
		pc.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
			for {
				p, _, err := tr.ReadRTP()
				if err != nil {
					return
				}
				if c.packet != nil {
					c.packet(tr.Kind(), p)
				}
			}
		})
		for _, tr := range c.send {
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

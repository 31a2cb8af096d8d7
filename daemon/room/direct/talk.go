package direct

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/chat"
)

// Bounds of the chat on one connection.
const (
	// waitingMost is how many bytes may wait for a far side that does not read;
	// what more there is to say waits until resumeBelow.
	waitingMost = 64 << 10
	resumeBelow = 32 << 10
	// ackRoom may wait beyond that: a message that is repeated after its
	// acknowledgement was dropped comes only with the next connection.
	ackRoom    = 16 << 10
	outboxMost = 128 // messages; a session keeps less
	acksMost   = 256 // waiting for run; a sender repeats what was not acknowledged
	// strangersMost data channels of the far side's own are closed as they come;
	// one more is an attack, and ends its connection.
	strangersMost = 32
)

// mail is what the call wants said. It never makes the call wait for run, which
// may be writing to the signalling.
type mail struct {
	due chan struct{} // there is something new

	mu      sync.Mutex
	outbox  []room.Message
	acks    []ackFor
	repairs []room.Repair
}

type ackFor struct{ participant, message string }

func newMail() *mail { return &mail{due: make(chan struct{}, 1)} }

func (m *mail) poke() {
	select {
	case m.due <- struct{}{}:
	default:
	}
}

// take returns the outbox as it is now, and the acknowledgements since the last take.
func (m *mail) take() ([]room.Message, []ackFor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	acks := m.acks
	m.acks = nil
	return m.outbox, acks
}

// SetOutbox implements room.Room.
func (r *directRoom) SetOutbox(list []room.Message) {
	if len(list) > outboxMost {
		r.log.Error("cannot keep the whole chat waiting, the newest messages go later", "messages", len(list), "most", outboxMost)
		list = list[:outboxMost]
	}
	r.mail.mu.Lock()
	r.mail.outbox = slices.Clone(list)
	r.mail.mu.Unlock()
	r.mail.poke()
}

// Acknowledge implements room.Room.
func (r *directRoom) Acknowledge(participant, message string) {
	r.mail.mu.Lock()
	if len(r.mail.acks) < acksMost {
		r.mail.acks = append(r.mail.acks, ackFor{participant, message})
	}
	r.mail.mu.Unlock()
	r.mail.poke()
}

// line is the chat on one connection. It belongs to run, but for what says so.
type line struct {
	dc   *webrtc.DataChannel
	sent map[string]bool // messages of the outbox that this channel carried

	strangers atomic.Int32  // of the connection's callbacks
	meter     chat.Meter    // of dc's read loop
	dropped   atomic.Uint64 // frames that were not taken
}

// openLine makes the chat's channel on a connection that has not been offered yet.
func (r *directRoom) openLine(rem *remote, pc *webrtc.PeerConnection) *line {
	ordered := true
	dc, err := pc.CreateDataChannel(chat.Label, &webrtc.DataChannelInit{Ordered: &ordered})
	if err != nil {
		r.log.Error("cannot open the chat to a participant", "error", err)
		return nil
	}
	l := &line{dc: dc, sent: map[string]bool{}}
	dc.SetBufferedAmountLowThreshold(resumeBelow)
	dc.OnOpen(func() { r.mine(rem, pc, func() { r.deliver(rem) }) })
	dc.OnBufferedAmountLow(func() { r.mine(rem, pc, func() { r.deliver(rem) }) })
	dc.OnMessage(func(m webrtc.DataChannelMessage) { r.hear(rem, pc, l, m) })
	pc.OnDataChannel(func(d *webrtc.DataChannel) {
		// Here, before pion gives it a buffer and a goroutine of its own.
		_ = d.Close() // it is not open yet, there is nothing that could fail
		if l.strangers.Add(1) == strangersMost+1 {
			r.mine(rem, pc, func() {
				r.log.Warn("a participant opens data channels without end, parting from it", "most", strangersMost)
				r.part(rem.who.ID, room.ReasonLost)
			})
		}
	})
	return l
}

func (r *directRoom) closeLine(l *line) {
	if l == nil {
		return
	}
	if n := l.dropped.Load(); n > 0 {
		r.log.Warn("frames of a participant's chat were dropped", "frames", n)
	}
}

// hear takes one frame in dc's read loop, which waits for run: what comes faster
// stays in the association's bounded buffer.
func (r *directRoom) hear(rem *remote, pc *webrtc.PeerConnection, l *line, m webrtc.DataChannelMessage) {
	if ok, warn := l.meter.Take(time.Now()); !ok {
		l.dropped.Add(1)
		if warn {
			r.log.Warn("a participant's chat is too fast, dropping what is too much", "most_per_second", chat.PerSecond)
		}
		return
	}
	f, err := chat.Parse(m.Data)
	if err == nil && !m.IsString {
		err = errors.New("cannot read chat frame: binary")
	}
	switch {
	case errors.Is(err, chat.ErrOther):
	case err != nil:
		l.dropped.Add(1)
		if l.meter.Warn() {
			r.log.Warn("dropping a frame of a participant's chat", "error", err)
		}
	case f.Type == chat.Message:
		r.mine(rem, pc, func() {
			said := room.Message{ID: f.ID, Text: f.Text, At: f.At}
			r.params.Events(room.MessageReceived{ID: rem.who.ID, Message: said})
		})
	default:
		r.mine(rem, pc, func() {
			if l.sent[f.ID] {
				r.params.Events(room.MessageAcknowledged{ID: rem.who.ID, Message: f.ID})
			}
		})
	}
}

// sendMail says what the call wants said.
func (r *directRoom) sendMail() {
	outbox, acks := r.mail.take()
	r.outbox = outbox
	wanted := map[string]bool{}
	for _, m := range outbox {
		wanted[m.ID] = true
	}
	for _, rem := range r.remotes {
		if rem.line == nil {
			continue
		}
		for id := range rem.line.sent { // keeps sent as small as the outbox
			if !wanted[id] {
				delete(rem.line.sent, id)
			}
		}
		r.deliver(rem)
	}
	for _, a := range acks {
		if rem := r.remotes[a.participant]; rem != nil {
			_ = rem.line.say(chat.Frame{Type: chat.Ack, ID: a.message}) // else its sender repeats the message
		}
	}
}

// deliver sends rem what it has not got on this channel, as far as there is room.
func (r *directRoom) deliver(rem *remote) {
	l := rem.line
	if l == nil {
		return
	}
	for _, m := range r.outbox {
		if l.sent[m.ID] || len(m.To) > 0 && !slices.Contains(m.To, rem.who.ID) {
			continue
		}
		switch err := l.say(chat.Frame{Type: chat.Message, ID: m.ID, Text: m.Text, At: m.At}); {
		case errors.Is(err, errLater):
			return // OnBufferedAmountLow or the next channel goes on
		case err != nil:
			r.log.Error("cannot send a chat message", "error", err)
		}
		l.sent[m.ID] = true
	}
}

// open asks pion: its callbacks each have a goroutine, so what a far side says
// first may be here before OnOpen is.
func (l *line) open() bool { return l.dc.ReadyState() == webrtc.DataChannelStateOpen }

var errLater = errors.New("cannot say it now: the chat's channel is closed or full")

// say sends one frame. It does not wait: errLater says that there is no channel,
// or no room in it.
func (l *line) say(f chat.Frame) error {
	most := uint64(waitingMost)
	if f.Type == chat.Ack {
		most += ackRoom
	}
	if l == nil || !l.open() || l.dc.BufferedAmount() >= most {
		return errLater
	}
	b, err := chat.Marshal(f)
	if err != nil {
		return err
	}
	if err := l.dc.SendText(string(b)); err != nil {
		return errLater // it closed this instant
	}
	return nil
}

package call

import (
	"slices"
	"sync"

	"kioskd/daemon/room"
)

// chat is the level of what the patient wants said, and the room to say it in. It
// has a lock of its own: Join and Leave hold theirs for as long as a server takes.
type chat struct {
	mu     sync.Mutex
	outbox []room.Message
	room   room.Room
}

// SetOutbox gives the messages that somebody has still to acknowledge, oldest
// first, instead of those given before. They are said in the room there is, and
// in the next one after that; an empty list ends it. It does not wait.
func (c *Call) SetOutbox(list []room.Message) {
	c.chat.mu.Lock()
	defer c.chat.mu.Unlock()
	c.chat.outbox = slices.Clone(list)
	if c.chat.room != nil {
		c.chat.room.SetOutbox(c.chat.outbox)
	}
}

// AckMessage tells a participant that its message is kept. It does not wait; one
// that cannot be told repeats the message when it is back.
func (c *Call) AckMessage(participant, id string) {
	c.chat.mu.Lock()
	defer c.chat.mu.Unlock()
	if c.chat.room != nil {
		c.chat.room.Acknowledge(participant, id)
	}
}

func (t *chat) enter(r room.Room) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.room = r
	r.SetOutbox(t.outbox)
}

func (t *chat) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.room = nil
}

package daemon

import (
	"sync"

	"kioskd/configs/words"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/call"
	"kioskd/daemon/call/ladder"
	"kioskd/daemon/health"
)

// oneWay keeps the condition that media goes one way only.
type oneWay struct {
	health *health.Set
	words  *words.Catalogue

	mu     sync.Mutex
	inRoom bool                  // the session is
	ways   map[string]ladder.Way // by participant, of those with whom it does
}

const codeOneWay = "media_one_way"

// note takes what the call reports.
func (o *oneWay) note(e call.Event) {
	switch e := e.(type) {
	case call.OneWay:
		o.change(func() {
			if e.Way == ladder.Both {
				delete(o.ways, e.ID)
				return
			}
			if o.ways == nil {
				o.ways = map[string]ladder.Way{}
			}
			o.ways[e.ID] = e.Way
		})
	case call.PeerLeft:
		o.change(func() { delete(o.ways, e.ID) })
	case call.Joined, call.RoomClosed: // everybody is met anew, or nobody
		o.change(func() { clear(o.ways) })
	}
}

// room says whether the session is in a room. One that it left says nothing of it.
func (o *oneWay) room(in bool) { o.change(func() { o.inRoom = in }) }

func (o *oneWay) change(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	do()
	if !o.inRoom || len(o.ways) == 0 {
		o.health.Clear(codeOneWay)
		return
	}
	title := o.words.Text("condition.media_one_way.title")
	for _, w := range o.ways {
		if w == ladder.FromUs {
			title = o.words.Text("condition.media_one_way.nothing_comes")
		}
	}
	o.health.Set(codeOneWay, apitype.SeverityWarning, title, o.words.Text("condition.media_one_way.hint"))
}

package direct_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/cmd/clinicsim/hub"
	"kioskd/daemon/room"
	"kioskd/daemon/room/direct"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
)

// signs waits until what the room shows of the far side is as asked.
func signs(t *testing.T, e *events, what string, ok func(room.Signs, room.Sign) bool) room.Sign {
	t.Helper()
	deadline := time.After(15 * time.Second)
	seen := 0
	var last room.Event
	for {
		e.mu.Lock()
		all := e.all[seen:]
		seen = len(e.all)
		e.mu.Unlock()
		for _, ev := range all {
			s, is := ev.(room.Signs)
			if is {
				last = s
			}
			if is && len(s.Peers) == 1 && ok(s, s.Peers[0]) {
				return s.Peers[0]
			}
		}
		select {
		case <-e.new:
		case <-deadline:
			t.Fatalf("%s: never, the newest signs are %+v", what, last)
		}
	}
}

// A far side shows that it lives by anything that it sends: a pong, or where it knows
// no pings, answers of STUN.
func TestSignsOfLife(t *testing.T) {
	for _, mute := range []bool{false, true} {
		t.Run(fmt.Sprintf("mute %t", mute), func(t *testing.T) {
			url, _ := theRoom(t)
			_, e := joined(t, url)
			who := directtest.Who{Peer: directtest.PeerID, Role: signal.Clinician, Mute: mute}
			directtest.Join(t, url, token, who)
			first := signs(t, e, "a path", func(s room.Signs, p room.Sign) bool {
				return p.Stage == room.StageUp && s.Signalling && s.Joins == 1 && !p.Waiting
			})
			signs(t, e, "signs of life", func(_ room.Signs, p room.Sign) bool { return p.Heard >= first.Heard+3 })
		})
	}
}

// What arrives of ours is told by the far side's reports.
func TestSignsOfArrival(t *testing.T) {
	url, _ := theRoom(t)
	e := newEvents()
	mine := videoTrack(t)
	r, err := join(t, url, token, e, mine)
	if err != nil {
		t.Fatal(err)
	}
	defer leave(t, r, room.ReasonBye)
	directtest.New(t, url, token, nil)
	up := signs(t, e, "a path", func(_ room.Signs, p room.Sign) bool { return p.Stage == room.StageUp })
	if up.Taken != 0 {
		t.Errorf("%d reports of something that was never sent", up.Taken)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { pushSamples(stop, mine) })
	defer wg.Wait()
	defer close(stop)
	signs(t, e, "reports", func(_ room.Signs, p room.Sign) bool { return p.Taken >= 2 })
}

func TestRepairs(t *testing.T) {
	url, h := theRoom(t)
	e := newEvents()
	theirs, arrived := videoTrack(t), make(chan struct{}, 1)
	mine := videoTrack(t)
	r, err := join(t, url, token, e, mine)
	if err != nil {
		t.Fatal(err)
	}
	defer leave(t, r, room.ReasonBye)
	c := directtest.New(t, url, token, func(webrtc.RTPCodecType, *rtp.Packet) {
		select {
		case arrived <- struct{}{}:
		default:
		}
	}, theirs)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { pushSamples(stop, mine, theirs) })
	defer wg.Wait()
	defer close(stop)
	first := signs(t, e, "a path", func(_ room.Signs, p room.Sign) bool { return p.Stage == room.StageUp })
	flows := func(what string) {
		t.Helper()
		for range 50 { // what was on its way goes first
			select {
			case <-arrived:
			case <-time.After(10 * time.Second):
				t.Fatalf("after %s nothing arrives", what)
			}
		}
	}
	flows("the start")

	offers := c.Offers()
	r.Repair(room.Repair{Kind: room.RepairRestart, ID: "nobody"})
	r.Repair(room.Repair{Kind: room.RepairRestart, ID: directtest.PeerID})
	r.Repair(room.Repair{Kind: room.RepairRestart, ID: directtest.PeerID}) // one is under way
	again := signs(t, e, "a restart", func(_ room.Signs, p room.Sign) bool {
		return c.Offers() > offers && !p.Waiting && p.Heard > first.Heard+3
	})
	if again.Connection != first.Connection || c.Offers() != offers+1 {
		t.Errorf("a restart made connection %d of %d, with %d offers", again.Connection, first.Connection, c.Offers()-offers)
	}
	flows("a restart")

	r.Repair(room.Repair{Kind: room.RepairRenew, ID: directtest.PeerID})
	renewed := signs(t, e, "another connection", func(_ room.Signs, p room.Sign) bool {
		return p.Connection != first.Connection && p.Stage == room.StageUp
	})
	await[room.PathLost](t, e, 1)
	flows("a renewal")

	r.Repair(room.Repair{Kind: room.RepairRejoin})
	signs(t, e, "another join", func(s room.Signs, p room.Sign) bool {
		return s.Joins == 2 && p.Connection > renewed.Connection && p.Stage == room.StageUp
	})
	flows("joining anew")
	kiosks := 0
	for _, m := range h.Members() {
		if m.Role == signal.Kiosk {
			kiosks++
		}
	}
	if kiosks != 1 {
		t.Errorf("%d kiosks are in the room: %+v", kiosks, h.Members())
	}
	if e.has(func(ev room.Event) bool { _, ok := ev.(room.PeerLeft); return ok }) {
		t.Error("somebody left")
	}
}

// A far side that does not answer is offered another connection when that is asked for.
func TestRenewWithoutAnAnswer(t *testing.T) {
	url, _ := theRoom(t)
	r, e := joined(t, url)
	c := directtest.Join(t, url, token, directtest.Who{Peer: directtest.PeerID, Role: signal.Clinician, Deaf: true})
	signs(t, e, "an offer that waits", func(_ room.Signs, p room.Sign) bool {
		return p.Waiting && p.Stage == room.StageOffered && c.Offers() == 1
	})
	r.Repair(room.Repair{Kind: room.RepairRestart, ID: directtest.PeerID}) // there is nothing to restart
	r.Repair(room.Repair{Kind: room.RepairRenew, ID: directtest.PeerID})
	signs(t, e, "another offer", func(_ room.Signs, _ room.Sign) bool { return c.Offers() == 2 })
}

// A server that let us in no more, and then did, is not held against the room when a
// path fails.
func TestLetInAfterAll(t *testing.T) {
	url, h := theRoom(t)
	r, e := joined(t, url)
	directtest.New(t, url, token, nil)
	signs(t, e, "a path", func(_ room.Signs, p room.Sign) bool { return p.Stage == room.StageUp })
	direct.Bar(r, room.ErrRefused)
	if err := direct.Barred(r); !errors.Is(err, room.ErrRefused) {
		t.Errorf("while media flows: %v", err)
	}
	h.Trouble(hub.Trouble{Drop: true})
	await[room.SignallingLost](t, e, 1)
	h.Trouble(hub.Trouble{})
	await[room.SignallingBack](t, e, 1)
	if err := direct.Barred(r); err != nil {
		t.Errorf("let in, and still %v", err)
	}
}

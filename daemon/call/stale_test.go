package call_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/daemon/call"
	"kioskd/daemon/room"
	"kioskd/daemon/room/direct"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
)

// meddler is the direct room that can be made to give its connections up while
// their packets still come, which it does for a moment whenever it replaces one.
type meddler struct {
	direct.Provider
	givenUp atomic.Bool
	report  func(room.Event)
}

func (m *meddler) Join(ctx context.Context, p room.Params) (room.Room, error) {
	report := p.Events
	m.report = report
	p.Events = func(e room.Event) {
		if t, ok := e.(room.TrackAdded); ok {
			live := t.Live
			t.Live = func() bool { return live() && !m.givenUp.Load() }
			e = t
		}
		report(e)
	}
	return m.Provider.Join(ctx, p)
}

// A connection that was given up has no say any more: neither that media is back
// after its loss, nor that somebody is there who has left.
func TestPacketsOfAConnectionThatWasGivenUp(t *testing.T) {
	m := &meddler{}
	k := newKioskWith(t, func(o *call.Options) { o.Providers = room.Providers{"direct": m} })
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	k.invite(t, directtest.PeerID, signal.Clinician)
	k.awaitMedia(t, directtest.PeerID+" audio", directtest.PeerID+" video")

	m.report(room.PathLost{ID: directtest.PeerID}) // it comes back by itself
	awaitEvent[call.MediaLost](t, k)
	awaitEvent[call.MediaBack](t, k)

	m.givenUp.Store(true)
	m.report(room.PathLost{ID: directtest.PeerID})
	awaitEvent[call.MediaLost](t, k)
	quiet := time.After(time.Second) // some 50 packets
	for {
		select {
		case e := <-k.events:
			switch e.(type) {
			case call.MediaBack, call.MediaArrived:
				t.Fatalf("%T of a connection that was given up", e)
			}
		case <-quiet:
			return
		}
	}
}

// lingering is the direct room with connections that outlive its Leave.
type lingering struct {
	direct.Provider
	rooms chan room.Room
}

type lingers struct{ room.Room }

func (lingers) Leave(context.Context, room.Reason) error { return nil }

func (l *lingering) Join(ctx context.Context, p room.Params) (room.Room, error) {
	r, err := l.Provider.Join(ctx, p)
	if err == nil {
		l.rooms <- r
	}
	return lingers{r}, err
}

// Nobody waits for ever for a connection that does not end.
func TestLeaveDoesNotWaitForAConnectionThatStays(t *testing.T) {
	l := &lingering{rooms: make(chan room.Room, 1)}
	k := newKioskWith(t, func(o *call.Options) { o.Providers = room.Providers{"direct": l} })
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	k.invite(t, directtest.PeerID, signal.Clinician)
	k.awaitMedia(t, directtest.PeerID+" audio", directtest.PeerID+" video")
	left := make(chan struct{})
	go func() {
		defer close(left)
		k.Leave(t.Context(), room.ReasonBye)
	}()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the call waits for it")
	}
	if err := (<-l.rooms).Leave(t.Context(), room.ReasonBye); err != nil {
		t.Error(err)
	}
	<-left
}

// What a report tells of the call is the call of this session.
func TestHistoryEndsWithTheSession(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	sampled := func() {
		t.Helper()
		deadline, tick := time.After(10*time.Second), time.NewTicker(20*time.Millisecond)
		defer tick.Stop()
		for len(k.History()) == 0 {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatal("no sample")
			}
		}
	}
	k.join(t, 1)
	sampled()
	k.Leave(t.Context(), room.ReasonAway)
	if len(k.History()) == 0 {
		t.Error("a reconnection loses what was before it")
	}
	k.join(t, 2)
	if len(k.History()) == 0 {
		t.Error("a reconnection loses what was before it")
	}
	k.Leave(t.Context(), room.ReasonAway)
	if err := k.Join(t.Context(), call.JoinParams{Provider: "direct", URL: k.url, Token: "t", Peer: "kiosk-2", Attempt: 3}); err != nil {
		t.Fatal(err)
	}
	if n := len(k.History()); n != 0 {
		t.Errorf("%d samples of another session", n)
	}
	sampled()
	k.Leave(t.Context(), room.ReasonBye)
	if n := len(k.History()); n != 0 {
		t.Errorf("%d samples of a session that has ended", n)
	}
}

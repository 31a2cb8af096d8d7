package daemon

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"

	"kioskd/configs"
	"kioskd/configs/words"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/call"
	"kioskd/daemon/call/ladder"
	"kioskd/daemon/health"
	"kioskd/daemon/report"
	"kioskd/daemon/room"
	"kioskd/daemon/session"
)

func TestOneWay(t *testing.T) {
	w, err := words.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	out, in := w.Text("condition.media_one_way.title"), w.Text("condition.media_one_way.nothing_comes")
	h := health.New()
	o := &oneWay{health: h, words: w}
	o.room(true)
	reads := func(after, want string) {
		t.Helper()
		got := ""
		for _, c := range h.List() {
			got += c.Message
		}
		if got != want {
			t.Errorf("after %s the conditions read %q, want %q", after, got, want)
		}
	}
	o.note(call.PeerLeft{ID: "nobody"})
	reads("nothing", "")
	o.note(call.OneWay{ID: "a", Way: ladder.FromThem})
	reads("ours does not arrive", out)
	o.note(call.OneWay{ID: "b", Way: ladder.FromUs})
	reads("nothing comes from another", in)
	o.note(call.OneWay{ID: "b", Way: ladder.Both})
	reads("the other is whole", out)
	o.note(call.PeerLeft{ID: "a", Reason: room.ReasonBye})
	reads("the last one left", "")
	for _, e := range []call.Event{call.Joined{}, call.RoomClosed{}} {
		o.note(call.OneWay{ID: "a", Way: ladder.FromThem})
		o.note(e)
		reads("another room", "")
	}
	o.note(call.OneWay{ID: "a", Way: ladder.FromUs})
	o.room(false)
	reads("the room was left", "")
	o.note(call.Joined{}) // the next one; the session has still to hear of it
	o.note(call.OneWay{ID: "b", Way: ladder.FromThem})
	reads("a room that the session is not in", "")
	o.room(true)
	reads("it is", out)
}

// An error takes the session out of its room, of which the call says nothing.
func TestOneWayEndsWithTheRoom(t *testing.T) {
	dir := t.TempDir()
	cfg, err := configs.Load("", "store.dir="+filepath.Join(dir, "state"), "api.socket="+filepath.Join(dir, "s"), "backend.url=http://127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	k, err := build(cfg, apitype.Version{}, report.NewLog(log.Handler()), log, Surroundings{}.complete(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		k.call.Close(t.Context())
		k.backend.Close()
		if err := errors.Join(k.devices.Close(), k.store.Close()); err != nil {
			t.Error(err)
		}
	})
	shown := func(m session.Model, want bool) {
		t.Helper()
		k.published(session.Snapshot{Model: m, Durable: true})
		if got := slices.ContainsFunc(k.health.List(), func(c apitype.Condition) bool { return c.Code == codeOneWay }); got != want {
			t.Errorf("in state %s, in a room %t: the condition is %t", m.State, m.Joined, got)
		}
	}
	k.callEvent(call.OneWay{ID: "a", Way: ladder.FromUs})
	shown(session.Model{State: session.Waiting}, false)
	shown(session.Model{State: session.Active, Joined: true}, true)
	shown(session.Model{State: session.Error, Error: session.Failure{Code: session.CodeRoom, Retryable: true}}, false)
	shown(session.Model{State: session.Active, Joined: true}, true)
	shown(session.Model{State: session.Ended, Joined: true}, false)
}

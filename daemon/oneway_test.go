package daemon

import (
	"testing"

	"kioskd/configs/words"
	"kioskd/daemon/call"
	"kioskd/daemon/call/ladder"
	"kioskd/daemon/health"
	"kioskd/daemon/room"
)

func TestOneWay(t *testing.T) {
	w, err := words.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	out, in := w.Text("condition.media_one_way.title"), w.Text("condition.media_one_way.nothing_comes")
	h := health.New()
	o := &oneWay{health: h, words: w}
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
	o.clear()
	reads("the end", "")
}

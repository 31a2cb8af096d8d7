package direct

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/signal"
)

// TestTurns: three in ten seconds for one, twelve for all; who hurries gets its turn later, once.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &directRoom{log: slog.New(slog.DiscardHandler), turns: map[string]*turns{}, ops: make(chan func(), opsBound), life: t.Context()}
		done := 0
		for i := range 10 {
			if got, want := r.hurries("a", func() { done++ }), i >= turnsMost; got != want {
				t.Errorf("turn %d: it hurries %v, want %v", i, got, want)
			}
		}
		time.Sleep(turnsSpan + time.Second)
		synctest.Wait()
		if len(r.ops) != 1 {
			t.Fatalf("%d turns were kept for later, want 1", len(r.ops))
		}
		(<-r.ops)()
		if done != 1 || r.hurries("a", nil) {
			t.Errorf("after ten seconds: %d done, and it hurries still", done)
		}
		all := 0
		for i := range 100 {
			if !r.hurries(string(rune('A'+i)), nil) {
				all++
			}
		}
		if all != turnsOfAll-1 {
			t.Errorf("names cost nothing: %d turns", all)
		}
		time.Sleep(turnsSpan)
		if r.hurries("nobody", nil) || len(r.turns) > 1 {
			t.Errorf("%d names are remembered", len(r.turns))
		}
	})
}

// Who has left before its turn comes is not brought in by it, and whoever leaves the
// room meets nobody any more.
func TestTurnsOfWhoLeft(t *testing.T) {
	for name, leaves := range map[string]func(r *directRoom){
		"a word of it":        func(r *directRoom) { r.message(signal.Message{Type: signal.PeerLeft, From: "a"}) },
		"unseen":              func(r *directRoom) { r.greetAll(nil) },
		"we leave":            func(r *directRoom) { r.leaving = true },
		"we were put out":     func(r *directRoom) { r.closed = true },
		"it comes back again": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				met := 0
				r := &directRoom{
					log: slog.New(slog.DiscardHandler), turns: map[string]*turns{}, ops: make(chan func(), opsBound), life: t.Context(),
					// A path that cannot be made: that somebody is met is all that matters.
					remotes: map[string]*remote{}, params: room.Params{Events: func(room.Event) { met++ }},
				}
				r.params.Path.Video = []string{"none"}
				for range turnsMost {
					r.hurries("a", nil)
				}
				joins := signal.Message{Type: signal.PeerJoined, From: "a", Role: signal.Clinician}
				r.message(joins)
				want := 0
				if leaves != nil {
					leaves(r)
				} else {
					r.message(signal.Message{Type: signal.PeerLeft, From: "a"})
					r.message(joins)
					want = 1
				}
				time.Sleep(turnsSpan + time.Second)
				synctest.Wait()
				for len(r.ops) > 0 {
					(<-r.ops)()
				}
				if met != want || len(r.remotes) != want {
					t.Errorf("met %d times, want %d", met, want)
				}
			})
		})
	}
}

package direct

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
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

package camera

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"kioskd/capture"
)

// cancelAt is a log that ends a context at a message.
type cancelAt struct {
	slog.Handler
	at     string
	cancel context.CancelFunc
	said   []string
}

func (h *cancelAt) Handle(_ context.Context, r slog.Record) error {
	h.said = append(h.said, r.Message)
	if r.Message == h.at {
		h.cancel()
	}
	return nil
}
func (h *cancelAt) Enabled(context.Context, slog.Level) bool { return true }
func (h *cancelAt) WithAttrs([]slog.Attr) slog.Handler       { return h }

// A camera that is switched off while it is set up is set up no further.
func TestEndWhileOpening(t *testing.T) {
	fc := startFakecam(t)
	ctx, cancel := context.WithCancel(t.Context())
	log := &cancelAt{Handler: slog.DiscardHandler, at: "a control is left as it is", cancel: cancel}
	cfg := Config{Path: fc.path(0), Controls: map[string]int32{"no_such": 1}}
	for range 2 { // the second time ctx has ended before
		cam, err := open(ctx, cfg, slog.New(log))
		if cam != nil || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), fc.path(0)) {
			t.Fatalf("opened %v, %v", cam, err)
		}
		fc.closedWithin(t, 0, closeLimit)
	}
	if want := []string{log.at}; !slices.Equal(log.said, want) {
		t.Errorf("it said %q", log.said)
	}
}

// A camera that is switched off while the wanted one is looked for is not opened, be it
// the first or one to change to.
func TestEndWhileChoosing(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	for _, last := range []int{1, 2} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var mu sync.Mutex
		var held []string
		asked := 0
		var k *Keeper
		k = NewKeeper(KeeperConfig{
			Choose: func() (Config, error) {
				if asked++; asked == last {
					cancel()
				}
				return Config{Path: fc.path(asked - 1)}, nil
			},
			Changed: func(State) { k.Retarget() },
			Held: func(path string, open bool) {
				mu.Lock()
				defer mu.Unlock()
				if open {
					held = append(held, path)
				}
			},
			Log: quiet(),
		})
		if err := k.Run(ctx, func(f *capture.Frame) { f.Release() }); err != nil {
			t.Error(err)
		}
		if asked != last || len(held) != last-1 {
			t.Errorf("asked %d times, opened %q", asked, held)
		}
	}
}

package daemon

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// beating is a pulse whose parts all answer.
func beating(t *testing.T, status int) *pulse {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }), ReadHeaderTimeout: wait}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close(); <-done })
	p := newPulse(&kiosk{}, socket)
	p.session = func(context.Context) error { return nil }
	p.store = func() error { return nil }
	p.turns = func() (uint64, bool) { return 0, false }
	t.Cleanup(p.close)
	return p
}

func TestPulseNamesThePart(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		status int
		change func(*pulse)
		want   string
	}{
		"all well":              {200, func(*pulse) {}, ""},
		"no place is an answer": {503, func(*pulse) {}, ""},
		"no right is an answer": {403, func(*pulse) {}, ""},
		"a fault of the API":    {500, func(*pulse) {}, "the control API"},
		"session":               {200, func(p *pulse) { p.session = func(context.Context) error { return broken } }, "the session"},
		"store":                 {200, func(p *pulse) { p.store = func() error { return broken } }, "the store"},
	} {
		t.Run(name, func(t *testing.T) {
			p := beating(t, tt.status)
			tt.change(p)
			for range 2 {
				err := p.alive(t.Context())
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want+" does not answer")) {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

func TestPulseAPIGone(t *testing.T) {
	p := beating(t, 200)
	gone := newPulse(&kiosk{}, filepath.Join(t.TempDir(), "nobody"))
	p.api = gone.api
	if err := p.alive(t.Context()); err == nil || !strings.Contains(err.Error(), "the control API") {
		t.Errorf("got %v", err)
	}
}

// A store that hangs is asked once, however many rounds pass, and fails each.
func TestPulseStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, asked := make(chan struct{}), 0
		p := &pulse{store: func() error { asked++; <-release; return nil }}
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := p.askStore(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a store that hangs says %v", err)
			}
			cancel()
		}
		close(release)
		synctest.Wait()
		if err := p.askStore(t.Context()); err != nil || asked != 1 {
			t.Errorf("after it let go: %v, asked %d times", err, asked)
		}
		p.close()
	})
}

func TestPulseMedia(t *testing.T) {
	turns, running := uint64(0), false
	p := &pulse{turns: func() (uint64, bool) { return turns, running }}
	for i, step := range []struct {
		turns   uint64
		running bool
		stuck   bool
	}{
		{0, false, false}, // idle
		{0, false, false},
		{0, true, false}, // a picture has just begun
		{1, true, false},
		{1, true, true},
		{1, true, true},
		{2, true, false},
		{2, false, false}, // it ended
		{2, true, false},
	} {
		turns, running = step.turns, step.running
		if err := p.watchMedia(); (err != nil) != step.stuck {
			t.Errorf("step %d: %v", i, err)
		}
	}
}

package daemon

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/mediadevices/pkg/prop"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/cmd/clinicsim/hub"
	"kioskd/daemon/backend"
	"kioskd/daemon/call"
	"kioskd/daemon/room"
	"kioskd/daemon/room/direct"
	"kioskd/daemon/room/peer"
	"kioskd/daemon/session"
)

const wait = 20 * time.Second

// rig is a performer over a real call, with devices and a backend of the test's.
type rig struct {
	*performer
	t      *testing.T
	posted chan session.What // the performer's results and the call's events
	opened chan string       // ids of cameras that were opened
	closed chan string
	hold   chan struct{} // a camera's closing waits for it
	cancel context.CancelFunc
	ended  chan struct{}
}

func newRig(t *testing.T, answer http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{
		t: t, posted: make(chan session.What, 64), opened: make(chan string, 16), closed: make(chan string, 16),
		hold: make(chan struct{}), ended: make(chan struct{}),
	}
	close(r.hold)
	log := slog.New(slog.DiscardHandler)
	r.performer = newPerformer(log)
	var err error
	r.call, err = call.New(call.Options{
		Providers:    room.Providers{"direct": &direct.Provider{}},
		Path:         peer.Options{Loopback: true, Timing: peer.Timing{Disconnected: wait}},
		Video:        call.VideoOptions{Params: encode.VideoParams{BitRate: 100_000}, Width: 160, Height: 120, FPS: 10},
		AudioEncoder: encode.OpusParams{BitRate: 32_000},
		Audio:        prop.Audio{SampleRate: 48000, ChannelCount: 1, Latency: 20 * time.Millisecond},
		Camera: func(ctx context.Context, id string, _ func(*capture.Frame)) {
			note(r.opened, id)
			<-ctx.Done()
			<-r.hold
			note(r.closed, id)
		},
		Microphone: loud,
		OffWords:   []string{"off"},
		Events: func(e call.Event) {
			if w, ok := sessionEvent(e); ok {
				r.take(w)
			}
		},
		Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(answer)
	t.Cleanup(srv.Close)
	if r.backend, err = backend.New(backend.Options{URL: srv.URL, Token: func() (string, error) { return "t", nil }}); err != nil {
		t.Fatal(err)
	}
	r.check = func() session.DeviceReport { return session.DeviceReport{Camera: session.DeviceOK} }
	r.post = r.take
	return r
}

// note never waits: a test that looks at none of these must not hold a device up.
func note(c chan<- string, id string) {
	select {
	case c <- id:
	default:
	}
}

func (r *rig) take(w session.What) bool {
	select {
	case r.posted <- w:
		return true
	default:
		return false
	}
}

// begin runs the performer until the test ends or stop.
func (r *rig) begin() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.run(ctx)
	}()
	r.t.Cleanup(func() {
		r.stop()
		closing, done := context.WithTimeout(context.Background(), closeWithin)
		defer done()
		r.call.Close(closing)
		r.backend.Close()
	})
}

func (r *rig) stop() {
	r.t.Helper()
	r.cancel()
	select {
	case <-r.ended:
	case <-time.After(wait):
		r.t.Error("the performer does not end")
	}
}

func (r *rig) want(effects ...session.Effect) {
	for _, e := range effects {
		r.perform(context.Background(), e)
	}
}

// await gives the next result of a kind; another result of the same kind before
// it is what the test must not see.
func await[T session.What](r *rig) T {
	r.t.Helper()
	deadline := time.After(wait)
	for {
		select {
		case w := <-r.posted:
			if got, ok := w.(T); ok {
				return got
			}
		case <-deadline:
			var none T
			r.t.Fatalf("no %s came", none.Name())
			return none
		}
	}
}

func next(t *testing.T, c <-chan string, what string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(wait):
		t.Fatalf("%s did not happen", what)
		return ""
	}
}

// loud is a microphone that hears a square wave.
func loud(ctx context.Context, put func([]int16, time.Time)) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for pcm := make([]int16, 480); ; {
		for i := range pcm {
			pcm[i] = int16(1-2*(i/48%2)) * 16000
		}
		put(pcm, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func silentBackend(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// rooms is a signalling server where each token is a room of its own.
func rooms(t *testing.T) string {
	t.Helper()
	h := hub.New(hub.Options{Authorize: func(token string) (string, bool) { return token, token != "bad" }})
	srv := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); srv.Close() })
	return "ws" + strings.TrimPrefix(srv.URL, "http")
}

func joins(attempt int, url, token string) session.JoinRoom {
	return session.JoinRoom{Params: session.JoinParams{
		Attempt: attempt, Peer: "kiosk-1", Room: session.Room{Provider: "direct", URL: session.PatientText(url), Token: session.PatientText(token)},
	}}
}

// stalledRoom takes connections and never says a word.
func stalledRoom(t *testing.T) (url string, accepted <-chan string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan string, 16)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			came <- c.RemoteAddr().String()
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return "ws://" + ln.Addr().String(), came
}

func load(attempt int, id string) session.LoadRoom {
	return session.LoadRoom{Params: session.LoadParams{Attempt: attempt, Appointment: session.PatientText(id), Camera: session.Granted, Microphone: session.Denied}}
}

package direct_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"kioskd/cmd/clinicsim/hub"
	"kioskd/daemon/room"
	"kioskd/daemon/room/direct"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "room-token"

// theRoom is a signalling server like the one clinicsim runs.
func theRoom(t *testing.T) (url string, h *hub.Hub) {
	t.Helper()
	h = hub.New(hub.Options{Authorize: func(tok string) (string, bool) { return "room", tok == token }})
	srv := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); srv.Close() })
	return "ws" + strings.TrimPrefix(srv.URL, "http"), h
}

// events collects what a room reports and lets a test wait for it.
type events struct {
	mu  sync.Mutex
	all []room.Event
	new chan struct{}
}

func newEvents() *events { return &events{new: make(chan struct{}, 1)} }

func (e *events) add(ev room.Event) {
	e.mu.Lock()
	e.all = append(e.all, ev)
	e.mu.Unlock()
	select {
	case e.new <- struct{}{}:
	default:
	}
}

// has reports whether one of the events is as asked.
func (e *events) has(ok func(room.Event) bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.all, ok)
}

// await returns the n-th event of type T (from 1), waiting for it.
func await[T room.Event](t *testing.T, e *events, n int) T {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		e.mu.Lock()
		seen := 0
		for _, ev := range e.all {
			if v, ok := ev.(T); ok {
				if seen++; seen == n {
					e.mu.Unlock()
					return v
				}
			}
		}
		all := e.all
		e.mu.Unlock()
		select {
		case <-e.new:
		case <-deadline:
			var zero T
			t.Fatalf("no %T number %d among %d events: %T", zero, n, len(all), all)
		}
	}
}

func join(t *testing.T, url, tok string, e *events, tracks ...webrtc.TrackLocal) (room.Room, error) {
	t.Helper()
	return (&direct.Provider{}).Join(t.Context(), room.Params{
		URL: url, Token: tok, Peer: "kiosk-1", Tracks: tracks, Path: peer.Options{Loopback: true},
		Events: e.add, Log: slog.New(slog.DiscardHandler),
	})
}

func leave(t *testing.T, r room.Room, why room.Reason) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.Leave(ctx, why); err != nil {
		t.Errorf("leave: %v", err)
	}
}

func videoTrack(t *testing.T) *webrtc.TrackLocalStaticSample {
	t.Helper()
	tr, err := webrtc.NewTrackLocalStaticSample(peer.VideoCodec(), "video", "test")
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestKioskOffersAndTracksArriveBothWays(t *testing.T) {
	url, _ := theRoom(t)
	e := newEvents()
	mine := videoTrack(t)
	r, err := join(t, url, token, e, mine)
	if err != nil {
		t.Fatal(err)
	}
	theirs, got := videoTrack(t), make(chan webrtc.RTPCodecType, 1)
	c := directtest.New(t, url, token, func(kind webrtc.RTPCodecType, _ *rtp.Packet) {
		select {
		case got <- kind:
		default:
		}
	}, theirs)

	if p := await[room.PeerJoined](t, e, 1).Participant; p.ID != "clin-1" || p.Name != "Dr. Example" || p.Role != "clinician" {
		t.Errorf("peer joined as %+v", p)
	}
	await[room.PathBack](t, e, 1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { pushSamples(stop, mine, theirs) })
	added := await[room.TrackAdded](t, e, 1)
	if added.ID != "clin-1" || added.Track.Kind() != webrtc.RTPCodecTypeVideo {
		t.Errorf("track added: %+v", added)
	}
	added.Keyframe() // must not hurt; that it arrives is seen below by c's RTCP reader in the call's tests
	if k := <-got; k != webrtc.RTPCodecTypeVideo {
		t.Errorf("the clinician got %s", k)
	}
	close(stop)
	wg.Wait()
	leave(t, r, room.ReasonBye)
	if m := c.Await(signal.PeerLeft); m.Reason != signal.ReasonBye {
		t.Errorf("the clinician was told %q", m.Reason)
	}
}

// pushSamples writes small frames to the tracks until stop closes.
func pushSamples(stop <-chan struct{}, tracks ...*webrtc.TrackLocalStaticSample) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			for _, tr := range tracks {
				_ = tr.WriteSample(sample())
			}
		}
	}
}

func TestLeavingWords(t *testing.T) {
	for _, why := range []room.Reason{room.ReasonBye, room.ReasonAway} {
		t.Run(string(why), func(t *testing.T) {
			url, _ := theRoom(t)
			e := newEvents()
			r, err := join(t, url, token, e, videoTrack(t))
			if err != nil {
				t.Fatal(err)
			}
			c := directtest.New(t, url, token, nil)
			await[room.PathBack](t, e, 1)
			leave(t, r, why)
			if m := c.Await(signal.PeerLeft); string(m.Reason) != string(why) {
				t.Errorf("the clinician was told %q, not %q", m.Reason, why)
			}
		})
	}
}

func TestPeerLeavesWithAWordOrWithout(t *testing.T) {
	url, _ := theRoom(t)
	e := newEvents()
	r, err := join(t, url, token, e, videoTrack(t))
	if err != nil {
		t.Fatal(err)
	}
	defer leave(t, r, room.ReasonBye)
	c := directtest.New(t, url, token, nil)
	await[room.PathBack](t, e, 1)
	c.Say(signal.Message{Type: signal.Bye})
	if l := await[room.PeerLeft](t, e, 1); l.Reason != room.ReasonBye || l.ID != "clin-1" {
		t.Errorf("left: %+v", l)
	}
	c.Vanish()

	again := directtest.New(t, url, token, nil)
	await[room.PathBack](t, e, 2)
	again.Vanish()
	if l := await[room.PeerLeft](t, e, 2); l.Reason != room.ReasonLost {
		t.Errorf("left without a word: %+v", l)
	}
}

func TestFarSideThatComesAgainIsMetAnew(t *testing.T) {
	url, _ := theRoom(t)
	e := newEvents()
	r, err := join(t, url, token, e, videoTrack(t))
	if err != nil {
		t.Fatal(err)
	}
	defer leave(t, r, room.ReasonBye)
	directtest.New(t, url, token, nil)
	await[room.PathBack](t, e, 1)
	directtest.New(t, url, token, nil) // the same peer id: supersedes
	await[room.PeerJoined](t, e, 2)
	await[room.PathBack](t, e, 2)
}

func TestRefusals(t *testing.T) {
	url, _ := theRoom(t)
	e := newEvents()
	if _, err := join(t, url, "wrong", e); !errors.Is(err, room.ErrRefused) {
		t.Errorf("a wrong token gave %v", err)
	} else if strings.Contains(err.Error(), "wrong") {
		t.Errorf("the token stands in the error: %v", err)
	}
	if _, err := join(t, "ws://127.0.0.1:1/signal", token, e); !errors.Is(err, room.ErrUnreachable) {
		t.Errorf("no server gave %v", err)
	}
}

func TestSupersededKioskIsTold(t *testing.T) {
	url, _ := theRoom(t)
	first, second := newEvents(), newEvents()
	a, err := join(t, url, token, first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := join(t, url, token, second)
	if err != nil {
		t.Fatal(err)
	}
	if c := await[room.Closed](t, first, 1); !errors.Is(c.Err, room.ErrSuperseded) {
		t.Errorf("closed with %v", c.Err)
	}
	leave(t, a, room.ReasonAway)
	leave(t, b, room.ReasonBye)
}

// TestLeavingWithoutAServer: the word cannot be said, and leaving ends all the same.
func TestLeavingWithoutAServer(t *testing.T) {
	url, h := theRoom(t)
	e := newEvents()
	r, err := join(t, url, token, e, videoTrack(t))
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	await[room.SignallingLost](t, e, 1)
	started := time.Now()
	if err := r.Leave(context.Background(), room.ReasonBye); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("leaving without a server gave %v", err)
	}
	if took := time.Since(started); took > 4*time.Second {
		t.Errorf("leaving took %v", took)
	}
}

// TestSignallingComesBack: the server goes and returns on the same address; the
// room is joined again and media was never touched.
func TestSignallingComesBack(t *testing.T) {
	h := hub.New(hub.Options{Authorize: func(string) (string, bool) { return "room", true }})
	srv := httptest.NewServer(h)
	url := "ws" + strings.TrimPrefix(srv.URL, "http")
	e := newEvents()
	r, err := join(t, url, token, e, videoTrack(t))
	if err != nil {
		t.Fatal(err)
	}
	address := srv.Listener.Addr().String()
	h.Close()
	srv.Close()
	await[room.SignallingLost](t, e, 1)

	h2 := hub.New(hub.Options{Authorize: func(string) (string, bool) { return "room", true }})
	srv2 := httptest.NewUnstartedServer(h2)
	_ = srv2.Listener.Close()
	srv2.Listener = listen(t, address)
	srv2.Start()
	defer func() { h2.Close(); srv2.Close() }()
	await[room.SignallingBack](t, e, 1)
	if m := h2.Members(); len(m) != 1 || m[0].Peer != "kiosk-1" {
		t.Errorf("in the room now: %+v", m)
	}
	leave(t, r, room.ReasonBye)
}

package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/stream"
	"kioskd/daemon/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// status tells the parts of a model that these tests look at.
func status(m session.Model) apitype.Status {
	s := apitype.Status{}
	if m.Exists() {
		s.Session = &apitype.Session{State: string(m.State), AppointmentID: m.Appointment.Plain(), TimerSeconds: m.Attempt}
	}
	return s
}

func newHub() *stream.Hub {
	return stream.New(status, func() session.Model { return session.Model{} })
}

// snap is a running session; number tells one from another.
func snap(number int, outputs ...session.Output) session.Snapshot {
	return session.Snapshot{Model: session.Model{State: session.Waiting, Appointment: "secret-id", Attempt: number}, Outputs: outputs}
}

// serve starts a stream; it ends with stop, which waits for it.
func serve(h *stream.Hub, c *client, lastID string) (stop func(), ended <-chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events", nil)
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	done := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { done <- h.Serve(c, r) })
	return func() { cancel(); wg.Wait() }, done
}

func TestSnapshotThenChangeThenOutputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, c := newHub(), newClient()
		h.Publish(snap(1))
		stop, _ := serve(h, c, "")
		defer stop()
		synctest.Wait()
		h.Publish(snap(2, session.Output{Key: "audio", Value: "updated"}, session.Output{Key: "video", Value: "updated"}))
		h.Changed()
		synctest.Wait()
		if got := c.names(t); got != "snapshot1 change2 output output change2" {
			t.Errorf("events are %q", got)
		}
		ev := c.events(t)
		for i, e := range ev {
			_, n, _ := strings.Cut(e.ID, "-")
			if n != strconv.Itoa(i+1) { // the snapshot has the number of the first publish
				t.Errorf("event %d (%s) has id %s", i, e.Name, e.ID)
			}
		}
		if string(ev[2].Data) != `{"audio":"updated"}` || string(ev[3].Data) != `{"video":"updated"}` {
			t.Errorf("outputs are %s and %s", ev[2].Data, ev[3].Data)
		}
		if n := h.Watchers(); n != 1 {
			t.Errorf("%d watchers are counted", n)
		}
		stop()
		if n := h.Watchers(); n != 0 {
			t.Errorf("%d watchers are counted after the end", n)
		}
		if got := c.Header().Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("content type is %q", got)
		}
	})
}

func TestHeartbeatEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, c := newHub(), newClient()
		stop, _ := serve(h, c, "")
		defer stop()
		time.Sleep(16 * time.Second)
		synctest.Wait()
		if got := c.names(t); got != "snapshot : : :" {
			t.Errorf("events after 16 s are %q", got)
		}
	})
}

func TestResume(t *testing.T) {
	for _, c := range []struct {
		name string
		id   func(epoch string) string
		want string
	}{
		{"after the first", func(e string) string { return e + "-1" }, "change2 output change3"},
		{"after the output", func(e string) string { return e + "-3" }, "change3"},
		{"after all", func(e string) string { return e + "-4" }, ":"},
		{"from before the first", func(e string) string { return e + "-0" }, "change1 change2 output change3"},
		{"from the future", func(e string) string { return e + "-5" }, "snapshot3"},
		{"of another start", func(string) string { return "ABCDEFGH-1" }, "snapshot3"},
		{"no number", func(e string) string { return e + "-x" }, "snapshot3"},
		{"negative", func(e string) string { return e + "--1" }, "snapshot3"},
		{"too large", func(e string) string { return e + "-99999999999999999999" }, "snapshot3"},
		{"none", func(string) string { return "" }, "snapshot3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub()
				h.Publish(snap(1))
				h.Publish(snap(2, session.Output{Key: "audio", Value: "updated"}))
				h.Publish(snap(3))
				cl := newClient()
				stop, _ := serve(h, cl, c.id(epoch(t, h)))
				defer stop()
				synctest.Wait()
				if got := cl.names(t); got != c.want {
					t.Errorf("events are %q, want %q", got, c.want)
				}
			})
		})
	}
}

// epoch asks a stream of its own for the hub's epoch.
func epoch(t *testing.T, h *stream.Hub) string {
	t.Helper()
	c := newClient()
	stop, _ := serve(h, c, "")
	synctest.Wait()
	stop()
	e, _, _ := strings.Cut(c.events(t)[0].ID, "-")
	return e
}

func TestResumeFromBeforeTheRingGivesASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		for i := range 300 {
			h.Publish(snap(i))
		}
		e := epoch(t, h)
		for _, c := range []struct {
			id    string
			want  string
			count int
		}{{"-43", "snapshot", 1}, {"-44", "change", 256}} {
			cl := newClient()
			stop, _ := serve(h, cl, e+c.id)
			synctest.Wait()
			stop()
			if ev := cl.events(t); ev[0].Name != c.want || len(ev) != c.count {
				t.Errorf("after %s: %d events, first %s; want %d, %s", c.id, len(ev), ev[0].Name, c.count, c.want)
			}
		}
	})
}

// What names a patient is gone from the ring when the session is over; the
// outputs are still told to who comes back.
func TestTheEndForgetsThePatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		h.Publish(snap(1))
		h.Publish(snap(2, session.Output{Key: "audio", Value: "updated"}))
		h.Publish(session.Snapshot{
			Model: session.Model{State: session.Ended}, Outputs: []session.Output{{Key: "state", Value: "ended"}},
		})
		c := newClient()
		stop, _ := serve(h, c, epoch(t, h)+"-1")
		defer stop()
		synctest.Wait()
		if got := c.names(t); got != "output change0 output" {
			t.Errorf("events are %q", got)
		}
		if strings.Contains(c.String(), "secret-id") {
			t.Errorf("the appointment is still told: %s", c)
		}
	})
}

func TestLaggardIsToldAndDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, slow, quick := newHub(), newClient(), newClient()
		slow.stalled = make(chan struct{})
		stopSlow, ended := serve(h, slow, "")
		defer stopSlow()
		stopQuick, _ := serve(h, quick, "")
		defer stopQuick()
		synctest.Wait()
		for i := range 100 { // no waiting: a publisher is never held up
			h.Publish(snap(i))
			if i%10 == 9 {
				synctest.Wait()
			}
		}
		time.Sleep(time.Second) // it reads again before the write's deadline
		close(slow.stalled)
		synctest.Wait()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the stream ended with %v", err)
			}
		default:
			t.Fatal("the laggard's stream goes on")
		}
		ev := slow.events(t)
		last := ev[len(ev)-1]
		var p apitype.Problem
		if err := json.Unmarshal(last.Data, &p); err != nil || last.Name != apitype.EventLagging || p.Code != apitype.CodeLagging || last.ID != "" {
			t.Errorf("its last event is %+v (%v)", last, err)
		}
		if got := len(quick.events(t)); got != 101 {
			t.Errorf("the other watcher has %d events, want 101", got)
		}
	})
}

func TestStuckWatcherIsDroppedAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, c := newHub(), newClient()
		c.stalled = make(chan struct{})
		start := time.Now()
		stop, ended := serve(h, c, "")
		defer stop()
		<-ended
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it was dropped after %v", took)
		}
	})
}

func TestCloseEndsStreamsAtOnceAndTakesNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub()
		var all []<-chan error
		for range 5 {
			stop, ended := serve(h, newClient(), "")
			defer stop()
			all = append(all, ended)
		}
		synctest.Wait()
		start := time.Now()
		h.Close()
		h.Close() // once more does no harm
		for _, ended := range all {
			<-ended
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the streams ended after %v", took)
		}
		stop, ended := serve(h, newClient(), "")
		defer stop()
		var p *apitype.Problem
		if err := <-ended; !errors.As(err, &p) || p.Code != apitype.CodeStopping {
			t.Errorf("a new stream got %v", err)
		}
		h.Publish(snap(1)) // and publishing goes on
	})
}

// Watchers that come while things change see a snapshot and then each event,
// none missing, none twice.
func TestNoGapBetweenSnapshotAndChanges(t *testing.T) {
	h := newHub()
	const watchers, changes = 20, 400
	var publishing, watching sync.WaitGroup
	clients := make([]*client, watchers)
	stops := make([]func(), watchers)
	publishing.Go(func() {
		for i := 1; i <= changes; i++ {
			h.Publish(snap(i))
		}
	})
	for i := range watchers {
		watching.Go(func() {
			clients[i] = newClient()
			stops[i], _ = serve(h, clients[i], "")
		})
	}
	publishing.Wait()
	watching.Wait()
	h.Publish(snap(changes + 1))
	deadline := time.After(10 * time.Second)
	for _, c := range clients {
		for !strings.Contains(c.String(), fmt.Sprintf(`"timer_seconds":%d,`, changes+1)) && !strings.Contains(c.String(), "event: lagging") {
			select {
			case <-deadline:
				t.Fatalf("the last change did not come: %s", c.names(t))
			case <-time.After(time.Millisecond):
			}
		}
	}
	for i, c := range clients {
		stops[i]()
		ev := c.events(t)
		for j := 1; j < len(ev) && ev[j].Name == apitype.EventChange; j++ {
			before, _ := ev[j-1].Status()
			now, _ := ev[j].Status()
			if number(before)+1 != number(now) {
				t.Fatalf("watcher %d: after %d comes %d", i, number(before), number(now))
			}
		}
	}
}

func number(s apitype.Status) int {
	if s.Session == nil {
		return 0
	}
	return s.Session.TimerSeconds
}

func TestCurrentIsTheInitialModelUntilTheFirstPublish(t *testing.T) {
	h := stream.New(status, func() session.Model { return session.Model{State: session.Reconnecting} })
	if got := h.Current().State; got != session.Reconnecting {
		t.Errorf("before: %q", got)
	}
	h.Publish(snap(1))
	if got := h.Current().State; got != session.Waiting {
		t.Errorf("after: %q", got)
	}
}

// Whatever stands in Last-Event-ID, the stream begins with a snapshot or goes
// on after an event that was really sent.
func FuzzLastEventID(f *testing.F) {
	for _, s := range []string{"", "x", "-", "ABCDEFGH-1", "\xff-1", "ABCDEFGH-18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		synctest.Test(t, func(t *testing.T) {
			h, c := newHub(), newClient()
			h.Publish(snap(1))
			stop, _ := serve(h, c, id)
			defer stop()
			synctest.Wait()
			if got := c.names(t); got != "snapshot1" { // the epoch is random: no guess hits it
				t.Errorf("id %q gives %q", id, got)
			}
		})
	})
}

package api_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api"
	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
)

// watch follows the events into a channel until the test ends.
func watch(t *testing.T, k *apitest.Kiosk) <-chan apitype.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(deadline(t))
	events, done := make(chan apitype.Event, 256), make(chan struct{})
	c := client.New(k.Socket)
	go func() {
		defer close(done)
		defer close(events)
		_ = c.Watch(ctx, func(e apitype.Event) error { events <- e; return nil })
	}()
	t.Cleanup(func() { cancel(); <-done; c.Close() })
	return events
}

// outputsUntil collects outputs, as name=value, until the last one.
func outputsUntil(t *testing.T, events <-chan apitype.Event, last string) []string {
	t.Helper()
	var got []string
	for e := range events {
		if name, value, err := e.Output(); err == nil {
			got = append(got, name+"="+value)
			if got[len(got)-1] == last {
				return got
			}
		}
	}
	t.Fatalf("the stream ended before %s: %q", last, got)
	return nil
}

func TestRootOutputsOfACallInOrder(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	events := watch(t, k)
	if e := <-events; e.Name != apitype.EventSnapshot {
		t.Fatalf("the first event is %s", e.Name)
	}
	open(t, k, c)
	k.Arrive()
	if err := k.Await(deadline(t), "active", ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"mute", "disable-video", "end-call"} {
		if r := ask(t, c, "POST", "/v1/session/"+path, ""); r.status != http.StatusOK {
			t.Fatalf("%s: %v", path, r)
		}
	}
	got := outputsUntil(t, events, "state=ended")
	for _, want := range []string{"state=waiting", "camera=unsupported", "session=started", "state=active", "audio=updated", "video=updated", "state=ended"} {
		if n := slices.Index(got, want); n < 0 || slices.Contains(got[n+1:], want) {
			t.Errorf("output %s is not there once: %q", want, got)
		}
	}
}

// A change is told before the command that made it is answered.
func TestRootChangeComesBeforeTheAnswer(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	open(t, k, c)
	ask(t, c, "POST", "/v1/session/mute", `{"muted":true}`, "Content-Type", jsonType)
	var s apitype.Status
	ask(t, c, "GET", "/v1/status", "").into(t, &s)
	if s.Session == nil || !s.Session.Audio.Muted {
		t.Errorf("after the answer the status is %+v", s.Session)
	}
}

func TestRootConditionsAreTold(t *testing.T) {
	k := start(t)
	events := watch(t, k)
	<-events
	k.Health.Set("camera_missing", apitype.SeverityWarning, "No camera.", "")
	for e := range events {
		if s, err := e.Status(); err != nil || e.Name != apitype.EventChange {
			t.Errorf("event %s: %v", e.Name, err)
		} else if len(s.Conditions) == 1 && s.Conditions[0].Code == "camera_missing" {
			return
		}
	}
	t.Error("the stream ended and the condition was not told")
}

func TestRootQualityIsPartOfARunningSession(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	k.Quality.Store(&map[string]float64{"rtt_ms": 12.5})
	open(t, k, c)
	var s apitype.Session
	ask(t, c, "GET", "/v1/session", "").into(t, &s)
	if s.Quality["rtt_ms"] != 12.5 {
		t.Errorf("quality is %v", s.Quality)
	}
	events := watch(t, k)
	<-events
	k.Quality.Store(&map[string]float64{"rtt_ms": 99})
	k.API.Changed()
	for e := range events {
		if s, err := e.Status(); err == nil && s.Session.Quality["rtt_ms"] == 99 {
			return
		}
	}
	t.Error("the stream ended and the new figure was not told")
}

// TestRootLastEventID resumes over the wire what the stream tests resume inside.
func TestRootLastEventID(t *testing.T) {
	k := start(t)
	first := <-watch(t, k)
	k.API.Changed()
	conn, err := self.Dial(deadline(t), k.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET /v1/events HTTP/1.1\r\nHost: kioskd\r\nLast-Event-ID: " + first.ID + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			if name != apitype.EventChange {
				t.Errorf("the first event is %s, want the missed change", name)
			}
			return
		}
	}
	t.Errorf("no event came: %v", lines.Err())
}

// TestRootWatcherThatNeverReads is dropped, and holds up neither the session
// nor another watcher.
func TestRootWatcherThatNeverReads(t *testing.T) {
	k := start(t)
	stuck, err := self.Dial(deadline(t), k.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	if _, err := stuck.Write([]byte("GET /v1/events HTTP/1.1\r\nHost: kioskd\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, k, self)
	open(t, k, c)
	slowest := time.Duration(0)
	for range 600 { // far more than the socket's buffer and the queue hold
		begin := time.Now()
		k.API.Changed()
		slowest = max(slowest, time.Since(begin))
	}
	if slowest > time.Second {
		t.Errorf("publishing took up to %v", slowest)
	}
	waitClosed(t, k, stuck)
}

// waitClosed waits, without reading, until the server has given up on conn,
// and then reads up to the end.
func waitClosed(t *testing.T, k *apitest.Kiosk, conn net.Conn) {
	t.Helper()
	ctx := deadline(t)
	for !strings.Contains(k.Log.String(), `"route":"/v1/events"`) {
		select {
		case <-ctx.Done():
			t.Fatal("the stuck watcher was not dropped")
		case <-time.After(20 * time.Millisecond):
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 64<<10)
	for {
		if _, err := conn.Read(buf); err != nil {
			if os.IsTimeout(err) {
				t.Error("the connection of the stuck watcher stays open")
			}
			return
		}
	}
}

func TestRootStopEndsStreamsAndIdleConnectionsAtOnce(t *testing.T) {
	k, err := apitest.Start()
	if err != nil {
		t.Fatal(err)
	}
	c := clientOf(t, k, self)
	open(t, k, c)
	events := watch(t, k)
	<-events
	idle, err := self.Dial(deadline(t), k.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	begin := time.Now()
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the stop took %v", took)
	}
	for range events { // ends, or the test's deadline does it
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the stream ended %v after the stop", took)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	if _, err := api.New(api.Deps{}); err == nil || !strings.HasPrefix(err.Error(), "cannot make the control API without Deps.") {
		t.Errorf("got %v", err)
	}
}

func TestRunReportsADeadListener(t *testing.T) {
	k, err := apitest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	ln, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.API.Run(t.Context(), ln); err == nil || !strings.HasPrefix(err.Error(), "cannot serve the control socket") {
		t.Errorf("got %v", err)
	}
}

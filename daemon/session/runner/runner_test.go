package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
)

var errDisk = errors.New("no space left")

func TestNewRefuses(t *testing.T) {
	if _, err := runner.New(runner.Options{}); err == nil {
		t.Error("a runner without a store was made")
	}
}

// TestOrder: a widening command is committed before anyone is told and before it
// acts; a narrowing one acts first.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.post(session.NetworkChanged{Up: true})
		b.sees("publish") // a fact without a session is told, not stored
		res := b.do(session.Open{Appointment: "a-1"}, "", "commit, publish state=waiting, check-devices")
		if !res.Durable || !res.Changed || res.Model.Peer == "" || res.Model.Limits != session.DefaultLimits() {
			t.Errorf("result %+v, peer %q, limits %v", res, res.Model.Peer, res.Model.Limits)
		}
		b.join()
		b.do(session.Mute{}, "", "set-muted, commit, publish audio=updated")
		b.do(session.Mute{}, "", "commit, publish audio=updated, set-muted")
		b.do(session.DisableVideo{}, "", "close-camera, set-video-off, commit, publish video=updated")
		b.do(session.DisableVideo{}, "", "commit, publish video=updated, set-video-off, open-camera")
		b.do(session.SwapCamera{}, "", "commit, publish camera=updated, open-camera")
		if res := b.do(session.DisableVideo{Set: new(bool)}, "", "audit"); res.Changed || !res.Durable {
			t.Errorf("result %+v of a command that changes nothing", res)
		}
		b.do(session.Open{Appointment: "a-2"}, session.CodeSessionInProgress, "audit")
		b.do(session.EndCall{}, "", "close-camera, close-microphone, leave-room, commit, publish state=ended")
		if b.disk.has() {
			t.Error("a finished session is still stored")
		}
		time.Sleep(session.ForgetAfter + shortly)
		synctest.Wait()
		b.sees("publish")
		if b.r.Model().Exists() || b.last.Model.Exists() || b.last.Seq == 0 {
			t.Error("the finished session was not forgotten")
		}
		if a := b.disk.audits(); !strings.Contains(a, "end-call done from=active to=ended by: uid=7") || strings.Contains(a, "a-1") {
			t.Errorf("audit\n%s", a)
		}
	})
}

// TestStoreFails: a widening command is refused and nothing happens; a narrowing
// one is done and says that it is not durable; facts stay facts.
func TestStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		b.do(session.Mute{}, "", "set-muted, commit, publish audio=updated")
		b.disk.set(errDisk)
		b.do(session.Mute{}, session.CodeStore, "commit failed")
		if !b.r.Model().Muted {
			t.Error("a refused command acted")
		}
		if res := b.do(session.DisableVideo{}, "", "close-camera, set-video-off, commit failed, publish video=updated"); res.Durable {
			t.Error("it says durable")
		}
		b.post(session.MediaLost{Attempt: 1, Participant: "c1"})
		b.sees("commit failed, publish state=reconnecting")
		if b.last.Durable {
			t.Error("the snapshot says durable")
		}
		b.disk.set(nil)
		time.Sleep(2*time.Second + shortly) // the runner tries again by itself
		synctest.Wait()
		b.sees("commit, publish")
		if m, err := b.disk.Load(); err != nil || !m.VideoOff || m.State != session.Reconnecting || !b.last.Durable {
			t.Errorf("stored %v, %v, told durable %t", m, err, b.last.Durable)
		}
		b.disk.set(errDisk)
		if res := b.do(session.EndCall{}, "", "close-microphone, leave-room, commit failed, publish state=ended"); res.Durable {
			t.Error("it says durable")
		}
		b.disk.set(nil)
		time.Sleep(2*time.Second + shortly)
		if b.disk.has() {
			t.Error("the session's end was never stored")
		}
	})
}

// TestDiskIsFull: the refusal says so and is not kept with its key, and that there is
// space again is told by whatever commits next, be it a command that is refused.
func TestDiskIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		b.disk.set(fmt.Errorf("cannot commit: %w", runner.ErrStoreFull))
		b.doKey(session.Chat{}, "k1", session.CodeStoreFull, "commit failed")
		if res := b.do(session.Mute{}, "", "set-muted, commit failed, publish audio=updated"); res.Durable || b.last.Durable {
			t.Error("it says durable")
		}
		b.disk.set(nil)
		b.do(session.Open{Appointment: "a-2"}, session.CodeSessionInProgress, "commit, publish")
		if !b.last.Durable {
			t.Error("nobody was told that it is stored")
		}
		b.doKey(session.Chat{}, "k1", "", "commit, publish chat=opened")
	})
}

func TestRestart(t *testing.T) {
	t.Run("in a call", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := begin(t, nil)
			b.active()
			b.do(session.Mute{}, "", "set-muted, commit, publish audio=updated")
			peer := b.r.Model().Peer
			b.stop()
			b.sees("close-camera, close-microphone, leave-room, publish")
			time.Sleep(5 * time.Second)
			c := begin(t, b.disk)
			c.sees("commit, publish state=reconnecting, set-muted, check-devices, open-microphone, open-camera")
			c.join()
			if m := c.r.Model(); m.Peer != peer || !m.Muted || m.TimerSeconds(time.Now()) != 5 {
				t.Errorf("peer kept %t, muted %t, timer %d", m.Peer == peer, m.Muted, m.TimerSeconds(time.Now()))
			}
		})
	})
	t.Run("time over: wiped before it is ready", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := begin(t, nil)
			b.active()
			b.stop()
			time.Sleep(time.Hour)
			c := begin(t, b.disk)
			if c.disk.has() || c.r.Model().State != session.Timeout {
				t.Errorf("stored %t, state %s", c.disk.has(), c.r.Model().State)
			}
		})
	})
	t.Run("a record that cannot be read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := begin(t, &disk{record: []byte("{")})
			b.sees("commit")
			if b.disk.has() || b.r.Model().Exists() {
				t.Error("the damaged record stays")
			}
			b.do(session.Open{Appointment: "a-1"}, "", "commit, publish state=waiting, check-devices")
		})
	})
	t.Run("a clock that went back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := begin(t, nil)
			b.active()
			b.stop()
			m, err := b.disk.Load()
			if err != nil {
				t.Fatal(err)
			}
			ahead := time.Hour // the stored times are an hour ahead of the clock now
			m.OpenedAt, m.ActiveSince, m.LastAt = m.OpenedAt.Add(ahead), m.ActiveSince.Add(ahead), m.LastAt.Add(ahead)
			if b.disk.record, err = m.Encode(); err != nil {
				t.Fatal(err)
			}
			c := begin(t, b.disk)
			if got := c.r.Model(); got.State != session.Reconnecting || got.DoubtfulSince.IsZero() {
				t.Fatalf("state %s, doubtful since %v", got.State, got.DoubtfulSince)
			}
			truth := time.Now().Add(ahead + 10*time.Minute)
			c.post(session.ClockSet{Now: truth})
			if got := c.r.Model(); got.State != session.Reconnecting || got.TimerSeconds(truth) != 600 {
				t.Errorf("state %s, timer %d", got.State, got.TimerSeconds(truth))
			}
			time.Sleep(119 * time.Second)
			synctest.Wait()
			if got := c.r.Model().State; got != session.Reconnecting {
				t.Errorf("state %s before its limit", got)
			}
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if got := c.r.Model().Error.Code; got != session.CodeNetwork {
				t.Errorf("error %q after its limit", got)
			}
		})
	})
}

func TestDeadlinesWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil, func(o *runner.Options) {
			o.Limits = session.Limits{Wait: time.Minute, Session: 2 * time.Minute}
			o.AskConsent = true
			o.ClockDoubtful = func() bool { return true }
		})
		b.do(session.Open{Appointment: "a-1"}, "", "commit, publish state=waiting_permissions")
		if m := b.r.Model(); m.DoubtfulSince.IsZero() || m.Limits.Wait != time.Minute {
			t.Errorf("options are lost: %v", m.Limits)
		}
		time.Sleep(2*time.Minute - shortly)
		b.sees("")
		time.Sleep(2 * shortly)
		synctest.Wait()
		b.sees("commit, publish state=timeout")
	})
}

func TestIdempotency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		acts := "set-muted, commit, publish audio=updated"
		b.doKey(session.Mute{}, "k1", "", acts)
		if res := b.doKey(session.Mute{}, "k1", "", "audit"); res.Changed || !res.Durable || !res.Model.Muted {
			t.Errorf("the second answer is %+v", res)
		}
		b.doKey(session.DisableVideo{}, "k1", session.CodeKeyReused, "audit")
		b.doKey(session.Mute{}, strings.Repeat("k", 257), session.CodeKeyReused, "audit")
		b.doKey(session.SwapCamera{Camera: "nowhere"}, "k2", session.CodeCameraUnknown, "audit")
		b.doKey(session.SwapCamera{Camera: "nowhere"}, "k2", session.CodeCameraUnknown, "audit")

		b.disk.set(errDisk)
		b.doKey(session.Mute{}, "k3", session.CodeStore, "commit failed")
		b.disk.set(nil)
		b.doKey(session.Mute{}, "k3", "", "commit, publish audio=updated, set-muted") // a refusal for the store's sake is not kept

		time.Sleep(10 * time.Minute)
		b.doKey(session.Mute{}, "k1", "", acts)
		for i := range 1024 { // the bound pushes the oldest out
			b.doKey(session.Mute{Set: new(bool(true))}, fmt.Sprint("n", i), "", "commit")
		}
		b.doKey(session.Mute{}, "k1", "", "commit, publish audio=updated, set-muted")
	})
}

// TestQueues: the queues are bounded, clients cannot push out the call's events,
// and nothing hangs at the end.
func TestQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		first := true
		b := begin(t, nil, func(o *runner.Options) {
			publish := o.Publish
			o.Publish = func(s session.Snapshot) {
				if first {
					first = false
					<-block
				}
				publish(s)
			}
		})
		b.r.Post(session.NetworkChanged{Up: true})
		synctest.Wait() // the runner is stuck in Publish now
		answers := make(chan error, 200)
		call := func(ctx context.Context, w session.What) {
			_, err := b.r.Do(ctx, session.Event{What: w}, "")
			answers <- err
		}
		for range 64 {
			go call(t.Context(), session.Chat{})
		}
		synctest.Wait()
		if _, err := b.r.Do(t.Context(), session.Event{What: session.Chat{}}, ""); codeOf(err) != session.CodeBusy {
			t.Errorf("a full queue says %v", err)
		}
		begun := time.Now()
		if _, err := b.r.Do(t.Context(), session.Event{What: session.EndCall{}}, ""); codeOf(err) != session.CodeBusy || time.Since(begun) != 2*time.Second {
			t.Errorf("a narrowing command got %v after %v", err, time.Since(begun))
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.r.Do(gone, session.Event{What: session.Mute{}}, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who is gone got %v", err)
		}
		n := 0
		for b.r.Post(session.Tick{}) {
			n++
		}
		if n != 256 {
			t.Errorf("%d posts were taken", n)
		}
		close(block)
		for range 64 {
			if err := <-answers; codeOf(err) != session.CodeNoSession {
				t.Errorf("a queued command got %v", err)
			}
		}
		b.stop()
		if b.r.Post(session.Tick{}) {
			t.Error("a post was taken after the end")
		}
		if _, err := b.r.Do(t.Context(), session.Event{What: session.EndCall{}}, ""); codeOf(err) != session.CodeStopping {
			t.Errorf("after the end: %v", err)
		}
		if err := b.r.Run(t.Context()); err == nil {
			t.Error("it ran twice")
		}
	})
}

func TestOddCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		if b.r.Post(nil) {
			t.Error("nothing was taken as a fact")
		}
		if _, err := b.r.Do(t.Context(), session.Event{}, ""); codeOf(err) != "bad_event" {
			t.Errorf("an empty command got %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 { // whichever way it is told, it does not act
			_, _ = b.r.Do(gone, session.Event{What: session.Open{Appointment: "a-1"}}, "")
		}
		synctest.Wait()
		b.sees("")
	})
}

// TestLogsHoldNoPatient runs a call with a log at its loudest.
func TestLogsHoldNoPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		b := begin(t, nil, func(o *runner.Options) {
			o.Log = slog.New(slog.NewJSONHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
		})
		b.active()
		b.do(session.EndCall{}, "", "close-camera, close-microphone, leave-room, commit, publish state=ended")
		b.stop()
		for _, secret := range []string{"a-1", "Dr. Name", "secret"} {
			if strings.Contains(text.String(), secret) {
				t.Errorf("%q is logged", secret)
			}
		}
		if !strings.Contains(text.String(), `"state":"active"`) {
			t.Errorf("the log does not tell of the call:\n%s", text.String())
		}
	})
}

func TestModelIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		m := b.r.Model()
		m.Participants[0].ID, m.Room.Token = "changed", "changed"
		if again := b.r.Model(); again.Participants[0].ID != "c1" || again.Room.Token != "secret" {
			t.Error("a reader changed the runner's model")
		}
	})
}

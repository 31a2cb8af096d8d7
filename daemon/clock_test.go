package daemon_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/daemon"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/clock"
)

// unsteady is a machine whose clock nobody keeps: wrong by so many hours, in its
// n-th boot.
type unsteady struct {
	synchronised atomic.Bool
	silent       bool // nobody says
	wrong        time.Duration
	boot         string
}

func (u *unsteady) around() daemon.Surroundings {
	return daemon.Surroundings{
		Wall: func() time.Time { return time.Now().Add(u.wrong) },
		Synchronised: func() clock.Answer {
			switch {
			case u.synchronised.Load():
				return clock.Yes
			case u.silent:
				return clock.Unknown
			}
			return clock.No
		},
		Uptime: func() (string, time.Duration) { return u.boot, time.Minute },
	}
}

// A clock that nobody keeps is told; the Date of the backend's answer counts in its
// place, and a session outlives a reboot into another wrong time.
func TestClockNobodyKeeps(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	cfg := settings(t, dir, "http://"+clinic.host, "daemon.clock_check=true")
	right := func(s apitype.Status) bool {
		return s.Session != nil && s.Session.OpenedAt != nil && time.Since(*s.Session.OpenedAt).Abs() < wait
	}
	machine := &unsteady{wrong: -6 * time.Hour, boot: "boot-1"}
	k := launchIn(t, cfg, machine.around())
	w := watch(t, cfg.API.Socket)
	w.see("the condition", func(s apitype.Status) bool { return hasCondition(s, "clock_unsynchronised") })
	do(t)(k.Open(t.Context(), appointment))
	opened := w.see("an opening by the backend's clock", right).Session.OpenedAt
	k.stop()

	machine = &unsteady{wrong: 6 * time.Hour, boot: "boot-2"}
	k = launchIn(t, cfg, machine.around())
	w = watch(t, cfg.API.Socket)
	s := w.see("the room again", func(s apitype.Status) bool { return s.Session != nil && s.Session.Step == "participant" })
	w.never("a limit that a wrong clock has reached", func(s apitype.Status) bool { return s.Session.Final() })
	if !s.Session.OpenedAt.Equal(*opened) || s.Session.State != apitype.StateWaiting {
		t.Errorf("opened at %v, now %v in state %s", opened, s.Session.OpenedAt, s.Session.State)
	}
	machine.synchronised.Store(true)
	w.see("the condition go", func(s apitype.Status) bool { return !hasCondition(s, "clock_unsynchronised") })
	k.stop()
}

// A clock that gets synchronised in a session that was opened before, with no answer of
// the backend in between, is believed too.
func TestClockGetsSynchronised(t *testing.T) {
	cfg := unreachable(t, "daemon.clock_check=true")
	machine := &unsteady{wrong: 3 * time.Hour, boot: "boot-1"}
	var wrong atomic.Int64
	wrong.Store(int64(3 * time.Hour))
	around := machine.around()
	around.Wall = func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }
	k := launchIn(t, cfg, around)
	w := watch(t, cfg.API.Socket)
	k.rights(w, func() {
		wrong.Store(0)
		machine.synchronised.Store(true)
	})
}

// rights opens a session by a clock that is three hours ahead, and wants its opening
// told right once the clock is.
func (k *kiosk) rights(w *watcher, set func()) {
	k.t.Helper()
	do(k.t)(k.Open(k.t.Context(), appointment))
	w.see("an opening by the wrong clock", func(s apitype.Status) bool {
		return s.Session != nil && time.Until(*s.Session.OpenedAt) > 2*time.Hour
	})
	set()
	w.see("an opening by the right one", func(s apitype.Status) bool {
		return s.Session != nil && time.Since(*s.Session.OpenedAt).Abs() < wait
	})
	k.stop()
}

// Where nobody can say whether the clock is kept right, nobody is told that it is not;
// it is not believed either.
func TestClockNobodyKnows(t *testing.T) {
	cfg := unreachable(t, "daemon.clock_check=true")
	machine := &unsteady{wrong: 3 * time.Hour, boot: "boot-1", silent: true}
	around := machine.around()
	asked := make(chan struct{}, 1)
	around.Ask = func(context.Context) clock.Answer {
		select {
		case asked <- struct{}{}:
		default:
		}
		return around.Synchronised()
	}
	var wrong atomic.Int64
	wrong.Store(int64(3 * time.Hour))
	around.Wall = func() time.Time { return time.Now().Add(time.Duration(wrong.Load())) }
	k := launchIn(t, cfg, around)
	w := watch(t, cfg.API.Socket)
	for range 2 { // what the first answer led to is told before the second question
		<-asked
	}
	w.never("a clock that is wrong for sure", func(s apitype.Status) bool { return hasCondition(s, "clock_unsynchronised") })
	k.rights(w, func() {
		wrong.Store(0)
		machine.synchronised.Store(true)
	})
}

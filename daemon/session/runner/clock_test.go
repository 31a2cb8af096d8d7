package runner_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
)

// machine is what a kiosk runs on: the time of the bubble is the true one.
type machine struct {
	wrong  time.Duration // of the wall clock
	sync   bool          // somebody keeps it right
	boot   string
	booted time.Time
	limits session.Limits
}

func newMachine() *machine {
	return &machine{sync: true, boot: "boot-1", booted: time.Now().Add(-time.Hour), limits: session.DefaultLimits()}
}

func (m *machine) options(o *runner.Options) {
	o.Wall = func() time.Time { return time.Now().Add(m.wrong) }
	o.ClockDoubtful = func() bool { return !m.sync }
	o.Uptime = func() (string, time.Duration) { return m.boot, time.Since(m.booted) }
	o.Limits = m.limits
}

// reboot takes the power away for a while.
func (m *machine) reboot(t time.Duration) {
	time.Sleep(t)
	m.boot, m.booted = m.boot+"+", time.Now()
}

// lasts checks that the call goes on until its session's limit and not longer.
func (b *bench) lasts(left time.Duration) {
	b.t.Helper()
	time.Sleep(left - time.Second)
	synctest.Wait()
	if m := b.r.Model(); !m.Running() {
		b.t.Fatalf("it ended early: %s, %v left", m.State, left)
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	if m := b.r.Model(); m.State != session.Timeout {
		b.t.Fatalf("it lives on: %s", m.State)
	}
}

const hours = 6 * time.Hour

// The wall clock is set in a call: no limit notices.
func TestClockIsSetInACall(t *testing.T) {
	for _, jump := range []time.Duration{-hours, hours} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine()
				b := begin(t, nil, m.options)
				b.active()
				b.doKey(session.Mute{}, "k1", "", "set-muted, commit, publish audio=updated")
				m.wrong = jump
				time.Sleep(10 * time.Minute)
				if got := b.r.Model().TimerSeconds(b.r.Now()); got != 600 {
					t.Errorf("timer %d, want 600", got)
				}
				b.doKey(session.Mute{}, "k2", "", "commit, publish audio=updated, set-muted") // k1 is over its ten minutes
				b.doKey(session.Mute{}, "k1", "", "set-muted, commit, publish audio=updated")
				time.Sleep(9 * time.Minute)
				m.wrong = -jump
				b.doKey(session.Mute{}, "k2", "", "audit") // and these are not
				b.doKey(session.Mute{}, "k1", "", "audit")
				b.lasts(11 * time.Minute)
				// The next one takes the clock as it is now, and no longer.
				b.active()
				if opened := b.r.Model().OpenedAt; opened.Sub(time.Now().Add(m.wrong)).Abs() > time.Second {
					t.Errorf("opened at %v, the clock says %v", opened, time.Now().Add(m.wrong))
				}
				b.lasts(30 * time.Minute)
			})
		})
	}
}

// The clock is set while the daemon is gone, within one boot: the time since the boot
// counts.
func TestClockIsSetAcrossARestart(t *testing.T) {
	for _, jump := range []time.Duration{-hours, hours} {
		for _, sync := range []bool{true, false} {
			t.Run(fmt.Sprint(jump, sync), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMachine()
					b := begin(t, nil, m.options)
					b.active()
					time.Sleep(time.Minute)
					b.doKey(session.Mute{}, "k1", "", "set-muted, commit, publish audio=updated")
					time.Sleep(4 * time.Minute)
					disk := b.disk.copy() // kill -9: nothing more is written
					b.stop()
					m.wrong, m.sync = jump, sync
					time.Sleep(4 * time.Minute)
					c := begin(t, disk, m.options)
					if got := c.r.Model().TimerSeconds(c.r.Now()); got != 540 {
						t.Errorf("timer %d, want 540", got)
					}
					c.seen.take()
					c.doKey(session.Mute{}, "k1", "", "audit") // eight minutes old
					c.join()
					c.lasts(21 * time.Minute)
				})
			})
		}
	}
}

// Across a reboot the wall clock counts where it is kept right; where it is not, time
// goes on from what was known until the backend says what it is.
func TestClockAcrossAReboot(t *testing.T) {
	for _, wrong := range []time.Duration{0, -hours, hours, -50 * 365 * 24 * time.Hour} {
		t.Run(wrong.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine()
				b := begin(t, nil, m.options)
				b.active()
				time.Sleep(5 * time.Minute)
				b.do(session.Mute{}, "", "set-muted, commit, publish audio=updated")
				disk := b.disk.copy()
				b.stop()
				m.reboot(5 * time.Minute)
				m.wrong, m.sync = wrong, wrong == 0
				c := begin(t, disk, m.options)
				if got := c.r.Model(); got.State != session.Reconnecting || got.DoubtfulSince.IsZero() != m.sync {
					t.Fatalf("state %s, doubtful since %v", got.State, got.DoubtfulSince)
				}
				time.Sleep(time.Second)
				c.post(session.NetworkChanged{Up: true})
				if !m.sync { // the PUT brings a Date
					c.sees("commit, publish state=reconnecting, set-muted, check-devices, open-microphone, open-camera, commit, publish, load-room")
					c.post(session.ClockSet{Now: time.Now()})
				}
				c.join()
				if got := c.r.Model().TimerSeconds(c.r.Now()); got != 601 {
					t.Errorf("timer %d, want 601", got)
				}
				c.lasts(20*time.Minute - time.Second)
			})
		})
	}
}

// A room's token that ran out while the kiosk was gone is fetched again, whatever the
// wall clock says.
func TestExpiredTokenIsFetchedAgain(t *testing.T) {
	for _, wrong := range []time.Duration{0, -hours} {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine()
			b := begin(t, nil, m.options)
			b.active()
			n := b.r.Model().Attempt
			b.post(session.JoinFailed{Attempt: n, Code: session.CodeTokenRefused})
			b.post(session.RoomLoaded{Attempt: n + 1, Room: session.Room{Token: "short", Expires: time.Now().Add(5 * time.Minute)}})
			disk := b.disk.copy()
			b.stop()
			time.Sleep(6 * time.Minute)
			m.wrong = wrong
			c := begin(t, disk, m.options)
			c.seen.take()
			c.post(session.NetworkChanged{Up: true})
			if got := c.seen.take(); got != "commit, publish, load-room" {
				t.Errorf("wrong by %v: %s", wrong, got)
			}
		})
	}
}

// TestClockHistories plays random lives: kills, reboots, clocks that are wrong and put
// right, backends that say what time it is. No call ends before its limit, and none
// that runs is longer than it, but for what ran between the newest commit and a power
// cut.
func TestClockHistories(t *testing.T) {
	for range 100 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			m := newMachine()
			m.limits = session.Limits{Wait: time.Hour, Session: time.Hour, Reconnect: time.Hour}
			m.wrong, m.sync = history(rnd)
			b := begin(t, nil, m.options)
			b.active()
			began, online := time.Now(), time.Duration(0)
			for b.r.Model().Running() {
				since := time.Now()
				time.Sleep(time.Duration(rnd.IntN(20)) * time.Minute)
				synctest.Wait()
				if rnd.IntN(3) == 0 {
					b.post(session.ClockSet{Now: time.Now()})
				}
				if rnd.IntN(2) == 0 {
					_, _ = b.r.Do(t.Context(), session.Event{What: session.Mute{}}, "")
				}
				online += time.Since(since)
				m.wrong, m.sync = history(rnd)
				if !b.r.Model().Running() {
					break
				}
				stored, err := b.disk.Load()
				if err != nil {
					t.Fatal(err)
				}
				unknown := b.r.Now().Sub(stored.LastAt)
				disk := b.disk.copy()
				b.stop()
				if away := time.Duration(rnd.IntN(10)) * time.Minute; rnd.IntN(2) == 0 {
					online -= unknown
					m.reboot(away)
				} else {
					time.Sleep(away)
				}
				b = begin(t, disk, m.options)
			}
			if took := time.Since(began); took < time.Hour {
				t.Errorf("seed %d: it ended after %v", seed, took)
			}
			if online > time.Hour+20*time.Minute { // one stretch is looked at only when it is over
				t.Errorf("seed %d: it ran for %v", seed, online)
			}
		})
	}
}

// history is a clock that is right, or one that nobody keeps.
func history(rnd *rand.Rand) (wrong time.Duration, sync bool) {
	if rnd.IntN(3) == 0 {
		return 0, true
	}
	return time.Duration(rnd.IntN(24)-12) * time.Hour, false
}

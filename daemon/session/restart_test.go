package session_test

import (
	"testing"
	"time"

	"kioskd/daemon/session"
)

func TestRestart(t *testing.T) {
	again := func(t *testing.T, k *kiosk, away time.Duration, doubtful bool) *kiosk {
		t.Helper()
		b, err := k.m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		m, err := session.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		return (&kiosk{t: t, m: m, now: k.now.Add(away)}).do(session.Restarted{ClockDoubtful: doubtful})
	}
	t.Run("in a call, muted", func(t *testing.T) {
		k := active(t).do(session.Mute{}, session.DisableVideo{})
		k = again(t, k, 5*time.Second, false).want("reconnecting", "state=reconnecting").
			wantEffects("set-muted(true)", "check-devices(1)", "open-microphone")
		k.do(up()).wantEffects("set-muted(true)", "set-video-off(true)", "set-outbox(0)", "join-room(2)")
		if k.m.Peer != "peer-1" {
			t.Error("the identity changed")
		}
		k.do(devices(), joined(2), peer(2)).want("reconnecting")
		k.do(media(2)).want("active", "state=active")
		if got := k.m.TimerSeconds(k.now); got != 5 {
			t.Errorf("timer %d, want 5", got)
		}
	})
	t.Run("while waiting", func(t *testing.T) {
		k := again(t, alone(t).after(time.Minute), time.Minute, false).want("waiting/joining")
		if got := k.m.WaitDeadline(); !got.Equal(start.Add(k.m.Limits.Wait)) {
			t.Errorf("wait deadline %v started anew", got)
		}
	})
	t.Run("time over", func(t *testing.T) {
		k := again(t, active(t), time.Hour, false).want("timeout", "state=timeout").wantEffects()
		if k.m.Appointment != "" || k.m.Room != nil || k.m.Participants != nil {
			t.Error("traces are left")
		}
	})
	t.Run("after a shutdown", func(t *testing.T) {
		k := active(t).do(session.Shutdown{}).want("active").wantEffects("close-camera", "close-microphone", "leave-room(away)")
		k.do(session.Open{Appointment: "x"}).refused(session.CodeSessionInProgress)
		again(t, k, time.Second, false).want("reconnecting", "state=reconnecting")
		newKiosk(t).do(session.Shutdown{}, open()).refused(session.CodeStopping)
	})
	t.Run("a clock that cannot be trusted", func(t *testing.T) {
		k := active(t).after(time.Minute)
		k = again(t, k, 0, true).want("reconnecting", "state=reconnecting")
		k.do(up()).wantEffects("load-room(2)") // the PUT brings a Date
		k.do(session.ClockSet{Now: start.Add(10 * time.Minute)}).want("reconnecting")
		k.now = start.Add(10 * time.Minute)
		if got := k.m.TimerSeconds(k.now); got != 600 {
			t.Errorf("timer %d, want 600", got)
		}
		if got := k.m.ReconnectDeadline(); !got.Equal(k.now.Add(k.m.Limits.Reconnect)) {
			t.Errorf("reconnect deadline %v did not move with the clock", got)
		}
		k.do(session.ClockSet{Now: start.Add(time.Hour)}).want("reconnecting") // believed once
	})
	t.Run("a clock that went back", func(t *testing.T) {
		k := again(t, active(t), -time.Hour, false).want("reconnecting", "state=reconnecting")
		k.do(session.ClockSet{Now: start.Add(time.Hour)}).want("timeout", "state=timeout")
	})
	t.Run("a clock that cannot be trusted, far ahead", func(t *testing.T) {
		k := again(t, active(t), 12*time.Hour, true).want("reconnecting", "state=reconnecting") // nothing ends for it
		k.now = k.m.LastAt                                                                      // as the runner goes on
		k.do(session.ClockSet{Now: start.Add(time.Minute)}).want("reconnecting")
		if got := k.m.SessionDeadline().Sub(k.m.LastAt); got != 29*time.Minute {
			t.Errorf("it has %v left, want 29 min", got)
		}
	})
	t.Run("the truth is before all that was known", func(t *testing.T) {
		k := again(t, active(t).after(time.Minute), 0, true).do(session.ClockSet{Now: start.Add(-5 * time.Hour)}).want("reconnecting")
		if got := k.m.SessionDeadline().Sub(k.m.LastAt); got != 30*time.Minute {
			t.Errorf("it has %v left: that is more than its limit", got)
		}
	})
	t.Run("what was noted under a doubtful clock moves with it", func(t *testing.T) {
		doubtful := open()
		doubtful.ClockDoubtful = true
		k := newKiosk(t).do(up(), doubtful, devices(), loaded(1), joined(1), peer(1), media(1), say("m1"))
		k.m.Seen = []session.SeenKey{{Key: []byte("k"), At: k.now}} // the runner's
		truth := start.Add(-5 * time.Hour)
		k.do(session.ClockSet{Now: truth})
		if !k.m.Seen[0].At.Equal(truth) || !k.m.Messages[0].At.Equal(truth) {
			t.Errorf("a key of %v, a message of %v, want %v", k.m.Seen[0].At, k.m.Messages[0].At, truth)
		}
	})
	t.Run("a finished session follows the clock", func(t *testing.T) {
		k := active(t).do(session.EndCall{})
		moved := k.m.Moved(-3 * time.Hour)
		if !moved.ForgetTime().Equal(start.Add(time.Minute-3*time.Hour)) || !moved.LastAt.Equal(start.Add(-3*time.Hour)) {
			t.Errorf("it is forgotten at %v", moved.ForgetTime())
		}
	})
	t.Run("a doubtful clock at the opening", func(t *testing.T) {
		doubtful := open()
		doubtful.ClockDoubtful = true
		k := newKiosk(t).do(up(), doubtful, devices(), session.ClockSet{Now: start.Add(1000 * time.Hour)}).want("waiting/loading")
		if !k.m.OpenedAt.Equal(start.Add(1000 * time.Hour)) {
			t.Errorf("opened at %v", k.m.OpenedAt)
		}
	})
}

package daemon

import (
	"context"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/clock"
	"kioskd/daemon/session"
)

// Surroundings are what the daemon takes from its machine. A zero field takes the
// machine's own.
type Surroundings struct {
	Wall         func() time.Time                          // the wall clock
	Synchronised func() clock.Answer                       // somebody keeps it right, as far as is known at once
	Ask          func(context.Context) clock.Answer        // the same, asked where it takes a while; nil: Synchronised
	Uptime       func() (boot string, since time.Duration) // which boot it is, and the time since it
	SafeFor      time.Duration                             // how long safe mode lasts
	Reload       Reloading                                 // how the settings are read anew
}

func (s Surroundings) complete() Surroundings {
	if s.Wall == nil {
		s.Wall = time.Now
	}
	if s.Synchronised == nil {
		m := &clock.Machine{}
		s.Synchronised, s.Ask = m.Synchronised, m.Ask
	}
	if known := s.Synchronised; s.Ask == nil {
		s.Ask = func(context.Context) clock.Answer { return known() }
	}
	if s.Uptime == nil {
		s.Uptime = clock.Uptime
	}
	if s.SafeFor == 0 {
		s.SafeFor = goodFor
	}
	return s
}

// doubtful says whether the wall clock should not be believed.
func (k *kiosk) doubtful() bool {
	return k.cfg.Daemon.ClockCheck && k.around.Synchronised() != clock.Yes
}

// watchClock shows that the clock is not synchronised, and has a session that was
// opened or taken up under it learn the time once it is. Where nobody can say, nothing
// is shown.
func (k *kiosk) watchClock(ctx context.Context) {
	if !k.cfg.Daemon.ClockCheck {
		return
	}
	clock.Watch(ctx, k.around.Ask, func(synchronised clock.Answer) {
		const code = "clock_unsynchronised"
		switch synchronised {
		case clock.Yes:
			k.health.Clear(code)
			k.post(session.ClockSet{Now: k.around.Wall()})
		case clock.Unknown:
			k.health.Clear(code)
		case clock.No:
			k.health.Set(code, apitype.SeverityInfo, k.words.Text("condition."+code+".title"), k.words.Text("condition."+code+".hint"))
		}
		k.log.Info("clock", "synchronised", synchronised.String())
		k.api.Changed()
	})
}

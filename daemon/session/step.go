package session

import "time"

// Step says what an event does to a model: the next model, the effects that
// bring the world to it, the outputs for the event stream, and for a command
// that is not done a *Refusal (with one the model is unchanged by the command;
// time may still have passed in it).
//
// Step is pure and total: every event has a defined result in every state, and
// m is never changed. Deadlines that e.At has reached are done before the event.
func Step(m Model, e Event) (Model, []Effect, []Output, error) {
	if e.What == nil {
		return m, nil, nil, &Refusal{Code: "bad_event", Message: "cannot do an event without a content", Hint: "This is a fault of the program; please report it."}
	}
	s := &stepper{model: m.Clone(), world: Plan(m)}
	s.at = s.model.clamp(e.At)
	s.clock(e)
	s.phase(func() { s.model.expire(s.at) })
	var refusal error
	s.phase(func() {
		if r := s.apply(e.What); r != nil {
			refusal = r
		}
	})
	s.model.LastAt = s.at
	return s.model, s.effects, s.outputs, refusal
}

// stepper is the working state of one Step.
type stepper struct {
	model   Model
	world   World // Plan of the model before the running phase
	at      time.Time
	effects []Effect
	outputs []Output
}

// phase runs one part of a step, settles the model and notes what came of it.
// Two parts are told apart (a timeout, then the next appointment's opening), so
// that the farewell and the outputs of the first are not lost in the second.
func (s *stepper) phase(do func()) {
	before := s.model.Clone()
	do()
	s.model.settle(s.at)
	s.outputs = append(s.outputs, told(before, s.model)...)
	next := Plan(s.model)
	s.effects = append(s.effects, difference(s.world, next)...)
	s.world = next
}

// clamp keeps time from going back: limits would start to grow again.
func (m *Model) clamp(at time.Time) time.Time {
	at = at.UTC().Round(0)
	if at.Before(m.LastAt) {
		return m.LastAt
	}
	return at
}

// clock does the two events that change how time is read, before any deadline.
func (s *stepper) clock(e Event) {
	m := &s.model
	switch w := e.What.(type) {
	case Restarted:
		back := e.At.Before(m.LastAt)
		if w.ClockDoubtful && m.Running() && !m.LastAt.IsZero() {
			s.at = m.LastAt // how long the kiosk was away is not known: nothing ends for it
		}
		m.restart()
		m.notAfter(s.at)
		s.world = World{} // nothing of the old world is left
		if m.Running() && m.DoubtfulSince.IsZero() && (w.ClockDoubtful || back) {
			s.at = s.at.Add(1) // later than all that is known for sure
			m.DoubtfulSince = s.at
		}
		if !m.DoubtfulSince.IsZero() {
			m.Room = nil // whether its token is still good cannot be told: the PUT also brings a Date
		}
	case ClockSet:
		if !m.DoubtfulSince.IsZero() && !w.Now.IsZero() {
			now := w.Now.UTC().Round(0)
			m.shift(now.Sub(s.at))
			m.notAfter(now)
			s.at = now
		}
	}
}

// restart forgets what only a running daemon knows. Limits, choices and the
// identity stay; the interruption is counted from now.
func (m *Model) restart() {
	m.Facts, m.Checking, m.RetryAt, m.InterruptedAt = Facts{}, false, time.Time{}, time.Time{}
	m.Stopping, m.Tries, m.Cause = false, 0, Failure{}
	m.Refreshing, m.RefreshTries = false, 0 // what was under way is asked again
	m.leave()
	m.Known = m.Known && len(m.Participants) > 0 // nobody was there: it simply waits on
}

// apply does one event, all rules of limits and state aside.
func (s *stepper) apply(w What) error {
	m := &s.model
	switch w := w.(type) {
	case Tick, Restarted, ClockSet:
		return nil // time only
	case DeviceReport:
		m.report(w)
	case NetworkChanged:
		m.network(w.Up)
	case Shutdown:
		m.Stopping = true
	case Open:
		return m.open(w, s.at)
	case Permissions, Mute, DisableVideo, SwapCamera, Chat, SendMessage, ReportIssue, SubmitReport, EndCall:
		return s.command(w)
	case ReportSent:
		m.ReportSent = m.ReportSent || w.ID != "" && w.ID == m.ReportID
	case ScreenPatched, RefreshFailed:
		m.refreshed(w, s.at)
	case MessageArrived:
		m.result(w, s.at)
		s.acknowledge(w)
	default:
		m.result(w, s.at)
	}
	return nil
}

// told lists the outputs of the change from one model to the next. A change to
// `error` is told by its code; the disappearance of a session is not told.
func told(old, now Model) []Output {
	var out []Output
	add := func(changed bool, key, value string) {
		if changed {
			out = append(out, Output{key, value})
		}
	}
	same := now.Running() && old.Running() && old.Peer == now.Peer
	add(now.Started && (!old.Started || old.Peer != now.Peer), "session", "started")
	add(same && (old.Muted != now.Muted || old.SendsAudio() != now.SendsAudio()), "audio", "updated")
	add(same && (old.VideoOff != now.VideoOff || old.SendsVideo() != now.SendsVideo()), "video", "updated")
	add(same && old.Camera.ID != now.Camera.ID && old.Camera.ID != "", "camera", "updated")
	lacks := now.Running() && now.Admitted && now.Facts.Camera != DeviceUnknown && !now.CameraSupported()
	add(lacks && (!old.Admitted || old.CameraSupported()), "camera", "unsupported")
	add(same && !old.ChatOpen && now.ChatOpen, "chat", "opened")
	add(now.State != old.State && now.Exists() && now.State != Error, "state", string(now.State))
	add(now.State == Error && (old.State != Error || old.Error.Code != now.Error.Code), "error", now.Error.Code)
	return out
}

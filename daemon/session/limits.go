package session

import "time"

// How the limits are counted.
//
//   - Session: from the first `active`; until there was one, from the opening,
//     and then it is never shorter than Wait. It holds in every state that is
//     not final, so no session stays for ever, whatever else happens.
//   - Wait: since nobody is there (WaitSince). It starts when `waiting` begins,
//     goes on through an interruption and a restart, and starts anew after a
//     participant has left or an error has gone.
//   - Reconnect: since the interruption (InterruptedAt). When it is over and
//     only the participant is missing, the session waits again; when network or
//     room are missing, it is the error network_unavailable, which is retryable;
//     where the backend lets the kiosk in no more, it is the final unauthorized.
//
// Reaching Wait or Session is the state `timeout`, and that wins over anything
// that happens at the same moment.

// recheckEvery is how often the devices are asked again while a permission is
// missing: no event tells of a changed file mode.
const recheckEvery = 2 * time.Second

// Back-off of loading and joining: 0.5 s, doubled at each failure in a row. In
// `reconnecting` somebody waits for it, so it stays short there.
const (
	firstRetry     = 500 * time.Millisecond
	maxRetry       = 30 * time.Second
	maxRetryInCall = 4 * time.Second
	maxRefresh     = 5 * time.Minute // between tries to refresh the screen: nobody waits for it
)

func (m Model) retryDelay() time.Duration {
	if m.Known {
		return backOff(m.Tries, maxRetryInCall)
	}
	return backOff(m.Tries, maxRetry)
}

// backOff is firstRetry, doubled for each failure before, at most limit.
func backOff(tries int, limit time.Duration) time.Duration {
	d := firstRetry
	for range tries {
		if d *= 2; d >= limit {
			return limit
		}
	}
	return d
}

// SessionDeadline is when the session is over at the latest; zero: no session.
func (m Model) SessionDeadline() time.Time {
	switch {
	case !m.Running():
		return time.Time{}
	case !m.ActiveSince.IsZero():
		return m.ActiveSince.Add(m.Limits.Session)
	default:
		return m.OpenedAt.Add(max(m.Limits.Session, m.Limits.Wait))
	}
}

// WaitDeadline is when waiting for the participant ends; zero: it does not run.
func (m Model) WaitDeadline() time.Time {
	if m.WaitSince.IsZero() || !m.Running() {
		return time.Time{}
	}
	return m.WaitSince.Add(m.Limits.Wait)
}

// ReconnectDeadline is when reconnecting is given up; zero: it does not run.
func (m Model) ReconnectDeadline() time.Time {
	if m.InterruptedAt.IsZero() || !m.Running() {
		return time.Time{}
	}
	return m.InterruptedAt.Add(m.Limits.Reconnect)
}

// ForgetTime is when a finished session becomes null; zero: it is not finished.
func (m Model) ForgetTime() time.Time {
	if !m.Final() {
		return time.Time{}
	}
	return m.EndedAt.Add(ForgetAfter)
}

// nextDeadline is the earliest of all of them.
func (m Model) nextDeadline() time.Time {
	var next time.Time
	for _, t := range []time.Time{
		m.SessionDeadline(), m.WaitDeadline(), m.ReconnectDeadline(), m.ForgetTime(), m.RetryAt,
	} {
		next = earlier(next, t)
	}
	if m.refreshable() {
		next = earlier(next, m.Screen.RefreshAt)
	}
	return next
}

// earlier is the earlier of two times; a zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// due says whether a deadline is there and reached.
func due(deadline, at time.Time) bool { return !deadline.IsZero() && !at.Before(deadline) }

// expire does what the deadlines that at has reached ask for.
func (m *Model) expire(at time.Time) {
	if due(m.ForgetTime(), at) {
		m.forget()
		return
	}
	if due(m.SessionDeadline(), at) || due(m.WaitDeadline(), at) {
		m.finish(at, Timeout, Failure{})
		return
	}
	if due(m.ReconnectDeadline(), at) {
		m.giveUp(at)
		if m.Final() {
			return
		}
	}
	if due(m.RetryAt, at) {
		m.RetryAt = time.Time{}
		if !m.Admitted {
			m.askDevices()
		}
	}
}

// giveUp ends the reconnection. With the room at hand only the others are
// missing: the session waits for them. Who is in the room stays listed: nobody
// will name him again, and what comes from him must find him.
func (m *Model) giveUp(at time.Time) {
	if m.Joined && !m.RoomLost && m.Facts.Network == LinkUp {
		m.dropGone()
		for i := range m.Participants {
			m.Participants[i].GivenUp = m.Participants[i].Presence != Here
		}
		return
	}
	if m.Unauthorized && m.Room == nil && m.Facts.Network == LinkUp {
		m.finish(at, Error, Failure{Code: CodeUnauthorized})
		return
	}
	m.Cause = Failure{Code: CodeNetwork, Retryable: true}
}

// notAfter brings what is noted for later than now to now. A clock that was set
// back, or a record that something else has changed, must not make a limit grow.
func (m *Model) notAfter(now time.Time) {
	for _, t := range []*time.Time{&m.OpenedAt, &m.WaitSince, &m.InterruptedAt, &m.ActiveSince, &m.EndedAt} {
		if t.After(now) {
			*t = now
		}
	}
}

// shift moves every time that was taken while the clock was doubtful.
func (m *Model) shift(by time.Duration) {
	times := []*time.Time{
		&m.OpenedAt, &m.WaitSince, &m.InterruptedAt, &m.ActiveSince, &m.EndedAt, &m.RetryAt, &m.LastAt, &m.Screen.RefreshAt,
	}
	for i := range m.Seen {
		times = append(times, &m.Seen[i].At)
	}
	for i := range m.Messages {
		times = append(times, &m.Messages[i].At)
	}
	for _, t := range times {
		if !t.IsZero() && !t.Before(m.DoubtfulSince) {
			*t = t.Add(by)
		}
	}
	m.DoubtfulSince = time.Time{}
}

// Moved is a model that is not running with all its times moved: no limit hangs on
// them any more, so they follow a clock that was set.
func (m Model) Moved(by time.Duration) Model {
	m.DoubtfulSince = time.Time{}
	m.shift(by)
	return m
}

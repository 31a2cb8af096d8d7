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
//     room are missing, it is the error network_unavailable, which is retryable.
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
)

func (m Model) retryDelay() time.Duration {
	limit := maxRetry
	if m.Known {
		limit = maxRetryInCall
	}
	d := firstRetry
	for range m.Tries {
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
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
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
		m.giveUp()
	}
	if due(m.RetryAt, at) {
		m.RetryAt = time.Time{}
		if !m.Admitted {
			m.askDevices()
		}
	}
}

// giveUp ends the reconnection. With the room at hand only the others are
// missing: they are taken as gone and the session waits for them.
func (m *Model) giveUp() {
	if m.Joined && !m.RoomLost && m.Facts.Network == LinkUp {
		m.dropUnreached(false)
		return
	}
	m.Cause = Failure{Code: CodeNetwork, Retryable: true}
}

// shift moves every time that was taken while the clock was doubtful.
func (m *Model) shift(by time.Duration) {
	for _, t := range []*time.Time{
		&m.OpenedAt, &m.WaitSince, &m.InterruptedAt, &m.ActiveSince, &m.EndedAt, &m.RetryAt, &m.LastAt,
	} {
		if !t.IsZero() && !t.Before(m.DoubtfulSince) {
			*t = t.Add(by)
		}
	}
	m.DoubtfulSince = time.Time{}
}

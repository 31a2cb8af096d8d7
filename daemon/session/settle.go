package session

import (
	"slices"
	"time"
)

// settle brings the model in order after an event: it says what is tried and,
// from the facts alone, what the state is. All the rules of the opening and of
// the reconnection stand here, in the order in which they are asked.
func (m *Model) settle(at time.Time) {
	if !m.Running() || m.Stopping {
		return // a daemon that goes down leaves the state to the next one
	}
	m.admit(at)
	m.pursue(at)
	m.refresh(at)
	m.State, m.Phase, m.Error = m.judge()
	switch m.State {
	case Waiting:
		m.InterruptedAt = time.Time{}
		if m.WaitSince.IsZero() {
			m.WaitSince = at
		}
	case Reconnecting:
		if m.InterruptedAt.IsZero() {
			m.InterruptedAt = at
		}
	case Active:
		m.InterruptedAt, m.WaitSince = time.Time{}, time.Time{}
		if m.ActiveSince.IsZero() {
			m.ActiveSince = at
		}
		m.dropGone()
	default: // an error or a question to the patient: no limit but the session's
		m.InterruptedAt, m.WaitSince = time.Time{}, time.Time{}
	}
}

// judge derives the state from the facts.
func (m *Model) judge() (State, Phase, Failure) {
	failed := func(code string) (State, Phase, Failure) {
		return Error, "", Failure{Code: code, Retryable: true}
	}
	down := m.Facts.Network == LinkDown
	switch {
	case m.Consent.Camera == Denied:
		return failed(CodeCameraPermission)
	case m.Consent.Microphone == Denied:
		return failed(CodeMicrophonePermission)
	case !m.consented():
		return WaitingPermissions, "", Failure{}
	case !m.Admitted && m.Facts.Camera.closed():
		return failed(CodeCameraPermission)
	case !m.Admitted && m.Facts.Microphone.closed():
		return failed(CodeMicrophonePermission)
	case !m.Admitted:
		return Waiting, Loading, Failure{}
	case down && !m.Known:
		return failed(CodeNetwork)
	case m.Cause.Code != "":
		return Error, "", m.Cause
	case !down && m.live():
		return Active, "", Failure{}
	case m.Known && (down || !m.Joined || m.RoomLost || m.interrupted()):
		return Reconnecting, "", Failure{}
	case m.Room == nil:
		return Waiting, Loading, Failure{}
	case !m.Joined:
		return Waiting, Joining, Failure{}
	default:
		return Waiting, AwaitsParticipant, Failure{}
	}
}

// consented says whether the patient's consent is there, or not needed.
func (m *Model) consented() bool {
	c := m.Consent
	if c.Camera == Denied || c.Microphone == Denied {
		return false
	}
	return !c.Asked || c.Camera == Granted && c.Microphone == Granted
}

// closed says whether a device is there and does not let itself be used.
func (d DeviceState) closed() bool { return d == DeviceNoPermission || d == DeviceShuttered }

// admit passes the appointment once its devices' permission was seen. From then
// on a device that closes only takes away: the call goes on without it.
func (m *Model) admit(at time.Time) {
	if !m.consented() {
		m.Checking, m.RetryAt = false, time.Time{}
		return
	}
	if m.Facts.Camera == DeviceUnknown || m.Facts.Microphone == DeviceUnknown {
		if !m.Checking {
			m.askDevices()
		}
		return
	}
	switch {
	case m.Admitted || m.Checking:
	case m.Facts.Camera.closed() || m.Facts.Microphone.closed():
		if m.RetryAt.IsZero() {
			m.RetryAt = at.Add(recheckEvery)
		}
	default:
		m.Admitted = true
		m.RetryAt = time.Time{}
	}
}

// askDevices wants a fresh report of the devices.
func (m *Model) askDevices() {
	m.Checks++
	m.Checking = true
}

// pursue says whether the room is tried: it begins an attempt or cancels one.
func (m *Model) pursue(at time.Time) {
	up := m.Facts.Network == LinkUp
	lost := !up && (!m.Known || m.Cause.Code == CodeNetwork)
	switch {
	case !m.Admitted || !m.consented() || lost:
		m.leave()
	case !m.Trying && up && m.RetryAt.IsZero():
		m.leave()
		m.Attempt++
		m.Trying = true
		if m.Room != nil && due(m.Room.Expires, at) {
			m.Room = nil // its token is worth nothing: the PUT brings another
		}
	}
}

// leave says that the room is not tried or joined; those in it are out of reach,
// and those who were given up are forgotten.
func (m *Model) leave() {
	m.Trying, m.Joined, m.RoomLost = false, false, false
	m.Participants = slices.DeleteFunc(m.Participants, func(p Participant) bool { return p.GivenUp })
	for i := range m.Participants {
		m.Participants[i].Presence = Gone
	}
}

// live says whether media of anybody flows.
func (m *Model) live() bool { return slices.ContainsFunc(m.Participants, Participant.Live) }

// interrupted says whether somebody who was there is not reached, and waited for.
func (m *Model) interrupted() bool {
	return slices.ContainsFunc(m.Participants, func(p Participant) bool { return p.Presence != Here && !p.GivenUp })
}

// dropGone forgets those who are gone.
func (m *Model) dropGone() {
	m.Participants = slices.DeleteFunc(m.Participants, func(p Participant) bool { return p.Presence == Gone })
}

// finish ends the session and wipes the patient's traces. State, error code,
// times, a report's random id and the random Peer stay to be shown and to name
// the stored record.
func (m *Model) finish(at time.Time, s State, f Failure) {
	*m = Model{
		Version: Version, Peer: m.Peer, State: s, Error: f, Limits: m.Limits,
		OpenedAt: m.OpenedAt, ActiveSince: m.ActiveSince, EndedAt: at, LastAt: m.LastAt,
		DoubtfulSince: m.DoubtfulSince, Started: m.Started, Attempt: m.Attempt,
		ReportID: m.ReportID, ReportSent: m.ReportSent,
		Facts: m.Facts, Checks: m.Checks, Refreshes: m.Refreshes, Stopping: m.Stopping,
	}
}

// forget makes a finished session null. The counters stay, so that a late result
// of it can never be taken for one of the next.
func (m *Model) forget() {
	*m = Model{
		Version: Version, LastAt: m.LastAt, Attempt: m.Attempt,
		Facts: m.Facts, Checks: m.Checks, Refreshes: m.Refreshes, Stopping: m.Stopping,
	}
}

package session

import (
	"slices"
	"strings"
	"time"
)

// Bounds, in bytes and entries, of what others tell: it is stored at every commit.
const (
	maxName    = 128
	maxTitle   = 512
	maxCameras = 32
)

// report takes what the devices allow. An unknown state is taken as missing: a
// check that finds nothing out must not be asked again without an end.
func (m *Model) report(w DeviceReport) {
	known := func(d DeviceState) DeviceState {
		if d == DeviceOK || d.closed() {
			return d
		}
		return DeviceMissing
	}
	m.Facts.Camera, m.Facts.Microphone = known(w.Camera), known(w.Microphone)
	m.Facts.Cameras = slices.Clone(w.Cameras[:min(len(w.Cameras), maxCameras)])
	m.Facts.CameraShut, m.Facts.MicrophoneShut = w.CameraShut, w.MicrophoneShut
	m.Checking = false
	if m.Running() {
		if now, ok := w.Renamed[m.Camera.ID]; ok && now != "" { // the choice is the camera, not its name
			m.Camera.ID = now
		}
		m.chooseCamera()
	}
}

// chooseCamera takes the preferred camera where none was ever chosen. A chosen
// one stays chosen when it is unplugged: a slate stands in until it is back.
func (m *Model) chooseCamera() {
	if m.Camera.ID == "" && len(m.Facts.Cameras) > 0 {
		m.Camera.ID = m.Facts.Cameras[0]
	}
}

// network takes the state of the link. A link that comes up ends every pause.
func (m *Model) network(up bool) {
	was := m.Facts.Network
	m.Facts.Network = LinkDown
	if !up {
		return
	}
	m.Facts.Network = LinkUp
	if was == LinkUp || !m.Running() {
		return
	}
	m.Tries = 0
	if m.Admitted {
		m.RetryAt = time.Time{}
	}
	m.Cause = Failure{}
}

// result does what the backend and the room report of the newest attempt. What
// comes from another attempt, or from a session that is over, is too late.
func (m *Model) result(w What, at time.Time) {
	if !m.Running() || !m.Trying || attempt(w) != m.Attempt {
		return
	}
	switch w := w.(type) {
	case RoomLoaded:
		if m.Room == nil {
			m.loaded(w, at)
		}
	case RoomFailed:
		if m.Room == nil {
			m.failed(at, Failure{orCode(w.Code, CodeBackend), w.Retryable, cut(w.Title, maxTitle)})
		}
	default:
		if m.Room != nil {
			m.roomEvent(w, at)
		}
	}
}

// attempt is the number that a result carries; -1: it carries none.
func attempt(w What) int {
	switch w := w.(type) {
	case RoomLoaded:
		return w.Attempt
	case RoomFailed:
		return w.Attempt
	case Joined:
		return w.Attempt
	case JoinFailed:
		return w.Attempt
	case RoomLost:
		return w.Attempt
	case RoomBack:
		return w.Attempt
	case PeerJoined:
		return w.Attempt
	case PeerLeft:
		return w.Attempt
	case MediaArrived:
		return w.Attempt
	case MediaLost:
		return w.Attempt
	case MediaBack:
		return w.Attempt
	case MessageArrived:
		return w.Attempt
	case MessageAcked:
		return w.Attempt
	}
	return -1
}

// loaded takes the room. start-call is invisible and starts by itself, so this
// is where the session is `started`.
func (m *Model) loaded(w RoomLoaded, at time.Time) {
	m.Room = w.Room.clone()
	m.Offers = Offers{w.Room.Chat, w.Room.ReportIssue}
	m.Title = cut(w.Title, maxTitle)
	m.Unauthorized = false
	m.Screen, m.Refreshing, m.RefreshTries = Screen{}, false, 0 // the document is a whole new screen
	m.patch(w.Patch, at)
	m.Limits = w.Limits.or(m.Limits)
	m.Cause = Failure{}
	m.Started = true
}

// failed ends the attempt. A failure that can be retried is tried again after a
// pause; in a call that is a part of reconnecting, before it an error.
func (m *Model) failed(at time.Time, f Failure) {
	if f.Code == CodeUnauthorized && m.Known && !m.ActiveSince.IsZero() {
		// In a call the others may still be reached, or the token be put right:
		// asked seldom, until the reconnection is given up.
		m.Unauthorized = true
		m.leave()
		m.RetryAt = at.Add(maxRetry)
		return
	}
	if !f.Retryable {
		m.finish(at, Error, f)
		return
	}
	m.leave()
	m.RetryAt = at.Add(m.retryDelay())
	m.Tries++
	if !m.Known {
		m.Cause = f
	}
}

// roomEvent does the events of a room that is being joined or was.
func (m *Model) roomEvent(w What, at time.Time) {
	switch w := w.(type) {
	case Joined:
		m.Joined, m.Known, m.RoomLost = true, true, false
		m.recovered()
	case JoinFailed:
		m.joinFailed(w, at)
	default:
		if m.Joined {
			m.joinedEvent(w, at)
		}
	}
}

// joinedEvent does the events of a room that the kiosk is in.
func (m *Model) joinedEvent(w What, at time.Time) {
	switch w := w.(type) {
	case RoomLost:
		m.RoomLost = true
	case RoomBack:
		m.RoomLost = false
		m.recovered()
	case PeerJoined:
		m.peerJoined(w.Participant)
	case PeerLeft:
		m.peerLeft(w.Participant, w.How)
	case MediaArrived:
		if p := m.participant(w.Participant, true); p != nil {
			p.Presence, p.GivenUp = Here, false
			p.Audio = p.Audio || w.Kind == Audio
			p.Video = p.Video || w.Kind == Video
			m.recovered()
		}
	case MediaLost:
		if p := m.participant(w.Participant, false); p != nil && p.Live() {
			p.Presence = Silent
		}
	case MediaBack:
		if p := m.participant(w.Participant, false); p != nil && (p.Audio || p.Video) {
			p.Presence, p.GivenUp = Here, false
			m.recovered()
		}
	case MessageArrived:
		m.hear(w, at)
	case MessageAcked:
		m.acked(w)
	}
}

// joinFailed ends the attempt; a refused token is fetched anew, at once the
// first time.
func (m *Model) joinFailed(w JoinFailed, at time.Time) {
	if w.Code == CodeTokenRefused {
		again := m.Tries > 0
		m.Room = nil
		m.leave()
		if again {
			m.RetryAt = at.Add(m.retryDelay())
		}
		m.Tries++
		return
	}
	m.failed(at, Failure{Code: orCode(w.Code, CodeRoom), Retryable: w.Retryable})
}

// recovered takes the failure away that a success has disproved.
func (m *Model) recovered() {
	m.Cause, m.Tries = Failure{}, 0
}

// peerJoined notes somebody. Who was gone is here again, but silent until media
// comes; who is here already (a room tells twice) keeps his media.
func (m *Model) peerJoined(who Participant) {
	p := m.participant(who.ID, true)
	if p == nil {
		return
	}
	p.Name, p.Role = cut(who.Name, maxName), cut(who.Role, maxName)
	if p.Presence == Gone {
		p.Presence = Silent
	}
}

// peerLeft notes a departure. A bye is one; who went without a bye and had been
// heard or seen is waited for, unless somebody else is there.
func (m *Model) peerLeft(id string, how Leaving) {
	i := slices.IndexFunc(m.Participants, func(p Participant) bool { return p.ID == id })
	if i < 0 {
		return
	}
	if p := &m.Participants[i]; how != Bye && !p.GivenUp && (p.Audio || p.Video) {
		p.Presence = Gone
		return // settle forgets it while another is live
	}
	m.Participants = slices.Delete(m.Participants, i, i+1)
	m.waitNoMore(id)
}

// participant finds one, or with add makes room for one; nil: there is none, it
// has no id, or the list is full.
func (m *Model) participant(id string, add bool) *Participant {
	i := slices.IndexFunc(m.Participants, func(p Participant) bool { return p.ID == id })
	switch {
	case i >= 0:
		return &m.Participants[i]
	case !add || id == "" || len(id) > maxName || len(m.Participants) >= MaxParticipants:
		return nil
	}
	m.Participants = append(m.Participants, Participant{ID: id})
	return &m.Participants[len(m.Participants)-1]
}

func orCode(code, otherwise string) string {
	if code == "" {
		return otherwise
	}
	return code
}

// cut shortens text to at most limit bytes and keeps it valid UTF-8.
func cut[T ~string](text T, limit int) T {
	if len(text) <= limit {
		return text
	}
	return T(strings.ToValidUTF8(string(text[:limit]), ""))
}

// Package convert says what the control API tells of the session's model. It
// owns which of the model's fields leave the daemon, and in which words.
//
// Who may import it: daemon/api. Imports: standard library, apitype, session.
package convert

import (
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// Session turns the model into what the API says of it; nil where there is no
// session. Room, token, the kiosk's own identity and the chat's words stay
// inside. quality holds the figures of a running call; nil: none.
func Session(m session.Model, now time.Time, devices []apitype.Device, quality map[string]float64) *apitype.Session {
	if !m.Exists() {
		return nil
	}
	out := &apitype.Session{
		AppointmentID: m.Appointment.Plain(),
		State:         string(m.State),
		Step:          string(m.Phase),
		Title:         m.Title.Plain(),
		Error:         errorOf(m.Error),
		TimerSeconds:  m.TimerSeconds(now),
		TimerRunning:  !m.ActiveSince.IsZero() && m.EndedAt.IsZero(),
		OpenedAt:      timeOf(m.OpenedAt),
		StartedAt:     timeOf(m.ActiveSince),
		EndedAt:       timeOf(m.EndedAt),
		Limits: apitype.Limits{
			WaitSeconds: seconds(m.Limits.Wait), SessionSeconds: seconds(m.Limits.Session),
			ReconnectSeconds: seconds(m.Limits.Reconnect),
		},
		Participants: make([]apitype.Participant, 0, len(m.Participants)),
		Audio:        apitype.Audio{Muted: m.Muted, Hardware: m.Running() && m.Facts.MicrophoneShut},
		Video:        apitype.Video{Disabled: m.VideoOff, Hardware: m.Running() && m.Facts.CameraShut},
		Camera:       cameraOf(m, devices),
		Chat:         chatOf(m),
		Report:       apitype.IssueReport{Open: m.ReportOpen, Submitted: m.ReportID, Sent: m.ReportSent},
		Consent: apitype.Consent{
			Asked: m.Consent.Asked, Camera: string(m.Consent.Camera), Microphone: string(m.Consent.Microphone),
		},
		Quality:  map[string]float64{},
		Controls: controlsOf(m),
	}
	for _, p := range m.Participants {
		out.Participants = append(out.Participants, apitype.Participant{
			ID: p.ID, Name: p.Name.Plain(), Role: p.Role, Audio: p.Audio, Video: p.Video, Presence: presence(p.Presence),
		})
	}
	if quality != nil && m.Running() {
		out.Quality = quality
	}
	return out
}

func cameraOf(m session.Model, devices []apitype.Device) apitype.Camera {
	c := apitype.Camera{ID: m.Camera.ID, Supported: m.CameraSupported()}
	for _, d := range devices {
		if d.Kind == apitype.KindCamera && d.ID == c.ID {
			c.Name = d.Name
		}
	}
	return c
}

func controlsOf(m session.Model) []apitype.Control {
	list := m.Controls()
	out := make([]apitype.Control, 0, len(list))
	for _, c := range list {
		out = append(out, apitype.Control(c))
	}
	return out
}

// errorOf gives the failure with a sentence: the backend's own where it gave
// one, else ours for the code.
func errorOf(f session.Failure) *apitype.Error {
	if f.Code == "" {
		return nil
	}
	message := f.Title.Plain()
	if message == "" {
		message = sentence(f.Code)
	}
	return &apitype.Error{Code: f.Code, Retryable: f.Retryable, Message: message, Title: f.Title.Plain()}
}

// sentence gives plain words for the codes that a session's error can have.
func sentence(code string) string {
	switch code {
	case session.CodeCameraPermission:
		return "The camera may not be used. Open its shutter or allow its use."
	case session.CodeMicrophonePermission:
		return "The microphone may not be used. Switch it on or allow its use."
	case session.CodeNetwork:
		return "There is no connection to the network."
	case session.CodeRoom:
		return "The room for this appointment is not available."
	case session.CodeBackend:
		return "The appointment service does not answer."
	case "unauthorized":
		return "The appointment service does not accept this kiosk."
	}
	return "The appointment cannot go on."
}

func presence(p session.Presence) string {
	if p == session.Here {
		return "here"
	}
	return string(p)
}

// timeOf gives a time in UTC, or nil for none.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func seconds(d time.Duration) int { return int(d / time.Second) }

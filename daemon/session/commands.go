package session

import (
	"slices"
	"time"
)

// Narrows says whether a command only takes away, in this model: such a one acts
// first, is committed second and is never refused.
func Narrows(m Model, w What) bool {
	switch w := w.(type) {
	case EndCall:
		return true
	case Mute:
		return toggled(w.Set, m.Muted)
	case DisableVideo:
		return toggled(w.Set, m.VideoOff)
	case Permissions:
		return w.Camera == Denied || w.Microphone == Denied // either closes both
	}
	return false
}

// toggled is the value that set asks for; nil asks for the opposite.
func toggled(set *bool, now bool) bool {
	if set == nil {
		return !now
	}
	return *set
}

// open begins a session. The same appointment again is no event at all; a
// finished session makes room.
func (m *Model) open(w Open, at time.Time) error {
	if err := checkAppointment(w.Appointment); err != nil {
		return err
	}
	if m.Running() {
		if m.Appointment == w.Appointment {
			return nil
		}
		return &Refusal{CodeSessionInProgress, "cannot open the appointment: another session is in progress", "End the call first."}
	}
	if m.Stopping {
		return &Refusal{CodeStopping, "cannot open the appointment: the kiosk is going down", "Try again in a few seconds."}
	}
	m.forget()
	m.State, m.Appointment, m.Peer = Waiting, w.Appointment, w.Peer
	m.OpenedAt = at
	m.Limits = w.Limits.or(DefaultLimits())
	m.Consent = Consent{Asked: w.AskConsent}
	m.Facts.Camera, m.Facts.Microphone = DeviceUnknown, DeviceUnknown // asked afresh
	m.Facts.CameraShut, m.Facts.MicrophoneShut = false, false         // none is in use
	m.chooseCamera()
	if w.ClockDoubtful {
		m.DoubtfulSince = at
	}
	return nil
}

// checkAppointment accepts 1 to 128 characters that need no escaping in a URL's
// path; "." and ".." would change the path.
func checkAppointment(id PatientText) error {
	ok := len(id) >= 1 && len(id) <= 128 && id != "." && id != ".."
	for _, c := range []byte(id) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if !ok {
		return &Refusal{CodeBadAppointment, "cannot open the appointment: its code is not valid", "Use 1 to 128 letters, digits, dots, dashes or underscores."}
	}
	return nil
}

// command does the patient's commands on a session that is there.
func (s *stepper) command(w What) error {
	m := &s.model
	if !m.Exists() {
		return &Refusal{CodeNoSession, "cannot do this: there is no session", "Open an appointment first."}
	}
	if m.Final() {
		if Narrows(*m, w) {
			return nil // nothing is left to take away
		}
		return &Refusal{CodeSessionOver, "cannot do this: the session is over", "Open an appointment first."}
	}
	switch w := w.(type) {
	case Permissions:
		return m.permit(w)
	case Mute:
		return m.mute(toggled(w.Set, m.Muted))
	case DisableVideo:
		return m.disableVideo(toggled(w.Set, m.VideoOff))
	case SwapCamera:
		return s.swapCamera(w.Camera)
	case Chat:
		return s.chat(w.Close)
	case SendMessage:
		return m.say(w, s.at)
	case ReportIssue:
		return s.reportIssue(w.Close)
	case SubmitReport:
		return s.submitReport(w)
	case EndCall:
		m.finish(s.at, Ended, Failure{})
	}
	return nil
}

// permit takes the patient's answers. A dismissal changes no consent that was
// given: it holds for this appointment until it is denied.
func (m *Model) permit(w Permissions) error {
	for _, a := range []Answer{w.Camera, w.Microphone} {
		if a != Granted && a != Denied && a != Dismissed {
			return &Refusal{CodeBadAnswer, "cannot take the answer: it is none of granted, denied, dismissed", "Send camera and microphone."}
		}
	}
	answer := func(old *Answer, now Answer) {
		if now != Dismissed || *old != Granted {
			*old = now
		}
	}
	before := m.consented()
	answer(&m.Consent.Camera, w.Camera)
	answer(&m.Consent.Microphone, w.Microphone)
	if !before && m.consented() && !m.Admitted {
		// A shutter that moved while the patient was thinking told nobody.
		m.Facts.Camera, m.Facts.Microphone = DeviceUnknown, DeviceUnknown
	}
	return nil
}

func (m *Model) mute(on bool) error {
	if !on && m.Muted && m.Facts.Microphone == DeviceMissing {
		return &Refusal{CodeMicrophoneMissing, "cannot unmute: there is no microphone", "Plug a microphone in."}
	}
	m.Muted = on
	return nil
}

// disableVideo sets the patient's choice. Video on needs a camera; where the
// selected one is gone and another is there, the patient gets that one.
func (m *Model) disableVideo(off bool) error {
	if !off && m.VideoOff && m.Facts.Camera != DeviceUnknown {
		if len(m.Facts.Cameras) == 0 {
			return &Refusal{CodeCameraMissing, "cannot enable the video: there is no camera", "Plug a camera in."}
		}
		if !slices.Contains(m.Facts.Cameras, m.Camera.ID) {
			m.Camera.ID = m.Facts.Cameras[0]
		}
	}
	m.VideoOff = off
	return nil
}

// swapCamera selects a camera. A refusal for want of a second one is told on the
// event stream too, so that every screen hides the action.
func (s *stepper) swapCamera(id string) error {
	m := &s.model
	if !m.CameraSupported() || m.Screen.takes("swap-camera") {
		s.outputs = append(s.outputs, Output{"camera", "unsupported"})
		return &Refusal{CodeCameraUnsupported, "cannot swap the camera: there are fewer than two usable ones", "Plug a second camera in."}
	}
	if id == "" {
		i := slices.Index(m.Facts.Cameras, m.Camera.ID)
		id = m.Facts.Cameras[(i+1)%len(m.Facts.Cameras)]
	}
	if !slices.Contains(m.Facts.Cameras, id) {
		return &Refusal{CodeCameraUnknown, "cannot swap the camera: there is no usable one with this id", "GET /v1/devices lists the cameras."}
	}
	m.Camera.ID = id
	return nil
}

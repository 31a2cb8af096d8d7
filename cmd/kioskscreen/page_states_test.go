package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// scene is a state and what a patient must then read.
type scene struct {
	name       string
	session    *apitype.Session
	conditions []apitype.Condition
	messages   []apitype.Message
	says       string
	buttons    string // the visible controls' references, in order
}

const (
	allButtons  = "end-call report-issue disable-video mute chat"
	fewButtons  = "end-call disable-video mute"
	swapButtons = "end-call report-issue swap-camera disable-video mute chat"
)

func failed(code string, retryable bool, change ...func(*apitype.Session)) *apitype.Session {
	return call(apitype.StateError, append([]func(*apitype.Session){func(s *apitype.Session) {
		s.Error = &apitype.Error{Code: code, Retryable: retryable, Message: "cannot go on"}
	}}, change...)...)
}

func step(name string) func(*apitype.Session) {
	return func(s *apitype.Session) { s.Step = name }
}

func consent(answer string) func(*apitype.Session) {
	return func(s *apitype.Session) { s.Consent = apitype.Consent{Asked: true, Camera: answer, Microphone: answer} }
}

// people puts others into the room, the first of whom is the usual clinician.
func people(more ...apitype.Participant) func(*apitype.Session) {
	return func(s *apitype.Session) { s.Participants = append(s.Participants, more...) }
}

func second() apitype.Participant {
	return apitype.Participant{ID: "second-1", Name: "Prof. Dr. Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh", Role: "clinician", Audio: true, Video: true, Presence: "here"}
}

func interpreter() apitype.Participant {
	return apitype.Participant{ID: "interpreter-1", Name: "Mia Interpreter", Role: "interpreter", Audio: true, Presence: "here"}
}

func conversation() []apitype.Message {
	at := time.Date(2026, 11, 22, 9, 40, 0, 0, time.UTC)
	return []apitype.Message{
		{ID: "m1", From: "participant", Participant: "clinician-1", Name: "Dr. Ana Rivera", Text: "Good morning. Can you hold the letter in front of the camera?", At: at, Delivered: true},
		{ID: "own-1", From: "patient", Text: "Yes, one moment please.", At: at.Add(time.Minute), Delivered: true},
		{ID: "m2", From: "participant", Participant: "clinician-1", Name: "Dr. Ana Rivera", Text: "Take one tablet in the morning:\n– with water\n– before breakfast", At: at.Add(2 * time.Minute), Delivered: true},
		{ID: "own-2", From: "patient", Text: "https://example.org/" + strings.Repeat("averylongwordwithoutanyspace", 4), At: at.Add(3 * time.Minute)},
	}
}

func chatting(s *apitype.Session) {
	s.Chat = apitype.Chat{Open: true, Total: 4, Delivered: 1}
	s.Camera.Supported = true
}

// scenes lists every state a session can be in, and every way it can look.
func scenes() []scene {
	out := []scene{
		{name: "none", says: "Please wait for your appointment, or enter your code."},
		{name: "consent", session: call(apitype.StateWaitingPermissions, consent("")), says: "May we use the camera and microphone?", buttons: fewButtons},
		{name: "consent_dismissed", session: call(apitype.StateWaitingPermissions, consent("dismissed")), says: "Your call has not started", buttons: fewButtons},
		{name: "consent_denied", session: failed("camera_permission_required", true, consent("denied")), says: "You did not allow camera and microphone", buttons: fewButtons},
		{name: "waiting_loading", session: call(apitype.StateWaiting, step("loading")), says: "Preparing your appointment", buttons: fewButtons},
		{name: "waiting_joining", session: call(apitype.StateWaiting, step("joining")), says: "Opening the video room", buttons: allButtons},
		{name: "waiting_participant", session: call(apitype.StateWaiting, step("participant")), says: "Waiting for your clinician", buttons: allButtons},
		{name: "waiting_banner", session: call(apitype.StateWaiting, step("participant")), says: "The microphone is not connected", buttons: allButtons, conditions: []apitype.Condition{
			{Code: "not_in_the_catalogue", Severity: apitype.SeverityInfo, Message: "The network is slow.", Hint: "It may stutter."},
			{Code: "microphone_missing", Severity: apitype.SeverityError, Message: "no microphone"},
		}},
		{name: "active", session: call(apitype.StateActive), says: "Dr. Ana Rivera", buttons: allButtons},
		{name: "active_muted_off", session: call(apitype.StateActive, func(s *apitype.Session) {
			s.Audio.Muted, s.Video.Disabled, s.Camera.Supported = true, true, true
			s.Chat.Unread = 3
		}), says: "You are muted", buttons: swapButtons, conditions: []apitype.Condition{
			{Code: "camera_missing", Severity: apitype.SeverityWarning, Message: "no camera"},
		}},
		{name: "active_hardware", session: call(apitype.StateActive, func(s *apitype.Session) {
			s.Audio.Hardware, s.Video.Hardware = true, true
		}), says: "Your microphone is muted on the device", buttons: allButtons, conditions: []apitype.Condition{
			{Code: "microphone_shuttered", Severity: apitype.SeverityWarning, Message: "muted"},
			{Code: "camera_shuttered", Severity: apitype.SeverityWarning, Message: "shut"},
		}},
		{name: "two", session: call(apitype.StateActive, people(second())), says: "Wolfeschlegel", buttons: allButtons},
		{name: "two_interpreter", session: call(apitype.StateActive, people(interpreter())), says: "Sound only", buttons: allButtons},
		{name: "three", session: call(apitype.StateActive, people(second(), interpreter())), says: "Mia Interpreter", buttons: allButtons},
		{name: "three_chat", session: call(apitype.StateActive, people(second(), interpreter()), chatting), messages: conversation(), says: "with water", buttons: swapButtons},
		{name: "three_reconnecting", session: call(apitype.StateReconnecting, people(second(), interpreter())), says: "The connection was lost", buttons: allButtons},
		{name: "one_gone", session: call(apitype.StateActive, people(second()), func(s *apitype.Session) { s.Participants[1].Presence = "gone" }), says: "Connection lost. Please wait.", buttons: allButtons},
		{name: "chat", session: call(apitype.StateActive, chatting), messages: conversation(), says: "with water", buttons: swapButtons},
		{name: "chat_empty", session: call(apitype.StateActive, func(s *apitype.Session) { s.Chat.Open = true }), says: "No messages yet", buttons: allButtons},
		{name: "report", session: call(apitype.StateActive, func(s *apitype.Session) { s.Report.Open = true }), says: "What is wrong?", buttons: allButtons},
		{name: "report_away", session: call(apitype.StateReconnecting, func(s *apitype.Session) { s.Report.Open = true }), says: "The connection was lost", buttons: allButtons},
		{name: "report_thanks", session: call(apitype.StateActive, func(s *apitype.Session) { s.Report.Submitted = "r-1" }), says: "Thank you, sent", buttons: allButtons},
		{name: "reconnecting", session: call(apitype.StateReconnecting), says: "The connection was lost", buttons: allButtons},
		{name: "ended", session: call(apitype.StateEnded), says: "The call has ended"},
		{name: "timeout", session: call(apitype.StateTimeout), says: "The time is over"},
		{name: "error_unknown_code", session: failed("something_new", false), says: "cannot go on"},
		{name: "error_room_title", session: failed("room_unavailable", false, func(s *apitype.Session) { s.Error.Title = "The clinic is closed today" }), says: "The clinic is closed today"},
	}
	return append(out, errorScenes()...)
}

func errorScenes() []scene {
	var out []scene
	for _, e := range []struct {
		code, says string
		retryable  bool
	}{
		{"camera_permission_required", "The camera is blocked", true},
		{"microphone_permission_required", "The microphone is blocked", true},
		{"network_unavailable", "No network", true},
		{"backend_unavailable", "The appointment service does not answer", true},
		{"unauthorized", "This kiosk is not signed in", false},
		{"room_unavailable", "The video room is not open", false},
		{"superseded", "This kiosk is in use elsewhere", false},
		{"appointment_unknown", "We do not know this code", false},
	} {
		buttons := ""
		if e.retryable {
			buttons = fewButtons
		}
		out = append(out, scene{name: "error_" + e.code, session: failed(e.code, e.retryable), says: e.says, buttons: buttons})
	}
	return out
}

func TestPageShowsEveryState(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)
	looks := map[string]string{}
	for _, s := range scenes() {
		far.talk(s.messages...)
		far.change(s.session, s.conditions...)
		state := "none"
		if s.session != nil {
			state = s.session.State
		}
		p.wait(fmt.Sprintf(`document.body.dataset.state === %q && document.body.innerText.includes(%q)`, state, s.says))
		if state == apitype.StateActive {
			p.wait(`[...document.querySelectorAll(".remote:not([data-kind=sound], [data-presence=gone])")].every((r) => r.dataset.picture === "yes")`)
		}
		got := eval[string](p, `[...document.querySelectorAll("#controls button")].map((b) => b.dataset.reference).join(" ")`)
		if got != s.buttons {
			t.Errorf("%s: buttons %q, want %q", s.name, got, s.buttons)
		}
		if want := errorCode(s.session); eval[string](p, `document.body.dataset.error ?? ""`) != want {
			t.Errorf("%s: the page's error is not %q", s.name, want)
		}
		if look := eval[string](p, `document.getElementById("panel").getClientRects().length ? document.getElementById("panel-picture").href.baseVal + document.getElementById("panel-title").innerText : ""`); look != "" {
			if other := looks[look]; other != "" && state != apitype.StateReconnecting && s.name != "waiting_banner" {
				t.Errorf("%s looks like %s", s.name, other)
			}
			looks[look] = s.name
		}
		if strings.Contains(eval[string](p, `document.body.innerText`), "anary") {
			t.Errorf("%s: the page shows what it does not know", s.name)
		}
		p.look(s.name)
	}
}

func errorCode(s *apitype.Session) string {
	if s == nil || s.Error == nil {
		return ""
	}
	return s.Error.Code
}

// What happens is shown within 0.2 s of the daemon's word: measured in the page,
// from the event's arrival to the change of what is drawn.
func TestPageShowsReconnectingAtOnce(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	far.change(call(apitype.StateActive))
	p.wait(`window.kiosk.remote?.frames > 5`)
	far.change(call(apitype.StateReconnecting))
	p.wait(`document.body.dataset.state === "reconnecting"`)
	p.waitFor(`document.getElementById("panel-title").innerText === "The connection was lost" && getComputedStyle(document.getElementById("panel")).opacity === "1"
		&& getComputedStyle(document.querySelector(".remote video")).opacity === "0.3" && document.querySelector(".remote").dataset.picture === "yes"`, 2*time.Second)
	if d := eval[float64](p, `Math.max(...document.getElementById("panel").getAnimations().map((a) => a.effect.getComputedTiming().duration), parseFloat(getComputedStyle(document.getElementById("panel")).animationDuration) * 1000)`); d > 200 {
		t.Errorf("the sentence takes %.0f ms to appear, the promise is 200", d)
	}
	if d := eval[string](p, `document.getElementById("live").textContent`); d != "The connection was lost. We are connecting you again. Please stay seated." {
		t.Errorf("a screen reader hears %q", d)
	}
}

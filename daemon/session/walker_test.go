package session_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/session"
)

// walker also plays the world: what the effects have brought about.
type walker struct {
	t       *testing.T
	k       *kiosk
	rnd     *rand.Rand
	started string // the peer identity that was told as started
	camera  bool
	mic     bool
	silent  bool
	in      int // attempt that is joined
	load    int
	outbox  int // messages that the room was given
	refresh int // number of the newest refresh that was asked for
}

func (w *walker) restart() {
	b, err := w.k.m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	m := session.Model{}
	if w.k.m.Running() { // what is over leaves no record
		if m, err = session.Decode(b); err != nil {
			w.t.Fatalf("cannot read back %s: %v", describe(w.k.m), err)
		}
	}
	w.k.m = m
	w.camera, w.mic, w.silent, w.in, w.load, w.outbox = false, false, false, 0, 0, 0
	before, again := w.k.m, session.Restarted{}
	if !before.Running() {
		w.k.do(again)
		w.check(-1, before, again)
		return
	}
	switch w.rnd.IntN(4) { // the wall clock may be anywhere by now; the runner holds a doubtful one to LastAt
	case 0:
		again.ClockDoubtful, w.k.now = true, w.k.m.LastAt
	case 1:
		w.k.now = w.k.now.Add(-time.Duration(w.rnd.IntN(12)) * time.Hour)
	case 2:
		w.k.now = w.k.now.Add(time.Duration(w.rnd.IntN(120)) * time.Second)
	}
	w.k.do(again)
	if w.k.now.Before(w.k.m.LastAt) {
		w.k.now = w.k.m.LastAt
	}
	w.check(-1, before, again)
	if again.ClockDoubtful && !w.k.m.Running() {
		w.t.Fatalf("%s ended for a clock that is not known", describe(before))
	}
}

func (w *walker) check(i int, before session.Model, what session.What) {
	w.t.Helper()
	m := w.k.m
	fail := func(text string) {
		w.t.Helper()
		w.t.Fatalf("event %d (%s), %s -> %s: %s", i, what.Name(), describe(before), describe(m), text)
	}
	if m.State == session.Active && !slices.ContainsFunc(m.Participants, session.Participant.Live) && !m.Stopping {
		fail("active without media")
	}
	if m.Running() && (m.SessionDeadline().IsZero() || session.Plan(m).Wake.IsZero() || session.Plan(m).Wake.After(m.SessionDeadline())) {
		fail("no deadline")
	}
	if m.Running() && !session.Plan(m).Wake.After(m.LastAt) {
		fail("a deadline that is over was left undone")
	}
	if m.Running() && (m.OpenedAt.After(m.LastAt) || m.ActiveSince.After(m.LastAt) || m.SessionDeadline().Sub(m.LastAt) > max(m.Limits.Session, m.Limits.Wait)) {
		fail("it would last longer than its limit from now")
	}
	for _, o := range w.k.outputs {
		if o == (session.Output{Key: "session", Value: "started"}) {
			if w.started == m.Peer {
				fail("started twice")
			}
			w.started = m.Peer
		}
	}
	if (m.State == session.Error) != (m.Error.Code != "") || (m.State == session.Waiting) != (m.Phase != "") {
		fail("state, step and error do not agree")
	}
	if before.State != m.State || !m.Running() && i%16 == 0 {
		w.traces(fail)
	}
	w.choices(before, what, fail)
	w.world(what, fail)
}

// traces: what is over holds nothing of the patient.
func (w *walker) traces(fail func(string)) {
	m := w.k.m
	if m.Running() {
		return
	}
	m.Error.Title = "" // shown for the last 60 s
	b, err := json.Marshal(m)
	if err != nil || strings.Contains(string(b), "CANARY") || m.Room != nil || m.Participants != nil || m.Title != "" || m.ChatOpen || m.Messages != nil || m.Screen.Update != "" || m.Seen != nil {
		fail("traces of the patient are left")
	}
}

// choices: what was off is turned on by the patient's own command only.
func (w *walker) choices(before session.Model, what session.What, fail func(string)) {
	m := w.k.m
	if before.Peer != m.Peer || !before.Running() || !m.Running() {
		return
	}
	if _, ok := what.(session.Mute); before.Muted && !m.Muted && !ok {
		fail("unmuted by itself")
	}
	if _, ok := what.(session.DisableVideo); before.VideoOff && !m.VideoOff && !ok {
		fail("video turned on by itself")
	}
	if w.k.err != nil && (before.Muted != m.Muted || before.VideoOff != m.VideoOff || before.Camera != m.Camera) {
		fail("a refused command changed something")
	}
	if session.Narrows(before, what) && w.k.err != nil {
		fail("a narrowing command was refused")
	}
	w.hardware(before, what, fail)
}

// hardware: what a button or a shutter does is told exactly where it changes what is
// sent, and neither changes a choice, nor what the controls say of it.
func (w *walker) hardware(before session.Model, what session.What, fail func(string)) {
	m := w.k.m
	if _, ok := what.(session.Restarted); ok {
		return // the hardware is asked anew
	}
	if m.SendsAudio() && (m.Muted || m.Facts.MicrophoneShut) || m.SendsVideo() && (m.VideoOff || m.Facts.CameraShut) {
		fail("more is sent than choice and hardware allow")
	}
	told := map[string]bool{}
	for _, o := range w.k.outputs {
		told[o.Key] = told[o.Key] || o.Value == "updated"
	}
	report, ok := what.(session.DeviceReport)
	if !ok {
		if before.Facts.CameraShut != m.Facts.CameraShut || before.Facts.MicrophoneShut != m.Facts.MicrophoneShut {
			fail("the hardware changed without a report")
		}
		return
	}
	if m.Facts.CameraShut != report.CameraShut || m.Facts.MicrophoneShut != report.MicrophoneShut {
		fail("a report of the hardware was not taken")
	}
	if told["audio"] != (before.SendsAudio() != m.SendsAudio()) || told["video"] != (before.SendsVideo() != m.SendsVideo()) {
		fail("the hardware's change was told wrongly")
	}
	if before.Muted != m.Muted || before.VideoOff != m.VideoOff {
		fail("the hardware changed a choice")
	}
	for i, c := range m.Controls() {
		if old := before.Controls()[i]; (c.Reference == "mute" || c.Reference == "disable-video") && c.Value != old.Value {
			fail("the hardware changed a control's value")
		}
	}
}

// world: the effects bring the world to the plan, and it never shows what it must not.
func (w *walker) world(what session.What, fail func(string)) {
	if _, ok := what.(session.Restarted); ok {
		w.camera, w.mic, w.silent, w.in, w.load, w.outbox = false, false, false, 0, 0, 0
	}
	for _, e := range w.k.effects {
		switch e := e.(type) {
		case session.OpenCamera:
			w.camera = true
		case session.CloseCamera:
			w.camera = false
		case session.OpenMicrophone:
			w.mic = true
			if w.k.m.Muted && !w.silent {
				fail("the microphone was opened before the silence")
			}
		case session.CloseMicrophone:
			w.mic = false
		case session.SetMuted:
			w.silent = e.Muted
		case session.LoadRoom:
			w.load = e.Params.Attempt
		case session.CancelLoad:
			w.load = 0
		case session.SetOutbox:
			w.outbox = len(e.Messages)
		case session.RefreshScreen:
			w.refresh = e.Params.Number
		case session.AckMessage:
			if plan := session.Plan(w.k.m); plan.Join == nil || !slices.ContainsFunc(w.k.m.Messages, func(c session.Message) bool { return c.From == e.Participant && c.ID == e.ID }) {
				fail("a message that is not kept was acknowledged, or nobody can be told")
			}
		case session.JoinRoom:
			w.in, w.load = e.Params.Attempt, 0
		case session.LeaveRoom:
			w.in = 0
		}
	}
	plan := session.Plan(w.k.m)
	if w.camera != plan.Camera || w.mic != plan.Microphone || w.mic && w.silent != plan.Muted {
		fail("the devices are not as planned")
	}
	if (w.in != 0) != (plan.Join != nil) || plan.Join != nil && w.in != plan.Join.Attempt || plan.Load != nil && w.load != plan.Load.Attempt {
		fail("the room is not as planned")
	}
	if plan.Refresh != nil && w.refresh != plan.Refresh.Number {
		fail("the refresh that is planned was not asked for")
	}
	if w.outbox != len(plan.Outbox) || plan.Join == nil && w.outbox > 0 {
		fail("the outbox is not as planned")
	}
	m := w.k.m
	if len(m.Messages) > session.MaxMessages || m.ChatOpen && m.Unread > 0 {
		fail("the chat is over its bound, or read and unread")
	}
	for _, c := range m.Controls() {
		if !c.Visible && m.Running() && (c.Reference == "mute" || c.Reference == "end-call" || c.Reference == "disable-video") {
			fail("the backend took a control of the patient's away")
		}
	}
	if w.camera && (m.VideoOff || !m.Running() || m.Stopping || m.State == session.WaitingPermissions || m.State == session.Error) {
		fail("the camera is open")
	}
	if w.mic && (!m.Running() || m.Stopping || m.State == session.WaitingPermissions || m.State == session.Error) {
		fail("the microphone is open")
	}
}

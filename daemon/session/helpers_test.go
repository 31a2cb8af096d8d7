package session_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/session"
)

// Texts that must never be seen anywhere but in JSON.
const (
	canaryID    = "CANARY-appointment"
	canaryName  = "CANARY-name"
	canaryToken = "CANARY-token"
	canaryTitle = "CANARY-title"
	canaryText  = "CANARY-text"
)

// start is the time of the opening in all tests.
var start = time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)

// kiosk plays events into a model and keeps what came of them.
type kiosk struct {
	t       testing.TB
	m       session.Model
	now     time.Time
	effects []session.Effect // of the newest event
	outputs []session.Output
	err     error
	all     []session.Output
}

func newKiosk(t testing.TB) *kiosk { return &kiosk{t: t, now: start} }

// do plays events at the present time.
func (k *kiosk) do(whats ...session.What) *kiosk {
	for _, w := range whats {
		k.m, k.effects, k.outputs, k.err = session.Step(k.m, session.Event{At: k.now, What: w})
		k.all = append(k.all, k.outputs...)
	}
	return k
}

// after lets time pass and ticks.
func (k *kiosk) after(d time.Duration) *kiosk {
	k.now = k.now.Add(d)
	return k.do(session.Tick{})
}

// want checks the state (or "error:code", or "waiting/step") and the newest outputs.
func (k *kiosk) want(state string, outputs ...string) *kiosk {
	k.t.Helper()
	if got := describe(k.m); got != state {
		k.t.Fatalf("state %s, want %s", got, state)
	}
	if got, want := words(k.outputs), strings.Join(outputs, " "); got != want {
		k.t.Fatalf("outputs %q, want %q", got, want)
	}
	return k
}

// refused checks the code of the newest refusal; "" for none.
func (k *kiosk) refused(code string) *kiosk {
	k.t.Helper()
	if got := codeOf(k.err); got != code {
		k.t.Fatalf("refusal %q, want %q", got, code)
	}
	return k
}

// wantEffects checks the newest effects.
func (k *kiosk) wantEffects(list ...string) *kiosk {
	k.t.Helper()
	if got, want := effectWords(k.effects), strings.Join(list, " "); got != want {
		k.t.Fatalf("effects\n  %q, want\n  %q", got, want)
	}
	return k
}

func codeOf(err error) string {
	var r *session.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Code
	default:
		return err.Error()
	}
}

func describe(m session.Model) string {
	switch {
	case !m.Exists():
		return "none"
	case m.State == session.Error && m.Final():
		return "error:" + m.Error.Code + "!"
	case m.State == session.Error:
		return "error:" + m.Error.Code
	case m.Phase != "":
		return string(m.State) + "/" + string(m.Phase)
	default:
		return string(m.State)
	}
}

func words(list []session.Output) string {
	var s []string
	for _, o := range list {
		s = append(s, o.String())
	}
	return strings.Join(s, " ")
}

func effectWords(list []session.Effect) string {
	var s []string
	for _, e := range list {
		s = append(s, effectWord(e))
	}
	return strings.Join(s, " ")
}

func effectWord(e session.Effect) string {
	switch e := e.(type) {
	case session.CheckDevices:
		return fmt.Sprintf("check-devices(%d)", e.Number)
	case session.LoadRoom:
		return fmt.Sprintf("load-room(%d)", e.Params.Attempt)
	case session.JoinRoom:
		return fmt.Sprintf("join-room(%d)", e.Params.Attempt)
	case session.LeaveRoom:
		return fmt.Sprintf("leave-room(%s)", e.How)
	case session.OpenCamera:
		return fmt.Sprintf("open-camera(%s)", e.ID)
	case session.SetOutbox:
		return fmt.Sprintf("set-outbox(%d)", len(e.Messages))
	case session.AckMessage:
		return fmt.Sprintf("ack-message(%s %s)", e.Participant, e.ID)
	case session.RefreshScreen:
		return fmt.Sprintf("refresh-screen(%d)", e.Params.Number)
	case session.SetMuted:
		return fmt.Sprintf("set-muted(%t)", e.Muted)
	case session.SetVideoOff:
		return fmt.Sprintf("set-video-off(%t)", e.Off)
	default:
		return e.Name()
	}
}

// The usual events.

func open() session.Open {
	return session.Open{Appointment: canaryID, Peer: "peer-1", Limits: session.DefaultLimits()}
}

func devices() session.DeviceReport {
	return session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: []string{"face", "document"}}
}

// shut is a report of devices that the hardware has closed: they are there.
func shut(camera, microphone bool) session.DeviceReport {
	r := devices()
	r.CameraShut, r.MicrophoneShut = camera, microphone
	return r
}

func up() session.What   { return session.NetworkChanged{Up: true} }
func down() session.What { return session.NetworkChanged{} }

func room() session.Room {
	return session.Room{
		Provider: "direct", URL: canaryToken + "-url", Token: canaryToken, Chat: true, ReportIssue: true,
		ICEServers:  []session.ICEServer{{URLs: []string{"stun:host"}, Username: canaryName, Credential: canaryToken}},
		Participant: session.Participant{Name: canaryName, Role: "clinician"},
	}
}

func loaded(attempt int) session.What {
	return session.RoomLoaded{Attempt: attempt, Title: canaryTitle, Room: room()}
}

func joined(attempt int) session.What { return session.Joined{Attempt: attempt} }

func peer(attempt int) session.What {
	return session.PeerJoined{Attempt: attempt, Participant: session.Participant{ID: "c1", Name: canaryName, Role: "clinician"}}
}

func media(attempt int) session.What {
	return session.MediaArrived{Attempt: attempt, Participant: "c1", Kind: session.Audio}
}

func left(attempt int, how session.Leaving) session.What {
	return session.PeerLeft{Attempt: attempt, Participant: "c1", How: how}
}

func say(id string) session.What { return session.SendMessage{ID: id, Text: canaryText} }

func heard(attempt int, id string) session.What {
	return session.MessageArrived{Attempt: attempt, Participant: "c1", ID: id, Text: canaryText}
}

func acked(attempt int, id string) session.What {
	return session.MessageAcked{Attempt: attempt, Participant: "c1", ID: id}
}

func report(id string) session.What {
	return session.SubmitReport{ID: id, Text: canaryText, Bundle: []byte(canaryText)}
}

// patch asks for a refresh in 10 s and takes some controls away.
func patch() session.Patch {
	title := session.PatientText(canaryTitle)
	return session.Patch{
		Title: &title, Update: canaryToken + "/update", Timeout: 10 * time.Second,
		Controls: map[string]session.ControlPatch{
			"chat": {Enabled: no()}, "swap-camera": {Visible: no()},
			"mute": {Visible: no()}, "disable-video": {Enabled: no()}, "end-call": {Visible: no(), Enabled: no()}, "odd": {Visible: no()},
		},
	}
}

// refreshed is a session in a call whose backend wants to be asked in 10 s.
func refreshed(t testing.TB) *kiosk {
	return loading(t).do(session.RoomLoaded{
		Attempt: 1, Title: canaryTitle, Room: room(),
		Patch: session.Patch{Update: canaryToken + "/update", Timeout: 10 * time.Second},
	}, joined(1), peer(1), media(1))
}

func yes() *bool { b := true; return &b }
func no() *bool  { return new(bool) }

// The usual ways to a state.

func loading(t testing.TB) *kiosk { return newKiosk(t).do(up(), devices(), open(), devices()) }
func joining(t testing.TB) *kiosk { return loading(t).do(loaded(1)) }
func alone(t testing.TB) *kiosk   { return joining(t).do(joined(1)) }
func active(t testing.TB) *kiosk  { return alone(t).do(peer(1), media(1)) }

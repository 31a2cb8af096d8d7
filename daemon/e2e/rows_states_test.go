package e2e_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/e2e/stage"
)

// TestStates brings the session into each of its seven states and looks at what
// the event stream says and what both pages show.
func TestStates(t *testing.T) {
	c := theScene(t, stage.Options{Network: true, Config: "[session]\nask_consent = true\nreconnect_seconds = 6\n"})
	c.plays(t, []row{
		{"waiting_permissions", stateWaitingPermissions},
		{"waiting", stateWaiting},
		{"active", stateActive},
		{"reconnecting", stateReconnecting},
		{"ended", stateEnded},
		{"error", stateError},
		{"timeout", stateTimeout},
	})
}

// grant gives the patient's consent on the page.
func (c *scene) grant(t *testing.T) {
	t.Helper()
	c.sees(t, "document.body.dataset.state === 'waiting_permissions' && document.querySelector('#actions button')")
	if err := c.screen.Click(t.Context(), `#actions button[data-action="allow"]`); err != nil {
		t.Fatal(err)
	}
}

func stateWaitingPermissions(t *testing.T, c *scene) {
	puts := c.asked(t, "PUT")
	c.open(t, "states", apitype.StateWaitingPermissions)
	c.emits(t, "state", "waiting_permissions")
	c.dark(t, 0, 2*time.Second)
	if now := c.asked(t, "PUT"); now != puts {
		t.Error("the backend was asked before the patient had answered")
	}
	if s := c.session(t); !s.Consent.Asked || s.Consent.Camera != "" {
		t.Errorf("consent is %s", line(s.Consent))
	}
}

func stateWaiting(t *testing.T, c *scene) {
	c.grant(t)
	c.emits(t, "state", "waiting")
	c.reaches(t, apitype.StateWaiting)
	until(t, "the room is joined", 10*time.Second, func() (bool, string) {
		s := c.session(t)
		return s.Step == apitype.StepParticipant, s.Step
	})
	if s := c.session(t); s.TimerRunning || s.TimerSeconds != 0 {
		t.Errorf("the timer runs before anybody came: %s", line(s))
	}
	c.sees(t, "document.querySelector('#panel').offsetParent && document.querySelector('#panel-title').textContent.length > 3")
}

func stateActive(t *testing.T, c *scene) {
	c.join(t, "clinician")
	got := c.emits(t, "state", "active")
	if n := count(got, `{"session":"started"}`); n != 1 {
		t.Errorf("session = started came %d times: %v", n, got)
	}
	c.reaches(t, apitype.StateActive)
	c.flows(t)
	c.clinicSees(t, `sim.state === "active"`)
}

func stateReconnecting(t *testing.T, c *scene) {
	c.does(t, "sim.vanish()")
	start := time.Now()
	c.emits(t, "state", "reconnecting")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("a lost participant was noticed after %v", took)
	}
	c.sees(t, "document.body.dataset.state === 'reconnecting'")
	if s := c.session(t); !s.TimerRunning {
		t.Error("the timer stopped")
	}
	c.does(t, "sim.comeBack()")
	got := c.emits(t, "state", "active")
	if count(got, `{"session":"started"}`) > 0 {
		t.Errorf("a second session = started: %v", got)
	}
	c.flows(t)
}

func stateEnded(t *testing.T, c *scene) {
	c.press(t, "end-call")
	c.emits(t, "state", "ended")
	c.reaches(t, apitype.StateEnded)
	c.clinicSees(t, `sim.state === "patient-left"`)
	c.dark(t, 0, 2*time.Second)
	s := c.session(t)
	if s.TimerRunning || s.AppointmentID != "" || len(s.Participants) != 0 {
		t.Errorf("an ended session still says %s", line(s))
	}
	for _, k := range s.Controls {
		if k.Enabled {
			t.Errorf("%s is still enabled", k.Reference)
		}
	}
}

func stateError(t *testing.T, c *scene) {
	c.behave(t, map[string]any{"put": map[string]any{"status": 404}})
	c.open(t, "unknown", apitype.StateWaitingPermissions)
	c.grant(t)
	c.emits(t, "error", "appointment_unknown")
	c.reaches(t, apitype.StateError)
	s := c.session(t)
	if s.Error == nil || s.Error.Retryable || s.Error.Code != "appointment_unknown" || s.Error.Message == "" {
		t.Errorf("error is %s", line(s.Error))
	}
	c.quiet(t, "session", "started")
	c.dark(t, 0, 2*time.Second)
}

func stateTimeout(t *testing.T, c *scene) {
	c.behave(t, map[string]any{"room": map[string]any{"session_seconds": 4}})
	c.open(t, "short", apitype.StateWaitingPermissions)
	c.grant(t)
	c.emits(t, "state", "active")
	active := time.Now()
	c.emits(t, "state", "timeout")
	if took := time.Since(active); took < 3*time.Second || took > 6*time.Second {
		t.Errorf("the limit of 4 s was reached after %v", took)
	}
	c.reaches(t, apitype.StateTimeout)
	c.clinicSees(t, `sim.state === "patient-left"`)
	c.dark(t, 0, 2*time.Second)
}

// TestValidations plays the contract's validations.
func TestValidations(t *testing.T) {
	c := theScene(t, stage.Options{Network: true, Cameras: 1, Config: "[session]\nask_consent = true\nreconnect_seconds = 6\n"})
	c.playsApart(t, []row{
		{"Camera permission missing", cameraPermission},
		{"Camera shutter closed", cameraShutter},
		{"Microphone permission missing", microphonePermission},
		{"Permission request dismissed", dismissed},
		{"Consent denied, then granted", consentDenied},
		{"Camera switching unsupported", switchingUnsupported},
		{"Network unavailable", networkUnavailable},
		{"Participant unavailable", participantUnavailable},
		{"Connection interrupted", connectionInterrupted},
		{"Session timeout reached", waitTimeout},
	})
	t.Run("Microphone device denied", microphoneDenied)
}

// blocked checks that the start is blocked by an error that goes by itself.
func (c *scene) blocked(t *testing.T, code string) {
	t.Helper()
	c.emits(t, "error", code)
	c.reaches(t, apitype.StateError)
	s := c.session(t)
	if s.Error == nil || s.Error.Code != code || !s.Error.Retryable || s.Error.Message == "" {
		t.Errorf("error is %s", line(s.Error))
	}
	c.quiet(t, "session", "started")
	c.sees(t, "document.querySelector('#panel').offsetParent")
}

func cameraPermission(t *testing.T, c *scene) {
	puts := c.asked(t, "PUT")
	c.camera(t, 0, "deny all")
	c.open(t, "denied", apitype.StateWaitingPermissions)
	c.grant(t)
	c.blocked(t, "camera_permission_required")
	if now := c.asked(t, "PUT"); now != puts {
		t.Error("the session was started without a camera permission")
	}
	c.camera(t, 0, "allow all")
	c.emits(t, "session", "started") // by itself
	c.reaches(t, apitype.StateWaiting)
}

func cameraShutter(t *testing.T, c *scene) {
	c.camera(t, 0, "shutter on")
	c.open(t, "shutter", apitype.StateWaitingPermissions)
	c.grant(t)
	c.blocked(t, "camera_permission_required")
	c.camera(t, 0, "shutter off")
	c.emits(t, "session", "started")
	c.reaches(t, apitype.StateWaiting)
}

func microphonePermission(t *testing.T, c *scene) {
	puts := c.asked(t, "PUT")
	c.open(t, "no-microphone", apitype.StateWaitingPermissions)
	if _, err := c.api.Permissions(t.Context(), "granted", "denied"); err != nil {
		t.Fatal(err)
	}
	c.blocked(t, "microphone_permission_required")
	if now := c.asked(t, "PUT"); now != puts {
		t.Error("the session was started without a microphone permission")
	}
	if _, err := c.api.Permissions(t.Context(), "granted", "granted"); err != nil {
		t.Fatal(err)
	}
	c.emits(t, "session", "started")
}

func dismissed(t *testing.T, c *scene) {
	c.open(t, "dismissed", apitype.StateWaitingPermissions)
	c.emits(t, "state", "waiting_permissions")
	if err := c.screen.Click(t.Context(), `#actions button[data-action="not_now"]`); err != nil {
		t.Fatal(err)
	}
	until(t, "the answer is taken", 5*time.Second, func() (bool, string) {
		s := c.session(t)
		return s.Consent.Camera == "dismissed" && s.Consent.Microphone == "dismissed", line(s.Consent)
	})
	if s := c.session(t); s.State != apitype.StateWaitingPermissions {
		t.Errorf("state is %s", s.State)
	}
	c.quiet(t, "session", "started")
	c.dark(t, 0, time.Second)
	c.grant(t)
	c.emits(t, "session", "started")
}

// consentDenied: the patient says no on the page, and may think again.
func consentDenied(t *testing.T, c *scene) {
	c.open(t, "consent", apitype.StateWaitingPermissions)
	if err := c.screen.Click(t.Context(), `#actions button[data-action="deny"]`); err != nil {
		t.Fatal(err)
	}
	c.blocked(t, "camera_permission_required")
	c.dark(t, 0, time.Second)
	c.sees(t, `document.querySelector('#actions button[data-action="allow"]')`)
	if err := c.screen.Click(t.Context(), `#actions button[data-action="allow"]`); err != nil {
		t.Fatal(err)
	}
	if got := c.emits(t, "session", "started"); count(got, `{"session":"started"}`) != 1 {
		t.Errorf("outputs are %v", got)
	}
}

func switchingUnsupported(t *testing.T, c *scene) {
	c.open(t, "one-camera", apitype.StateWaitingPermissions)
	c.grant(t)
	c.emits(t, "camera", "unsupported")
	c.reaches(t, apitype.StateWaiting)
	if k := c.listed(t, "swap-camera"); k.Visible {
		t.Error("swap-camera is visible")
	}
	c.sees(t, `!document.querySelector('button[data-reference="swap-camera"]')?.offsetParent`)
	before := c.session(t).Camera
	_, err := c.api.SwapCamera(t.Context(), "")
	refusedWith(t, err, "camera_unsupported")
	c.emits(t, "camera", "unsupported")
	if now := c.session(t).Camera; now != before || now.Supported {
		t.Errorf("camera is %s", line(now))
	}
}

func networkUnavailable(t *testing.T, c *scene) {
	puts := c.asked(t, "PUT")
	unplugged(t)
	c.open(t, "no-network", apitype.StateWaitingPermissions)
	c.grant(t)
	c.blocked(t, "network_unavailable")
	if now := c.asked(t, "PUT"); now != puts {
		t.Error("the backend was asked without a network")
	}
	plugged(t)
	c.emits(t, "session", "started")
	c.reaches(t, apitype.StateWaiting)
}

// unplugged pulls the network cable; the row's end puts it back.
func unplugged(t *testing.T) {
	t.Helper()
	if err := stage.SetLink(false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plugged(t) })
}

func plugged(t *testing.T) {
	t.Helper()
	if err := stage.SetLink(true); err != nil {
		t.Fatal(err)
	}
}

func participantUnavailable(t *testing.T, c *scene) {
	c.open(t, "alone", apitype.StateWaitingPermissions)
	c.grant(t)
	c.emits(t, "state", "waiting")
	c.join(t, "clinician")
	c.emits(t, "state", "active")
	c.does(t, "sim.leave()")
	c.emits(t, "state", "waiting")
	c.reaches(t, apitype.StateWaiting)
	if s := c.session(t); s.Step != apitype.StepParticipant || len(s.Participants) != 0 {
		t.Errorf("the session says %s", line(s))
	}
}

func connectionInterrupted(t *testing.T, c *scene) {
	c.does(t, "sim.comeBack()")
	c.open(t, "interrupted", apitype.StateWaitingPermissions)
	c.grant(t)
	c.emits(t, "state", "active")
	c.does(t, "sim.vanish()")
	c.emits(t, "state", "reconnecting")
	c.reaches(t, apitype.StateReconnecting)
	c.does(t, "sim.comeBack()")
	c.emits(t, "state", "active")
	c.flows(t)
}

func waitTimeout(t *testing.T, c *scene) {
	c.does(t, "sim.leave()")
	c.behave(t, map[string]any{"room": map[string]any{"wait_seconds": 3}})
	c.open(t, "nobody", apitype.StateWaitingPermissions)
	c.grant(t)
	c.emits(t, "session", "started")
	c.emits(t, "state", "timeout")
	c.reaches(t, apitype.StateTimeout)
	c.dark(t, 0, 2*time.Second)
}

// microphoneDenied has the kernel say EACCES to a kioskd that is not root: its
// ALSA device reads a file that is not its own.
func microphoneDenied(t *testing.T) {
	s := theStage(t, stage.Options{
		Network: true, ForbiddenMicrophone: true, Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
	})
	outs := follow(t, s)
	api := client.New(s.Socket)
	defer api.Close()
	if _, err := api.Open(t.Context(), "eacces"); err != nil {
		t.Fatal(err)
	}
	outs.take(t, `{"error":"microphone_permission_required"}`, 15*time.Second)
	if err := s.AllowMicrophone(); err != nil {
		t.Fatal(err)
	}
	got := outs.take(t, `{"session":"started"}`, 15*time.Second)
	if strings.Contains(fmt.Sprint(got), "error") {
		t.Errorf("outputs are %v", got)
	}
	if _, err := api.EndCall(t.Context()); err != nil {
		t.Fatal(err)
	}
}

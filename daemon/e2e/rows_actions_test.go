package e2e_test

import (
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestActions plays the contract's actions through kioskctl, as a technician
// would, in their set and their toggle forms.
func TestActions(t *testing.T) {
	c := theScene(t, stage.Options{Cameras: 2})
	c.join(t, "clinician")
	c.plays(t, []row{
		{"Video room opened", roomOpened},
		{"Start call triggered", startCall},
		{"Mute selected", muteSelected},
		{"Disable video selected", disableVideoSelected},
		{"Swap camera selected", swapSelected},
		{"Chat selected", chatSelected},
		{"End call selected", endSelected},
	})
}

// roomOpened: PUT /api/v3/appointments/{appointment-id}/video-room, once, with
// what the devices allow.
func roomOpened(t *testing.T, c *scene) {
	kioskctl(t, c.Stage, "open", "actions", "--json")
	c.reaches(t, apitype.StateActive)
	list, err := c.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Fatalf("the backend got %s", line(list))
	}
	if r := list[0]; r.Method != "PUT" || r.Path != "/api/v3/appointments/actions/video-room" || r.Status != 200 ||
		r.Camera != "Granted" || r.Microphone != "Granted" {
		t.Errorf("the backend got %s", line(r))
	}
}

// startCall: start-call is invisible and starts by itself, once.
func startCall(t *testing.T, c *scene) {
	got := c.emits(t, "state", "active")
	if n := count(got, `{"session":"started"}`); n != 1 {
		t.Errorf("session = started came %d times: %v", n, got)
	}
	if k := c.listed(t, "start-call"); k.Visible || k.Enabled || k.Type != "Button" || k.Value != "Start call" {
		t.Errorf("start-call is %s", line(k))
	}
	c.sees(t, `!document.querySelector('[data-reference="start-call"]')`)
}

func muteSelected(t *testing.T, c *scene) {
	for _, step := range []struct {
		args  []string
		muted bool
	}{{[]string{"mute"}, true}, {[]string{"mute"}, false}, {[]string{"mute", "on"}, true}, {[]string{"mute", "off"}, false}} {
		c.outs.drop()
		kioskctl(t, c.Stage, append(step.args, "--json")...)
		c.emits(t, "audio", "updated")
		if s := c.session(t); s.Audio.Muted != step.muted {
			t.Errorf("%v: muted is %t", step.args, s.Audio.Muted)
		}
		if step.muted {
			c.clinicSees(t, "sim.audio.rms < 1e-4")
		} else {
			c.clinicSees(t, "sim.audio.rms > 1e-3")
		}
	}
	c.outs.drop()
	kioskctl(t, c.Stage, "mute", "off", "--json") // it is off: nothing is updated
	kioskctl(t, c.Stage, "mute", "on", "--json")
	if got := c.emits(t, "audio", "updated"); count(got, `{"audio":"updated"}`) != 1 {
		t.Errorf("outputs are %v", got)
	}
	kioskctl(t, c.Stage, "mute", "off", "--json")
}

func disableVideoSelected(t *testing.T, c *scene) {
	for _, step := range []struct {
		args []string
		off  bool
	}{{[]string{"video"}, true}, {[]string{"video"}, false}, {[]string{"video", "off"}, true}, {[]string{"video", "on"}, false}} {
		c.outs.drop()
		kioskctl(t, c.Stage, append(step.args, "--json")...)
		c.emits(t, "video", "updated")
		if s := c.session(t); s.Video.Disabled != step.off {
			t.Errorf("%v: disabled is %t", step.args, s.Video.Disabled)
		}
		if step.off {
			c.dark(t, 0, time.Second)
		} else {
			c.flows(t)
		}
	}
}

func swapSelected(t *testing.T, c *scene) {
	cameras := c.session(t).Camera
	if !cameras.Supported || cameras.ID == "" {
		t.Fatalf("camera is %s", line(cameras))
	}
	c.outs.drop()
	kioskctl(t, c.Stage, "swap", "--json")
	c.emits(t, "camera", "updated")
	c.seesCamera(t, 1)
	if now := c.session(t).Camera; now.ID == cameras.ID {
		t.Error("the session still names the first camera")
	}
	kioskctl(t, c.Stage, "swap", cameras.ID, "--json")
	c.emits(t, "camera", "updated")
	c.seesCamera(t, 0)
	_, err := c.api.SwapCamera(t.Context(), "no-such-camera")
	refusedWith(t, err, "camera_unknown")
	if now := c.session(t).Camera; now.ID != cameras.ID {
		t.Error("a refused swap changed the selection")
	}
}

func chatSelected(t *testing.T, c *scene) {
	c.outs.drop()
	kioskctl(t, c.Stage, "chat", "--json")
	c.emits(t, "chat", "opened")
	c.sees(t, "!document.querySelector('#chat').hidden")
	kioskctl(t, c.Stage, "chat", "Hello from the kiosk", "--json")
	c.clinicSees(t, `sim.messages.some(m => m.text === "Hello from the kiosk")`)
	c.sees(t, `document.querySelector('#chat-list').textContent.includes("Hello from the kiosk")`)
}

func endSelected(t *testing.T, c *scene) {
	c.outs.drop()
	kioskctl(t, c.Stage, "end", "--json")
	c.emits(t, "state", "ended")
	c.reaches(t, apitype.StateEnded)
	c.clinicSees(t, `sim.state === "patient-left"`)
	c.dark(t, 0, 2*time.Second)
	// Nothing of the patient is left on the page.
	c.sees(t, `!document.body.innerText.includes("Hello from the kiosk") && !document.body.innerText.includes("Dr. Example")`)
	if log := c.Kioskd.Log(); strings.Contains(log, "Hello from the kiosk") || strings.Contains(log, "Dr. Example") {
		t.Error("the log holds what was said, or a name")
	}
}

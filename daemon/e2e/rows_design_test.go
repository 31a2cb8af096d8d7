package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestWhatFollows plays DESIGN's table "what happens, what follows", row by row.
func TestWhatFollows(t *testing.T) {
	c := theScene(t, stage.Options{Network: true, Cameras: 2, Config: "[session]\nreconnect_seconds = 6\n"})
	c.join(t, "clinician")
	c.playsApart(t, []row{
		{"clinician leaves, comes back", leavesAndComesBack},
		{"clinician lost without a bye", lostWithoutABye},
		{"no network at open", noNetworkAtOpen},
		{"network gone past reconnect_seconds", networkGone},
		{"backend 401 in a call", unauthorizedInACall},
		{"backend 401 at open", unauthorizedAtOpen},
		{"screen without a room", noRoom},
		{"camera unplugged while video is off", unpluggedWhileOff},
		{"camera unplugged in a call", unpluggedInACall},
		{"swap with fewer than two usable cameras", swapWithOne},
		{"page reload", pageReload},
		{"end call while reconnecting", endWhileReconnecting},
		{"second open", secondOpen},
		{"limit reached while reconnecting", limitWhileReconnecting},
		{"reports an issue without a network", reportWithoutNetwork},
	})
}

// calls opens an appointment with the clinician there and waits for the call.
func (c *scene) calls(t *testing.T, id string) {
	t.Helper()
	if state, err := stage.Eval[string](t.Context(), c.clinic, "sim.state"); err != nil || state == "left" || state == "vanished" {
		c.does(t, "sim.comeBack()")
	}
	c.open(t, id, apitype.StateActive)
	c.emits(t, "state", "active")
	c.flows(t)
}

func leavesAndComesBack(t *testing.T, c *scene) {
	c.calls(t, "leaves")
	began := c.session(t).StartedAt
	c.does(t, "sim.leave()")
	c.emits(t, "state", "waiting")
	c.reaches(t, apitype.StateWaiting)
	if s := c.session(t); !s.TimerRunning || s.StartedAt == nil || !s.StartedAt.Equal(*began) {
		t.Errorf("the session's time did not go on: %s", line(s))
	}
	c.does(t, "sim.comeBack()")
	if got := c.emits(t, "state", "active"); count(got, `{"session":"started"}`) > 0 {
		t.Errorf("a second session = started: %v", got)
	}
	c.flows(t)
}

func lostWithoutABye(t *testing.T, c *scene) {
	c.calls(t, "lost")
	c.does(t, "sim.vanish()")
	got := c.emits(t, "state", "reconnecting")
	if count(got, `{"state":"waiting"}`) > 0 {
		t.Errorf("outputs are %v", got)
	}
	c.reaches(t, apitype.StateReconnecting)
	c.does(t, "sim.comeBack()")
	c.emits(t, "state", "active")
	c.flows(t)
}

func noNetworkAtOpen(t *testing.T, c *scene) {
	puts := c.asked(t, "PUT")
	unplugged(t)
	c.open(t, "offline", apitype.StateError)
	c.emits(t, "error", "network_unavailable")
	if now := c.asked(t, "PUT"); now != puts {
		t.Error("a PUT without a network")
	}
	plugged(t)
	c.emits(t, "state", "active")
	if now := c.asked(t, "PUT"); now != puts+1 {
		t.Errorf("%d PUTs after the link came", now-puts)
	}
}

// networkGone: the link goes and stays away. The error keeps the appointment; the
// session's limit ends it all the same.
func networkGone(t *testing.T, c *scene) {
	c.behave(t, map[string]any{"room": map[string]any{"session_seconds": 25}})
	c.calls(t, "network-gone")
	began := time.Now()
	unplugged(t)
	c.emits(t, "state", "reconnecting")
	c.emits(t, "error", "network_unavailable")
	if took := time.Since(began); took < 5*time.Second || took > 12*time.Second {
		t.Errorf("reconnect_seconds of 6 were over after %v", took)
	}
	c.reaches(t, apitype.StateError)
	if s := c.session(t); s.Error == nil || !s.Error.Retryable || s.AppointmentID != "network-gone" {
		t.Errorf("the session says %s", line(s))
	}
	plugged(t)
	c.emits(t, "state", "active")
	c.flows(t)
	unplugged(t)
	c.outs.take(t, `{"state":"timeout"}`, 30*time.Second)
	c.reaches(t, apitype.StateTimeout)
}

// unauthorizedInACall: the backend refuses the token while the call runs. What
// flows goes on; the session says why it cannot come back, and asks no loop.
func unauthorizedInACall(t *testing.T, c *scene) {
	c.behave(t, map[string]any{"room": map[string]any{"timeout": 1}})
	c.calls(t, "unauthorized-later")
	c.behave(t, map[string]any{"patch": map[string]any{"status": 401}})
	until(t, "the condition", 10*time.Second, func() (bool, string) {
		return c.condition(t, "backend_unauthorized"), "not set"
	})
	asked := c.asked(t, "PATCH")
	c.flows(t)
	if s := c.session(t); s.State != apitype.StateActive {
		t.Errorf("state is %s", s.State)
	}
	c.sees(t, `document.querySelector('#banner [data-code="backend_unauthorized"]')`)
	c.flows(t)
	if now := c.asked(t, "PATCH"); now > asked+1 {
		t.Errorf("%d more PATCHes after the refusal", now-asked)
	}
}

func unauthorizedAtOpen(t *testing.T, c *scene) {
	puts := c.asked(t, "PUT")
	c.behave(t, map[string]any{"put": map[string]any{"status": 401}})
	c.open(t, "unauthorized", apitype.StateError)
	c.emits(t, "error", "unauthorized")
	if s := c.session(t); s.Error == nil || s.Error.Retryable {
		t.Errorf("error is %s", line(s.Error))
	}
	if now := c.asked(t, "PUT"); now != puts+1 {
		t.Errorf("%d PUTs, want one: a refusal is final", now-puts)
	}
}

func noRoom(t *testing.T, c *scene) {
	c.behave(t, map[string]any{"put": map[string]any{"no_room": true, "title": "Please call the front desk"}})
	c.open(t, "no-room", apitype.StateError)
	c.emits(t, "error", "room_unavailable")
	if s := c.session(t); s.Error == nil || s.Error.Message != "Please call the front desk" {
		t.Errorf("error is %s", line(s.Error))
	}
	c.sees(t, `document.querySelector('#panel').innerText.includes("Please call the front desk")`)
}

func unpluggedWhileOff(t *testing.T, c *scene) {
	c.unplugs(t, 1)
	c.calls(t, "off-and-unplugged")
	off, on := true, false
	if _, err := c.api.DisableVideo(t.Context(), &off); err != nil {
		t.Fatal(err)
	}
	c.dark(t, 0, 500*time.Millisecond)
	c.unplugs(t, 0)
	c.cameras(t, 0)
	_, err := c.api.DisableVideo(t.Context(), &on)
	refusedWith(t, err, "camera_missing")
	if s := c.session(t); s.State != apitype.StateActive || !s.Video.Disabled {
		t.Errorf("the session says %s", line(s))
	}
	until(t, "the condition", 5*time.Second, func() (bool, string) { return c.condition(t, "camera_missing"), "not set" })
	c.camera(t, 0, "plug")
	until(t, "the condition goes", 5*time.Second, func() (bool, string) { return !c.condition(t, "camera_missing"), "still set" })
	if s := c.session(t); !s.Video.Disabled {
		t.Error("the plug turned the video on")
	}
	c.dark(t, 0, 500*time.Millisecond)
	if _, err := c.api.DisableVideo(t.Context(), &on); err != nil {
		t.Fatal(err)
	}
	c.flows(t)
}

// unpluggedInACall: slate within 1 s, live within 0.5 s of the plug; the call goes on.
func unpluggedInACall(t *testing.T, c *scene) {
	c.calls(t, "unplugged")
	coded := numbers(t, c.clinic, "sim.coded")
	c.unplugs(t, 0)
	start := time.Now()
	until(t, "the condition", time.Second, func() (bool, string) { return c.condition(t, "camera_missing"), "not set" })
	// The slate goes on as pictures that carry no counter.
	c.clinicSees(t, "Date.now() - sim.lastFrameAt < 600")
	t.Logf("missed after %d ms", time.Since(start).Milliseconds())
	until(t, "the slate is on the clinician's page", time.Second, func() (bool, string) {
		before := numbers(t, c.clinic, "sim.frames")
		after := numbers(t, c.clinic, "new Promise(r => setTimeout(() => r(sim.frames), 250))")
		return after > before, fmt.Sprint(before, after)
	})
	if s := c.session(t); s.State != apitype.StateActive {
		t.Errorf("state is %s", s.State)
	}
	coded = max(coded, numbers(t, c.clinic, "sim.coded"))
	c.camera(t, 0, "plug")
	plug := time.Now()
	until(t, "the camera is live", 500*time.Millisecond, func() (bool, string) { return !c.condition(t, "camera_missing"), "still missing" })
	until(t, "the picture is back", time.Second, func() (bool, string) {
		n := numbers(t, c.clinic, "sim.coded")
		return n > coded, fmt.Sprint(n - coded)
	})
	t.Logf("live %d ms after the plug", time.Since(plug).Milliseconds())
	c.quiet(t, "state", "reconnecting")
}

func swapWithOne(t *testing.T, c *scene) {
	c.calls(t, "swap-with-one")
	before := c.session(t).Camera
	c.unplugs(t, 1)
	c.emits(t, "camera", "unsupported")
	_, err := c.api.SwapCamera(t.Context(), "")
	refusedWith(t, err, "camera_unsupported")
	if now := c.session(t).Camera; now.ID != before.ID || now.Supported {
		t.Errorf("camera is %s", line(now))
	}
	c.sees(t, `!document.querySelector('button[data-reference="swap-camera"]')?.offsetParent`)
	c.flows(t)
	c.camera(t, 1, "plug")
	c.sees(t, `document.querySelector('button[data-reference="swap-camera"]')?.offsetParent`)
	c.outs.drop()
	c.press(t, "swap-camera")
	c.emits(t, "camera", "updated")
	c.seesCamera(t, 1)
	c.press(t, "swap-camera")
	c.seesCamera(t, 0)
}

func pageReload(t *testing.T, c *scene) {
	c.calls(t, "reload")
	c.outs.drop()
	before := c.session(t)
	if err := c.screen.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.sees(t, "window.kiosk?.remote?.frames > 5 && window.kiosk?.self?.frames > 5")
	after := c.session(t)
	if after.State != apitype.StateActive || !after.StartedAt.Equal(*before.StartedAt) {
		t.Errorf("the session noticed: %s", line(after))
	}
	c.quiet(t, "state", "reconnecting")
	c.flows(t)
	if err := c.screen.InstallWatch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func endWhileReconnecting(t *testing.T, c *scene) {
	c.calls(t, "end-in-between")
	c.does(t, "sim.vanish()")
	c.emits(t, "state", "reconnecting")
	c.behave(t, map[string]any{"signal": map[string]any{"drop": true}})
	start := time.Now()
	if _, err := c.api.EndCall(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 500*time.Millisecond {
		t.Errorf("the end took %v", took)
	}
	c.emits(t, "state", "ended")
	c.reaches(t, apitype.StateEnded)
	c.dark(t, 0, 2*time.Second)
}

func secondOpen(t *testing.T, c *scene) {
	c.calls(t, "first")
	puts := c.asked(t, "PUT")
	_, err := c.api.Open(t.Context(), "another")
	refusedWith(t, err, "session_in_progress")
	if _, err := c.api.Open(t.Context(), "first"); err != nil {
		t.Errorf("the same appointment again: %v", err)
	}
	if s := c.session(t); s.AppointmentID != "first" || s.State != apitype.StateActive {
		t.Errorf("the session says %s", line(s))
	}
	if now := c.asked(t, "PUT"); now != puts {
		t.Errorf("%d more PUTs", now-puts)
	}
	c.quiet(t, "state", "waiting")
}

func limitWhileReconnecting(t *testing.T, c *scene) {
	c.behave(t, map[string]any{"room": map[string]any{"session_seconds": 5}})
	c.calls(t, "limit")
	c.does(t, "sim.vanish()")
	c.emits(t, "state", "reconnecting")
	got := c.emits(t, "state", "timeout")
	for _, o := range got {
		if strings.Contains(o, "error") || strings.Contains(o, "active") {
			t.Errorf("outputs are %v", got)
		}
	}
	c.reaches(t, apitype.StateTimeout)
}

// reportWithoutNetwork: the report waits in the outbox, past the session's end,
// until the backend has it.
func reportWithoutNetwork(t *testing.T, c *scene) {
	c.calls(t, "report")
	before, err := c.Reports(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.behave(t, map[string]any{"post": map[string]any{"status": 503}})
	if _, err := c.api.SubmitReport(t.Context(), "The picture froze"); err != nil {
		t.Fatal(err)
	}
	c.emits(t, "issue", "submitted")
	if _, err := c.api.EndCall(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := c.api.Reports(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("the outbox has %s (%v)", line(list), err)
	}
	if err := c.BehaveWell(t.Context()); err != nil {
		t.Fatal(err)
	}
	unplugged(t) // the link's return cuts the pause short
	plugged(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	until(t, "the backend has the report", 10*time.Second, func() (bool, string) {
		now, err := c.Reports(ctx)
		return err == nil && len(now) == len(before)+1 && now[len(now)-1].Issue == "The picture froze", fmt.Sprint(len(now), err)
	})
	until(t, "the outbox is empty", 5*time.Second, func() (bool, string) {
		list, err := c.api.Reports(ctx)
		return err == nil && len(list) == 0, line(list)
	})
}

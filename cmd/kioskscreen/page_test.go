package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kioskd/daemon/api/apitype"
)

// view sizes of kiosks: small, full HD, and a portrait one.
type viewport struct {
	name string
	w, h int64
}

func viewports() []viewport {
	return []viewport{{"1280x800", 1280, 800}, {"1920x1080", 1920, 1080}, {"800x1280", 800, 1280}}
}

// browser starts one headless Chromium for a test.
func browser(t *testing.T) context.Context {
	t.Helper()
	opts := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath("chromium"), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		chromedp.WSURLReadTimeout(60 * time.Second),
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx)
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("cannot start chromium: %v: install the package chromium", err)
	}
	return ctx
}

// tab is the open page with the daemon's stand-in behind it.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in its context
	far *farSide
	scr *screen
}

func openPage(t *testing.T, far *farSide, change ...func(*options)) *tab {
	t.Helper()
	p := &tab{t: t, ctx: browser(t), far: far, scr: startScreen(t, far.socket, change...)}
	p.do(chromedp.EmulateViewport(1280, 800))
	p.do(chromedp.Navigate(p.scr.link()))
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits until a JavaScript condition holds. The page's policy forbids the
// eval that chromedp.Poll needs, so the waiting is done in a promise.
func (p *tab) wait(condition string) {
	p.t.Helper()
	p.waitFor(condition, 30*time.Second)
}

func (p *tab) waitFor(condition string, limit time.Duration) {
	p.t.Helper()
	script := fmt.Sprintf(`new Promise((done) => {
		const end = performance.now() + %d;
		const look = () => (%s) ? done(true) : performance.now() > end ? done(false) : setTimeout(look, 20);
		look();
	})`, limit.Milliseconds(), condition)
	ctx, cancel := context.WithTimeout(p.ctx, limit+30*time.Second)
	defer cancel()
	held, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "navigated") {
		held, err = chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise)) // the page it was asked of is gone
	}
	if err != nil {
		p.t.Fatalf("cannot wait for %s: %v", condition, err)
	}
	if !held {
		p.t.Fatalf("not within %s: %s\nstate %s", limit, condition, eval[string](p, `JSON.stringify({...document.body.dataset, title: document.querySelector("h1").textContent})`))
	}
}

func eval[T any](p *tab, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 60*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("cannot evaluate %.120s: %v", script, err)
	}
	return v
}

// shot keeps a screenshot where KIOSKSCREEN_SHOTS says, for people to look at.
func (p *tab) shot(name string) {
	p.t.Helper()
	p.wait(`document.getAnimations().every((a) => a.playState !== "running" || a.effect.getTiming().iterations === Infinity)`)
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	if len(png) < 2000 {
		p.t.Errorf("the screenshot %s is empty", name)
	}
	if dir := os.Getenv("KIOSKSCREEN_SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

// layoutCheck finds what does not fit: small targets, things outside the screen,
// text cut off, controls that lie on one another.
const layoutCheck = `(() => {
	const bad = [];
	const seen = (e) => e.getClientRects().length > 0 && getComputedStyle(e).visibility !== "hidden";
	const box = (e) => e.getBoundingClientRect();
	for (const b of document.querySelectorAll("button, input")) {
		if (!seen(b)) continue;
		const r = box(b);
		const name = b.dataset.reference || b.id || b.textContent;
		if (r.width < 64 || r.height < 64) bad.push("small: " + name + " " + r.width + "x" + r.height);
		if (r.left < 0 || r.top < 0 || r.right > innerWidth + .5 || r.bottom > innerHeight + .5) bad.push("outside: " + name);
		if (!b.textContent && !b.ariaLabel && !b.labels?.length) bad.push("no name: " + name);
	}
	for (const e of document.querySelectorAll("h1, p, #controls span, #participant, #timer, .greeting, .entry, .panel, #banner")) {
		if (!seen(e) || !e.textContent) continue;
		const r = box(e);
		if (r.left < -.5 || r.top < -.5 || r.right > innerWidth + .5 || r.bottom > innerHeight + .5) bad.push("outside: " + (e.id || e.className || e.textContent));
		if (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline") bad.push("cut: " + (e.id || e.textContent));
		if (parseFloat(getComputedStyle(e).fontSize) < 14.5) bad.push("small text: " + (e.id || e.textContent));
	}
	const nav = document.getElementById("controls"), panel = document.getElementById("panel");
	if (seen(nav) && seen(panel) && box(panel).bottom > box(nav).top + .5) bad.push("the panel lies on the controls");
	const self = document.getElementById("self");
	if (seen(self) && seen(nav) && box(self).bottom > box(nav).top + .5) bad.push("the own picture lies on the controls");
	const top = document.getElementById("top");
	if (seen(self) && seen(panel) && box(panel).bottom > box(self).top && box(panel).right > box(self).left) bad.push("the panel lies on the own picture");
	if (seen(panel) && seen(top)) for (const e of top.children) {
		if (seen(e) && box(panel).top < box(e).bottom) bad.push("the panel lies on " + e.id);
	}
	const banner = document.getElementById("banner");
	if (seen(banner) && seen(top) && box(top).top < box(banner).bottom - .5) bad.push("the banner lies on the label");
	const rows = [...nav.children].filter(seen).map((e) => Math.round(box(e).top));
	if (new Set(rows).size > 1) bad.push("the controls take more than one row");
	if (document.documentElement.scrollHeight > innerHeight + 1) bad.push("the page scrolls");
	return bad;
})()`

// call makes a session in a state, as the daemon would describe it.
func call(state string, change ...func(*apitype.Session)) *apitype.Session {
	opened := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := &apitype.Session{
		AppointmentID: "A-1042", State: state, OpenedAt: &opened,
		Participants: []apitype.Participant{}, Quality: map[string]float64{},
	}
	if state == apitype.StateActive || state == apitype.StateReconnecting {
		s.Participants = []apitype.Participant{{ID: "clinician-1", Name: "Dr. Ana Rivera", Role: "clinician", Audio: true, Video: true}}
		s.TimerSeconds, s.TimerRunning, s.StartedAt = 754, true, &opened
	}
	for _, c := range change {
		c(s)
	}
	s.Controls = controlsOf(s)
	return s
}

func controlsOf(s *apitype.Session) []apitype.Control {
	mute, video := "Mute", "Disable video"
	if s.Audio.Muted {
		mute = "Unmute"
	}
	if s.Video.Disabled {
		video = "Enable video"
	}
	on := !s.Final()
	return []apitype.Control{
		{Level: 1, Reference: "start-call", Type: "Button", Value: "Start call"},
		{Level: 1, Reference: "end-call", Type: "Link", Value: "End call", Placement: "~", Visible: on, Enabled: on},
		{Level: 1, Reference: "report-issue", Type: "Link", Value: "Report issue", Placement: "~"},
		{Level: 1, Reference: "spacer", Type: "Spacer", Placement: "~", Visible: on},
		{Level: 1, Reference: "swap-camera", Type: "Link", Value: "Swap camera", Placement: "~", Visible: s.Camera.Supported, Enabled: on},
		{Level: 1, Reference: "disable-video", Type: "Link", Value: video, Placement: "~", Visible: on, Enabled: on},
		{Level: 1, Reference: "mute", Type: "Link", Value: mute, Placement: "~", Visible: on, Enabled: on},
		{Level: 1, Reference: "chat", Type: "Link", Value: "Chat", Placement: "~"},
	}
}

func failed(code string, retryable bool) *apitype.Session {
	return call(apitype.StateError, func(s *apitype.Session) {
		s.Error = &apitype.Error{Code: code, Retryable: retryable, Message: "cannot go on"}
	})
}

// scene is a state and what a patient must then read.
type scene struct {
	name       string
	session    *apitype.Session
	conditions []apitype.Condition
	says       string
	buttons    string // the visible controls' references, in order
}

func scenes() []scene {
	all := "end-call disable-video mute"
	step := func(name string) func(*apitype.Session) { return func(s *apitype.Session) { s.Step = name } }
	out := []scene{
		{name: "none", says: "Please wait for your appointment, or enter your code."},
		{name: "waiting_permissions", session: call(apitype.StateWaitingPermissions), says: "May we use the camera and microphone?", buttons: all},
		{name: "waiting_loading", session: call(apitype.StateWaiting, step("loading")), says: "Preparing your appointment", buttons: all},
		{name: "waiting_joining", session: call(apitype.StateWaiting, step("joining")), says: "Opening the video room", buttons: all},
		{name: "waiting_participant", session: call(apitype.StateWaiting, step("participant")), says: "Waiting for your clinician", buttons: all},
		{name: "active", session: call(apitype.StateActive), says: "Dr. Ana Rivera", buttons: all},
		{name: "active_muted_off", session: call(apitype.StateActive, func(s *apitype.Session) {
			s.Audio.Muted, s.Video.Disabled, s.Camera.Supported = true, true, true
		}), says: "You are muted", buttons: "end-call swap-camera disable-video mute", conditions: []apitype.Condition{
			{Code: "camera_missing", Severity: apitype.SeverityWarning, Message: "no camera"},
		}},
		{name: "waiting_banner", session: call(apitype.StateWaiting, step("participant")), says: "The network is slow", buttons: all, conditions: []apitype.Condition{
			{Code: "not_in_the_catalogue", Severity: apitype.SeverityInfo, Message: "The network is slow.", Hint: "It may stutter."},
			{Code: "microphone_missing", Severity: apitype.SeverityError, Message: "no microphone"},
		}},
		{name: "reconnecting", session: call(apitype.StateReconnecting), says: "The connection was lost", buttons: all},
		{name: "ended", session: call(apitype.StateEnded), says: "The call has ended"},
		{name: "timeout", session: call(apitype.StateTimeout), says: "The time is over"},
		{name: "error_unknown_code", session: failed("something_new", false), says: "cannot go on"},
	}
	for code, says := range map[string]string{
		"camera_permission_required": "The camera is blocked", "microphone_permission_required": "The microphone is blocked",
		"network_unavailable": "No network", "backend_unavailable": "The appointment service does not answer",
	} {
		out = append(out, scene{name: "error_" + code, session: failed(code, true), says: says, buttons: all})
	}
	for code, says := range map[string]string{
		"unauthorized": "This kiosk is not signed in", "room_unavailable": "The video room is not open", "appointment_unknown": "We do not know this code",
	} {
		out = append(out, scene{name: "error_" + code, session: failed(code, false), says: says})
	}
	return out
}

func TestPageShowsEveryState(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)
	for _, s := range scenes() {
		far.change(s.session, s.conditions...)
		state := "none"
		if s.session != nil {
			state = s.session.State
		}
		p.wait(fmt.Sprintf(`document.body.dataset.state === %q && document.body.innerText.includes(%q)`, state, s.says))
		if state == "active" {
			p.wait(`window.kiosk.remote.live && document.querySelector(".remote").dataset.picture === "yes"`)
		}
		got := eval[string](p, `[...document.querySelectorAll("#controls button")].map((b) => b.dataset.reference).join(" ")`)
		if got != s.buttons {
			t.Errorf("%s: buttons %q, want %q", s.name, got, s.buttons)
		}
		for _, v := range viewports() {
			p.do(chromedp.EmulateViewport(v.w, v.h))
			p.wait(fmt.Sprintf(`innerWidth === %d`, v.w))
			if bad := eval[[]string](p, layoutCheck); len(bad) > 0 {
				t.Errorf("%s at %s: %s", s.name, v.name, strings.Join(bad, "; "))
			}
			p.shot(s.name + "-" + v.name)
		}
	}
}

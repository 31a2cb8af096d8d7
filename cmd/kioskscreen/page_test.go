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

// begun: all of the page's files came. Before that it may begin anew.
const begun = `window.kiosk && document.documentElement.dataset.whole !== undefined`

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
	p.load(chromedp.Navigate(p.scr.link()))
	p.wait(begun)
	return p
}

// load shows a page. A Chromium that is driven does not try again by itself where the
// machine's addresses changed while it connected.
func (p *tab) load(how chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	err := chromedp.Do(ctx, how)
	for err != nil && strings.Contains(err.Error(), "ERR_NETWORK_CHANGED") && ctx.Err() == nil {
		err = chromedp.Do(ctx, chromedp.Reload())
	}
	if err != nil {
		p.t.Fatal(err)
	}
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
	held, err := evaluate[bool](ctx, script)
	if err != nil {
		p.t.Fatalf("cannot wait for %s: %v", condition, err)
	}
	if !held {
		p.t.Fatalf("not within %s: %s\nstate %s", limit, condition, eval[string](p, `JSON.stringify({...document.body.dataset, title: document.querySelector("h1").textContent})`))
	}
}

// evaluate asks again where the page it asked is gone meanwhile.
func evaluate[T any](ctx context.Context, script string) (T, error) {
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "navigated") {
		v, err = chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	}
	return v, err
}

func eval[T any](p *tab, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 60*time.Second)
	defer cancel()
	v, err := evaluate[T](ctx, script)
	if err != nil {
		p.t.Fatalf("cannot evaluate %.120s: %v", script, err)
	}
	return v
}

// shot keeps a screenshot in the folder KIOSK_SHOTS, for people to look at.
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
	if dir := os.Getenv("KIOSK_SHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

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
	inRoom := on && s.Step != apitype.StepLoading && s.State != apitype.StateWaitingPermissions && s.State != apitype.StateError
	return []apitype.Control{
		{Level: 1, Reference: "start-call", Type: "Button", Value: "Start call"},
		{Level: 1, Reference: "end-call", Type: "Link", Value: "End call", Placement: "~", Visible: on, Enabled: on},
		{Level: 1, Reference: "report-issue", Type: "Link", Value: "Report issue", Placement: "~", Visible: inRoom, Enabled: inRoom},
		{Level: 1, Reference: "spacer", Type: "Spacer", Placement: "~", Visible: on},
		{Level: 1, Reference: "swap-camera", Type: "Link", Value: "Swap camera", Placement: "~", Visible: s.Camera.Supported, Enabled: on},
		{Level: 1, Reference: "disable-video", Type: "Link", Value: video, Placement: "~", Visible: on, Enabled: on},
		{Level: 1, Reference: "mute", Type: "Link", Value: mute, Placement: "~", Visible: on, Enabled: on},
		{Level: 1, Reference: "chat", Type: "Link", Value: "Chat", Placement: "~", Visible: inRoom, Enabled: inRoom},
		{Level: 1, Reference: "not-known-here", Type: "Link", Value: "Canary", Visible: true, Enabled: true},
	}
}

// jsOf fills values into a condition.
func jsOf(condition string, values ...any) string { return fmt.Sprintf(condition, values...) }

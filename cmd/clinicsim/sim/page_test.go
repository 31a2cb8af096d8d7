package sim_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"kioskd/cmd/clinicsim/sim"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/daemon/room/direct/signal"
)

// browse opens url in a headless Chromium of the test's own.
func browse(t *testing.T, url string, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	opts := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	opts = append(opts, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.WindowSize(1280, 860))
	alloc, endAlloc := chromedp.NewExecAllocator(context.Background(), append(opts, flags...)...)
	ctx, endTab := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		stop, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if err := chromedp.Cancel(stop); err != nil {
			t.Log("closing the browser:", err)
		}
		endTab()
		endAlloc()
	})
	logConsole(t, ctx)
	show(t, ctx, chromedp.Navigate(url))
	return ctx
}

// show loads a page and waits until all of it is there. A Chromium that is driven does not
// try again by itself where the machine's addresses changed while it connected.
func show(t *testing.T, ctx context.Context, load chromedp.Action[chromedp.Void]) {
	t.Helper()
	limited, cancel := context.WithTimeout(ctx, pageWait)
	defer cancel()
	err := chromedp.Do(limited, load)
	for err != nil && strings.Contains(err.Error(), "ERR_NETWORK_CHANGED") && limited.Err() == nil {
		err = chromedp.Do(limited, chromedp.Reload())
	}
	if err != nil {
		t.Fatal(err)
	}
	until(t, ctx, `!document.querySelector('script[type=module]') || document.documentElement.dataset.whole !== undefined && window.sim`)
}

// logConsole fails the test on an uncaught error in the page.
func logConsole(t *testing.T, ctx context.Context) {
	t.Helper()
	err := chromedp.Listen(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page threw: %s %+v", ev.ExceptionDetails.Text, ev.ExceptionDetails.Exception)
		case *runtime.EventConsoleAPICalled:
			for _, arg := range ev.Args {
				t.Logf("console.%s: %s", ev.Type, arg.Value)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pageWait is the deadline of what several browsers and codecs must do first.
const pageWait = 3 * wait

// until waits in the page until the JavaScript condition holds. It polls from
// here: the page's strict CSP forbids the driver's own poll function.
func until(t *testing.T, ctx context.Context, condition string) {
	t.Helper()
	deadline := time.Now().Add(pageWait)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
		if ok {
			return
		}
		if time.Now().After(deadline) {
			state, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`JSON.stringify([window.sim?.history, window.sim?.frames, window.sim?.audio.rms, document.body.innerText])`))
			t.Fatalf("never true: %s (%v); page: %s", condition, err, state)
		}
		<-tick.C
	}
}

func evaluate[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func click(t *testing.T, ctx context.Context, id string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Click(chromedp.ID(id), chromedp.NodeVisible)); err != nil {
		t.Fatal(err)
	}
}

// shoot keeps a screenshot where CLINICSIM_SHOTS names a folder.
func shoot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("CLINICSIM_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestPageInACall is one call from the first look to the last word, with a
// kiosk that sends the page's own picture and tone back to it.
func TestPageInACall(t *testing.T) {
	clinic := start(t, sim.Config{Name: "Dr. Żak"})
	page := browse(t, clinic.Clinician, chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	until(t, page, `window.sim && sim.state === 'waiting'`)
	shoot(t, page, "waiting")

	opened := clinic.openRoom(t, "A-1")
	k := joinKiosk(t, opened, "kiosk-ab12")
	until(t, page, `sim.state === 'active' && sim.frames > 0`)
	until(t, page, `sim.latencies.length > 50 && Math.abs(sim.audio.peakHz - 660) < 5 && sim.audio.rms > 0.02`)
	shoot(t, page, "active")
	checkFigures(t, page, k)

	// Mute: the tone goes and comes back.
	click(t, page, "mute")
	until(t, page, `sim.audio.rms < 0.001`)
	click(t, page, "mute")
	until(t, page, `sim.audio.rms > 0.02 && Math.abs(sim.audio.peakHz - 660) < 5`)

	// A hidden picture is black, so frames come without a code.
	click(t, page, "hide")
	until(t, page, `(window.was ??= sim.frames - sim.coded) >= 0 && sim.frames - sim.coded > window.was + 5`)
	click(t, page, "hide")
	until(t, page, `(window.then ??= sim.coded) >= 0 && sim.coded > window.then + 5`)

	// A restart keeps the connection, a fresh offer makes another.
	evaluate[bool](t, page, `(window.before = sim.pc) !== null`)
	k.line("").describe(true)
	until(t, page, `sim.pc === window.before && sim.pc.signalingState === 'stable' && sim.pc.remoteDescription.sdp.includes('ice-ufrag')`)
	k.expect(signal.Answer)

	if name := evaluate[string](t, page, `document.getElementById('label').textContent`); name != "Kiosk, room 3" {
		t.Errorf("the patient's label is %q", name)
	}
	k.send(signal.Message{Type: signal.Bye})
	until(t, page, `sim.state === 'patient-left' && sim.lastBye.reason === 'bye' && sim.pc === null`)
	until(t, page, `document.body.innerText.includes('The patient has left')`)
	shoot(t, page, "left")
}

func checkFigures(t *testing.T, page context.Context, k *kiosk) {
	t.Helper()
	f := evaluate[struct {
		Frames, Coded, Lost int
		P50, P95            float64
		Size                struct{ Width, Height int }
	}](t, page, `({Frames: sim.frames, Coded: sim.coded, Lost: sim.lost, P50: sim.percentile(50), P95: sim.percentile(95), Size: {Width: sim.size.width, Height: sim.size.height}})`)
	t.Logf("calling -> active in %.0f ms", evaluate[float64](t, page, `sim.history.at(-1).at - sim.history.at(-2).at`))
	t.Logf("round trip page -> kiosk -> page: %+v, kiosk got %d video and %d audio packets", f, k.gotVideo.Load(), k.gotAudio.Load())
	if f.Coded*10 < f.Frames*9 {
		t.Errorf("only %d of %d frames had a readable code", f.Coded, f.Frames)
	}
	// Not a promise, this machine may be busy: the clocks must make sense.
	if f.P50 <= 0 || f.P50 > float64(wait.Milliseconds()) {
		t.Errorf("p50 latency %.1f ms", f.P50)
	}
	if f.Size.Width != 640 || f.Size.Height != 360 {
		t.Errorf("picture of %dx%d", f.Size.Width, f.Size.Height)
	}
	if k.gotVideo.Load() < 50 || k.gotAudio.Load() < 50 {
		t.Errorf("the kiosk got %d video and %d audio packets", k.gotVideo.Load(), k.gotAudio.Load())
	}
}

// TestPageSaysWhyThePatientIsGone: each way of leaving has its words, and a
// kiosk that comes back is met again.
func TestPageSaysWhyThePatientIsGone(t *testing.T) {
	clinic := start(t, sim.Config{})
	page := browse(t, clinic.Clinician, chromedp.Flag("autoplay-policy", "no-user-gesture-required"))
	until(t, page, `window.sim && sim.state === 'waiting'`)
	opened := clinic.openRoom(t, "A-1")

	k := joinKiosk(t, opened, "kiosk-1")
	until(t, page, `sim.state === 'active' && sim.frames > 0`)

	// The same kiosk with a new connection: the page takes the new offer.
	evaluate[bool](t, page, `(window.first = sim.pc) !== null`)
	second := joinKiosk(t, opened, "kiosk-1")
	if m := k.expect(signal.Error); m.Code != signal.CodeSuperseded {
		t.Errorf("the old connection got %s", m.Code)
	}
	until(t, page, `sim.pc && sim.pc !== window.first && sim.state === 'active'`)
	if evaluate[bool](t, page, `sim.lastBye !== null`) {
		t.Error("the page was told that the superseded kiosk left")
	}

	second.send(signal.Message{Type: signal.Away})
	until(t, page, `document.body.innerText.includes('The patient is away for a moment')`)

	third := joinKiosk(t, opened, "kiosk-1")
	until(t, page, `sim.state === 'active'`)
	third.close() // without a word
	until(t, page, `document.body.innerText.includes('Connection to the patient lost')`)

	// The clinician leaves and comes back.
	fourth := joinKiosk(t, opened, "kiosk-1")
	until(t, page, `sim.state === 'active'`)
	click(t, page, "hangup")
	if m := fourth.expect(signal.PeerLeft); m.Reason != signal.ReasonBye {
		t.Errorf("hang up reached the kiosk as %s", m.Reason)
	}
	until(t, page, `document.body.innerText.includes('You have left the call') && sim.pc === null`)
	click(t, page, "rejoin")
	until(t, page, `sim.state === 'active' && sim.pc`)

	// A reload says away and comes back as the same peer.
	show(t, page, chromedp.Reload())
	until(t, page, `window.sim && sim.state === 'active' && sim.frames > 0`)
}

// TestPageAsksForTheClickThatSoundNeeds runs with the browser's usual autoplay rule.
func TestPageAsksForTheClickThatSoundNeeds(t *testing.T) {
	clinic := start(t, sim.Config{})
	page := browse(t, clinic.Clinician, chromedp.Flag("autoplay-policy", "user-gesture-required"))
	until(t, page, `window.sim && sim.state === 'waiting'`)
	joinKiosk(t, clinic.openRoom(t, "A-1"), "kiosk-1")
	until(t, page, `sim.state === 'active' && sim.frames > 0`)
	until(t, page, `!document.getElementById('hear').hidden`)
	shoot(t, page, "hear")
	click(t, page, "hear")
	until(t, page, `document.getElementById('hear').hidden && sim.audio.rms > 0.02`)
}

// TestBlocksAgree checks the page's code against the cameras' own package, and
// its reader against pictures in the sizes of cameras and scaled on the way.
func TestBlocksAgree(t *testing.T) {
	clinic := start(t, sim.Config{})
	page := browse(t, clinic.Clinician)
	made := time.UnixMicro(1_795_376_521_360_700)
	packed, err := chromedp.Run(page, chromedp.Evaluate[string](
		`import('/assets/blocks.js').then(({ packCode }) => Array.from(packCode(0xfedcba98, 1795376521360.75)).join(' '))`,
		chromedp.EvalAwaitPromise))
	if want := strings.Trim(fmt.Sprint(blocks.New(0xfedcba98, made).Pack()), "[]"); err != nil || packed != want {
		t.Errorf("the page packs %s (%v), the camera %s", packed, err, want)
	}
	for _, c := range []struct{ w, h, toW, toH int }{
		{640, 360, 640, 360},
		{640, 480, 640, 480},
		{1280, 720, 1280, 720},
		{1920, 1080, 1920, 1080},
		{1280, 720, 640, 360},
		{1280, 720, 960, 540},
		{640, 360, 320, 180},
		{320, 240, 320, 240},
		{642, 362, 642, 362},
	} {
		script := fmt.Sprintf(`(async () => {
			const { writeBlocks, FrameReader } = await import('/assets/blocks.js');
			const from = new OffscreenCanvas(%d, %d), to = new OffscreenCanvas(%d, %d);
			const now = Math.floor(Date.now()) + 0.3;
			writeBlocks(from.getContext('2d'), from.width, from.height, 0xfedcba98, now);
			to.getContext('2d').drawImage(from, 0, 0, to.width, to.height);
			const frame = new VideoFrame(to, { timestamp: 0 });
			const code = await new FrameReader().read(frame);
			frame.close();
			return code ? [code.counter === 0xfedcba98, Math.abs(code.timeMs - now) < 0.2].join() : 'unread';
		})()`, c.w, c.h, c.toW, c.toH)
		got, err := chromedp.Run(page, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
		if err != nil || got != "true,true" {
			t.Errorf("%dx%d as %dx%d: %s (%v)", c.w, c.h, c.toW, c.toH, got, err)
		}
	}
}

package sim_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"kioskd/cmd/clinicsim/sim"
	"kioskd/daemon/room/direct/signal"
)

// TestPageLeavesAndComesBack: with a bye, and without a word.
func TestPageLeavesAndComesBack(t *testing.T) {
	clinic := start(t, sim.Config{})
	page, k := called(t, clinic, clinic.Clinician)
	until(t, page, `clinic.frames > 0`)
	evaluate[bool](t, page, `(clinic.vanish(), true)`)
	if m := k.expect(signal.PeerLeft); m.Reason != signal.ReasonLost {
		t.Errorf("vanishing reached the kiosk as %s", m.Reason)
	}
	until(t, page, `clinic.state === 'vanished' && clinic.pc === null && document.body.innerText.includes('without a word')`)
	evaluate[bool](t, page, `(window.then = clinic.frames, clinic.comeBack(), true)`)
	until(t, page, `clinic.state === 'active' && clinic.frames > window.then && clinic.chatOpen`)

	click(t, page, "vanish")
	k.expect(signal.PeerLeft)
	click(t, page, "rejoin")
	until(t, page, `clinic.state === 'active'`)
	evaluate[bool](t, page, `(clinic.leave(), true)`)
	if m := k.expect(signal.PeerLeft); m.Reason != signal.ReasonBye {
		t.Errorf("leaving reached the kiosk as %s", m.Reason)
	}

	// A page that was closed comes back by another address, as the same peer.
	peer := evaluate[string](t, page, `clinic.desk.peer`)
	url := clinic.invite(t, "clinician")
	again := browse(t, url, chromedp.Flag(sound, "no-user-gesture-required"))
	until(t, again, `window.clinic && clinic.state === 'active' && clinic.frames > 0`)
	if got := evaluate[string](t, again, `clinic.desk.peer`); got != peer {
		t.Errorf("it came back as %s, not as %s", got, peer)
	}
}

// invite asks for another one-use address.
func (r *running) invite(t *testing.T, as string) string {
	t.Helper()
	got := r.do(t, http.MethodPost, "/sim/invite", `{"as":"`+as+`"}`, "Authorization", "Bearer "+r.Control)
	var answer struct{ URL string }
	if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	return answer.URL
}

// TestThreeAtTheDesk: two clinicians and an interpreter have a call each with
// the same kiosk; the interpreter neither has nor sends a picture but sees the patient's.
func TestThreeAtTheDesk(t *testing.T) {
	clinic := start(t, sim.Config{Name: "Dr. One", SecondName: "Dr. Two"})
	page, k := called(t, clinic, clinic.Clinician)
	noSound := chromedp.Flag(sound, "no-user-gesture-required")
	second := browse(t, clinic.Second, noSound)
	until(t, second, `window.clinic && clinic.state === 'active' && clinic.coded > 0 && Math.abs(clinic.audio.peakHz - 770) < 5`)
	if evaluate[int](t, second, `JSON.parse(clinic.frameLog()).at(-1).counter`) < 500_000_000 {
		t.Error("the second clinician's picture counts like the first's")
	}
	interpreter := browse(t, clinic.Interpreter, noSound)
	until(t, interpreter, `window.clinic && clinic.state === 'active' && Math.abs(clinic.audio.peakHz - 550) < 5`)
	shoot(t, second, "second")
	shoot(t, interpreter, "interpreter")

	asked := evaluate[bool](t, interpreter, `clinic.desk.audioOnly && clinic.media.tracks.every((t) => t.kind === 'audio') &&
		clinic.pc.getSenders().every((s) => s.track?.kind !== 'video')`)
	direction := evaluate[string](t, interpreter, `clinic.pc.getTransceivers().find((t) => t.receiver.track.kind === 'video').currentDirection`)
	hidden := evaluate[bool](t, interpreter, `document.getElementById('hide').hidden && document.getElementById('own-figure').hidden`)
	if !asked || direction != "recvonly" || !hidden {
		t.Errorf("the interpreter's page: sound only %v, video %s, picture's controls hidden %v", asked, direction, hidden)
	}
	line := k.line(evaluate[string](t, interpreter, `clinic.desk.peer`))
	if line.gotVideo.Load() != 0 {
		t.Error("the interpreter's page sent a picture")
	}
	// The patient's picture, here the first clinician's, reaches the interpreter.
	k.mu.Lock()
	from := k.lines[evaluate[string](t, page, `clinic.desk.peer`)]
	k.mu.Unlock()
	from.copyTo(line)
	until(t, interpreter, `clinic.coded > 5`)

	// Each has a chat of its own, and one that leaves leaves the others alone.
	for _, who := range []struct {
		page context.Context //nolint:containedctx // chromedp keeps a page in its context
		says string
	}{{page, "one"}, {second, "two"}, {interpreter, "three"}} {
		evaluate[string](t, who.page, `clinic.sendChat('`+who.says+`')`)
		if from, s := k.hear(); s.Text != who.says || from != evaluate[string](t, who.page, `clinic.desk.peer`) {
			t.Errorf("%s said %q", from, s.Text)
		}
	}
	click(t, second, "hangup")
	k.expect(signal.PeerLeft)
	click(t, second, "rejoin")
	until(t, second, `clinic.state === 'active' && clinic.pc`)
	if n := evaluate[int](t, page, `clinic.offers`); n != 1 {
		t.Errorf("the first page got %d offers", n)
	}
}

// TestGapLog: the frames' log, the largest gap, and which camera they are from.
func TestGapLog(t *testing.T) {
	clinic := start(t, sim.Config{})
	page, _ := called(t, clinic, clinic.Clinician)
	until(t, page, `clinic.coded > 30`)
	script := `(() => { const f = JSON.parse(clinic.frameLog()); return f.length === Math.min(600, clinic.frames) &&
		f.every((x, i) => typeof x.at === 'number' && x.at > 0 && x.at <= performance.now() + 5 && (i === 0 || x.at >= f[i - 1].at)) })()`
	until(t, page, script)
	if !evaluate[bool](t, page, `clinic.gap.source === 0 && clinic.gap.largest > 0 && clinic.gap.frames > 30 && clinic.switches.length === 0`) {
		t.Errorf("gap %s", evaluate[string](t, page, `JSON.stringify([clinic.gap, clinic.switches])`))
	}

	// The log alone, with times of the test's own.
	got, err := chromedp.Run(page, chromedp.Evaluate[string](`import('/assets/gaps.js').then(({ GapLog }) => {
		const log = new GapLog();
		const out = [];
		for (const [c, at] of [[1, 100], [2, 133], [null, 200], [3, 233], [1000007, 400], [1000008, 433], [9, 500]]) log.take(c, at);
		out.push(log.figures.largest, log.figures.around, log.figures.source, log.switches);
		log.reset();
		out.push(log.figures.largest, log.switches.length, log.figures.frames, log.frames.length);
		log.take(10, 560);
		out.push(log.figures.largest, log.figures.frames);
		for (let i = 0; i < 700; i++) log.take(10 + i, 600 + i);
		out.push(log.frames.length, log.figures.largest);
		return JSON.stringify(out);
	})`, chromedp.EvalAwaitPromise))
	want := `[167,{"from":3,"to":1000007,"at":400},0,[{"from":0,"to":1,"at":400,"gap":167},{"from":1,"to":0,"at":500,"gap":67}],0,0,0,7,60,1,600,60]`
	if err != nil || got != want {
		t.Errorf("the log says %s (%v), want %s", got, err, want)
	}
}

package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kioskd/daemon/api/apitype"
)

// press touches a control once it is there.
func (p *tab) press(selector string) {
	p.t.Helper()
	p.wait(fmt.Sprintf(`document.querySelector(%q)?.getClientRects().length > 0`, selector))
	p.do(chromedp.Click(chromedp.CSS(selector)))
}

func (p *tab) text(id string) string {
	p.t.Helper()
	return eval[string](p, fmt.Sprintf(`document.getElementById(%q).innerText`, id))
}

func TestPageCallFromCodeToEnd(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)

	// The code, on the keypad and by a keyboard or code reader.
	p.press("#code-submit")
	p.wait(`document.getElementById("code-error").textContent === "Please enter your code first."`)
	for _, key := range []string{"4", "7", "0"} {
		p.press(fmt.Sprintf("#keypad button:nth-child(%s)", map[string]string{"4": "4", "7": "7", "0": "11"}[key]))
	}
	p.press("#keypad button:nth-child(12)") // takes the last one back
	p.press("#keypad button:nth-child(10)") // the letters
	p.wait(`document.getElementById("keypad").dataset.set === "letters"`)
	if bad := eval[[]string](p, layoutCheck); len(bad) > 0 {
		t.Errorf("the letters: %s", strings.Join(bad, "; "))
	}
	p.shot("letters-1280x800")
	p.press("#keypad button:nth-child(1)")
	far.refuse("PUT /v1/session", apitype.NewProblem(404, "appointment_unknown", "cannot open", "check"))
	p.do(chromedp.SendKeys(chromedp.CSS("#code"), "-9\r"))
	p.wait(`document.getElementById("code-error").textContent.startsWith("We do not know this code.")`)
	p.shot("code_refused-1280x800")
	far.refuse("PUT /v1/session", nil)
	far.reset()
	p.press("#code-submit")
	if got := far.await("PUT", "/v1/session"); got.body != `{"appointment_id":"47A-9"}` || got.header.Get("Idempotency-Key") == "" {
		t.Errorf("the code arrived as %s with key %q", got.body, got.header.Get("Idempotency-Key"))
	}
	p.wait(`document.getElementById("code").value === ""`)

	// Waiting: the own picture is there before the clinician is.
	far.change(call(apitype.StateWaiting, func(s *apitype.Session) { s.Step = apitype.StepParticipant }))
	p.wait(`window.kiosk.self?.live && document.getElementById("self").dataset.picture === "yes"`)
	if n := far.count("POST", "/v1/views/remote/clinician-1"); n != 0 {
		t.Errorf("%d remote views without a participant", n)
	}

	// Active: picture, sound, label, a timer that runs by itself.
	began := time.Now()
	far.change(call(apitype.StateActive))
	p.wait(`window.kiosk.remote?.frames > 0`)
	t.Logf("active -> first remote frame %d ms (seen by a test that looks every 20 ms)", time.Since(began).Milliseconds())
	p.wait(`window.kiosk.remote.frames > 20 && document.getElementById("remote-video-0").videoWidth === 640`)
	if got := p.text("participant"); got != "Dr. Ana Rivera" {
		t.Errorf("the label says %q", got)
	}
	p.wait(`document.getElementById("timer").innerText === "12:36"`)
	eval[any](p, `(window.kiosk.audio, true)`)
	// While its buffer fills, the browser stretches what it plays.
	p.wait(fmt.Sprintf(`window.kiosk.audio?.rms > 0.05 && Math.abs(window.kiosk.audio.peakHz - %d) <= 10`, studioTone))
	if eval[bool](p, `document.getElementById("remote-video-0").muted || !document.getElementById("self-video").muted`) {
		t.Error("the remote sound must play and the own must not")
	}

	p.controlsOfTheCall()

	// End: views are taken down, the patient's name goes from the page.
	far.change(call(apitype.StateEnded))
	p.wait(`document.body.dataset.state === "ended"`)
	far.awaitNoViews()
	if eval[bool](p, `document.documentElement.outerHTML.includes("Rivera") || JSON.stringify(window.kiosk).includes("Rivera")`) {
		t.Error("the participant's name is still in the page")
	}
	p.press(`[data-action="done"]`)
	p.wait(`document.body.dataset.state === "none"`)
	far.change(nil)
	far.change(call(apitype.StateEnded, func(s *apitype.Session) { later := s.OpenedAt.Add(time.Hour); s.OpenedAt = &later }))
	p.wait(`document.body.dataset.state === "ended"`) // another appointment's end is shown again
}

// controlsOfTheCall presses each button of an active call.
func (p *tab) controlsOfTheCall() {
	p.t.Helper()
	far := p.far
	far.reset()
	p.press(`[data-reference="mute"]`)
	if got := far.await("POST", "/v1/session/mute"); got.body != `{"muted":true}` {
		p.t.Errorf("mute sent %q", got.body)
	}
	far.change(call(apitype.StateActive, func(s *apitype.Session) { s.Audio.Muted, s.Camera.Supported = true, true }))
	p.wait(`document.querySelector('[data-reference="mute"]').innerText === "Unmute" && document.getElementById("self-caption").innerText === "You are muted"`)
	far.reset()
	p.press(`[data-reference="mute"]`)
	if got := far.await("POST", "/v1/session/mute"); got.body != `{"muted":false}` {
		p.t.Errorf("unmute sent %q", got.body)
	}
	p.press(`[data-reference="swap-camera"]`)
	if got := far.await("POST", "/v1/session/swap-camera"); got.body != "" || got.header.Get("Content-Type") != "" {
		p.t.Errorf("swap-camera sent %q", got.body)
	}
	p.press(`[data-reference="disable-video"]`)
	if got := far.await("POST", "/v1/session/disable-video"); got.body != `{"disabled":true}` {
		p.t.Errorf("disable-video sent %q", got.body)
	}
	far.change(call(apitype.StateActive, func(s *apitype.Session) { s.Video.Disabled = true }))
	p.wait(`document.querySelector('[data-reference="disable-video"]').innerText === "Enable video" && !window.kiosk.self.running`)
	far.refuse("POST /v1/session/disable-video", apitype.NewProblem(409, "camera_missing", "cannot", "plug it in"))
	p.press(`[data-reference="disable-video"]`)
	p.wait(`!document.getElementById("toast").hidden && document.getElementById("toast").textContent.startsWith("There is no camera.")`)
	p.shot("refused-1280x800")
	p.press(`[data-reference="end-call"]`)
	if got := far.await("POST", "/v1/session/end-call"); got.body != "" {
		p.t.Errorf("end-call sent %q", got.body)
	}
}

func TestPageCallSurvivesTheDaemon(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	far.stop()
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "starting" && document.body.innerText.includes("The kiosk is starting")`)
	p.shot("starting-1280x800")
	far.start()
	far.change(call(apitype.StateActive))
	p.wait(`window.kiosk.remote?.frames > 5 && window.kiosk.self?.frames > 5`)

	// Killed: told within a second, the last picture stays, dimmed.
	eval[any](p, `(window.lostAt = 0, new MutationObserver(() => { if (document.body.dataset.link === "lost") window.lostAt ||= performance.timeOrigin + performance.now(); }).observe(document.body, { attributes: true }), true)`)
	killed := time.Now()
	far.stop()
	far.studio.hangUp()
	p.wait(`window.lostAt > 0 && document.body.innerText.includes("The kiosk is restarting")`)
	told := eval[float64](p, `window.lostAt`) - float64(killed.UnixMicro())/1000
	if told > 1000 {
		t.Errorf("the page said so after %.0f ms, the promise is 1000", told)
	}
	if got := eval[string](p, `document.body.dataset.state + " " + document.getElementById("stage").hidden + " " + document.getElementById("controls").hidden`); got != "starting false true" {
		t.Errorf("state, stage and controls: %s", got)
	}
	p.shot("restarting-1280x800")

	// Back: views are made again, frames go on.
	lost := eval[float64](p, `performance.now()`)
	far.reset()
	back := time.Now()
	far.start()
	p.wait(fmt.Sprintf(`document.body.dataset.state === "active" && window.kiosk.remote.shownSince > %f`, lost))
	t.Logf("told after %.0f ms; daemon back -> frames %d ms", told, time.Since(back).Milliseconds())
	far.await("POST", "/v1/views/remote/clinician-1")
	far.await("POST", "/v1/views/self") // a little later: the others' pictures come first
	p.wait(fmt.Sprintf(`window.kiosk.self.shownSince > %f`, lost))
}

func TestPageCallJudgesByFrames(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	far.change(call(apitype.StateActive))
	remote := "/v1/views/remote/clinician-1"
	p.wait(`window.kiosk.remote?.frames > 5 && window.kiosk.self?.frames > 5`)

	// Everything stops though the connection stays up: new views after 2 s.
	far.reset()
	stopped := time.Now()
	far.studio.mute(true, true)
	far.await("POST", remote)
	if took := time.Since(stopped); took < 1900*time.Millisecond || took > 6*time.Second {
		t.Errorf("the view was made again after %s, want about 2 s", took)
	}
	if !eval[bool](p, `document.querySelector(".remote canvas").width > 0`) {
		t.Error("the last picture was not kept")
	}
	far.studio.mute(false, false)
	p.wait(`window.kiosk.remote.live && window.kiosk.self.live`)
	p.wait(`document.querySelector(".remote canvas").hidden`)

	// Only the picture stops: the sound is not torn again and again.
	far.reset()
	far.studio.mute(true, false)
	p.wait(`document.querySelector(".remote").dataset.picture === "no" && document.querySelector(".remote .nobody").innerText.includes("Sound only")`)
	p.shot("sound_only-1280x800")
	eval[any](p, `(window.gap = 0, setInterval(() => { window.gap = Math.max(window.gap, performance.now() - window.kiosk.remote.lastSound); }, 100))`)
	p.waitFor(`performance.now() - window.kiosk.remote.lastPicture > 7000`, 12*time.Second)
	// A machine that is too busy to play sound for so long has a fault to mend.
	if n, gap := far.count("POST", remote), eval[float64](p, `window.gap`); n > 1 && gap < 2000 {
		t.Errorf("%d new views while the sound was good, its longest gap %.0f ms", n, gap)
	}
	far.studio.mute(false, false)
	p.wait(`window.kiosk.remote.live && document.querySelector(".remote").dataset.picture === "yes"`)

	// While the daemon reconnects, silence is no fault of the view's.
	far.change(call(apitype.StateReconnecting))
	p.wait(`document.body.dataset.state === "reconnecting"`)
	far.reset()
	far.studio.mute(true, true)
	p.waitFor(`performance.now() - window.kiosk.remote.lastPicture > 3500`, 12*time.Second)
	if n := far.count("POST", remote); n > 0 {
		t.Errorf("%d new views while reconnecting", n)
	}
	far.studio.mute(false, false)
	far.change(call(apitype.StateActive))
	p.wait(`window.kiosk.remote.live`)

	// A reload is nobody's business but the page's own.
	far.reset()
	p.load(chromedp.Reload())
	p.wait(`window.kiosk?.remote?.frames > 5`)
	far.mu.Lock()
	deleted := 0
	for _, r := range far.requests {
		if r.method == "DELETE" {
			deleted++
		}
	}
	far.mu.Unlock()
	if deleted < 2 {
		t.Errorf("the reload deleted %d of 2 views", deleted)
	}
}

func TestPageCallPeopleAndLanguages(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none" && document.querySelectorAll("#languages button").length === 3`)

	p.press(`#languages [lang="de"]`)
	p.wait(`document.documentElement.lang === "de" && document.querySelector(".greeting h1").innerText === "Willkommen"`)
	p.shot("none_de-1280x800")
	for _, lang := range []string{"de", "es"} {
		p.do(chromedp.EmulateViewport(800, 1280))
		p.press(fmt.Sprintf(`#languages [lang=%q]`, lang))
		p.wait(fmt.Sprintf(`document.documentElement.lang === %q`, lang))
		for _, s := range []*apitype.Session{nil, call(apitype.StateTimeout), failed("network_unavailable", true), call(apitype.StateActive, func(s *apitype.Session) { s.Camera.Supported, s.Video.Disabled = true, true })} {
			far.change(s)
			p.wait(fmt.Sprintf(`JSON.stringify(window.kiosk.session?.state ?? null) === %q`, jsonState(s)))
			if bad := eval[[]string](p, layoutCheck); len(bad) > 0 {
				t.Errorf("%s %s: %s", lang, jsonState(s), strings.Join(bad, "; "))
			}
			p.shot("lang_" + lang + strings.Trim(jsonState(s), `"`) + "-800x1280")
		}
		far.change(nil)
		// The next patient starts with the kiosk's own language again.
		p.wait(`document.documentElement.lang === "en"`)
	}

	// Three people fit, and one who leaves takes his view along.
	p.do(chromedp.EmulateViewport(1280, 800))
	three := func(s *apitype.Session) {
		s.Participants = append(s.Participants,
			apitype.Participant{ID: "interpreter/ü", Name: "Mia", Role: "interpreter", Audio: true, Video: true},
			apitype.Participant{ID: "p3", Audio: true, Video: true}, apitype.Participant{ID: "p4", Audio: true, Video: true})
	}
	two := strings.NewReplacer("/", "").Replace("interpreter/ü")
	far.change(call(apitype.StateActive, three, func(s *apitype.Session) { s.Participants[1].ID = two }))
	p.wait(`[...document.querySelectorAll(".remote")].length === 3 && [...document.querySelectorAll(".remote")].every((r) => r.dataset.picture === "yes")`)
	p.shot("three-1280x800")
	far.await("POST", "/v1/views/remote/interpreter%C3%BC")
	far.change(call(apitype.StateActive))
	p.wait(`document.querySelectorAll(".remote").length === 1`)

	// Consent, where the kiosk asks for it.
	far.change(call(apitype.StateWaitingPermissions))
	p.press(`[data-action="allow"]`)
	if got := far.await("PUT", "/v1/session/permissions"); got.body != `{"camera":"granted","microphone":"granted"}` {
		t.Errorf("allow sent %s", got.body)
	}

	// By keyboard alone: the focus can be seen and reaches every control.
	far.change(call(apitype.StateActive))
	p.wait(`document.body.dataset.state === "active" && document.querySelectorAll("#controls button").length === 5`)
	eval[any](p, `(document.activeElement.blur(), true)`)
	for _, want := range []string{"end-call", "report-issue", "disable-video", "mute", "chat"} {
		p.do(chromedp.KeyEvent("\t"))
		p.wait(fmt.Sprintf(`document.activeElement.dataset.reference === %q && parseFloat(getComputedStyle(document.activeElement).outlineWidth) >= 3`, want))
	}
	far.reset()
	p.do(chromedp.KeyEvent("\r"))
	far.await("POST", "/v1/session/chat")
	if got := p.text("live"); got != "You are connected" {
		t.Errorf("a screen reader hears %q", got)
	}
}

func jsonState(s *apitype.Session) string {
	if s == nil {
		return "null"
	}
	b, _ := json.Marshal(s.State)
	return string(b)
}

// The browser is started with the launch file itself; the code is never in its
// command line.
func TestPageCallOpensFromTheLaunchFile(t *testing.T) {
	far := newFarSide(t)
	file := filepath.Join(t.TempDir(), "launch.html")
	p := &tab{t: t, ctx: browser(t), far: far}
	p.do(chromedp.EmulateViewport(1280, 800))
	startPage(t, far, file)
	p.load(chromedp.Navigate("file://" + file))
	p.wait(`document.body?.dataset.state === "none" && location.pathname === "/"`)
	// A spent link and a second browser say so in plain words.
	p.load(chromedp.Navigate(eval[string](p, `location.origin + "/open/spent"`)))
	p.wait(`document.querySelector("h1")?.innerText === "This link was already used" && document.styleSheets[0]?.cssRules.length > 10`)
	p.shot("used-1280x800")
}

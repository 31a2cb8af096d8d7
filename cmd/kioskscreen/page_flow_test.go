package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kioskd/daemon/api/apitype"
)

// hostile is what a name, a title or a message may hold.
const hostile = `<img src=x onerror="window.pwned=1"><b id="pwned">x</b>&amp;` + "\u202e" + `{name}`

func (p *tab) unharmed() {
	p.t.Helper()
	if eval[bool](p, `window.pwned !== undefined || document.getElementById("pwned") !== null || document.querySelector("body img") !== null`) {
		p.t.Error("outside text became part of the page")
	}
}

func TestPageChat(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	with := func(chat apitype.Chat) *apitype.Session {
		return call(apitype.StateActive, func(s *apitype.Session) { s.Chat = chat })
	}
	// Something unread: a badge, in words for a screen reader; no text yet.
	far.talk(apitype.Message{ID: "m1", From: "participant", Name: "Dr. Ana Rivera", Text: "secret-diagnosis", Delivered: true})
	far.change(with(apitype.Chat{Total: 1, Unread: 1}))
	p.wait(`document.querySelector('[data-reference="chat"]')?.dataset.badge === "1" && document.querySelector('[data-reference="chat"]').ariaLabel === "Chat. New messages: 1"`)
	if far.count("GET", "/v1/session/messages") != 0 {
		t.Error("the text was fetched with the chat closed")
	}

	// It opens when the daemon says so, not when it is touched.
	far.reset()
	p.press(`[data-reference="chat"]`)
	if got := far.await("POST", "/v1/session/chat"); got.body != "" || got.header.Get("Idempotency-Key") == "" {
		t.Errorf("chat sent %q", got.body)
	}
	if !eval[bool](p, `document.getElementById("chat").hidden`) {
		t.Error("the chat opened by itself")
	}
	far.change(with(apitype.Chat{Open: true, Total: 1}))
	p.wait(`document.getElementById("chat-list").innerText.includes("secret-diagnosis") && !document.querySelector('[data-reference="chat"]').dataset.badge`)
	p.wait(`document.activeElement.id === "chat-text"`)

	// What is said: sent with a key, shown at once, delivered when somebody has it.
	p.do(chromedp.SendKeys(chromedp.CSS("#chat-text"), "my own words\r"))
	sent := far.await("POST", "/v1/session/messages")
	if sent.body != `{"text":"my own words"}` || sent.header.Get("Idempotency-Key") == "" {
		t.Errorf("the message arrived as %s", sent.body)
	}
	p.wait(`document.querySelector('#chat-list [data-from="patient"]')?.innerText.includes("Sending") && document.getElementById("chat-text").value === ""`)
	far.mu.Lock()
	far.messages[1].Delivered = true
	far.mu.Unlock()
	far.change(with(apitype.Chat{Open: true, Total: 2, Delivered: 1}))
	p.wait(`document.querySelector('#chat-list [data-from="patient"]').innerText.includes("Delivered")`)
	if n := eval[int](p, `document.querySelectorAll("#chat-list li").length`); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
	p.chatFails(with)
	p.chatEnds(with)
}

// chatFails: a message that is refused stays and is sent again with its key.
func (p *tab) chatFails(with func(apitype.Chat) *apitype.Session) {
	far := p.far
	far.reset()
	far.refuse("POST /v1/session/messages", apitype.NewProblem(503, "store_unavailable", "cannot", "later"))
	p.do(chromedp.SendKeys(chromedp.CSS("#chat-text"), "again please\r"))
	p.wait(`document.querySelector('#chat-list [data-status="failed"]')?.innerText.includes("Not sent")`)
	p.look("chat_failed", "1280x800", "800x480")
	first := far.await("POST", "/v1/session/messages")
	far.refuse("POST /v1/session/messages", nil)
	far.reset()
	p.press(`#chat-list [data-status="failed"] button`)
	if got := far.await("POST", "/v1/session/messages"); got.header.Get("Idempotency-Key") != first.header.Get("Idempotency-Key") || got.body != first.body {
		p.t.Error("the second try is another message")
	}
	p.wait(`!document.querySelector('#chat-list [data-status="failed"]')`)
	// Outside text stays text.
	far.talk(apitype.Message{ID: "m9", From: "participant", Name: hostile, Text: hostile, Delivered: true})
	far.change(with(apitype.Chat{Open: true, Total: 4, Delivered: 1}))
	p.wait(fmt.Sprintf(`document.querySelector("#chat-list p").textContent === %s`, quoted(hostile)))
	p.unharmed()
	// Esc, the cross and the control close it, through the daemon.
	for _, close := range []func(){
		func() { p.do(chromedp.SendKeys(chromedp.CSS("#chat-text"), "\x1b")) },
		func() { p.press("#chat-close") },
		func() { p.press(`[data-reference="chat"]`) },
	} {
		far.reset()
		close()
		if got := far.await("POST", "/v1/session/chat"); got.body != `{"open":false}` {
			p.t.Errorf("closing sent %s", got.body)
		}
	}
	// The daemon has not closed it: whoever types in it goes on.
	p.do(chromedp.Focus(chromedp.CSS("#chat-text")))
	far.reset()
	p.press("#chat-close")
	far.await("POST", "/v1/session/chat")
	p.do(chromedp.Focus(chromedp.CSS("#chat-text")))
	p.wait(`document.activeElement.id === "chat-text"`)
	far.change(with(apitype.Chat{Total: 3}))
	p.wait(`document.getElementById("chat").hidden && document.activeElement.dataset.reference === "chat"`)
	far.change(with(apitype.Chat{Open: true, Total: 3}))
	p.wait(`!document.getElementById("chat").hidden && document.activeElement.id === "chat-text"`)
}

// chatEnds: a daemon that restarts keeps the draft; the end wipes everything.
func (p *tab) chatEnds(with func(apitype.Chat) *apitype.Session) {
	far := p.far
	p.do(chromedp.SendKeys(chromedp.CSS("#chat-text"), "half-written"))
	far.stop()
	p.wait(`document.body.dataset.link === "lost" && document.getElementById("chat").hidden && document.getElementById("chat-list").children.length === 0`)
	// Its first answers may be no good: it is asked again though nothing changes.
	far.refuse("GET /v1/session/messages", apitype.NewProblem(503, apitype.CodeStopping, "cannot", "later"))
	far.reset()
	far.start()
	for range 4 {
		far.await("GET", "/v1/session/messages")
		far.reset()
	}
	far.refuse("GET /v1/session/messages", nil)
	p.wait(`!document.getElementById("chat").hidden && document.getElementById("chat-text").value === "half-written" && document.getElementById("chat-list").children.length === 1`)
	far.talk(conversation()...)
	far.change(with(apitype.Chat{Open: true, Total: 5, Delivered: 2}))
	p.wait(`document.getElementById("chat-list").innerText.includes("before breakfast")`)
	far.change(call(apitype.StateEnded))
	p.wait(`document.body.dataset.state === "ended" && document.getElementById("chat").hidden`)
	p.wiped("half-written", "before breakfast", "secret-diagnosis", "Rivera")
	// null at once wipes as well.
	far.change(with(apitype.Chat{Open: true, Total: 4}))
	p.wait(`document.getElementById("chat-list").innerText.includes("before breakfast")`)
	far.change(nil)
	p.wait(`document.body.dataset.state === "none"`)
	p.wiped("before breakfast", "Rivera")
}

func (p *tab) wiped(secrets ...string) {
	p.t.Helper()
	for _, secret := range secrets {
		if eval[bool](p, fmt.Sprintf(`(document.documentElement.outerHTML + JSON.stringify(window.kiosk) + [...document.querySelectorAll("textarea, input")].map((e) => e.value)).includes(%s)`, quoted(secret))) {
			p.t.Errorf("%q is still in the page", secret)
		}
	}
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestPageReport(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	with := func(r apitype.IssueReport) *apitype.Session {
		return call(apitype.StateActive, func(s *apitype.Session) { s.Report = r })
	}
	far.change(with(apitype.IssueReport{Submitted: "r-0"})) // one from before: no thanks for it
	far.reset()
	p.press(`[data-reference="report-issue"]`)
	if got := far.await("POST", "/v1/session/report-issue"); got.body != "" {
		t.Errorf("report-issue sent %q", got.body)
	}
	if !eval[bool](p, `document.getElementById("report").hidden`) {
		t.Error("the dialog opened by itself")
	}
	far.change(with(apitype.IssueReport{Open: true, Submitted: "r-0"}))
	p.wait(`document.activeElement.id === "report"`)
	// By keyboard, in the order in which it is read.
	for _, want := range []string{"see", "hear", "other", "report-text", "report-cancel", "report-submit"} {
		p.do(chromedp.KeyEvent("\t"))
		p.wait(fmt.Sprintf(`(document.activeElement.dataset.choice ?? document.activeElement.id) === %q`, want))
	}
	p.press("#report-submit")
	p.wait(`document.getElementById("report-error").textContent === "Please choose what is wrong."`)
	p.press(`[data-choice="other"]`)
	p.press("#report-submit")
	p.wait(`document.getElementById("report-error").textContent === "Please write what is wrong."`)
	p.look("report_error")
	p.press(`[data-choice="see"]`)
	p.do(chromedp.SendKeys(chromedp.CSS("#report-text"), "all is grey"))
	far.reset()
	far.refuse("POST /v1/session/report-issue", apitype.NewProblem(503, "outbox_full", "cannot", "later"))
	p.press("#report-submit")
	first := far.await("POST", "/v1/session/report-issue")
	p.wait(`document.getElementById("toast").textContent.startsWith("No more reports can be kept")`)
	far.refuse("POST /v1/session/report-issue", nil)
	far.reset()
	p.press("#report-submit")
	got := far.await("POST", "/v1/session/report-issue")
	if got.body != `{"text":"I cannot see: all is grey"}` || got.header.Get("Idempotency-Key") != first.header.Get("Idempotency-Key") {
		t.Errorf("the report arrived as %s, its second try with another key: %t", got.body, got.header.Get("Idempotency-Key") != first.header.Get("Idempotency-Key"))
	}
	far.change(with(apitype.IssueReport{Submitted: "r-1"}))
	p.wait(`document.getElementById("report").innerText.includes("Thank you, sent") && document.getElementById("report").innerText.includes("passes your report on")`)
	p.wiped("all is grey")
	far.change(with(apitype.IssueReport{Submitted: "r-1", Sent: true}))
	p.wait(`document.getElementById("report").innerText.includes("The clinic has it.")`)
	p.look("report_received", "1280x800")
	p.press("#report-close")
	p.wait(`document.getElementById("report").hidden`)
	p.reportLeft(with)
}

// reportLeft: cancel and Esc go through the daemon, and the end wipes the words.
func (p *tab) reportLeft(with func(apitype.IssueReport) *apitype.Session) {
	far := p.far
	far.change(with(apitype.IssueReport{Open: true, Submitted: "r-1"}))
	for _, leave := range []func(){
		func() { p.press("#report-cancel") },
		func() { p.do(chromedp.SendKeys(chromedp.CSS("#report-text"), "\x1b")) },
		func() { p.press(`[data-reference="report-issue"]`) },
	} {
		far.reset()
		leave()
		if got := far.await("POST", "/v1/session/report-issue"); got.body != `{"open":false}` {
			p.t.Errorf("leaving sent %s", got.body)
		}
	}
	// Muting never waits for a dialog.
	far.reset()
	p.press(`[data-reference="mute"]`)
	far.await("POST", "/v1/session/mute")
	p.do(chromedp.SendKeys(chromedp.CSS("#report-text"), "private words"))
	far.stop()
	p.wait(`document.body.dataset.link === "lost" && document.getElementById("report").hidden`)
	far.start()
	p.wait(`!document.getElementById("report").hidden && document.getElementById("report-text").value === "private words"`)
	far.change(with(apitype.IssueReport{Submitted: "r-1"})) // cancelled elsewhere: nothing was sent
	p.wait(`document.getElementById("report").hidden`)
	far.change(with(apitype.IssueReport{Open: true}))
	p.wait(`!document.getElementById("report").hidden`)
	p.do(chromedp.SendKeys(chromedp.CSS("#report-text"), "private words"))
	far.change(call(apitype.StateTimeout))
	p.wait(`document.body.dataset.state === "timeout" && document.getElementById("report").hidden`)
	p.wiped("private words")
}

func TestPageConsent(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	far.change(call(apitype.StateWaitingPermissions, consent("")))
	// A code reader's Enter must not say yes: the focus is on the question.
	p.wait(`document.activeElement.id === "panel" && document.getElementById("panel").role === "alertdialog"`)
	p.do(chromedp.KeyEvent("\r"))
	for _, a := range []struct{ button, body string }{
		{"not_now", `{"camera":"dismissed","microphone":"dismissed"}`},
		{"deny", `{"camera":"denied","microphone":"denied"}`},
		{"allow", `{"camera":"granted","microphone":"granted"}`},
	} {
		if n := far.count("PUT", "/v1/session/permissions"); n != 0 {
			t.Errorf("%d answers before a touch", n)
		}
		p.press(fmt.Sprintf(`[data-action=%q]`, a.button))
		if got := far.await("PUT", "/v1/session/permissions"); got.body != a.body || got.header.Get("Idempotency-Key") == "" {
			t.Errorf("%s sent %s", a.button, got.body)
		}
		far.reset()
	}
	// Said no: thinking again is one touch. Where the kiosk does not ask, only
	// the hardware can help.
	far.change(failed("camera_permission_required", true, consent("denied")))
	p.wait(`document.body.dataset.error === "camera_permission_required"`)
	p.press(`[data-action="allow"]`)
	if got := far.await("PUT", "/v1/session/permissions"); !strings.Contains(got.body, `"camera":"granted"`) {
		t.Errorf("allow sent %s", got.body)
	}
	far.change(failed("camera_permission_required", true))
	p.wait(`document.getElementById("panel-title").innerText === "The camera is blocked" && !document.querySelector("[data-action]:not([hidden] *)")`)
}

func TestPageHostileText(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	bad := func(s *apitype.Session) {
		s.Participants[0].Name, s.Participants[0].Role, s.Title = hostile, hostile, hostile
		s.Participants[0].ID = `x"]<img>`
	}
	far.change(call(apitype.StateActive, bad), apitype.Condition{Code: hostile, Severity: "info", Message: hostile, Hint: hostile})
	p.wait(fmt.Sprintf(`document.querySelector(".label .name")?.textContent === %s`, quoted(hostile)))
	far.await("POST", "/v1/views/remote/x%22%5D%3Cimg%3E")
	p.look("hostile_name", "1280x800", "600x1024")
	p.unharmed()
	far.change(failed("room_unavailable", false, func(s *apitype.Session) { s.Error.Title = hostile; s.Error.Message = hostile }))
	p.wait(fmt.Sprintf(`document.getElementById("panel-title").textContent === %s`, quoted(hostile)))
	p.unharmed()
	far.change(call(apitype.StateActive, func(s *apitype.Session) { s.Controls = nil }))
	far.mu.Lock()
	far.status.Session.Controls = []apitype.Control{{Reference: "mute", Value: hostile, Visible: true, Enabled: true}, {Reference: hostile, Value: hostile, Visible: true, Enabled: true}}
	far.mu.Unlock()
	far.change(far.status.Session)
	p.wait(fmt.Sprintf(`document.querySelector('[data-reference="mute"] span')?.textContent === %s && document.querySelectorAll("#controls button").length === 1`, quoted(hostile)))
	p.unharmed()
}

// Several people: a view and a label each, everybody is heard, who leaves goes
// at once, and a restart of the daemon brings all of them back.
func TestPageSeveralPeople(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	far.change(call(apitype.StateActive, people(second(), interpreter())))
	p.wait(`Object.keys(window.kiosk.remotes).length === 3 && window.kiosk.remotes["clinician-1"].live && window.kiosk.remotes["second-1"].live`)
	p.wait(`Object.values(window.kiosk.remotes).every((r) => r.audio?.rms > 0.05 && !r.video.muted && !r.video.paused)`)
	got := eval[string](p, `[...document.querySelectorAll(".label")].map((l) => l.dataset.participant + "=" + l.querySelector(".role").innerText).join(" ")`)
	if got != "clinician-1=Clinician second-1=Clinician interpreter-1=Interpreter" {
		t.Errorf("labels %s", got)
	}
	if n := eval[int](p, `document.querySelectorAll(".remote[data-participant] video[data-participant]").length`); n != 3 {
		t.Errorf("%d views are marked", n)
	}
	p.wait(`document.querySelector('.remote[data-participant="interpreter-1"] .symbol').getClientRects().length > 0`)

	// The daemon restarts. It answers 404 first: it has not met them yet.
	for _, id := range []string{"clinician-1", "second-1", "interpreter-1"} {
		far.refuse("POST /v1/views/remote/"+id, apitype.NewProblem(404, "not_found", "cannot", "wait"))
	}
	far.stop()
	far.studio.hangUp()
	p.wait(`document.body.dataset.link === "lost"`)
	lost := eval[float64](p, `performance.now()`)
	far.reset()
	far.start()
	far.await("POST", "/v1/views/remote/second-1")
	for _, id := range []string{"clinician-1", "second-1", "interpreter-1"} {
		far.refuse("POST /v1/views/remote/"+id, nil)
	}
	back := time.Now()
	p.wait(fmt.Sprintf(`["clinician-1", "second-1"].every((id) => window.kiosk.remotes[id].shownSince > %f)`, lost))
	t.Logf("participants known again -> pictures after %d ms", time.Since(back).Milliseconds())
	p.wait(fmt.Sprintf(`window.kiosk.remotes["interpreter-1"].lastSound > %f && window.kiosk.remotes["interpreter-1"].audio?.rms > 0.05`, lost))

	// One leaves: his view and his name go with him.
	far.reset()
	far.change(call(apitype.StateActive, people(interpreter())))
	p.wait(`document.querySelectorAll(".remote").length === 2 && !document.documentElement.outerHTML.includes("Wolfeschlegel")`)
	p.wait(`document.getElementById("stage").dataset.shape === "2s" && window.kiosk.remotes["clinician-1"].live`)
	if n := far.count("POST", "/v1/views/remote/clinician-1"); n != 0 {
		t.Errorf("%d new views of somebody who stayed", n)
	}
}

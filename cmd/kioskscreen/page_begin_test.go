package main

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"kioskd/daemon/api/apitype"
)

// lose has the browser lose requests for a file of the page, or for none.
func (p *tab) lose(pattern string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	if err == nil {
		params := network.SetBlockedURLsParams{}
		if pattern != "" {
			params.URLPatterns = []*network.BlockPattern{{URLPattern: "http://127.0.0.1:*/" + pattern, Block: true}}
		}
		_, err = chromedp.Call(ctx, network.SetBlockedURLs, params)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// A file that is lost on the way, which Chromium does when the machine's addresses
// change, costs the page a moment and not the day: it begins anew until all is there.
func TestPageBeginsAnew(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)
	for _, file := range []string{"assets/main.js", "assets/words.js", "assets/call.css"} {
		p.lose(file)
		p.load(chromedp.Reload())
		// It goes on trying: each page has an origin of time of its own.
		first := eval[float64](p, `performance.timeOrigin`)
		p.wait(jsOf(`performance.timeOrigin > %f && sessionStorage.getItem("begin") > 0`, first))
		p.lose("")
		p.wait(`window.kiosk && document.body?.dataset.state === "none" && document.styleSheets.length === 4 && [...document.styleSheets].every((s) => s.cssRules.length > 5) && sessionStorage.getItem("begin") === null`)
	}
}

// A server that is away for a while leaves the page in its place: the browser's own page
// of an error would not come back by itself.
func TestPageBeginsAnewOnceTheServerAnswers(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)
	away := p.each(`window.real = window.fetch; window.failed = 0;
		window.fetch = () => { window.failed++; return Promise.reject(new TypeError("away")); }`)
	p.lose("assets/main.js")
	p.load(chromedp.Reload())
	was := eval[float64](p, `performance.timeOrigin`)
	p.wait(`window.failed >= 5`)
	if now := eval[float64](p, `performance.timeOrigin`); now != was {
		t.Error("it was loaded anew, without an answer")
	}
	p.lose("")
	p.eachNoMore(away)
	eval[bool](p, `(window.fetch = window.real, true)`)
	p.wait(jsOf(`performance.timeOrigin > %f && window.kiosk && document.body?.dataset.state === "none"`, was))
}

// Words that are lost on the way come in the end: the next patient does not get the last
// one's language, and the last one touched is what counts.
func TestPageWordsComeInTheEnd(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	p.press(`#languages [lang="de"]`)
	p.wait(`document.documentElement.lang === "de"`)
	far.change(call(apitype.StateTimeout))
	p.wait(`window.kiosk.session?.state === "timeout"`)
	p.lose("words.json*")
	far.change(nil)
	p.wait(`document.body.dataset.mode === "idle"`)
	p.press(`#languages [lang="de"]`)
	p.press(`#languages [lang="es"]`)
	p.wait(`performance.getEntriesByType("resource").filter((r) => r.name.includes("words.json") && !r.responseStatus).length > 8`)
	if lang := eval[string](p, `document.documentElement.lang`); lang != "de" {
		t.Errorf("without an answer the page speaks %s", lang)
	}
	p.lose("")
	p.wait(`document.documentElement.lang === "es"`)
	far.change(call(apitype.StateTimeout))
	p.wait(`window.kiosk.session?.state === "timeout"`)
	far.change(nil)
	p.wait(`document.documentElement.lang === "en"`)
}

// each runs a script in front of each page that is loaded from now on.
func (p *tab) each(script string) page.ScriptIdentifier {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	got, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Identifier
}

func (p *tab) eachNoMore(id page.ScriptIdentifier) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 30*time.Second)
	defer cancel()
	if _, err := chromedp.Call(ctx, page.RemoveScriptToEvaluateOnNewDocument, page.RemoveScriptToEvaluateOnNewDocumentParams{Identifier: id}); err != nil {
		p.t.Fatal(err)
	}
}

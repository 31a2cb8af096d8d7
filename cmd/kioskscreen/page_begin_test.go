package main

import (
	"context"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
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
		p.do(chromedp.Reload())
		// It goes on trying: each page has an origin of time of its own.
		first := eval[float64](p, `performance.timeOrigin`)
		p.wait(jsOf(`performance.timeOrigin > %f`, first))
		p.lose("")
		p.wait(`window.kiosk && document.body?.dataset.state === "none" && document.styleSheets.length === 4 && [...document.styleSheets].every((s) => s.cssRules.length > 5)`)
	}
}

// A server that is away for a while leaves the page in its place: the browser's own page
// of an error would not come back by itself.
func TestPageBeginsAnewOnceTheServerAnswers(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)
	p.lose("assets/main.js")
	p.do(chromedp.Reload())
	p.lose("*")
	was := eval[float64](p, `performance.timeOrigin`)
	tries := eval[int](p, `new Promise((done) => {
		let failed = 0;
		const real = window.fetch;
		window.fetch = (...a) => real(...a).catch((e) => { if (++failed === 5) done(failed); throw e; });
	})`)
	if tries != 5 || eval[float64](p, `performance.timeOrigin`) != was {
		t.Errorf("after %d failed tries the page was loaded anew, without an answer", tries)
	}
	p.lose("")
	p.wait(jsOf(`performance.timeOrigin > %f && window.kiosk && document.body?.dataset.state === "none"`, was))
}

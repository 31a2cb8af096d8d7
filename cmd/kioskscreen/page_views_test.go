package main

import (
	"fmt"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// A browser that has no connection to give now may have one later.
func TestPageTriesAgainWithoutAConnection(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)
	eval[any](p, `(window.given = RTCPeerConnection, window.asked = 0, window.RTCPeerConnection = class { constructor() { window.asked++; throw new DOMException("none left"); } }, true)`)
	far.change(call(apitype.StateActive))
	p.wait(`window.asked >= 2`)
	eval[any](p, `(window.RTCPeerConnection = window.given, true)`)
	p.waitFor(`window.kiosk.remote?.frames > 0 && window.kiosk.self?.frames > 0`, 8*time.Second) // a stream of events that is idle for longer ends
}

// The daemon dies twice before it says anything: the view that the first of them has
// given is dead, and is not waited for.
func TestPageSurvivesADaemonThatDiesTwice(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	far.change(call(apitype.StateActive))
	p.wait(`window.kiosk.remote?.frames > 5`)
	far.stop()
	far.studio.hangUp()
	p.wait(`document.body.dataset.link === "lost"`)

	far.reset()
	far.holdEvents(true)
	far.start()
	p.wait(`document.body.dataset.link === "lost"`)
	far.await("GET", "/v1/events")
	p.wait(`window.kiosk.remote.shownSince > 0`) // its view shows already
	far.stop()
	far.studio.hangUp()
	far.reset()
	far.holdEvents(false)
	dead := eval[float64](p, `performance.now()`)
	far.start()
	p.waitFor(fmt.Sprintf(`document.body.dataset.link === "up" && window.kiosk.remote.shownSince > %f`, dead), 10*time.Second)
	took := eval[float64](p, `window.kiosk.remote.shownSince`) - dead
	t.Logf("pictures %.0f ms after the second death", took)
	if took > 2500 {
		t.Errorf("pictures only after %.0f ms", took)
	}
}

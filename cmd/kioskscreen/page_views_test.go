package main

import (
	"fmt"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// observer sends nothing at all, which no new view changes.
func observer() apitype.Participant {
	return apitype.Participant{ID: "observer-1", Name: "Jo Observer", Role: "clinician", Presence: "here"}
}

// Who has nothing to send keeps the one view, who is silent gets new ones ever more
// rarely, and who is heard again keeps the one there is.
func TestPageLeavesSilenceAlone(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	far.studio.mute(true, true)
	p := openPage(t, far)
	show := func() {
		far.change(call(apitype.StateActive, func(s *apitype.Session) {
			s.Video.Disabled = true // no own view
			s.Participants = []apitype.Participant{interpreter(), observer()}
		}))
	}
	show()
	p.wait(`window.kiosk.remotes["interpreter-1"]?.connections === 1`)
	made := eval[float64](p, `performance.now()`)
	for _, ms := range []int{6000, 12000, 17000} {
		p.waitFor(fmt.Sprintf(`performance.now() - %f > %d`, made, ms), 20*time.Second)
		show() // a stream of events that is idle for long ends
	}
	views := func(id string) int { return far.count("POST", "/v1/views/remote/"+id) }
	if n := views("observer-1"); n != 1 {
		t.Errorf("%d views of somebody who sends nothing", n)
	}
	// Each is given four seconds; then there are pauses of 0.25, 1 and 4 s.
	if n := views("interpreter-1"); n < 2 || n > 3 {
		t.Errorf("%d views in 17 s of somebody who is silent, want 2 or 3", n)
	}
	far.studio.mute(true, false)
	before := views("interpreter-1")
	p.waitFor(`performance.now() - window.kiosk.remotes["interpreter-1"].lastSound < 300 && window.kiosk.remotes["interpreter-1"].audio?.rms > 0.05`, 3*time.Second)
	heard := eval[float64](p, `performance.now()`)
	p.waitFor(fmt.Sprintf(`performance.now() - %f > 3000`, heard), 6*time.Second)
	if n := views("interpreter-1"); n != before {
		t.Errorf("%d new views of somebody who is heard again", n-before)
	}
}

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

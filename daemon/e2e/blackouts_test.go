package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// Promises of a network that goes and comes back.
const (
	toldWithin   = 2 * time.Second // the patient reads `reconnecting`
	readdressP50 = time.Second     // media back where another address appears
)

// blackout is one length of it, and how soon after its end media flows both ways.
type blackout struct{ lasts, back time.Duration }

func blackouts() []blackout {
	all := []blackout{
		{time.Second, time.Second},
		{5 * time.Second, 3 * time.Second},
		{20 * time.Second, 5 * time.Second},
		{60 * time.Second, 8 * time.Second},
	}
	if !full() {
		return all[:2]
	}
	return all
}

// cut is one way to lose the network.
type cut struct {
	name       string
	begin, end func(*scene) error
}

func cuts() []cut {
	return []cut{
		{"link down", func(*scene) error { return stage.SetLink(false) }, func(*scene) error { return stage.SetLink(true) }},
		{"packets dropped", func(c *scene) error { return c.SetForwarding(false) }, func(c *scene) error { return c.SetForwarding(true) }},
	}
}

// times is how often each is played: once, 5 times for `make blackouts`, 20 in the night.
func times() int {
	switch {
	case os.Getenv(nightlyEnv) != "":
		return 20
	case full():
		return 5
	}
	return 1
}

// TestBlackouts cuts the kiosk off from the clinic, which is on a machine of its own,
// in two ways: its link goes down, or its link stays up and a router on the way drops
// everything. It measures how soon the patient is told, and how soon after the end
// each side sees new pictures of the other.
func TestBlackouts(t *testing.T) {
	c := theScene(t, stage.Options{Network: true, Apart: true, Cameras: 1})
	c.join(t, "clinician")
	c.calls(t, "blackouts")
	var cells []string // a line each, for the end
	for _, b := range blackouts() {
		for _, k := range cuts() {
			name := fmt.Sprintf("%s for %v", k.name, b.lasts)
			t.Run(name, func(t *testing.T) { cells = append(cells, name+", "+c.goesDark(t, k, b)) })
		}
	}
	t.Run("another address", func(t *testing.T) { cells = append(cells, c.anotherAddress(t)) })
	if s := c.session(t); s.State != apitype.StateActive {
		t.Errorf("after all blackouts the session says %s", line(s))
	}
	c.quiet(t, "session", "started")
	for _, text := range cells {
		t.Log(text)
	}
}

// goesDark plays one blackout times() times, and gives its figures.
func (c *scene) goesDark(t *testing.T, k cut, b blackout) string {
	var told, back []float64
	for range times() {
		c.runsIn(t)
		c.outs.drop()
		c.sees(t, notesPictures)
		if err := k.begin(c); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		notice := time.Duration(0)
		lasts := time.NewTimer(b.lasts)
		if b.lasts > toldWithin { // a shorter one may be over before anybody notices
			c.emits(t, "state", "reconnecting")
			notice = time.Since(began)
			told = append(told, ms(notice))
			c.sees(t, `document.body.dataset.state === "reconnecting"`)
		}
		c.oneKiosk(t, lasts.C)
		if err := k.end(c); err != nil {
			t.Fatal(err)
		}
		back = append(back, c.backWithin(t, b))
		c.reaches(t, apitype.StateActive)
		c.flows(t)
		c.isWhole(t)
	}
	text := fmt.Sprintf("%d times: media back p50 %.0f, most %.0f ms", len(back), stage.Percentile(back, 0.5), slices.Max(back))
	if len(told) > 0 {
		text += fmt.Sprintf("; told p50 %.0f, most %.0f ms", stage.Percentile(told, 0.5), slices.Max(told))
	}
	// The short form has a margin: a machine that does something else as well is late.
	most, soon := ms(b.back), ms(toldWithin)
	if !full() {
		most, soon = 2*most+1000, 1.5*soon
	}
	if slices.Max(back) > most || len(told) > 0 && slices.Max(told) > soon {
		t.Errorf("promised: media back within %.0f ms, told within %.0f ms; got %.0f and %.0f", most, soon, back, told)
	}
	return text
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// notesPictures has the touchscreen page note when it presented each picture of the
// clinician: its own count is of half seconds.
const notesPictures = `(() => {
	const video = document.querySelector("#remote-video-0");
	if (window.__noted?.video === video) return true;
	const noted = { video, at: [] };
	const next = () => video.requestVideoFrameCallback(() => {
		noted.at.push(Date.now());
		if (noted.at.length > 300) noted.at.shift();
		if (window.__noted === noted) next();
	});
	window.__noted = noted;
	next();
	return true;
})()`

// backWithin waits for new pictures on both sides, from now on, and gives the later
// one's time in ms.
func (c *scene) backWithin(t *testing.T, b blackout) float64 {
	t.Helper()
	from := unixMs()
	var clinic, screen float64
	until(t, "media is back", b.back+20*time.Second, func() (bool, string) {
		if clinic == 0 {
			for _, f := range c.frames(t) {
				if f.At > from && f.Counter != nil {
					clinic = f.At - from
					break
				}
			}
		}
		if screen == 0 {
			if at := numbers(t, c.screen, fmt.Sprintf("window.__noted.at.find((at) => at > %f) ?? 0", from)); at > 0 {
				screen = at - from
			}
		}
		return clinic > 0 && screen > 0, fmt.Sprintf("clinic %.0f, screen %.0f", clinic, screen)
	})
	t.Logf("new pictures: clinic after %.0f ms, screen after %.0f", clinic, screen)
	return max(clinic, screen)
}

// oneKiosk watches until a blackout is over that nobody sees a ghost: the server never
// counts two kiosks, and the clinician's page does not call a picture live that stands.
func (c *scene) oneKiosk(t *testing.T, over <-chan time.Time) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		c.noGhost(t)
		select {
		case <-tick.C:
		case <-over:
			return
		}
	}
}

// frozenMost is how long the clinician's page may take a standing picture for a live
// one: its browser notices a path's silence after 5 s or so.
const frozenMost = 8000 // ms

func (c *scene) noGhost(t *testing.T) {
	t.Helper()
	list, err := c.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kiosks := 0
	for _, m := range list {
		if m.Role == "kiosk" {
			kiosks++
		}
	}
	if kiosks > 1 {
		t.Errorf("a ghost: the server counts %d kiosks: %s", kiosks, line(list))
	}
	frozen := numbers(t, c.clinic, `sim.state === "active" ? Date.now() - sim.lastFrameAt : 0`)
	if frozen > frozenMost {
		t.Errorf("a ghost: the clinician's page calls a picture live that has stood for %.0f ms", frozen)
	}
}

// isWhole waits until the call is as a call is: one kiosk, one connection that carries
// all, and the patient is told so.
func (c *scene) isWhole(t *testing.T) {
	t.Helper()
	c.clinicSees(t, `sim.state === "active" && sim.pc?.connectionState === "connected" && sim.chatOpen`)
	c.sees(t, `document.body.dataset.state === "active" && window.kiosk.remote?.live`)
	c.noGhost(t)
	if s := c.session(t); len(s.Participants) != 1 {
		t.Errorf("a ghost: the session has %s", line(s.Participants))
	}
	c.flows(t)
}

// anotherAddress takes the kiosk's address away and gives it another one, as a roaming
// Wi-Fi does, and gives the figures.
func (c *scene) anotherAddress(t *testing.T) string {
	asked := strings.Count(c.Kioskd.Log(), "restarting ICE")
	var back []float64
	for n := range 2 * times() {
		c.runsIn(t)
		c.outs.drop()
		c.sees(t, notesPictures)
		if err := c.Readdress(byte(10 + n)); err != nil {
			t.Fatal(err)
		}
		from := unixMs()
		until(t, "ICE is restarted", 5*time.Second, func() (bool, string) {
			now := strings.Count(c.Kioskd.Log(), "restarting ICE")
			return now > asked, "not yet"
		})
		asked = strings.Count(c.Kioskd.Log(), "restarting ICE")
		c.reaches(t, apitype.StateActive)
		c.isWhole(t)
		back = append(back, c.gapAfter(t, from))
	}
	p50 := stage.Percentile(back, 0.5)
	most := ms(readdressP50)
	if !full() {
		most *= 3
	}
	if p50 > most {
		t.Errorf("media back at p50 after %.0f ms, promised are %.0f: %.0f", p50, most, back)
	}
	return fmt.Sprintf("another address, %d times: media back p50 %.0f, most %.0f ms", len(back), p50, slices.Max(back))
}

// gapAfter gives the end of the longest pause between pictures after from (unix ms), on
// the side where it ended later, in ms after from: what was on its way then still comes.
func (c *scene) gapAfter(t *testing.T, from float64) float64 {
	t.Helper()
	text, err := stage.Eval[string](t.Context(), c.screen, "JSON.stringify(window.__noted.at)")
	if err != nil {
		t.Fatal(err)
	}
	var screen, clinic []float64
	if err := json.Unmarshal([]byte(text), &screen); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.frames(t) {
		clinic = append(clinic, f.At)
	}
	end := func(at []float64) float64 {
		longest, ended := 0.0, from
		for i := 1; i < len(at); i++ {
			if gap := at[i] - at[i-1]; at[i] > from && gap > longest {
				longest, ended = gap, at[i]
			}
		}
		return ended - from
	}
	t.Logf("the longest pause ended: clinic after %.0f ms, screen after %.0f", end(clinic), end(screen))
	return max(end(clinic), end(screen))
}

// runsIn lets the call run for a while: a browser that has seen a second of a stream
// only guesses its pace, and shows the first pictures after a pause too late.
func (c *scene) runsIn(t *testing.T) {
	t.Helper()
	if !full() {
		return
	}
	before := numbers(t, c.screen, "window.kiosk.remote.frames")
	c.sees(t, fmt.Sprintf("window.kiosk.remote.frames > %f + 150", before))
}

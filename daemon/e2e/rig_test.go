package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/e2e/stage"
)

// scene is a stage with its pages, its event stream and a client: what a row of
// the contract is played on. Rows that share a scene leave it as they found it.
type scene struct {
	*stage.Stage
	api    *client.Client
	outs   *outputs
	screen *stage.Browser
	clinic *stage.Browser // nil until somebody of the clinic comes
	owner  *testing.T     // whose end ends what the scene started
}

// theScene starts a stage and shows the touchscreen page. No appointment is open.
func theScene(t *testing.T, o stage.Options) *scene {
	t.Helper()
	s := theStage(t, o)
	c := &scene{Stage: s, api: client.New(s.Socket), outs: follow(t, s), owner: t}
	t.Cleanup(c.api.Close)
	url, err := s.ScreenURL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c.screen, err = s.Open(t.Context(), "screen", url, 1280, 800); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.screen.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := c.screen.InstallWatch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// row is one row of the contract's tables.
type row struct {
	name string
	play func(*testing.T, *scene)
}

// plays plays rows that share a session, one after the other.
func (c *scene) plays(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) { r.play(t, c) })
	}
}

// playsApart plays rows that open sessions of their own, each of which ends with its row.
func (c *scene) playsApart(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			defer c.over(t)
			c.outs.drop()
			r.play(t, c)
		})
	}
}

// join shows one more page of the clinic: clinician, second or interpreter.
func (c *scene) join(t *testing.T, as string) *stage.Browser {
	t.Helper()
	b, err := c.OpenClinic(t.Context(), as)
	if err != nil {
		t.Fatal(err)
	}
	c.owner.Cleanup(func() {
		if err := b.Close(); err != nil {
			c.owner.Error(err)
		}
	})
	pageSees(t, b, "window.sim")
	if as == "clinician" {
		c.clinic = b
	}
	return b
}

// open opens an appointment of its own, by name, and waits for a state of it.
func (c *scene) open(t *testing.T, id, state string) {
	t.Helper()
	if _, err := c.api.Open(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	c.reaches(t, state)
}

// reaches waits until the session, both in the API and on the page, is in a state.
func (c *scene) reaches(t *testing.T, state string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := stage.WaitState(ctx, c.api, state); err != nil {
		t.Fatal(err)
	}
	c.sees(t, fmt.Sprintf("document.body.dataset.state === %q", state))
}

// emits waits for an output of the contract, and says which came before it.
func (c *scene) emits(t *testing.T, key, value string) []string {
	t.Helper()
	return c.outs.take(t, fmt.Sprintf("{%q:%q}", key, value), 15*time.Second)
}

// quiet checks that an output does not come: nothing of what has come so far holds it.
func (c *scene) quiet(t *testing.T, key, value string) {
	t.Helper()
	c.outs.mu.Lock()
	defer c.outs.mu.Unlock()
	if n := count(c.outs.all, fmt.Sprintf("{%q:%q}", key, value)); n > 0 {
		t.Errorf("%s = %s was emitted %d times, never wanted: %v", key, value, n, c.outs.all)
	}
}

// sees waits until an expression is true on the touchscreen page.
func (c *scene) sees(t *testing.T, expression string) {
	t.Helper()
	pageSees(t, c.screen, expression)
}

// clinicSees waits until an expression is true on the clinician's page.
func (c *scene) clinicSees(t *testing.T, expression string) {
	t.Helper()
	pageSees(t, c.clinic, expression)
}

func pageSees(t *testing.T, b *stage.Browser, expression string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := b.Until(ctx, expression); err != nil {
		is, _ := stage.Eval[string](t.Context(), b, `JSON.stringify([document.readyState, document.body?.dataset, window.kiosk?.link, window.sim?.state])`)
		t.Fatalf("%v; the page is %s", err, is)
	}
}

// does runs an expression on the clinician's page.
func (c *scene) does(t *testing.T, expression string) {
	t.Helper()
	pageDoes(t, c.clinic, expression)
}

func pageDoes(t *testing.T, b *stage.Browser, expression string) {
	t.Helper()
	if _, err := stage.Eval[bool](t.Context(), b, "("+expression+", true)"); err != nil {
		t.Fatal(err)
	}
}

// control is the CSS selector of a control on the touchscreen page.
func control(reference string) string { return fmt.Sprintf(`button[data-reference=%q]`, reference) }

// press touches a control of the touchscreen page.
func (c *scene) press(t *testing.T, reference string) {
	t.Helper()
	c.sees(t, fmt.Sprintf("(b => b && b.offsetParent && !b.disabled)(document.querySelector(%q))", control(reference)))
	if err := c.screen.Click(t.Context(), control(reference)); err != nil {
		t.Fatal(err)
	}
}

// session is the session as the API tells it; nil: there is none.
func (c *scene) session(t *testing.T) *apitype.Session {
	t.Helper()
	s, err := c.api.Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listed is a control as the API lists it.
func (c *scene) listed(t *testing.T, reference string) apitype.Control {
	t.Helper()
	if s := c.session(t); s != nil {
		for _, k := range s.Controls {
			if k.Reference == reference {
				return k
			}
		}
	}
	t.Fatalf("controls[] has no %s", reference)
	return apitype.Control{}
}

// condition tells whether a condition is set.
func (c *scene) condition(t *testing.T, code string) bool {
	t.Helper()
	h, err := c.api.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range h.Conditions {
		if k.Code == code {
			return true
		}
	}
	return false
}

// camera does something to the n-th camera.
func (c *scene) camera(t *testing.T, n int, command string) string {
	t.Helper()
	a, err := c.Camera(t.Context(), n, command)
	if err != nil || !strings.HasPrefix(a, "ok") {
		t.Fatalf("camera %d, %s: %s (%v)", n, command, a, err)
	}
	return a
}

// unplugs pulls the n-th camera's plug; the row's end puts it back.
func (c *scene) unplugs(t *testing.T, n int) {
	t.Helper()
	c.camera(t, n, "unplug")
	t.Cleanup(func() { // t.Context is over by then
		if a, err := c.Camera(context.Background(), n, "plug"); err != nil || !strings.HasPrefix(a, "ok") {
			t.Errorf("camera %d does not come back: %s (%v)", n, a, err)
		}
	})
}

// cameras waits until the kiosk knows of n cameras.
func (c *scene) cameras(t *testing.T, n int) {
	t.Helper()
	until(t, fmt.Sprintf("the kiosk has %d cameras", n), 5*time.Second, func() (bool, string) {
		list, err := c.api.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, d := range list {
			if d.Kind == apitype.KindCamera && d.Present {
				found++
			}
		}
		return found == n, line(list)
	})
}

// dark waits until nobody holds the n-th camera.
func (c *scene) dark(t *testing.T, n int, within time.Duration) {
	t.Helper()
	until(t, fmt.Sprintf("camera %d is closed", n), within, func() (bool, string) {
		a := c.camera(t, n, "openers")
		return strings.HasPrefix(a, "ok openers 0 "), a
	})
}

// behave tells the backend how to answer; the row's end undoes it.
func (c *scene) behave(t *testing.T, order map[string]any) {
	t.Helper()
	if err := c.Behave(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := c.BehaveWell(ctx); err != nil {
			t.Error(err)
		}
	})
}

// over ends the session, if there is one, and drops its outputs.
func (c *scene) over(t *testing.T) {
	t.Helper()
	if s := c.session(t); s != nil && !s.Final() {
		if _, err := c.api.EndCall(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.outs.drop()
}

// drop forgets what has come.
func (o *outputs) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = nil
}

// refusedWith checks that a command was refused with a code.
func refusedWith(t *testing.T, err error, code string) {
	t.Helper()
	if !refusal(err, code) {
		t.Errorf("the answer is %v, want the problem %s", err, code)
	}
}

// asked counts the requests of a method that the backend got.
func (c *scene) asked(t *testing.T, method string) int {
	t.Helper()
	list, err := c.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range list {
		if r.Method == method {
			n++
		}
	}
	return n
}

// counters tells which camera the clinician's page sees: frames of camera n count
// from n million.
func (c *scene) seesCamera(t *testing.T, n int) {
	t.Helper()
	c.clinicSees(t, fmt.Sprintf("(f => f.length && Math.floor(f[f.length-1].counter / 1e6) === %d && performance.now() - f[f.length-1].at < 500)(JSON.parse(sim.frameLog()))", n))
}

// flows waits until the clinician's page decodes new frames of the patient.
func (c *scene) flows(t *testing.T) {
	t.Helper()
	before := numbers(t, c.clinic, "sim.coded")
	c.clinicSees(t, fmt.Sprintf("sim.coded > %v + 5 && Date.now() - sim.lastFrameAt < 500", before))
}

// numbers reads a number from a page.
func numbers(t *testing.T, b *stage.Browser, expression string) float64 {
	t.Helper()
	v, err := stage.Eval[float64](t.Context(), b, expression)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// words reads a text from the touchscreen page.
func (c *scene) text(t *testing.T, selector string) string {
	t.Helper()
	v, err := stage.Eval[string](t.Context(), c.screen, fmt.Sprintf(`(document.querySelector(%q)?.textContent ?? "").trim()`, selector))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fullEnv makes measurements their full length and judges the promised figures.
// Without it they are short and judge a deadline, with a margin for a machine
// that does something else as well.
const fullEnv = "KIOSKD_FIGURES"

func full() bool { return os.Getenv(fullEnv) != "" || os.Getenv(nightlyEnv) != "" }

// nightlyEnv makes rounds a hundred.
const nightlyEnv = "KIOSKD_NIGHTLY"

// rounds is how often something is measured: 20 times, 100 in the night, or a few in
// the short form.
func rounds() int {
	switch {
	case os.Getenv(nightlyEnv) != "":
		return 100
	case full():
		return 20
	}
	return 6
}

// line is a value as one line of JSON, for messages.
func line(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

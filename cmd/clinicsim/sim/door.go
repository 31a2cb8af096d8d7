package sim

import (
	"crypto/subtle"
	"html"
	"io"
	"net/http"
	"strings"
	"sync"

	"kioskd/daemon/room/direct/signal"
)

// The seats of the desk. They are also the paths of their pages.
const (
	seatClinician   = "clinician"
	seatSecond      = "second"
	seatInterpreter = "interpreter"
)

// maxCodes bounds the one-use addresses of a seat; the oldest go first.
const maxCodes = 64

// desk is what a page needs to join.
type desk struct {
	Token string      `json:"token"`
	Peer  string      `json:"peer"` // stable for one run, so that a reload supersedes
	Name  string      `json:"name"`
	Role  signal.Role `json:"role"`
	// AudioOnly pages neither ask for a camera nor send a picture.
	AudioOnly bool `json:"audio_only"`
	// ToneHz and CounterBase tell the seats' test tones and test pictures apart.
	ToneHz      int `json:"tone_hz"`
	CounterBase int `json:"counter_base"`
}

// door lets browsers in to one seat: an address with a code works once and
// leaves a cookie behind.
type door struct {
	seat   string
	cookie string
	desk   desk

	mu    sync.Mutex
	codes []code // oldest first
}

type code struct {
	text string
	used bool
}

func newDoors(cfg Config) map[string]*door {
	out := map[string]*door{}
	for seat, d := range map[string]desk{
		seatClinician:   {Name: cfg.Name, Role: signal.Clinician, ToneHz: 660},
		seatSecond:      {Name: cfg.SecondName, Role: signal.Clinician, ToneHz: 770, CounterBase: 500_000_000},
		seatInterpreter: {Name: cfg.InterpreterName, Role: signal.Interpreter, ToneHz: 550, AudioOnly: true},
	} {
		d.Token, d.Peer = newSecret(), seat+"-"+strings.ToLower(newSecret()[:8])
		out[seat] = &door{seat: seat, cookie: newSecret(), desk: d}
	}
	return out
}

// invite makes another one-use code.
func (d *door) invite() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.codes) >= maxCodes {
		d.codes = d.codes[1:]
	}
	d.codes = append(d.codes, code{text: newSecret()})
	return d.codes[len(d.codes)-1].text
}

// use tells whether the text is a code of this door, and whether this is its
// first use.
func (d *door) use(text string) (known, fresh bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.codes {
		if same(text, d.codes[i].text) {
			fresh = !d.codes[i].used
			d.codes[i].used = true
			return true, fresh
		}
	}
	return false, false
}

// enter gives the browser its cookie. Each seat has its own, so that one
// browser can show several pages.
func (d *door) enter(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure would keep it from plain http on loopback, the only place there is
		Name: d.cookieName(), Value: d.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	http.Redirect(w, r, "/"+d.seat, http.StatusSeeOther)
}

func (d *door) cookieName() string { return "clinicsim-" + d.seat }

// inside tells whether the request comes from a browser that was let in.
func (d *door) inside(r *http.Request) bool {
	c, err := r.Cookie(d.cookieName())
	return err == nil && same(c.Value, d.cookie)
}

// tell answers GET /{seat}/desk: who the page is and with which token it joins.
func (d *door) tell(w http.ResponseWriter, r *http.Request) {
	if !d.inside(r) {
		http.Error(w, "Open the page first.", http.StatusUnauthorized)
		return
	}
	writeJSON(w, http.StatusOK, d.desk)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// plainPage says one thing in plain words.
func plainPage(w http.ResponseWriter, status int, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `<!doctype html><html lang="en"><meta charset="utf-8"><title>`+html.EscapeString(title)+
		`</title><link rel="stylesheet" href="/assets/clinician.css"><body class="notice"><main><h1>`+html.EscapeString(title)+
		`</h1><p>`+html.EscapeString(text)+"</p></main></body></html>\n") // a client that went away does not matter
}

package sim

import (
	"crypto/subtle"
	"html"
	"io"
	"net/http"
	"strings"
	"sync"
)

// cookieName carries the clinician's page session.
const cookieName = "clinicsim"

// desk is what the clinician's page needs to join.
type desk struct {
	Token string `json:"token"`
	Peer  string `json:"peer"` // stable for one run, so that a reload supersedes
	Name  string `json:"name"`
}

// door lets one browser in: the address with the code works once and leaves a
// cookie behind.
type door struct {
	code   string
	cookie string
	desk   desk

	mu   sync.Mutex
	used bool
}

func newDoor(name string) *door {
	return &door{
		code: newSecret(), cookie: newSecret(),
		desk: desk{Token: newSecret(), Peer: "clinician-" + strings.ToLower(newSecret()[:8]), Name: name},
	}
}

// open answers GET /open/{code}.
func (d *door) open(w http.ResponseWriter, r *http.Request) {
	if !same(r.PathValue("code"), d.code) {
		plainPage(w, http.StatusNotFound, "This address opens nothing",
			"Copy the whole address that clinicsim gave out when it started.")
		return
	}
	if !d.use() {
		plainPage(w, http.StatusGone, "This address has been used",
			"It works once. Go back to the window that it opened, or start clinicsim anew for another address.")
		return
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure would keep it from plain http on loopback, the only place there is
		Name: cookieName, Value: d.cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	http.Redirect(w, r, "/clinician", http.StatusSeeOther)
}

func (d *door) use() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := !d.used
	d.used = true
	return first
}

// inside tells whether the request comes from the browser that was let in.
func (d *door) inside(r *http.Request) bool {
	c, err := r.Cookie(cookieName)
	return err == nil && same(c.Value, d.cookie)
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

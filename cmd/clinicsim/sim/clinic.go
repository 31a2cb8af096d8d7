package sim

import (
	"crypto/rand"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"kioskd/cmd/clinicsim/assets"
	"kioskd/cmd/clinicsim/hub"
)

// clinic is everything behind the address.
type clinic struct {
	cfg          Config
	host         string // ADDRESS:PORT of the listener
	token        string // the kiosk's
	appointments appointments
	journal      journal
	door         *door
	hub          *hub.Hub
	files        fs.FS
}

func newClinic(cfg Config, host, token string) *clinic {
	c := &clinic{
		cfg: cfg, host: host, token: token,
		appointments: appointments{byID: map[string]*appointment{}},
		door:         newDoor(cfg.Name),
		files:        assets.Files(),
	}
	opts := cfg.Hub
	opts.Log = cfg.Log
	opts.Authorize = func(token string) (string, bool) {
		if same(token, c.door.desk.Token) {
			return hub.AllRooms, true
		}
		return c.appointments.room(token, time.Now())
	}
	c.hub = hub.New(opts)
	return c
}

// handler is the table of routes.
func (c *clinic) handler() http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("/api/v3/appointments/{id}/video-room", c.videoRoom)

	mux := http.NewServeMux()
	mux.Handle("/api/", c.journal.record(http.MaxBytesHandler(api, maxBody)))
	mux.Handle("GET /signal", c.hub)
	mux.HandleFunc("GET /sim/log", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.journal.list()) })
	mux.HandleFunc("GET /sim/room", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"peers": c.hub.Members()})
	})
	mux.HandleFunc("GET /open/{code}", c.door.open)
	mux.HandleFunc("GET /clinician", c.page)
	mux.HandleFunc("GET /clinician/desk", c.desk)
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(c.files)))
	return c.guard(mux)
}

// guard refuses foreign host names (a rebound DNS name would make a foreign
// page same-origin with us) and sets the headers that hold for every answer.
func (c *clinic) guard(next http.Handler) http.Handler {
	port := c.host[strings.LastIndexByte(c.host, ':')+1:]
	allowed := map[string]bool{c.host: true, "localhost:" + port: true}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed[r.Host] {
			http.Error(w, "This server does not answer for that host name. Use "+c.host+".", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy(r.Host))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Embedder-Policy", "require-corp") // with the line above: the page's clock is exact to 5 us
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(self), microphone=(self), geolocation=()")
		if h.Get("Cache-Control") == "" {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}

// contentPolicy lets the page load its own files and speak to its own server.
// 'self' covers http only in older browsers, so the WebSocket is named.
func contentPolicy(host string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self' blob: mediastream:; " +
		"connect-src 'self' ws://" + host + "; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// page serves the clinician's page to whom the one-use address has let in.
func (c *clinic) page(w http.ResponseWriter, r *http.Request) {
	if !c.door.inside(r) {
		plainPage(w, http.StatusUnauthorized, "The clinician's page is closed",
			"Open the address that clinicsim gave out when it started. It works once, in one browser.")
		return
	}
	http.ServeFileFS(w, r, c.files, "clinician.html")
}

// desk tells the page who it is and with which token it joins.
func (c *clinic) desk(w http.ResponseWriter, r *http.Request) {
	if !c.door.inside(r) {
		http.Error(w, "Open the clinician's page first.", http.StatusUnauthorized)
		return
	}
	writeJSON(w, http.StatusOK, c.door.desk)
}

func newSecret() string { return rand.Text() }

package sim

import (
	"context"
	"crypto/rand"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"kioskd/cmd/clinicsim/assets"
	"kioskd/cmd/clinicsim/hub"
	"kioskd/cmd/kioskscreen/begin"
)

// clinic is everything behind the address.
type clinic struct {
	cfg          Config
	host         string // ADDRESS:PORT of the listener
	secureHost   string // of the one with TLS; "" is none
	token        string // the kiosk's
	appointments appointments
	control      string          // opens /sim/, beside the kiosk's token
	life         context.Context //nolint:containedctx // the clinic's own life, ended by close
	end          context.CancelFunc
	behaviour    behaviour
	reports      reports
	qualities    qualities
	journal      journal
	doors        map[string]*door // by seat
	hub          *hub.Hub
	files        fs.FS
}

func newClinic(cfg Config, host, token string) *clinic {
	c := &clinic{
		cfg: cfg, host: host, token: token, control: newSecret(),
		appointments: appointments{byID: map[string]*appointment{}},
		doors:        newDoors(cfg),
		files:        assets.Files(),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.behaviour.reset()
	opts := cfg.Hub
	opts.Log = cfg.Log
	opts.Authorize = func(token string) (string, bool) {
		for _, d := range c.doors {
			if same(token, d.desk.Token) {
				return hub.AllRooms, true
			}
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
	api.HandleFunc("/api/v3/appointments/{id}/video-room/permission", c.permission)
	api.HandleFunc("/api/v3/appointments/{id}/video-room/issue/report", c.issueReport)
	api.HandleFunc("/api/v3/appointments/{id}/video-room/video-quality", c.videoQuality)

	mux := http.NewServeMux()
	mux.Handle("/api/", c.journal.record(api))
	mux.Handle("GET /signal", c.hub)
	mux.HandleFunc("GET /sim/log", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.journal.list()) })
	mux.HandleFunc("GET /sim/room", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"peers": c.hub.Members()})
	})
	mux.Handle("/sim/", c.controlRoutes())
	mux.HandleFunc("GET /open/{code}", c.open)
	for _, d := range c.doors {
		mux.HandleFunc("GET /"+d.seat, func(w http.ResponseWriter, r *http.Request) { c.page(w, r, d) })
		mux.HandleFunc("GET /"+d.seat+"/desk", d.tell)
	}
	mux.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(c.files)))
	return c.guard(mux)
}

// guard refuses foreign host names (a rebound DNS name would make a foreign
// page same-origin with us) and sets the headers that hold for every answer.
func (c *clinic) guard(next http.Handler) http.Handler {
	port := c.host[strings.LastIndexByte(c.host, ':')+1:]
	allowed := map[string]bool{c.host: true, "localhost:" + port: true}
	if c.secureHost != "" {
		allowed[c.secureHost] = true
	}
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
	return "default-src 'none'; script-src 'self' " + begin.Source() + "; style-src 'self'; img-src 'self'; media-src 'self' blob: mediastream:; " +
		"connect-src 'self' ws://" + host + "; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// open answers GET /open/{code}: the door that the code belongs to opens once.
func (c *clinic) open(w http.ResponseWriter, r *http.Request) {
	code := r.PathValue("code")
	for _, d := range c.doors {
		switch known, fresh := d.use(code); {
		case !known:
		case fresh:
			d.enter(w, r)
			return
		default:
			plainPage(w, http.StatusGone, "This address has been used",
				"It works once. Go back to the window that it opened, or start clinicsim anew for another address.")
			return
		}
	}
	plainPage(w, http.StatusNotFound, "This address opens nothing",
		"Copy the whole address that clinicsim gave out when it started.")
}

// page serves a clinician's page to whom its one-use address has let in.
func (c *clinic) page(w http.ResponseWriter, r *http.Request, d *door) {
	if !d.inside(r) {
		plainPage(w, http.StatusUnauthorized, "The clinician's page is closed",
			"Open the address that clinicsim gave out when it started. It works once, in one browser.")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, assets.Page())
}

// address is the one-use address with this code.
func (c *clinic) address(code string) string { return "http://" + c.host + "/open/" + code }

// addresses are those of the launch file.
func (c *clinic) addresses() Addresses {
	backend := "http://" + c.host
	if c.secureHost != "" {
		backend = "https://" + c.secureHost
	}
	return Addresses{
		Backend:     backend,
		Local:       "http://" + c.host,
		Clinician:   c.address(c.doors[seatClinician].invite()),
		Second:      c.address(c.doors[seatSecond].invite()),
		Interpreter: c.address(c.doors[seatInterpreter].invite()),
		Control:     c.control,
	}
}

// close ends the signalling and every answer that waits.
func (c *clinic) close() {
	c.end()
	c.hub.Close()
}

func newSecret() string { return rand.Text() }

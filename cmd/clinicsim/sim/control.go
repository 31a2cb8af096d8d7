package sim

import (
	"errors"
	"io"
	"net/http"

	"kioskd/cmd/clinicsim/hub"
)

// controlRoutes are what tests steer the clinic with. Who calls them shows the
// kiosk's token or the launch file's secret: a page in some browser has neither.
func (c *clinic) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sim/behave", c.behave)
	mux.HandleFunc("POST /sim/reset", func(w http.ResponseWriter, _ *http.Request) {
		c.behaviour.reset()
		c.hub.Trouble(hub.Trouble{})
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /sim/expire", func(w http.ResponseWriter, _ *http.Request) {
		c.appointments.expire()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /sim/invite", c.invite)
	mux.HandleFunc("GET /sim/reports", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.reports.list()) })
	mux.HandleFunc("GET /sim/quality", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, c.qualities.list()) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if token, ok := bearer(r); !ok || !same(token, c.token) && !same(token, c.control) {
			http.Error(w, "Send the kiosk's token or the launch file's control secret as a bearer token.", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// behave answers POST /sim/behave: all of the order is taken, or nothing.
func (c *clinic) behave(w http.ResponseWriter, r *http.Request) {
	body, ok := readAll(w, r, maxControl)
	if !ok {
		return
	}
	wanted, err := parseOrder(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.behaviour.apply(wanted)
	if wanted.signal != nil {
		c.hub.Trouble(*wanted.signal)
	}
	w.WriteHeader(http.StatusNoContent)
}

// invite answers POST /sim/invite with another one-use address of a page.
func (c *clinic) invite(w http.ResponseWriter, r *http.Request) {
	body, ok := readAll(w, r, maxControl)
	if !ok {
		return
	}
	var ask struct {
		As string `json:"as"`
	}
	if err := strict(body, &ask); err != nil {
		http.Error(w, "cannot read whom to invite: "+err.Error(), http.StatusBadRequest)
		return
	}
	d := c.doors[ask.As]
	if d == nil {
		http.Error(w, `cannot invite: "as" is clinician, second or interpreter`, http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"url": c.address(d.invite())})
}

// readAll reads a request's body up to most bytes, or answers why not.
func readAll(w http.ResponseWriter, r *http.Request, most int64) ([]byte, bool) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err == nil {
		return b, true
	}
	status := http.StatusBadRequest
	if tooBig := (*http.MaxBytesError)(nil); errors.As(err, &tooBig) {
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, "cannot read the request's body", status)
	return nil, false
}

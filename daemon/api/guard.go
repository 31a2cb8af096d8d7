package api

import (
	"net/http"
	"runtime/debug"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/wire"
)

// ServeHTTP guards and then routes. A panic in a handler is our fault: it is
// logged, answered as 500 and ends nothing else.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	peer.Heard(r.Context())
	rec := &recorder{ResponseWriter: w}
	if !s.begin() {
		wire.WriteProblem(rec, apitype.NewProblem(http.StatusServiceUnavailable, apitype.CodeStopping,
			"cannot answer: the daemon is stopping", "try again"))
		return
	}
	defer s.running.Done()
	defer func() {
		if v := recover(); v != nil {
			s.deps.Log.Error("panic in a control request", "method", r.Method, "panic", v, "stack", string(debug.Stack()))
			if rec.status == 0 {
				wire.WriteProblem(rec, apitype.NewProblem(http.StatusInternalServerError, apitype.CodeInternal,
					"cannot answer: the daemon made a mistake", "see journalctl -u kioskd"))
			}
		}
	}()
	h := rec.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	who := peer.From(r.Context())
	if p := guard(r, who); p != nil {
		route := "none"
		row, _ := s.find(r)
		if row >= 0 {
			route = s.routes[row].path
		}
		s.counts.count(row, false, r.Method, p.Status, 0)
		s.denials.Request(who, p.Code, r.Method, route)
		h.Set("Connection", "close")
		wire.WriteProblem(rec, p)
		return
	}
	// The head is read; what is left is the body, which may not take for ever.
	// A handler that has read it takes the deadline away (readBody).
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	start := time.Now()
	row := s.dispatch(rec, r, who)
	took, name, stream := time.Since(start), "none", false
	if row >= 0 {
		name, stream = s.routes[row].path, s.routes[row].stream
	}
	s.counts.count(row, stream, r.Method, rec.status, took)
	s.logRequest(r, who, name, rec.status, took)
}

// guard refuses peers without a role and whatever a browser could have sent.
// No browser reaches a Unix socket by itself, but a careless proxy lets one
// through: a page cannot leave out Origin on a POST, nor choose the Host.
func guard(r *http.Request, who peer.Peer) *apitype.Problem {
	if who.Role == peer.None {
		return apitype.NewProblem(http.StatusForbidden, apitype.CodeForbidden,
			"cannot serve this user: it is not in group "+peer.GroupScreen,
			"add it with: usermod -aG "+peer.GroupScreen+" USER, and log in again")
	}
	_, origin := r.Header["Origin"]
	_, referer := r.Header["Referer"]
	if origin || referer {
		return apitype.NewProblem(http.StatusForbidden, apitype.CodeForbiddenOrigin,
			"cannot serve a request that a web page made", "leave out the headers Origin and Referer")
	}
	switch r.Host {
	case "", "kioskd", "localhost":
		return nil
	}
	return apitype.NewProblem(http.StatusForbidden, apitype.CodeForbiddenOrigin,
		"cannot serve a request for a foreign host", "use the address http://kioskd/ or http://localhost/")
}

// logRequest logs what was asked and how it went, without path, query or body:
// a participant's id and an appointment's do not belong in a log.
func (s *Server) logRequest(r *http.Request, p peer.Peer, route string, status int, took time.Duration) {
	log := s.deps.Log.Info
	if r.Method == http.MethodGet || r.Method == http.MethodPatch {
		log = s.deps.Log.Debug
	}
	log("control request", "method", r.Method, "route", route, "status", status,
		"uid", p.UID, "pid", p.PID, "role", p.Role.String(), "ms", took.Milliseconds())
}

// recorder remembers the final status. Unwrap lets http.ResponseController through.
type recorder struct {
	http.ResponseWriter
	status int
}

func (w *recorder) WriteHeader(status int) {
	final := status >= http.StatusOK || status == http.StatusSwitchingProtocols
	if w.status == 0 && final {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap gives the writer below.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

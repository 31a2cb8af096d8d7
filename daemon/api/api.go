// Package api is the daemon's control API: HTTP/1.1 and JSON over one Unix
// socket. It owns the listener's bounds, who a peer is and what it may do, the
// routes, the event stream and the error answers. What the daemon is and does
// comes in through Deps; the session's rules are not here.
//
// A request's way: peer (caps, credentials at accept) -> guard.go (nothing that
// looks like a browser) -> routes.go (route, method, role) -> one file a
// resource, or stream for the events -> problem.go where it goes wrong.
//
// Who may import it: daemon. Imports: apitype, peer and stream below it, health,
// session and the standard library; no media, no store.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/stream"
	"kioskd/daemon/health"
	"kioskd/daemon/session"
)

// Session is the session's runner. Do answers a command with *session.Refusal
// where the session's rules forbid it.
type Session interface {
	Do(ctx context.Context, e session.Event, key string) (session.Result, error)
	Model() session.Model
}

// Views makes the touchscreen page's peer connections. Its errors are
// *apitype.Problem where the caller can do something about them (an unknown
// participant or view is 404 not_found, an unusable offer 400 bad_sdp); any
// other error is answered as 500 and logged.
type Views interface {
	// Create answers an SDP offer (RFC 8866) for a stream: "self", or "remote/"
	// and a participant's id. The id is of letters, digits, "-" and "_".
	Create(ctx context.Context, stream, offerSDP string) (id, answerSDP string, err error)
	// Patch takes a trickle ICE fragment (RFC 8840) for a view.
	Patch(id, fragment string) error
	// Delete ends a view.
	Delete(id string) error
}

// Deps are what the API stands on. All are required but Quality.
type Deps struct {
	Session Session
	Views   Views
	Devices func() []apitype.Device   // must not wait nor call the Server; called for each status
	Quality func() map[string]float64 // figures of the running call; nil: none
	Health  *health.Set
	Version apitype.Version
	Auth    peer.Auth
	Log     *slog.Logger
}

// Bounds of time. The header's and the caps' are given by the contract.
const (
	headerTimeout  = 2 * time.Second  // a request's head
	bodyTimeout    = 5 * time.Second  // a request's body
	commandTimeout = 10 * time.Second // a handler's work
	answerTimeout  = 15 * time.Second // a whole request that is no event stream
	idleTimeout    = time.Minute      // a kept connection without a request
	stopTimeout    = time.Second      // requests under way when the daemon stops
)

// Bounds of size.
const (
	maxHeader = 8 << 10
	maxBody   = 64 << 10
	// headerSlop is what net/http adds to MaxHeaderBytes on its own.
	headerSlop = 4 << 10
)

// Server is the control API. Publish and Changed may be called before, while
// and after Run runs.
type Server struct {
	deps    Deps
	hub     *stream.Hub
	routes  []route
	denials limiter

	mu       sync.Mutex
	stopping bool
	running  sync.WaitGroup // handlers; none is added once stopping
}

// New makes a Server. It fails where something in Deps is missing.
func New(d Deps) (*Server, error) {
	for name, missing := range map[string]bool{
		"Session": d.Session == nil, "Views": d.Views == nil, "Devices": d.Devices == nil,
		"Health": d.Health == nil, "Log": d.Log == nil,
	} {
		if missing {
			return nil, fmt.Errorf("cannot make the control API without Deps.%s", name)
		}
	}
	s := &Server{deps: d}
	s.hub = stream.New(s.statusOf, d.Session.Model)
	s.routes = s.table()
	return s, nil
}

// Publish tells the watchers of a change of the session. It never waits for
// them; the session's runner calls it before it answers a command.
func (s *Server) Publish(snap session.Snapshot) { s.hub.Publish(snap) }

// Changed tells the watchers that something other than the session changed: a
// device, the figures of the call. Conditions are seen to by the Server.
func (s *Server) Changed() { s.hub.Changed() }

// Watchers counts the event streams that are open.
func (s *Server) Watchers() int { return s.hub.Watchers() }

// Run serves on ln, a Unix socket, until ctx ends. Then the event streams end
// at once, requests under way get one second, and Run returns with nothing
// left running. It closes ln. A Server runs once.
func (s *Server) Run(ctx context.Context, ln net.Listener) error {
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopWatch := s.deps.Health.Watch(s.hub.Changed)
	defer stopWatch()
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader - headerSlop,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       peer.ConnContext,
		ErrorLog:          slog.NewLogLogger(s.deps.Log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(peer.NewListener(ln, s.deps.Auth, s.deny)) }()
	var err error
	select {
	case err = <-failed:
		err = fmt.Errorf("cannot serve the control socket: %w", err)
	case <-ctx.Done():
	}
	s.hub.Close()
	grace, done := context.WithTimeout(base, stopTimeout)
	defer done()
	if srv.Shutdown(grace) != nil {
		cancel() // whoever still works is told to stop
		if cerr := srv.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			s.deps.Log.Warn("cannot close the control socket cleanly", "error", cerr)
		}
	}
	if err == nil {
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = fmt.Errorf("cannot serve the control socket: %w", ended)
		}
	}
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// begin counts a handler in, unless the server is stopping.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		return false
	}
	s.running.Add(1)
	return true
}

// deny logs that somebody was turned away; a flood of it is summed up.
func (s *Server) deny(p peer.Peer, code, what string) {
	if suppressed, ok := s.denials.allow(time.Now()); ok {
		s.deps.Log.Warn("control request denied", "code", code, "route", what,
			"uid", p.UID, "gid", p.GID, "pid", p.PID, "role", p.Role, "suppressed", suppressed)
	}
}

// limiter lets one line a second through and counts the others.
type limiter struct {
	mu         sync.Mutex
	last       time.Time
	suppressed int
}

func (l *limiter) allow(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < time.Second {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed, l.last = l.suppressed, 0, now
	return suppressed, true
}

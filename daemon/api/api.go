// Package api is the daemon's control API: HTTP/1.1 and JSON over one Unix
// socket. It owns the listener's bounds, who a peer is and what it may do, the
// routes, the event stream and the error answers. What the daemon is and does
// comes in through Deps; the session's rules are not here.
//
// A request's way: peer (caps, credentials at accept) -> guard.go (nothing that
// looks like a browser) -> routes.go (route, method, role) -> one file a
// resource, or stream for the events -> wire, where it goes wrong too.
//
// table.go has all routes. Below are wire (bodies in, JSON out), convert (what is
// told of the session), whep (the page's views), openapi (the table as a document), denial (who was turned away).
//
// Who may import it: daemon. Imports: the packages below it, health, session and
// the standard library; no media, no store.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/denial"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/stream"
	"kioskd/daemon/api/whep"
	"kioskd/daemon/health"
	"kioskd/daemon/session"
)

// Session is the session's runner. Do answers a command with *session.Refusal
// where the session's rules forbid it.
type Session interface {
	Do(ctx context.Context, e session.Event, key string) (session.Result, error)
	Model() session.Model
	// Now is the time that the model's own are in: who sets the wall clock does not move it.
	Now() time.Time
}

// Tools are what a technician does with the devices. by says who asks, for the audit.
// Errors are *apitype.Problem where the caller can do something about them.
type Tools interface {
	SetRole(role, device, by string) error
	SetControls(ctx context.Context, id string, values map[string]int32, by string) ([]apitype.DeviceControl, error)
	// Snapshot gives a JPEG.
	Snapshot(ctx context.Context, id, by string) ([]byte, error)
	// Level tells levels until ctx ends (nil), tell gives an error, or there is a reason
	// to end. When it has returned, tell is not called any more.
	Level(ctx context.Context, id, by string, tell func(apitype.Level) error) error
	Tone(ctx context.Context, id string, tone apitype.ToneRequest, by string) error
	// Technician is the use that the screen should show; nil: none. It must not wait.
	Technician() *apitype.Technician
}

// Views makes the touchscreen page's peer connections.
type Views = whep.Views

// Deps are what the API stands on. All are required but Quality and
// Statistics. The functions
// are called from many goroutines.
type Deps struct {
	Session Session
	Views   Views
	Tools   Tools
	Devices func() []apitype.Device   // must not wait nor call the Server; called for each status
	Quality func() map[string]float64 // figures of the running call; nil: none
	// Statistics are the same in full; nil: none.
	Statistics func() *apitype.Statistics
	Health     *health.Set
	// Report gathers what goes with an issue report in the patient's words: a
	// new id and the bundle, JSON.
	Report func(text string) (id string, bundle []byte, err error)
	// Reports lists what waits to be sent, oldest first; ReadReport gives a
	// bundle, or an *apitype.Problem of status 404 for an unknown id.
	Reports    func() ([]apitype.ReportInfo, error)
	ReadReport func(id string) ([]byte, error)
	// Audit gives the newest entries of the journal, at most limit.
	Audit func(limit int) (apitype.Audit, error)
	// Denied writes to the audit that a request that would have changed
	// something was turned away; at most one a second. The text names nobody.
	Denied func(text string)
	// Safe tells whether the daemon is in safe mode: only what tells is answered, and
	// nothing of devices, session and call runs. nil: never.
	Safe func() bool
	// Config gives the settings, without secrets, as something for encoding/json.
	Config func() any
	// Reload reads them anew; by says who asks, for the audit.
	Reload func(by string) (apitype.ReloadAnswer, error)
	// Check runs checks for whom by names. Errors are *apitype.Problem.
	Check func(ctx context.Context, req apitype.ChecksRequest, by string) (apitype.Checks, error)
	// Metrics gives all figures as Prometheus reads them, the Server's own among them.
	Metrics func() ([]byte, error)
	// Language is that of the texts, for screens; empty: not told.
	Language string
	Version  apitype.Version
	Auth     peer.Auth
	Log      *slog.Logger
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
	// headerSlop is what net/http adds to MaxHeaderBytes on its own.
	headerSlop = 4 << 10
)

// Server is the control API. Publish and Changed may be called before, while
// and after Run runs.
type Server struct {
	deps     Deps
	hub      *stream.Hub
	routes   []route
	document []byte // openapi.json
	denials  *denial.Teller
	counts   *counts
	listener atomic.Pointer[peer.Listener] // of Run

	mu       sync.Mutex
	stopping bool
	running  sync.WaitGroup // handlers; none is added once stopping
}

// New makes a Server. It fails where something in Deps is missing.
func New(d Deps) (*Server, error) {
	for name, missing := range map[string]bool{
		"Session": d.Session == nil, "Views": d.Views == nil, "Tools": d.Tools == nil, "Devices": d.Devices == nil,
		"Health": d.Health == nil, "Log": d.Log == nil, "Report": d.Report == nil, "Reports": d.Reports == nil,
		"ReadReport": d.ReadReport == nil, "Audit": d.Audit == nil, "Denied": d.Denied == nil, "Config": d.Config == nil,
		"Reload": d.Reload == nil, "Check": d.Check == nil, "Metrics": d.Metrics == nil,
	} {
		if missing {
			return nil, fmt.Errorf("cannot make the control API without Deps.%s", name)
		}
	}
	s := &Server{deps: d, denials: denial.New(d.Log, d.Denied)}
	s.hub = stream.New(s.statusOf, d.Session.Model)
	s.routes = s.table()
	s.counts = newCounts(s.routes)
	var err error
	s.document, err = describe(d.Version.Version, s.routes)
	return s, err
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
	counted := peer.NewListener(ln, s.deps.Auth, func(p peer.Peer, code, what string) {
		s.counts.refused.Add(1)
		s.denials.Log(p, code, what)
	})
	s.listener.Store(counted)
	var conns open
	srv.ConnState = conns.note
	failed, served := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(served)
		failed <- srv.Serve(counted)
	}()
	err := s.wait(ctx, failed)
	s.hub.Close()
	err = errors.Join(err, drain(srv, ln, &conns, served))
	grace, done := context.WithTimeout(base, stopTimeout)
	defer done()
	if srv.Shutdown(grace) != nil {
		cancel() // whoever still works is told to stop
		if cerr := srv.Close(); cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			s.deps.Log.Warn("cannot close the control socket cleanly", "error", cerr)
		}
	}
	if err == nil {
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) && !errors.Is(ended, net.ErrClosed) {
			err = fmt.Errorf("cannot serve the control socket: %w", ended)
		}
	}
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.running.Wait()
	return err
}

// wait waits for the end, and meanwhile tells of floods that are over.
func (s *Server) wait(ctx context.Context, failed <-chan error) error {
	tick := time.NewTicker(denial.Every)
	defer tick.Stop()
	for {
		select {
		case err := <-failed:
			return fmt.Errorf("cannot serve the control socket: %w", err)
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.denials.Flush(now)
		}
	}
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

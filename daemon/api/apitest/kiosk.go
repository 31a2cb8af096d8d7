// Package apitest is a kiosk for tests of the control API and its clients: the
// real API on a real Unix socket in front of the real session runner, in a
// world without devices, backend and room, which a test plays itself.
//
// Who may import it: tests only.
package apitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"kioskd/daemon/api"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/health"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
)

// The groups that give roles in the test's kiosk. They need not exist.
const (
	ScreenGID     = 61001
	TechnicianGID = 61002
)

// Camera is the one device of the test's kiosk.
const Camera = "usb-1"

// Kiosk is a running control API. Close ends it.
type Kiosk struct {
	Socket string
	API    *api.Server
	Runner *runner.Runner
	Health *health.Set
	Views  *Views
	Store  *Store
	Log    *Buffer // everything that was logged, as JSON lines

	// Quality holds the figures of the call; nil: none.
	Quality atomic.Pointer[map[string]float64]

	dir    string
	cancel context.CancelFunc
	ends   sync.WaitGroup
	served error
}

// Start starts a kiosk with its socket in a directory of its own that any user
// may enter: the roles, not the files, are what is tested.
func Start() (*Kiosk, error) {
	dir, err := os.MkdirTemp("", "kiosk")
	if err != nil {
		return nil, err
	}
	k, err := StartAt(filepath.Join(dir, "control.sock"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	k.dir = dir
	return k, os.Chmod(dir, 0o755)
}

// StartAt starts a kiosk with its socket at a given path.
func StartAt(socket string) (*Kiosk, error) {
	k := &Kiosk{Socket: socket, Health: health.New(), Views: &Views{}, Store: &Store{}, Log: &Buffer{}}
	log := slog.New(slog.NewJSONHandler(k.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	k.Runner, err = runner.New(runner.Options{
		Store: k.Store, Perform: k.perform, Log: log,
		Publish: func(s session.Snapshot) { k.API.Publish(s) },
	})
	if err != nil {
		return nil, err
	}
	k.API, err = api.New(api.Deps{
		Session: k.Runner, Views: k.Views, Health: k.Health, Log: log,
		Devices: func() []apitype.Device {
			return []apitype.Device{{ID: Camera, Kind: apitype.KindCamera, Name: "Face camera", Present: true, State: "ok"}}
		},
		Quality: func() map[string]float64 {
			if q := k.Quality.Load(); q != nil {
				return *q
			}
			return nil
		},
		Version: apitype.Version{Version: "test"},
		Auth:    peer.Auth{ScreenGID: ScreenGID, TechnicianGID: TechnicianGID, OwnUID: uint32(os.Geteuid())},
	})
	if err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", socket)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	k.ends.Go(func() { k.served = k.API.Run(ctx, ln) })
	k.ends.Go(func() { _ = k.Runner.Run(ctx) })
	<-k.Runner.Ready()
	k.Runner.Post(session.NetworkChanged{Up: true})
	return k, nil
}

// Close ends the kiosk and gives the API's error, if it had one.
func (k *Kiosk) Close() error {
	k.cancel()
	k.ends.Wait()
	if k.dir != "" {
		return errors.Join(k.served, os.RemoveAll(k.dir))
	}
	return k.served
}

// perform plays the world: devices that work, a backend with a room.
func (k *Kiosk) perform(_ context.Context, e session.Effect) {
	switch e := e.(type) {
	case session.CheckDevices:
		k.Runner.Post(session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: []string{Camera}})
	case session.LoadRoom:
		k.Runner.Post(session.RoomLoaded{Attempt: e.Params.Attempt, Room: session.Room{Provider: "direct", URL: "ws://localhost/", Token: Canary + "-token"}})
	case session.JoinRoom:
		k.Runner.Post(session.Joined{Attempt: e.Params.Attempt})
	}
}

// Canary is in every word of a patient that the test's kiosk knows.
const Canary = "canary4711"

// Arrive lets the clinician come and send media: the session becomes active.
func (k *Kiosk) Arrive() {
	a := k.Runner.Model().Attempt
	k.Runner.Post(session.PeerJoined{Attempt: a, Participant: session.Participant{ID: "p1", Name: Canary + "-name", Role: "clinician"}})
	k.Runner.Post(session.MediaArrived{Attempt: a, Participant: "p1", Kind: session.Audio})
}

// Await waits until the session is in the given state and step.
func (k *Kiosk) Await(ctx context.Context, state session.State, step session.Phase) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		m := k.Runner.Model()
		if m.State == state && m.Phase == step {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("cannot see state %q step %q, it is %q %q: %w", state, step, m.State, m.Phase, ctx.Err())
		case <-tick.C:
		}
	}
}

// Store keeps the model in memory and can be made to fail.
type Store struct {
	mu   sync.Mutex
	fail error
}

// Fail lets each commit fail with err; nil ends that.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Load gives no session.
func (s *Store) Load() (session.Model, error) { return session.Model{}, nil }

// Commit fails when it was told to.
func (s *Store) Commit(session.Model, []session.Output, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

// Buffer is a log that can be read while it is written.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String gives what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

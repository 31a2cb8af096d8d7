// Package apitest is a kiosk for tests of the control API and its clients: the
// real API on a real Unix socket in front of the real session runner, in a
// world without devices, backend and room, which a test plays itself.
//
// Who may import it: tests only.
package apitest

import (
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
	"kioskd/daemon/check"
	"kioskd/daemon/health"
	"kioskd/daemon/metrics"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
)

// The groups that give roles in the test's kiosk. They need not exist.
const (
	ScreenGID     = 61001
	TechnicianGID = 61002
)

// Camera and SecondCamera are the devices of the test's kiosk. The second one is
// there from Plug on.
const (
	Camera       = "usb-1"
	SecondCamera = "usb-2"
)

// Kiosk is a running control API. Close ends it.
type Kiosk struct {
	Socket string
	API    *api.Server
	Runner *runner.Runner
	Health *health.Set
	Views  *Views
	Tools  *Tools
	Store  *Store
	Audit  *Audit
	Log    *Buffer // everything that was logged, as JSON lines

	// Quality holds the figures of the call; nil: none.
	Quality atomic.Pointer[map[string]float64]

	// Rehearsal holds up the loopback call of a check until it is closed; nil: it is
	// over at once.
	Rehearsal atomic.Pointer[chan struct{}]
	checks    *check.Checker

	// Safe is whether the kiosk is in safe mode.
	Safe atomic.Bool

	second atomic.Bool

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
func StartAt(socket string) (*Kiosk, error) { return startAt(socket, false, &Store{audit: &Audit{}}) }

// StartAsking is StartAt for a kiosk whose sessions ask for consent.
func StartAsking(socket string) (*Kiosk, error) {
	return startAt(socket, true, &Store{audit: &Audit{}})
}

// Again starts a kiosk anew that was closed: on the same socket, with what its
// store had. Its own directory, if it had one, is gone: see StartAt.
func (k *Kiosk) Again() (*Kiosk, error) { return startAt(k.Socket, false, k.Store) }

func startAt(socket string, consent bool, store *Store) (*Kiosk, error) {
	k := &Kiosk{Socket: socket, Health: health.New(), Views: &Views{}, Store: store, Audit: store.audit, Log: &Buffer{}}
	log := slog.New(slog.NewJSONHandler(k.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	k.Tools = newTools(k)
	var err error
	k.Runner, err = runner.New(runner.Options{
		Store: k.Store, Perform: k.perform, Log: log,
		Publish: func(s session.Snapshot) {
			if s.Model.Running() {
				k.Tools.opened()
			}
			k.API.Publish(s)
		},
		AskConsent: consent,
	})
	if err != nil {
		return nil, err
	}
	if k.checks, err = k.checker(); err != nil {
		return nil, err
	}
	k.API, err = api.New(api.Deps{
		Session: k.Runner, Views: k.Views, Tools: k.Tools, Health: k.Health, Log: log,
		Devices: k.devices,
		Quality: func() map[string]float64 {
			if q := k.Quality.Load(); q != nil {
				return *q
			}
			return nil
		},
		Report: k.Store.gather, Reports: k.Store.list, ReadReport: k.Store.read,
		Audit: k.Audit.newest, Denied: func(text string) { k.Audit.add("audit", text) },
		Reload: func(string) (apitype.ReloadAnswer, error) {
			return apitype.ReloadAnswer{Changed: []string{"log.level"}, NeedRestart: []string{}}, nil
		},
		Config:  func() any { return map[string]any{"session": map[string]any{"wait_seconds": 900}} },
		Check:   k.checks.Run,
		Safe:    k.Safe.Load,
		Metrics: func() ([]byte, error) { return metrics.Write(k.API.Metrics()) },
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

// perform plays the world: devices that work, a backend with a room, a
// clinician who reads what is written to him.
func (k *Kiosk) perform(_ context.Context, e session.Effect) {
	switch e := e.(type) {
	case session.CheckDevices:
		k.report()
	case session.LoadRoom:
		k.Runner.Post(session.RoomLoaded{Attempt: e.Params.Attempt, Room: session.Room{
			Provider: "direct", URL: "ws://localhost/", Token: Canary + "-token", Chat: true, ReportIssue: true,
		}})
	case session.JoinRoom:
		k.Runner.Post(session.Joined{Attempt: e.Params.Attempt})
	case session.SetOutbox:
		for _, m := range e.Messages {
			for _, p := range m.Waiting {
				k.Runner.Post(session.MessageAcked{Attempt: k.Runner.Model().Attempt, Participant: p, ID: m.ID})
			}
		}
	}
}

func (k *Kiosk) devices() []apitype.Device {
	list := []apitype.Device{{ID: Camera, Kind: apitype.KindCamera, Name: "Face camera", Present: true, State: "ok"}}
	if k.second.Load() {
		list = append(list, apitype.Device{ID: SecondCamera, Kind: apitype.KindCamera, Name: "Document camera", Present: true, State: "ok"})
	}
	list = append(list,
		apitype.Device{ID: Microphone, Kind: apitype.KindMicrophone, Name: "Desk microphone", Present: true, State: "ok"},
		apitype.Device{ID: Speaker, Kind: apitype.KindSpeaker, Name: "Desk speaker", Present: true, State: "ok"},
	)
	return k.Tools.decorate(list)
}

func (k *Kiosk) report() {
	var cameras []string
	for _, d := range k.devices() {
		if d.Kind == apitype.KindCamera {
			cameras = append(cameras, d.ID)
		}
	}
	k.Runner.Post(session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: cameras})
}

// Plug plugs the second camera in.
func (k *Kiosk) Plug() {
	k.second.Store(true)
	k.report()
	k.API.Changed()
}

// Say lets the clinician say something in the chat.
func (k *Kiosk) Say(id, text string) {
	k.Runner.Post(session.MessageArrived{
		Attempt: k.Runner.Model().Attempt, Participant: "p1", ID: id, Text: session.PatientText(text),
	})
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

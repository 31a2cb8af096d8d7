// Package daemon is kioskd without its command line: Run builds the parts,
// starts them in order and stops them in reverse.
//
// It decides nothing and knows no protocol; it is where the parts meet. Imported
// by cmd/kioskd.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/pion/mediadevices/pkg/prop"

	"kioskd/capture/camera/uevent"
	"kioskd/capture/encode"
	"kioskd/configs"
	"kioskd/configs/words"
	"kioskd/daemon/api"
	"kioskd/daemon/api/apitype"
	apipeer "kioskd/daemon/api/peer"
	"kioskd/daemon/backend"
	"kioskd/daemon/call"
	"kioskd/daemon/devices"
	"kioskd/daemon/health"
	"kioskd/daemon/report"
	"kioskd/daemon/room"
	"kioskd/daemon/room/direct"
	"kioskd/daemon/room/peer"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
	"kioskd/store"
	"kioskd/systemd"
)

// closeWithin bounds the end of the call's connections.
const closeWithin = 3 * time.Second

// ErrStart is wrapped by Run's error where nothing has run: the next start fails the
// same way until somebody has mended what the error names.
var ErrStart = errors.New("cannot start kioskd")

// kiosk is the running daemon's parts.
type kiosk struct {
	cfg     configs.Config
	log     *slog.Logger
	words   *words.Catalogue
	health  *health.Set
	store   *store.Store
	devices *devices.Devices
	backend *backend.Client
	call    *call.Call
	work    *performer
	runner  *runner.Runner
	api     *api.Server
	notify  *systemd.Notifier
	memory  *report.Log
	states  *report.States
	sender  *report.Sender
	oneWay  oneWay
	ending  func() bool // the daemon is on its way out
	around  Surroundings
	meter   report.Meter // how the running call goes
	// measureDue has a token when there may be a call to measure.
	measureDue chan struct{}
	safety     *safety // nil: the configuration wants none
	standIn    standIn // for the store

	settings    settings
	faults      faults
	callOptions call.Options // for a loopback call like the call
	entered     stateCounts
}

// Run is the daemon's whole life: until ctx ends, or a part fails that it cannot
// be without. When it returns, every goroutine and every device file is gone.
func Run(ctx context.Context, cfg configs.Config, version apitype.Version, log *slog.Logger) error {
	return RunIn(ctx, cfg, version, log, Surroundings{})
}

// RunIn is Run on a machine of the caller's choice.
func RunIn(ctx context.Context, cfg configs.Config, version apitype.Version, log *slog.Logger, around Surroundings) error {
	ln, err := listen(cfg.API.Socket)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStart, err)
	}
	around = around.complete()
	var safe *safety
	if cfg.Daemon.SafeMode { // before anything that may end the daemon
		safe = bornInto(cfg.Store.Dir, around.SafeFor, log.With("part", "safety"))
	}
	memory := report.NewLog(log.Handler())
	k, err := build(cfg, version, memory, slog.New(memory), around, safe)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStart, errors.Join(err, ln.Close()))
	}
	err = k.run(ctx, ln)
	if err == nil {
		safe.grown()
	}
	return err
}

// build makes the parts from the bottom up. Nothing runs yet.
func build(cfg configs.Config, version apitype.Version, memory *report.Log, log *slog.Logger, around Surroundings, safe *safety) (*kiosk, error) {
	k := &kiosk{
		cfg: cfg, log: log, memory: memory, states: &report.States{}, health: health.New(),
		notify: systemd.NewNotifier(), ending: func() bool { return false }, around: around, settings: settings{config: cfg},
		measureDue: make(chan struct{}, 1), safety: safe,
	}
	var err error
	if k.words, err = words.Load(cfg.Screen.Language); err != nil {
		return nil, fmt.Errorf("cannot start without words: %w", err)
	}
	k.oneWay.health, k.oneWay.words = k.health, k.words
	if k.backend, err = backend.New(backend.Options{
		URL: cfg.Backend.URL, Token: backend.FileToken(cfg.Backend.TokenFile), CAFile: cfg.Backend.CAFile, Proxy: cfg.Backend.Proxy,
		AllowHosts: cfg.Backend.AllowHosts, Timeout: cfg.Backend.Timeout(),
		Device: cfg.Backend.Device, Platform: cfg.Backend.Platform, Log: log.With("part", "backend"),
	}); err != nil {
		return nil, fmt.Errorf("cannot use the [backend] settings: %w", err)
	}
	if err := k.openStore(); err != nil {
		return nil, err
	}
	if aside := k.store.SetAside(); aside != "" {
		k.health.Set("store_damaged", apitype.SeverityWarning,
			k.words.Text("condition.store_damaged.title"), k.words.Text("condition.store_damaged.hint"))
	}
	k.devices = devices.New(devices.Options{
		Config: cfg, Words: k.words, Health: k.health, Store: k.store, Log: log.With("part", "devices"),
		Changed: k.deviceChanged, Shown: func() { k.api.Changed() }, // the API is made below
		Events: deviceEvents,
	})
	err = k.buildCall()
	if err == nil {
		err = k.buildSession(version)
	}
	if err != nil {
		return nil, errors.Join(err, k.store.Close(), k.standIn.close())
	}
	return k, nil
}

func (k *kiosk) buildCall() error {
	c := k.cfg
	var err error
	k.work = newPerformer(k.log.With("part", "performer"))
	k.callOptions = call.Options{
		Providers: room.Providers{"direct": &direct.Provider{Client: k.backend.HTTP()}},
		Path: peer.Options{
			Loopback: c.Room.Loopback, IgnoreInterfaces: c.Network.IgnoreInterfaces, Ports: c.Room.Ports(),
			RelayOnly: c.Room.RelayOnly, Roots: k.backend.Roots(),
			Timing: peer.Timing{Disconnected: c.Room.ICEDisconnected(), Failed: c.Room.ICEFailed(), Keepalive: c.Room.ICEKeepalive()},
		},
		Video: call.VideoOptions{
			Prefer: preferred(c.Video.Codec),
			Params: encode.VideoParams{BitRate: c.Video.BitrateKbps * 1000, CPUUsed: c.Video.CPUUsed, Threads: c.Video.Threads},
			Width:  c.Camera.Width, Height: c.Camera.Height, FPS: float64(c.Camera.FPS),
			Budget: float64(c.Video.CPUBudgetPercent) / 100, Degradation: encode.Degradation(c.Video.Degradation),
		},
		AudioEncoder: encode.OpusParams{BitRate: c.Audio.BitrateKbps * 1000},
		Audio:        prop.Audio{SampleRate: 48000, ChannelCount: 1, Latency: 20 * time.Millisecond},
		Camera:       k.devices.RunCamera,
		Microphone:   k.devices.RunMicrophone, Switch: k.devices.SwitchCamera,
		CameraFigures: k.devices.CameraFigures,
		OffWords:      []string{k.words.Text("slate.video_off")},
		Events:        k.callEvent, Log: k.log.With("part", "call"),
	}
	if k.call, err = call.New(k.callOptions); err != nil {
		return fmt.Errorf("cannot build the call: %w", err)
	}
	return nil
}

func (k *kiosk) buildSession(version apitype.Version) error {
	var err error
	k.runner, err = runner.New(runner.Options{
		Store: &archive{
			persistence: persistence{store: k.store, folder: filepath.Dir(k.cfg.API.Socket), log: k.log.With("part", "store")},
			meter:       &k.meter, log: k.log.With("part", "quality"),
		},
		Perform: k.work.perform, Publish: k.published,
		AskConsent: k.cfg.Session.AskConsent, ClockDoubtful: k.doubtful, Wall: k.around.Wall, Uptime: k.around.Uptime,
		Limits: limitsOf(k.cfg), Log: k.log.With("part", "session"),
	})
	if err != nil {
		return fmt.Errorf("cannot build the session: %w", err)
	}
	k.work.call, k.work.backend, k.work.check = k.call, k.backend, k.devices.Report
	k.work.post = k.post
	k.sender = report.NewSender(report.Sender{
		Outbox: outbox{k.store}, Post: k.postReport, After: backend.RetryAfter, Sent: k.reportSent, Stuck: k.reportsStuck, Log: k.log.With("part", "reports"),
	})
	k.work.send = k.sender.Poke
	k.work.looked = func() { k.api.Changed() } // the API is made below
	builder := &report.Builder{
		Version: version, Model: k.runner.Model, Devices: k.devices.List, Conditions: k.health.List,
		Statistics: func() any { return k.call.History() }, States: k.states, Log: k.memory,
	}
	started := time.Now()
	auth, err := apipeer.NewAuth()
	if err != nil {
		return fmt.Errorf("cannot find out who may do what: %w", err)
	}
	k.api, err = api.New(api.Deps{
		Session: k.runner, Views: views{k.call}, Tools: k.devices, Quality: k.call.Figures, Statistics: k.call.Statistics,
		Health: k.health, Language: k.cfg.Screen.Language, Version: version, Auth: auth, Log: k.log.With("part", "api"),
		Report: builder.Build, Reports: k.listReports, ReadReport: k.readReport,
		Devices: func() []apitype.Device { k.faults.pass("api"); return k.devices.List() },
		Audit:   k.audit, Denied: k.denied, Config: func() any { return k.settings.now().Shown() }, Reload: k.reload,
		Safe: func() bool { return k.safety.on() }, Check: k.checker().Run,
		Metrics: func() ([]byte, error) { return k.metrics(version.Version, started) },
	})
	if err != nil {
		return fmt.Errorf("cannot build the control API: %w", err)
	}
	return nil
}

// post hands the session what happened; false where it hangs. At the end of the
// daemon the session goes first, and what the other parts still say is in vain.
func (k *kiosk) post(w session.What) bool { return k.runner.Post(w) || k.ending() }

// callEvent passes what the call reports on to the session.
func (k *kiosk) callEvent(e call.Event) {
	k.oneWay.note(e)
	if w, ok := sessionEvent(e); ok && !k.post(w) {
		k.log.Error("cannot tell the session what happened in the call", "event", w.Name())
	}
}

// deviceChanged has the devices looked at anew: one came or went. The session and
// the watchers are told after the look.
func (k *kiosk) deviceChanged() { k.work.recheck() }

// published runs in the session's goroutine, after each commit.
func (k *kiosk) published(s session.Snapshot) {
	k.faults.pass("session")
	k.devices.Session(s.Model.Running(), s.Model.Muted) // before anything can see a session
	k.states.Note(s.Model)
	if s.Model.State == session.Active {
		poke(k.measureDue)
	}
	if s.Model.Final() {
		k.sender.Poke() // how the call went can go out
	}
	k.entered.note(s.Model)
	k.api.Publish(s)
	k.oneWay.room(s.Model.Running() && s.Model.Joined)
	if s.Model.Unauthorized {
		k.health.Set("backend_unauthorized", apitype.SeverityWarning,
			k.words.Text("condition.backend_unauthorized.title"), k.words.Text("condition.backend_unauthorized.hint"))
	} else {
		k.health.Clear("backend_unauthorized")
	}
	if s.Durable {
		k.health.Clear("store_degraded")
	} else {
		k.health.Set("store_degraded", apitype.SeverityError,
			k.words.Text("condition.store_degraded.title"), k.words.Text("condition.store_degraded.hint"))
	}
	if err := k.notify.Status(statusLine(s.Model)); err != nil {
		k.log.Warn("cannot tell systemd the status", "error", err)
	}
}

// run starts the parts, reports READY and waits for the end.
func (k *kiosk) run(outer context.Context, ln net.Listener) error {
	// The performer and the API outlive the session: its farewell needs both.
	after, stop := context.WithCancel(context.WithoutCancel(outer))
	defer stop()
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	k.ending = func() bool { return ctx.Err() != nil }

	var late, early sync.WaitGroup
	fail := func(what string, err error) {
		if err != nil {
			cancel(fmt.Errorf("%s: %w", what, err))
		}
	}
	late.Go(func() { k.work.run(after) })
	late.Go(func() { fail("the control API", k.serve(after, ln)) })
	beat := newPulse(k, ln.Addr().String())
	early.Go(func() { fail("the watchdog", systemd.Watchdog(ctx, k.notify, beat.alive, k.log)) })
	early.Go(func() { k.watchReload(ctx) })
	early.Go(func() { fail("the faults", k.serveFaults(ctx)) })
	switch {
	case k.standIn.cause != nil:
		fail("the store", k.awaitStore(ctx))
	case !k.safety.on() || k.holdSafe(ctx):
		early.Go(func() { fail("the session", k.runner.Run(ctx)) })
		early.Go(func() { fail("the network watch", k.watchNetwork(ctx)) })
		early.Go(func() { k.devices.Run(ctx) })
		early.Go(func() { k.sender.Run(ctx) })
		early.Go(func() { fail("the store", k.watchStore(ctx)) })
		early.Go(func() { k.watchClock(ctx) })
		early.Go(func() { k.measure(ctx) })
		early.Go(func() { k.safety.age(ctx) })
		k.ready(ctx)
	}
	<-ctx.Done()

	if err := k.notify.Stopping(); err != nil {
		k.log.Warn("cannot tell systemd that we stop", "error", err)
	}
	early.Wait()
	beat.close()
	stop()
	late.Wait()
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer done()
	k.call.Close(closing)
	if err := k.devices.Close(); err != nil {
		k.log.Error("a camera is left as it is", "error", err)
	}
	k.backend.Close()
	err := errors.Join(k.store.Close(), k.standIn.close())
	if cause := context.Cause(ctx); cause != context.Cause(outer) { //nolint:errorlint // the very error: a part's, not our caller's
		return errors.Join(fmt.Errorf("cannot go on: %w", cause), err)
	}
	if err != nil {
		return fmt.Errorf("cannot close the store: %w", err)
	}
	return nil
}

// serve answers as soon as the session is taken up: whoever knocks earlier waits
// in the socket's queue instead of being told that there is no session.
func (k *kiosk) serve(ctx context.Context, ln net.Listener) error {
	if !k.safety.on() {
		select {
		case <-k.runner.Ready():
		case <-ctx.Done(): // the API closes the socket
		}
	}
	return k.api.Run(ctx, ln)
}

// ready tells systemd, and has the devices looked at: the first answers may come
// before that look's end and know of none, but READY never waits for a device.
func (k *kiosk) ready(ctx context.Context) {
	select {
	case <-k.runner.Ready():
	case <-ctx.Done():
		return
	}
	if !k.runner.Model().Running() { // a session that goes on asks by itself
		k.work.recheck()
	}
	k.sentBefore()
	if k.safety.on() {
		k.leaveSafe()
	}
	if err := k.notify.Ready(statusLine(k.runner.Model())); err != nil {
		k.log.Warn("cannot tell systemd that we are ready", "error", err)
	}
	k.log.Info("ready", "socket", k.cfg.API.Socket)
}

// deviceEvents tells of every camera and sound card of which the kernel says something.
func deviceEvents(ctx context.Context, changed func()) error {
	return uevent.Watch(ctx, []string{"video4linux", "sound"}, func(uevent.Event) { changed() })
}

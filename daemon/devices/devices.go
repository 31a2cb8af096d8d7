// Package devices owns the kiosk's cameras, microphones and speakers: which there are
// and by which names and roles they are known, who holds one open, and what is wrong
// with one. It runs the camera and the microphone for the call, and a technician's
// tools where there is no session.
//
// No session and no tool: no device is open, but for the moment in which it is looked
// at. Whatever is open stands in List with the one for whom.
//
// Imported by daemon. Imports: capture's packages, configs, store, and of daemon
// apitype, health, session and devices/naming.
package devices

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/capture/speaker"
	"kioskd/configs"
	"kioskd/configs/words"
	"kioskd/daemon/devices/naming"
	"kioskd/daemon/health"
	"kioskd/store"
)

// Store keeps what is known of the devices for good, and notes who looked.
type Store interface {
	Bindings() (store.Bindings, error)
	SaveBindings(b store.Bindings, journal ...store.Entry) error
	Append(entries ...store.Entry) error
}

// Options are what Devices stand on. All are required but Events.
type Options struct {
	Config configs.Config
	Words  *words.Catalogue
	Health *health.Set
	Store  Store
	// Changed is told that a device came, went, or is otherwise than it was: the session
	// has to have a new Report. Shown is told that List or Technician has something else
	// to say; it may ask them at once. Neither may wait for anything else.
	Changed, Shown func()
	// Events calls changed for each device that the kernel says something of, until ctx
	// ends; nil: the folder's changes have to do.
	Events func(ctx context.Context, changed func()) error
	Log    *slog.Logger
}

// Devices are all devices of the kiosk. All methods may be called by any goroutine.
type Devices struct {
	o   Options
	cfg configs.Config
	log *slog.Logger

	// saving is held by whoever changes kept or names and writes them; before mu.
	saving sync.Mutex
	prober *camera.Prober
	// looks and tries bound what hangs in a sound driver or server.
	looks, tries slots
	work         sync.WaitGroup // a tool's hold of its device

	// telling is held from when a condition is worked out until it is set, so that none
	// goes over a newer one; before mu.
	telling sync.Mutex

	mu       sync.Mutex
	found    found     // of the last looks
	begun    [2]uint64 // looks for cameras, and for sound, that were begun
	seen     [2]uint64 // the newest of them that was taken
	cameras  []aCamera
	mics     []aSound
	speakers []aSound
	labels   map[string]string // what a device is called that was here once
	names    naming.Memory
	kept     store.Bindings
	holds    holds
	open     map[string]string // of the session: cameras' names by the nodes that are open
	tools    map[string]*tool
	session  view
	stopping bool
	cam      cameraRun
	mic      microphoneRun
	check    chan struct{} // closed when the newest check of the microphone is over
	told     chan struct{} // closed when what it found is known, in tryWithin at the latest
}

// aCamera is a camera with its name.
type aCamera struct {
	camera.Info
	id string
}

// aSound is a microphone or a speaker with its name.
type aSound struct {
	id, name, where string
	device          string // the ALSA name that opens it now
}

// view is what counts of the session.
type view struct {
	running bool // no tool may be used
	muted   bool // the patient's choice
}

// found is what one look saw.
type found struct {
	cameras  []camera.Info
	mics     []microphone.Info
	speakers []speaker.Info
}

// maxLabels bounds what is remembered of devices that went.
const maxLabels = 128

// New makes Devices from what the store knows. Nothing is looked at yet.
func New(o Options) *Devices {
	d := &Devices{
		o: o, cfg: o.Config, log: o.Log, labels: map[string]string{}, holds: holds{}, open: map[string]string{}, tools: map[string]*tool{},
		prober: camera.NewProber(camera.ProberConfig{Dev: o.Config.Camera.Directory}),
	}
	var err error
	if d.kept, err = o.Store.Bindings(); err != nil {
		d.log.Error("some of what was known of the devices is lost", "error", err)
	}
	if d.names, err = naming.Decode(d.kept.Names); err != nil {
		d.log.Error("devices of one serial number may get other names", "error", err)
	}
	return d
}

// Close ends what the Devices hold, after Run and after the last RunCamera and
// RunMicrophone. The error names the drivers that hang.
func (d *Devices) Close() error {
	if err := d.prober.Close(); err != nil {
		return fmt.Errorf("cannot close the cameras: %w", err)
	}
	return nil
}

// Run notices devices that come and go, also those that nobody uses, until ctx ends.
// What it cannot watch costs that, and nothing else. When it returns no device is open
// for a tool, unless its driver hangs.
func (d *Devices) Run(ctx context.Context) {
	var watches sync.WaitGroup
	watches.Go(func() {
		if err := watchFolder(ctx, d.cfg.Camera.Directory, "video", d.plugged); err != nil {
			d.log.Warn("cannot notice cameras that come and go before they are used", "error", err)
		}
	})
	if d.o.Events != nil {
		watches.Go(func() { d.listen(ctx) })
	}
	watches.Wait()
	<-ctx.Done()
	d.stop()
	d.endTools(context.WithoutCancel(ctx))
}

// Pauses before the kernel is listened to again: where its word cannot be had, devices
// are looked at every listenMost instead.
const (
	listenFirst = time.Second
	listenMost  = 30 * time.Second
)

// listen hears the kernel's word of devices until ctx ends, however often that breaks.
func (d *Devices) listen(ctx context.Context) {
	pause := listenFirst
	for {
		began := time.Now()
		err := d.o.Events(ctx, d.plugged)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > listenMost { // it had been well
			pause = listenFirst
		}
		if pause == listenFirst { // told once
			d.log.Warn("cannot hear the kernel's word of devices that come and go; they are looked at now and then", "error", err)
		}
		again := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			again.Stop()
			return
		case <-again.C:
		}
		pause = min(2*pause, listenMost)
		d.plugged() // what came meanwhile nobody has told
	}
}

// stop ends every tool: none outlives the daemon.
func (d *Devices) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopping = true
	for _, t := range d.tools {
		t.cancel(errStopping)
	}
}

// plugged follows a word of the kernel: who waits for a device need not wait longer.
func (d *Devices) plugged() {
	d.mu.Lock()
	cam, mic := d.cam.keeper, d.mic.keeper
	d.mu.Unlock()
	if cam != nil {
		cam.Poke()
	}
	if mic != nil {
		mic.Poke()
	}
	d.o.Changed()
}

// Session says how the session is. While one runs no tool may be used, and those that
// are used end at once.
func (d *Devices) Session(running, muted bool) {
	d.mu.Lock()
	before := d.session
	d.session = view{running: running, muted: muted}
	if running {
		for _, t := range d.tools {
			t.cancel(errSessionActive)
		}
	}
	d.mu.Unlock()
	if before.muted != muted {
		d.tellMicrophone()
	}
}

package camera

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"kioskd/capture"
)

const (
	// probeWithin is how long one look at a camera may take, and doGrace more. A good one takes some
	// milliseconds; the first question for its controls takes a webcam 0.2 s.
	probeWithin = 700 * time.Millisecond
	// setWithin is how long the setting of controls may take: each is a transfer
	// over USB, which the kernel gives up after seconds.
	setWithin = 5 * time.Second
	// closeWithin is how long the end of a Prober waits for what hangs.
	closeWithin = time.Second
)

// ProberConfig says where a Prober looks. The zero value is right for a machine.
type ProberConfig struct {
	Dev string // folder of the nodes; "" is /dev
	Sys string // where sysfs is; "" is /sys
}

// Prober looks at cameras without being held up by one that hangs, and remembers
// which do. It owns the goroutines that are inside the drivers meanwhile. A
// program has one for as long as it uses cameras and gives it to its Keepers, so
// that a driver that hangs is not gone into again and again by each of them. Its
// methods may be called by any goroutine.
type Prober struct {
	dev, sys string
	drivers  *drivers

	mu    sync.Mutex
	known map[string]Info // by node: what the last look saw, or began to see
}

// NewProber makes a Prober. The caller ends it by Close.
func NewProber(cfg ProberConfig) *Prober {
	if cfg.Dev == "" {
		cfg.Dev = "/dev"
	}
	if cfg.Sys == "" {
		cfg.Sys = "/sys"
	}
	return &Prober{dev: cfg.Dev, sys: cfg.Sys, drivers: newDrivers(), known: map[string]Info{}}
}

// Close lets nobody look any more and waits for those who do, a second at most.
// The error names the nodes that keep some; it wraps ErrHung.
func (p *Prober) Close() error { return p.drivers.close(closeWithin) }

// Hanging lists the system calls that have not come back in time, the eldest
// first; none where all is well.
func (p *Prober) Hanging() []Hanging { return p.drivers.hanging() }

// List finds the cameras in the order of their numbers, with all that an Info
// holds. Nodes that take no pictures (a UVC camera's metadata, outputs, radio) are
// left out, and so is one that is unplugged meanwhile. It opens each node for a
// moment and only reads, which starts no stream, lights no lamp and does not
// disturb who streams from it. It takes a second at most: a camera that has not
// answered by then has an Err that wraps ErrHung, and so it has without being
// asked again, with what was known of it before, until its driver has answered.
func (p *Prober) List() ([]Info, error) { return p.look(true) }

// Look is List without the controls, which take longest: for who is about to open
// a camera.
func (p *Prober) Look() ([]Info, error) { return p.look(false) }

// look asks each node on a goroutine of its own.
func (p *Prober) look(controls bool) ([]Info, error) {
	entries, err := os.ReadDir(p.dev)
	if err != nil {
		return nil, fmt.Errorf("cannot list cameras: %w", err)
	}
	links, numbers := stableNames(p.dev), nodeNumbers(entries)
	found := make([]*Info, len(numbers))
	paths := map[string]bool{}
	var asked sync.WaitGroup
	for i, n := range numbers {
		path := filepath.Join(p.dev, "video"+strconv.Itoa(n))
		paths[path] = true
		asked.Go(func() { found[i] = p.ask(path, links[path], controls) })
	}
	asked.Wait()
	p.mu.Lock()
	maps.DeleteFunc(p.known, func(path string, _ Info) bool { return !paths[path] })
	p.mu.Unlock()
	var out []Info
	for _, info := range found {
		if info != nil {
			out = append(out, *info)
		}
	}
	setIDs(out)
	return out, nil
}

// ask looks at one node, within its time; nil is no camera.
func (p *Prober) ask(path string, link stableName, controls bool) *Info {
	type answer struct {
		info   Info
		camera bool
	}
	got := make(chan answer, 1)
	err := p.drivers.do(context.Background(), path, "look at", probeWithin, func(context.Context) {
		var a answer
		a.info, a.camera = p.probe(path, link, controls)
		got <- a
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		info, ok := p.known[path]
		if !ok { // it hung before it told anything, or was left out as it is now
			info = Info{Path: path, Permission: true, Shutter: ShutterNone}
			info.identify(identity{}, link)
		}
		info.Err = err
		return &info
	}
	a := <-got
	if !a.camera {
		delete(p.known, path)
		return nil
	}
	p.known[path] = a.info
	return &a.info
}

// who asks sysfs whose node this is. The kernel fills sysfs before it makes the node
// (device_add in drivers/base/core.c), so one look is enough.
func (p *Prober) who(path string) identity {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return identity{}
	}
	id, _ := readIdentity(p.sys, unix.Major(st.Rdev), unix.Minor(st.Rdev))
	return id
}

// probe opens the node and gives what it says; false for what is no camera or is
// gone.
func (p *Prober) probe(path string, link stableName, controls bool) (Info, bool) {
	info := Info{Path: path, Permission: true, Shutter: ShutterNone}
	id := p.who(path)
	info.identify(id, link)
	p.begun(info)
	cam, err := webcam.Open(path)
	if err != nil {
		if noCamera(err) {
			return info, false
		}
		info.Err = classify("open", path, err)
		info.Permission = !errors.Is(info.Err, ErrPermission)
		// It cannot be asked whether it takes pictures. Of an interface's nodes the
		// first one does.
		return info, id.index == 0
	}
	defer func() { _ = cam.Close() }() // nothing was written, nothing can be lost
	info.Formats = formatsOf(cam)
	// A camera that answers these is there; without a name it is still a camera.
	if name, err := cam.GetName(); err == nil && name != "" {
		info.Name = name
	}
	info.Bus, _ = cam.GetBusInfo()
	if info.Base == "" || info.Base == identifier(path) {
		info.identify(id, link)
	}
	if fd, err := descriptor(cam); err == nil {
		info.Shutter = shutterOf(fd)
		if controls {
			info.Controls = readControls(fd)
		}
	}
	return info, len(info.Formats) > 0
}

// begun keeps what is known before the driver is gone into, beside what the last
// look saw where it is the same device.
func (p *Prober) begun(info Info) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, ok := p.known[info.Path]; ok && old.Base == info.Base {
		return
	}
	p.known[info.Path] = info
}

// Snapshot opens the camera, waits until its exposure has settled, and gives one
// good picture, whose reference is the caller's, with the camera closed again. It
// takes about a second, and ends with ctx. Errors wrap the reasons of this package.
func (p *Prober) Snapshot(ctx context.Context, cfg Config) (*capture.Frame, error) {
	return snapshot(ctx, p.drivers, cfg)
}

// SetControls sets controls of the camera at path by their names: all of them, or,
// where one is unknown, does not take its value or fails, none. It gives all
// controls as they are then. Errors wrap ErrControlUnknown or ErrControlValue and
// name what fits, or the reasons of this package. It takes five seconds at most.
func (p *Prober) SetControls(path string, values map[string]int32) ([]Control, error) {
	type answer struct {
		all []Control
		err error
	}
	got := make(chan answer, 1)
	values = maps.Clone(values) // the caller may go on before it is done
	if err := p.drivers.do(context.Background(), path, "set controls of", setWithin, func(context.Context) {
		var a answer
		a.all, a.err = setControls(path, values)
		got <- a
	}); err != nil {
		return nil, err
	}
	a := <-got
	return a.all, a.err
}

// List is a Prober's List for a program that looks once. A driver that hangs
// keeps a goroutine for every call.
func List(devDir string) ([]Info, error) { return NewProber(ProberConfig{Dev: devDir}).List() }

// Snapshot is a Prober's Snapshot for a program that takes one. A driver that
// hangs keeps a goroutine for every call.
func Snapshot(ctx context.Context, cfg Config) (*capture.Frame, error) {
	return snapshot(ctx, newDrivers(), cfg)
}

// SetControls is a Prober's SetControls for a program that sets them once. A
// driver that hangs keeps a goroutine for every call.
func SetControls(path string, values map[string]int32) ([]Control, error) {
	return NewProber(ProberConfig{}).SetControls(path, values)
}

// nodeNumbers gives the N of each entry named videoN, sorted.
func nodeNumbers(entries []os.DirEntry) []int {
	var out []int
	for _, e := range entries {
		if n, ok := nodeNumber(e.Name()); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

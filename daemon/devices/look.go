package devices

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/capture/speaker"
	"kioskd/daemon/devices/naming"
)

// Bounds of looking and trying.
const (
	lookWithin = 3 * time.Second
	tryWithin  = 2 * time.Second
)

// errSlow is a look, a try or an order that does not come back.
var errSlow = errors.New("a driver or the sound server does not answer; unplug the device, or restart the sound server")

// errFull is errSlow of what was not even begun.
var errFull = fmt.Errorf("%w; others wait for it already", errSlow)

// slots bounds goroutines that may hang in a driver, which nothing can end.
type slots struct {
	mu   sync.Mutex
	used int
}

// within runs do and waits for it, at most so long; of those that hang there are no more
// than two at a time: then do is not run, which is errFull.
func (s *slots) within(most time.Duration, do func() error) error {
	s.mu.Lock()
	if s.used >= 2 {
		s.mu.Unlock()
		return errFull
	}
	s.used++
	s.mu.Unlock()
	done := make(chan error, 1)
	go func() { // ends when the driver answers
		err := do()
		s.mu.Lock()
		s.used--
		s.mu.Unlock()
		done <- err
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errSlow
	}
}

// Kinds of looks.
const (
	forCameras = iota
	forSound
)

// look lists all devices anew. What cannot be listed stays as it was.
func (d *Devices) look() error {
	return errors.Join(d.lookForCameras(true), d.lookForSound())
}

// lookForCameras takes a second at most. Without controls, which take longest, those
// of the last look stay.
func (d *Devices) lookForCameras(controls bool) error {
	n := d.numbered(forCameras)
	list := d.prober.Look
	if controls {
		list = d.prober.List
	}
	cameras, err := list()
	if err != nil {
		return fmt.Errorf("cannot look for cameras: %w", err)
	}
	d.take(forCameras, n, func(f *found) {
		for i := range cameras {
			if c := &cameras[i]; !controls {
				c.Controls = controlsBefore(f.cameras, *c)
			}
		}
		f.cameras = cameras
	})
	return nil
}

func controlsBefore(list []camera.Info, now camera.Info) []camera.Control {
	for _, old := range list {
		if old.Path == now.Path && old.Base == now.Base {
			return old.Controls
		}
	}
	return nil
}

// lookForSound asks the sound cards' drivers.
func (d *Devices) lookForSound() error {
	n := d.numbered(forSound)
	type answer struct {
		mics     []microphone.Info
		speakers []speaker.Info
	}
	got := make(chan answer, 1)
	err := d.looks.within(lookWithin, func() error {
		mics, err := microphone.List()
		speakers, err2 := speaker.List()
		got <- answer{mics, speakers}
		return errors.Join(err, err2)
	})
	if err != nil {
		return fmt.Errorf("cannot look for microphones and speakers: %w", err)
	}
	a := <-got
	d.take(forSound, n, func(f *found) { f.mics, f.speakers = a.mics, a.speakers })
	return nil
}

// numbered numbers a look: what an earlier one has seen must not overwrite what a later
// one has.
func (d *Devices) numbered(kind int) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.begun[kind]++
	return d.begun[kind]
}

// take names what a look has found.
func (d *Devices) take(kind int, number uint64, put func(*found)) {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	if number < d.seen[kind] {
		d.mu.Unlock()
		return
	}
	d.seen[kind] = number
	put(&d.found)
	news := d.name()
	keep := d.kept.Clone()
	d.mu.Unlock()
	if !news {
		return
	}
	if err := d.o.Store.SaveBindings(keep); err != nil {
		d.log.Error("cannot keep the devices' names; two of one serial number may change theirs", "error", err)
	}
}

// name gives all that was found their names; news tells that they have to be kept. The
// caller holds saving and mu.
func (d *Devices) name() (news bool) {
	mics, speakers := d.withConfigured()
	list := make([]naming.Device, 0, len(d.found.cameras)+len(mics)+len(speakers))
	for _, c := range d.found.cameras {
		list = append(list, naming.Device{Base: identifier(c.Base, c.ID), Port: identifier(c.Port, "")})
	}
	for _, m := range mics {
		list = append(list, naming.Device{Base: identifier(m.Base, m.ID), Port: identifier(m.Port, "")})
	}
	for _, s := range speakers {
		list = append(list, naming.Device{Base: identifier(s.Base, s.ID), Port: identifier(s.Port, "")})
	}
	ids, names, news := d.names.Name(list)
	d.names = names
	d.rename()
	d.cameras, d.mics, d.speakers = nil, nil, nil
	for i, c := range d.found.cameras {
		d.cameras = append(d.cameras, aCamera{c, ids[i]})
		d.label(ids[i], c.Name)
	}
	ids = ids[len(d.found.cameras):]
	for i, m := range mics {
		d.mics = append(d.mics, aSound{ids[i], m.Name, m.Where, m.Device})
		d.label(ids[i], m.Name)
	}
	ids = ids[len(mics):]
	for i, s := range speakers {
		d.speakers = append(d.speakers, aSound{ids[i], s.Name, s.Where, s.Device})
		d.label(ids[i], s.Name)
	}
	if news {
		var err error
		if d.kept.Names, err = names.Encode(); err != nil {
			d.log.Error("the devices' names are not kept", "error", err)
			return false
		}
	}
	return news
}

// rename follows devices that have got another name because a twin of theirs showed up.
// The caller holds mu.
func (d *Devices) rename() {
	for id, by := range d.holds {
		if now := d.names.Resolve(id); now != id {
			delete(d.holds, id)
			d.holds[now] = by
		}
	}
	for id, t := range d.tools {
		if now := d.names.Resolve(id); now != id {
			delete(d.tools, id)
			t.Device = now
			d.tools[now] = t
		}
	}
	for path, id := range d.open {
		d.open[path] = d.names.Resolve(id)
	}
	d.cam.next.id, d.cam.live = d.names.Resolve(d.cam.next.id), d.names.Resolve(d.cam.live)
	d.mic.next.id, d.mic.held = d.names.Resolve(d.mic.next.id), d.names.Resolve(d.mic.held)
}

// label remembers what a device is called, for when it is gone.
func (d *Devices) label(id, name string) {
	if _, known := d.labels[id]; !known && len(d.labels) >= maxLabels {
		clear(d.labels)
	}
	if name != "" {
		d.labels[id] = name
	}
}

// withConfigured are the machine's sound devices and those that the configuration names
// beside them, such as "default", which is the sound server's. The caller holds mu.
func (d *Devices) withConfigured() ([]microphone.Info, []speaker.Info) {
	mics, speakers := d.found.mics, d.found.speakers
	if name := d.cfg.Microphone.Device; d.cfg.Microphone.Enabled && name != "" {
		known := false
		for _, m := range mics {
			known = known || m.ID == name || m.Base == name || m.Device == name
		}
		if !known {
			mics = append(mics[:len(mics):len(mics)], microphone.Info{Base: identifier(name, "") + "-mic", Device: name, Name: name})
		}
	}
	if name := d.cfg.Speaker.Device; name != "" {
		known := false
		for _, s := range speakers {
			known = known || s.ID == name || s.Base == name || s.Device == name
		}
		if !known {
			speakers = append(speakers[:len(speakers):len(speakers)], speaker.Info{Base: identifier(name, "") + "-speaker", Device: name, Name: name})
		}
	}
	return mics, speakers
}

// identifier makes an identifier of the first text that is not empty: other letters
// than [A-Za-z0-9._-] become one.
func identifier(text, otherwise string) string {
	if text == "" {
		text = otherwise
	}
	out := []byte(text)
	dots := true
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			dots = false
		case c == '.':
		default:
			out[i], dots = '_', false
		}
	}
	if dots && len(out) > 0 { // "." and ".." lead elsewhere in a path
		out[0] = '_'
	}
	return string(out)
}

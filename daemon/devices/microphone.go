package devices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kioskd/capture/microphone"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// microphoneRun is the microphone that runs for the call, and what is known of the
// wanted one.
type microphoneRun struct {
	keeper *microphone.Keeper // nil: none runs
	again  context.CancelFunc // ends the Keeper, so that another device is opened
	next   chosen             // the one that the Keeper was told to use last
	held   string             // the name of the one that may be open
	err    error              // why the wanted one does not open, nil when it does
	shut   bool               // muted by its own button
	silent bool               // it has given nothing but zeros for 5 s
}

// RunMicrophone keeps the wanted microphone running for the call and puts silence while
// there is none. Where it is switched off by configuration silence comes at the same
// pace. It returns when ctx has ended and the device is closed.
func (d *Devices) RunMicrophone(ctx context.Context, put func([]int16, time.Time)) {
	d.endTools(ctx)
	d.awaitCheck(ctx)
	for ctx.Err() == nil { // once more when another one is bound
		d.runMicrophone(ctx, put)
	}
	d.telling.Lock()
	d.setOnly(microphoneConditions(), "", "")
	d.telling.Unlock()
	d.o.Changed()
	d.o.Shown()
}

func (d *Devices) runMicrophone(ctx context.Context, put func([]int16, time.Time)) {
	ctx, again := context.WithCancel(ctx)
	defer again()
	k := microphone.NewKeeper(microphone.KeeperConfig{
		Choose: d.chooseMicrophone, Changed: d.microphoneChanged, Log: d.log,
		Silent:        func(on bool) { d.heard(func(r *microphoneRun) { r.silent = on }) },
		HardwareMuted: func(on bool) { d.heard(func(r *microphoneRun) { r.shut = on }) },
	})
	d.mu.Lock()
	d.mic = microphoneRun{keeper: k, again: again, err: d.mic.err}
	d.mu.Unlock()
	if err := k.Run(ctx, put); err != nil {
		d.log.Error("the microphone did not close cleanly", "error", err)
	}
	d.mu.Lock()
	d.holdMicrophone("")
	d.mic = microphoneRun{err: d.mic.err}
	d.mu.Unlock()
}

// chooseMicrophone says which microphone the call wants, as it is now.
func (d *Devices) chooseMicrophone() (microphone.Config, error) {
	if !d.cfg.Microphone.Enabled {
		return microphone.Config{}, microphone.ErrNoDevice
	}
	if err := d.lookForSound(); err != nil {
		d.log.Warn("the microphones are taken as they were", "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.wantedMicrophone()
	if !ok {
		return microphone.Config{}, microphone.ErrNoDevice
	}
	d.mic.next = chosen{m.id, m.device}
	return microphone.Config{Device: m.device}, nil
}

// wantedMicrophone is the one that is bound, else the configured one; false: it is not
// there. The caller holds mu.
func (d *Devices) wantedMicrophone() (aSound, bool) {
	if bound := d.bound(apitype.RoleMicrophone); bound != "" {
		return named(d.mics, bound)
	}
	name := d.cfg.Microphone.Device
	i := slices.IndexFunc(d.mics, func(m aSound) bool { return m.device == name || m.id == name })
	if i < 0 { // nothing was looked for yet
		return aSound{id: identifier(name, "") + "-mic", name: name, device: name}, name != ""
	}
	return d.mics[i], true
}

func named(list []aSound, id string) (aSound, bool) {
	i := slices.IndexFunc(list, func(s aSound) bool { return s.id == id })
	if i < 0 {
		return aSound{}, false
	}
	return list[i], true
}

// microphoneChanged follows the Keeper.
func (d *Devices) microphoneChanged(s microphone.State) {
	d.mu.Lock()
	d.mic.err = s.Err
	if s.Err != nil {
		d.mic.silent = false
	}
	if s.Err == nil || errors.Is(s.Err, microphone.ErrStalled) { // one that hangs may be open
		d.holdMicrophone(d.microphoneAt(s.Device))
	} else {
		d.holdMicrophone("")
	}
	d.mu.Unlock()
	d.tellMicrophone()
	d.o.Changed()
	d.o.Shown()
}

// holdMicrophone notes that the one called id is open for the session, and no other; ""
// for none. The caller holds mu.
func (d *Devices) holdMicrophone(id string) {
	d.holds.drop(d.mic.held, bySession)
	if d.mic.held = id; id != "" {
		d.holds.take(id, bySession)
	}
}

// microphoneAt is the name of the microphone that an ALSA name opens, "" for none. The
// caller holds mu.
func (d *Devices) microphoneAt(device string) string {
	if d.mic.next.path == device {
		return d.mic.next.id
	}
	i := slices.IndexFunc(d.mics, func(m aSound) bool { return m.device == device })
	if i < 0 {
		return ""
	}
	return d.mics[i].id
}

// heard takes what the running Keeper found out about its device.
func (d *Devices) heard(change func(*microphoneRun)) {
	d.mu.Lock()
	change(&d.mic)
	d.mu.Unlock()
	d.tellMicrophone()
	d.o.Changed()
}

// tellMicrophone says what is wrong with the microphone. One that is switched off on
// purpose is no trouble. Zeros are none while the patient has muted it: nobody waits to
// hear anything.
func (d *Devices) tellMicrophone() {
	if !d.cfg.Microphone.Enabled {
		return
	}
	d.telling.Lock()
	defer d.telling.Unlock()
	d.mu.Lock()
	run, muted := d.mic, d.session.muted
	d.mu.Unlock()
	code := microphoneCondition(run.err)
	switch {
	case code != "" || run.keeper == nil:
	case run.shut:
		code = "microphone_shuttered"
	case run.silent && !muted:
		code = "microphone_silent"
	}
	d.setOnly(microphoneConditions(), code, "")
}

// tryMicrophone opens the wanted microphone for a moment, unless somebody holds it.
func (d *Devices) tryMicrophone() {
	if !d.cfg.Microphone.Enabled {
		return
	}
	d.mu.Lock()
	m, ok := d.wantedMicrophone()
	by, held := d.holds[m.id]
	runs, other := d.mic.keeper != nil, d.told
	var over, tried chan struct{}
	if ok && !held && !runs {
		d.holds.take(m.id, byCheck)
		over, tried = make(chan struct{}), make(chan struct{})
		d.check, d.told = over, tried
		defer close(tried)
	}
	d.mu.Unlock()
	if held || runs {
		if by == byCheck && other != nil { // whoever asks wants to know what it finds
			<-other // within tryWithin
		}
		return // who holds it knows better
	}
	err := fmt.Errorf("cannot try the microphone: %w", microphone.ErrNoDevice)
	if ok {
		err = d.tries.within(tryWithin, func() error {
			err := openAndClose(m.device)
			d.mu.Lock()
			d.holds.drop(m.id, byCheck) // not before it is closed
			d.mu.Unlock()
			close(over)
			return err
		})
	}
	d.mu.Lock()
	if errors.Is(err, errFull) {
		d.holds.drop(m.id, byCheck)
		close(over)
	}
	if d.mic.keeper == nil { // else the call has opened it meanwhile
		d.mic.err = err
	}
	d.mu.Unlock()
	d.tellMicrophone()
}

// awaitCheck waits for the end of a check of the microphone, which takes a moment; not
// for one that hangs.
func (d *Devices) awaitCheck(ctx context.Context) {
	d.mu.Lock()
	over := d.check
	d.mu.Unlock()
	if over == nil {
		return
	}
	timer := time.NewTimer(tryWithin)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func openAndClose(name string) error {
	m, err := microphone.Open(microphone.Config{Device: name})
	if err != nil {
		return fmt.Errorf("cannot try the microphone: %w", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel() // Run closes it at once
	if err := m.Run(ended, func([]int16, time.Time) {}); err != nil {
		return fmt.Errorf("cannot try the microphone: %w", err)
	}
	return nil
}

// forSession is what the session may count on. A microphone that another program uses
// may be free again when it is needed.
func forSession(err error) session.DeviceState {
	switch {
	case err == nil, errors.Is(err, microphone.ErrBusy):
		return session.DeviceOK
	case errors.Is(err, microphone.ErrPermission):
		return session.DeviceNoPermission
	default:
		return session.DeviceMissing
	}
}

// microphoneState is how a microphone is. Of those that nobody wants nothing is known
// but that they are there. The caller holds mu.
func (d *Devices) microphoneState(m aSound) string {
	wanted, ok := d.wantedMicrophone()
	switch err := d.mic.err; {
	case !ok || wanted.id != m.id:
		return apitype.DeviceOK
	case err == nil && d.mic.shut:
		return apitype.DeviceShuttered
	case err == nil:
		return apitype.DeviceOK
	case errors.Is(err, microphone.ErrBusy):
		return apitype.DeviceBusy
	case errors.Is(err, microphone.ErrPermission):
		return apitype.DeviceNoPermission
	case errors.Is(err, microphone.ErrStalled), errors.Is(err, errSlow):
		return apitype.DeviceHung
	case errors.Is(err, microphone.ErrNoDevice), errors.Is(err, microphone.ErrGone):
		return apitype.DeviceMissing
	default:
		return apitype.DeviceError
	}
}

package soundcard_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"kioskd/capture/soundcard"
	"kioskd/capture/soundcard/alsatest"
	"kioskd/capture/soundcard/soundtest"
)

const rate = 48000

func open(t *testing.T, name string, stream soundcard.Stream) *soundcard.PCM {
	t.Helper()
	p, err := soundcard.OpenPCM(name, stream, rate, 480, 3840)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// hear reads until n frames came; the first error ends it.
func hear(t *testing.T, p *soundcard.PCM, n int) (loud bool, err error) {
	t.Helper()
	buf := make([]int16, 480*p.Channels)
	for deadline := time.Now().Add(3 * time.Second); n > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("%d frames still owed after 3 s, state %s", n, p.State())
		}
		if ready, err := p.Wait(50); err != nil {
			return loud, err
		} else if !ready {
			continue
		}
		got, err := p.Read(buf)
		if err != nil {
			return loud, err
		}
		for _, v := range buf[:got*p.Channels] {
			loud = loud || v != 0
		}
		n -= got
	}
	return loud, nil
}

func TestCaptureRuns(t *testing.T) {
	soundtest.Card(t)
	for name, channels := range map[string]int{alsatest.Mono: 1, alsatest.Stereo: 2} {
		p := open(t, name, soundcard.Capture)
		began := time.Now()
		loud, err := hear(t, p, rate/5)
		took := time.Since(began)
		if err != nil || !loud || p.State() != "RUNNING" || p.Channels != channels {
			t.Errorf("%s: loud %t, %v, state %s, %d channels", name, loud, err, p.State(), p.Channels)
		}
		if took < 150*time.Millisecond {
			t.Errorf("%s: a fifth of a second within %v", name, took)
		}
		if d, err := p.Delay(); err != nil || d < 0 || d > p.Buffer {
			t.Errorf("%s: delay %d, %v", name, d, err)
		}
	}
}

// Each fault, the errno that says it, alsa-lib's state after it, and what recovering brings.
func TestStates(t *testing.T) {
	c := soundtest.Card(t)
	for _, tt := range []struct {
		name        string
		fault, then alsatest.Fault
		says        syscall.Errno
		state       string
		recovers    error
	}{
		{"overrun", alsatest.Overrun, alsatest.Works, syscall.EPIPE, "XRUN", nil},
		{"overrun and gone", alsatest.Lost, alsatest.Lost, syscall.EPIPE, "XRUN", syscall.ENODEV},
		{"asleep", alsatest.Asleep, alsatest.Asleep, syscall.ESTRPIPE, "SUSPENDED", syscall.EAGAIN},
		{"asleep and awake", alsatest.Asleep, alsatest.Works, syscall.ESTRPIPE, "SUSPENDED", nil},
		{"unplugged", alsatest.Unplugged, alsatest.Unplugged, syscall.ENODEV, "DISCONNECTED", syscall.ENODEV},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set(t, c, alsatest.Works)
			p := open(t, alsatest.Mono, soundcard.Capture)
			if _, err := hear(t, p, 960); err != nil {
				t.Fatal(err)
			}
			set(t, c, tt.fault)
			_, err := hear(t, p, 10*rate)
			var code syscall.Errno
			if !errors.As(err, &code) || code != tt.says || p.State() != tt.state {
				t.Fatalf("%v, state %s; want %v, %s", err, p.State(), tt.says, tt.state)
			}
			set(t, c, tt.then)
			if err := p.Recover(code); !errors.Is(err, tt.recovers) {
				t.Fatalf("recovering: %v, want %v", err, tt.recovers)
			}
			if tt.recovers != nil {
				return
			}
			if loud, err := hear(t, p, 4800); err != nil || !loud || p.State() != "RUNNING" {
				t.Errorf("afterwards: loud %t, %v, state %s", loud, err, p.State())
			}
		})
	}
}

// A program that does not come in time is told: the device's clock ran on.
func TestSlowReaderOverruns(t *testing.T) {
	soundtest.Card(t)
	p := open(t, alsatest.Mono, soundcard.Capture)
	late := time.NewTimer(time.Duration(p.Buffer+rate/10) * time.Second / rate)
	<-late.C
	if _, err := hear(t, p, rate); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v, want EPIPE", err)
	}
}

func TestStalledDeviceIsWaitedFor(t *testing.T) {
	c := soundtest.Card(t)
	p := open(t, alsatest.Mono, soundcard.Capture)
	set(t, c, alsatest.Stalled)
	for range 4 { // what was there before
		if _, err := p.Read(make([]int16, 480)); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for range 20 { // the device's timer wakes it every 5 ms, with nothing
		if ready, err := p.Wait(100); ready || err != nil {
			t.Errorf("%t, %v", ready, err)
		}
	}
	if took := time.Since(began); took < 50*time.Millisecond || took > 3*time.Second {
		t.Errorf("20 waits took %v", took)
	}
}

func TestPlayback(t *testing.T) {
	c := soundtest.Card(t)
	p := open(t, alsatest.Mono, soundcard.Playback)
	sound := make([]int16, 4800)
	for i := range sound {
		sound[i] = int16(i)
	}
	if n, err := p.Write(sound); err != nil || n != p.Buffer || p.State() != "RUNNING" {
		t.Fatalf("%d frames into a buffer of %d, %v, state %s", n, p.Buffer, err, p.State())
	}
	if n, err := p.Write(sound); err != nil || n > p.Buffer/2 {
		t.Errorf("%d frames into a full buffer, %v", n, err)
	}
	ready, err := false, error(nil)
	for tries := 0; tries < 100 && !ready && err == nil; tries++ {
		ready, err = p.Wait(50)
	}
	if !ready || err != nil {
		t.Errorf("no room after a while: %v", err)
	}
	set(t, c, alsatest.Overrun)
	if _, err := p.Wait(50); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("%v, want EPIPE", err)
	}
	if err := p.Recover(syscall.EPIPE); err != nil || p.State() != "PREPARED" {
		t.Errorf("%v, state %s", err, p.State())
	}
	// Less than it begins with by itself.
	if n, err := p.Write(sound[:100]); n != 100 || err != nil || p.State() != "PREPARED" {
		t.Errorf("%d, %v, state %s", n, err, p.State())
	}
	for range 2 {
		if err := p.Begin(); err != nil || p.State() != "RUNNING" {
			t.Errorf("%v, state %s", err, p.State())
		}
	}
	if info, err := os.Stat(c.Played); err != nil || info.Size() < int64(2*(p.Buffer+100)) {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestOpenErrorsAreNamed(t *testing.T) {
	c := soundtest.Card(t)
	for fault, want := range map[alsatest.Fault]error{
		alsatest.Taken: soundcard.ErrBusy, alsatest.Forbidden: soundcard.ErrPermission, alsatest.Missing: soundcard.ErrNoDevice,
	} {
		set(t, c, fault)
		for _, stream := range []soundcard.Stream{soundcard.Capture, soundcard.Playback} {
			if p, err := soundcard.OpenPCM(alsatest.Mono, stream, rate, 480, 960); !errors.Is(err, want) || p != nil {
				t.Errorf("%c, %s: %v, want %v", fault, stream, err, want)
			}
		}
	}
	set(t, c, alsatest.Works)
	if _, err := soundcard.OpenPCM(alsatest.Mono, soundcard.Capture, 7, 480, 960); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("7 Hz: %v", err)
	}
	if _, err := soundcard.OpenPCM("no_such_pcm", soundcard.Capture, rate, 480, 960); !errors.Is(err, soundcard.ErrNoDevice) {
		t.Errorf("a name without a device: %v", err)
	}
}

func TestErrnosAreNamed(t *testing.T) {
	for code, want := range map[syscall.Errno]error{
		syscall.EBUSY: soundcard.ErrBusy, syscall.EAGAIN: soundcard.ErrBusy, syscall.EACCES: soundcard.ErrPermission, syscall.EPERM: soundcard.ErrPermission,
		syscall.ENOENT: soundcard.ErrNoDevice, syscall.ENODEV: soundcard.ErrNoDevice, syscall.ENXIO: soundcard.ErrNoDevice,
		syscall.ECONNREFUSED: soundcard.ErrNoDevice, syscall.EINVAL: syscall.EINVAL,
	} {
		for _, stream := range []soundcard.Stream{soundcard.Capture, soundcard.Playback} {
			if err := soundcard.OpenError(stream, "hw:X", code); !errors.Is(err, want) || !errors.Is(err, code) || !strings.Contains(err.Error(), "cannot open "+stream.String()+" hw:X") {
				t.Errorf("%v: %v", code, err)
			}
		}
	}
}

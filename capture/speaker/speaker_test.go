package speaker_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kioskd/capture/microphone"
	"kioskd/capture/microphone/pulsetest"
	"kioskd/capture/soundcard/alsatest"
	"kioskd/capture/soundcard/soundtest"
	"kioskd/capture/speaker"
)

func TestMain(m *testing.M) { soundtest.Main(m) }

// ear listens to what the speaker plays.
type ear struct {
	mu    sync.Mutex
	pcm   []int16
	first chan struct{}
}

func listen(t *testing.T) *ear {
	t.Helper()
	mic, err := microphone.Open(microphone.Config{Device: pulsetest.SpeakerMonitor})
	if err != nil {
		t.Fatal(err)
	}
	e := &ear{first: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- mic.Run(ctx, func(pcm []int16, _ time.Time) {
			e.mu.Lock()
			e.pcm = append(e.pcm, pcm...)
			e.mu.Unlock()
			once.Do(func() { close(e.first) })
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case <-e.first:
	case <-time.After(5 * time.Second):
		t.Fatal("the monitor gives nothing")
	}
	return e
}

// heard waits until there was quiet after a sound, and returns the sound.
func (e *ear) heard(t *testing.T) []int16 {
	t.Helper()
	const quiet = speaker.Rate / 5
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(8 * time.Second); ; {
		select {
		case <-deadline:
			t.Fatal("no sound with an end was heard")
		case <-tick.C:
		}
		e.mu.Lock()
		first, last := -1, -1
		for i, v := range e.pcm {
			if v != 0 {
				if first < 0 {
					first = i
				}
				last = i
			}
		}
		if first >= 0 && len(e.pcm)-last > quiet {
			out := append([]int16(nil), e.pcm[first:last+1]...)
			e.mu.Unlock()
			return out
		}
		e.mu.Unlock()
	}
}

// share is the part of pcm's energy at hertz (Goertzel), 0 to 1.
func share(pcm []int16, hertz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hertz/speaker.Rate)
	var s1, s2, energy float64
	for _, v := range pcm {
		x := float64(v)
		s1, s2 = x+k*s1-s2, s1
		energy += x * x
	}
	if energy == 0 {
		return 0
	}
	return 2 * (s1*s1 + s2*s2 - k*s1*s2) / (float64(len(pcm)) * energy)
}

// biggestStep is the largest jump from one sample to the next.
func biggestStep(pcm []int16) (most int) {
	for i := 1; i < len(pcm); i++ {
		most = max(most, int(pcm[i])-int(pcm[i-1]), int(pcm[i-1])-int(pcm[i]))
	}
	return most
}

// What the far end of a real sound server hears: the tone, as long as it should be,
// and no click.
func TestToneIsHeard(t *testing.T) {
	soundtest.Server(t)
	for _, tt := range []struct {
		hertz int
		d     time.Duration
	}{{1000, 700 * time.Millisecond}, {440, 60 * time.Millisecond}} {
		e := listen(t)
		began := time.Now()
		if err := speaker.PlayTone(t.Context(), pulsetest.Speaker, tt.hertz, tt.d); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		pcm := e.heard(t)
		length := time.Duration(len(pcm)) * time.Second / speaker.Rate
		t.Logf("%d Hz for %v: heard for %v, took %v, share %.3f", tt.hertz, tt.d, length, took.Round(time.Millisecond), share(pcm, float64(tt.hertz)))
		if length < tt.d-5*time.Millisecond || length > tt.d+5*time.Millisecond {
			t.Errorf("heard for %v, want %v", length, tt.d)
		}
		if got := share(pcm, float64(tt.hertz)); got < 0.8 {
			t.Errorf("%d Hz has %.3f of the energy", tt.hertz, got)
		}
		if took < tt.d-50*time.Millisecond || took > tt.d+time.Second {
			t.Errorf("it returned after %v", took)
		}
		// A sine's steepest step, and a little for rounding; silence before and after.
		pcm = append(append([]int16{0}, pcm...), 0)
		if got, most := biggestStep(pcm), 0.25*32767*2*math.Pi*float64(tt.hertz)/speaker.Rate+3; float64(got) > most {
			t.Errorf("a step of %d: it clicks", got)
		}
	}
}

func played(t *testing.T, c *alsatest.Card) []int16 {
	t.Helper()
	raw, err := os.ReadFile(c.Played)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, len(raw)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return pcm
}

// To the sample: all of the tone is handed over, mono and stereo, longer or shorter
// than the device's buffer.
func TestToneIsWhole(t *testing.T) {
	c := soundtest.Card(t)
	for name, channels := range map[string]int{alsatest.Mono: 1, alsatest.Stereo: 2} {
		for _, d := range []time.Duration{300 * time.Millisecond, 7 * time.Millisecond, time.Nanosecond} {
			if err := os.RemoveAll(c.Played); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := speaker.PlayTone(t.Context(), name, 480, d); err != nil {
				t.Fatalf("%s, %v: %v", name, d, err)
			}
			if took := time.Since(began); took < d-30*time.Millisecond {
				t.Errorf("%s: %v of sound took %v", name, d, took)
			}
			pcm := played(t, c)
			if want := int(d*speaker.Rate/time.Second) * channels; len(pcm) != want {
				t.Errorf("%s, %v: %d samples, want %d", name, d, len(pcm), want)
			}
			for i := 0; channels == 2 && i < len(pcm); i += 2 {
				if pcm[i] != pcm[i+1] {
					t.Fatal("the channels differ")
				}
			}
			if d > 100*time.Millisecond && (pcm[0] != 0 || pcm[len(pcm)-1] != 0) {
				t.Errorf("it begins with %d and ends with %d", pcm[0], pcm[len(pcm)-1])
			}
		}
	}
}

// An underrun loses what was in the device and no more.
func TestUnderrunIsRecovered(t *testing.T) {
	c := soundtest.Card(t)
	ended := make(chan error, 1)
	go func() { ended <- speaker.PlayTone(t.Context(), alsatest.Mono, 480, 600*time.Millisecond) }()
	for range 3 {
		later := time.NewTimer(100 * time.Millisecond)
		<-later.C
		if err := c.Set(alsatest.Overrun); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := len(played(t, c)); got != speaker.Rate*6/10 {
		t.Errorf("%d samples were handed over", got)
	}
}

func TestErrorsAreNamed(t *testing.T) {
	c := soundtest.Card(t)
	for fault, want := range map[alsatest.Fault]error{
		alsatest.Taken: speaker.ErrBusy, alsatest.Forbidden: speaker.ErrPermission, alsatest.Missing: speaker.ErrNoDevice,
		alsatest.Unplugged: speaker.ErrGone, alsatest.Lost: speaker.ErrGone, alsatest.Stalled: speaker.ErrStalled,
		alsatest.Overruns: speaker.ErrStalled, alsatest.Asleep: speaker.ErrStalled,
	} {
		first, later := alsatest.Works, 100*time.Millisecond // while it plays
		if fault == alsatest.Taken || fault == alsatest.Forbidden || fault == alsatest.Missing {
			first, later = fault, 0
		}
		if err := c.Set(first); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		set := make(chan error, 1)
		if later > 0 {
			time.AfterFunc(later, func() { set <- c.Set(fault) })
		} else {
			set <- nil
		}
		if err := speaker.PlayTone(t.Context(), alsatest.Mono, 480, time.Second); !errors.Is(err, want) {
			t.Errorf("%c: %v, want %v", fault, err, want)
		}
		if err := <-set; err != nil { // or it would come into the next fault
			t.Error(err)
		}
		if took := time.Since(began); took > 2500*time.Millisecond {
			t.Errorf("%c: told after %v", fault, took)
		}
	}
	if err := c.Set(alsatest.Works); err != nil {
		t.Fatal(err)
	}
	if err := speaker.PlayTone(t.Context(), "no_such_pcm", 480, time.Second); !errors.Is(err, speaker.ErrNoDevice) {
		t.Error(err)
	}
	for _, tt := range []struct {
		hertz int
		d     time.Duration
	}{{19, time.Second}, {20_001, time.Second}, {480, 0}, {480, -1}, {480, time.Hour}} {
		if err := speaker.PlayTone(t.Context(), alsatest.Mono, tt.hertz, tt.d); !errors.Is(err, speaker.ErrTone) {
			t.Errorf("%+v: %v, want ErrTone", tt, err)
		}
	}
}

// The end of ctx ends it within 200 ms, whatever the device does.
func TestStopIsQuick(t *testing.T) {
	c := soundtest.Card(t)
	s := map[string]alsatest.Fault{"plays": alsatest.Works, "stalls": alsatest.Stalled, "hangs": alsatest.Hangs, "opens": alsatest.HangsOpen, "closes": alsatest.HangsClose}
	for name, fault := range s {
		first := alsatest.Works
		if fault == alsatest.HangsOpen {
			first = fault
		}
		if err := c.Set(first); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- speaker.PlayTone(ctx, alsatest.Mono, 480, 10*time.Second) }()
		later := time.NewTimer(200 * time.Millisecond)
		<-later.C
		if err := c.Set(fault); err != nil {
			t.Fatal(err)
		}
		later.Reset(100 * time.Millisecond)
		<-later.C
		began := time.Now()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("%s: it took %v to end", name, took)
		}
	}
	if err := c.Set(alsatest.Works); err != nil { // frees what hangs
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := speaker.PlayTone(gone, alsatest.Mono, 480, time.Second); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A sound server that hangs is not waited for, and one that dies is told of.
func TestServerInTrouble(t *testing.T) {
	s := soundtest.Server(t)
	ended := make(chan error, 1)
	play := func() { ended <- speaker.PlayTone(t.Context(), pulsetest.Speaker, 480, 2*time.Second) }
	go play()
	later := time.NewTimer(300 * time.Millisecond)
	<-later.C
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, speaker.ErrGone) && !errors.Is(err, speaker.ErrStalled) {
		t.Errorf("killed: %v", err)
	}
	if err := speaker.PlayTone(t.Context(), pulsetest.Speaker, 480, time.Second); !errors.Is(err, speaker.ErrNoDevice) {
		t.Errorf("without a server: %v", err)
	}
	if err := errors.Join(s.Restart(), s.Freeze(true)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	go play()
	if err := <-ended; !errors.Is(err, speaker.ErrStalled) || time.Since(began) > 8*time.Second {
		t.Errorf("frozen: %v after %v", err, time.Since(began))
	}
}

func TestListIsWhatTheMachineHas(t *testing.T) {
	infos, err := speaker.List()
	if err != nil || infos == nil {
		t.Fatalf("%v, %v", infos, err)
	}
	nodes, err := filepath.Glob("/dev/snd/pcm*p")
	if err != nil || len(infos) != len(nodes) {
		t.Errorf("%d speakers listed, %d playback nodes: %+v", len(infos), len(nodes), infos)
	}
}

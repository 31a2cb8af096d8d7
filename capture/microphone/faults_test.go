package microphone_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kioskd/capture/microphone"
	"kioskd/capture/soundcard/alsatest"
	"kioskd/capture/soundcard/soundtest"
)

func tell(t *testing.T, c *alsatest.Card, f alsatest.Fault) {
	t.Helper()
	if err := c.Set(f); err != nil {
		t.Fatal(err)
	}
}

func hearsSound(r *recorder) bool { return len(r.last(10)) > 0 && !isSilent(r.last(10)) }

// What a microphone makes of each fault: it goes on, or says why not, in time.
func TestFaults(t *testing.T) {
	c := soundtest.Card(t)
	for _, tt := range []struct {
		name  string
		fault alsatest.Fault
		want  error // nil: it goes on
	}{
		{"overrun", alsatest.Overrun, nil},
		{"overruns without end", alsatest.Overruns, microphone.ErrStalled},
		{"overrun and gone", alsatest.Lost, microphone.ErrGone},
		{"unplugged", alsatest.Unplugged, microphone.ErrGone},
		{"stalled", alsatest.Stalled, microphone.ErrStalled},
		{"asleep for good", alsatest.Asleep, microphone.ErrStalled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tell(t, c, alsatest.Works)
			mic, r, stop, ended := capture(t, alsatest.Mono)
			r.wait(t, "sound", 2*time.Second, hearsSound)
			tell(t, c, tt.fault)
			if tt.want != nil {
				select {
				case err := <-ended:
					if !errors.Is(err, tt.want) {
						t.Errorf("%v, want %v", err, tt.want)
					}
				case <-time.After(2 * time.Second):
					t.Fatal("not noticed within 2 s")
				}
				return
			}
			n := r.count()
			r.wait(t, "sound again", 2*time.Second, func(r *recorder) bool { return len(r.times) > n+50 })
			if err := stop(); err != nil || mic.Stats().Overruns != 1 {
				t.Errorf("%v, %+v", err, mic.Stats())
			}
		})
	}
}

// The machine sleeps and wakes: the same microphone goes on.
func TestSleepAndWake(t *testing.T) {
	c := soundtest.Card(t)
	mic, r, stop, _ := capture(t, alsatest.Mono)
	r.wait(t, "sound", 2*time.Second, hearsSound)
	tell(t, c, alsatest.Asleep)
	asleep := time.NewTimer(300 * time.Millisecond)
	<-asleep.C
	n := r.count()
	tell(t, c, alsatest.Works)
	r.wait(t, "sound again", 2*time.Second, func(r *recorder) bool { return len(r.times) > n+50 })
	if err := stop(); err != nil || mic.Stats().Overruns == 0 {
		t.Errorf("%v, %+v", err, mic.Stats())
	}
}

// A reader that is late loses sound and is told of it by alsa-lib: EPIPE.
func TestSlowReaderIsAnOverrun(t *testing.T) {
	soundtest.Card(t)
	mic, err := microphone.Open(microphone.Config{Device: alsatest.Stereo})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	chunks := 0
	err = mic.Run(ctx, func([]int16, time.Time) {
		switch chunks++; chunks {
		case 20:
			late := time.NewTimer(300 * time.Millisecond)
			<-late.C
		case 60:
			cancel()
		}
	})
	if err != nil || mic.Stats().Overruns != 1 {
		t.Errorf("%v, %+v", err, mic.Stats())
	}
}

// Each of them: silence in time, the reason in words, and sound again soon after it
// is over, though what hung may hang on.
func TestKeeperFaults(t *testing.T) {
	c := soundtest.Card(t)
	_, r, _ := keep(t, device(alsatest.Mono))
	r.wait(t, "sound", 2*time.Second, hearsSound)
	from := r.count()
	for _, tt := range []struct {
		name  string
		fault alsatest.Fault
		want  microphone.Code
	}{
		{"unplugged", alsatest.Unplugged, microphone.Gone},
		{"overrun and gone", alsatest.Lost, microphone.Gone},
		{"stalled", alsatest.Stalled, microphone.Hung},
		{"asleep", alsatest.Asleep, microphone.Hung},
		{"hangs", alsatest.Hangs, microphone.Hung},
	} {
		tell(t, c, tt.fault)
		r.wait(t, tt.name+": silence", 1500*time.Millisecond, hearsSilence)
		r.wait(t, tt.name+": word of it", 3*time.Second, code(tt.want))
		tell(t, c, alsatest.Works)
		began := time.Now()
		r.wait(t, tt.name+": sound again", 3*time.Second, hearsSound)
		r.wait(t, tt.name+": word of it", time.Second, code(microphone.Present))
		t.Logf("%s: back after %v", tt.name, time.Since(began).Round(time.Millisecond))
	}
	for fault, want := range map[alsatest.Fault]microphone.Code{
		alsatest.Taken: microphone.Busy, alsatest.Forbidden: microphone.NoPermission, alsatest.Missing: microphone.Gone, alsatest.HangsOpen: microphone.Hung,
	} {
		tell(t, c, alsatest.Unplugged)
		r.wait(t, "silence", 1500*time.Millisecond, hearsSilence)
		tell(t, c, fault)
		r.wait(t, string(want), 4*time.Second, code(want))
		tell(t, c, alsatest.Works)
		r.wait(t, "sound again", 3*time.Second, hearsSound)
	}
	pace(t, r, from)
}

// A device that hangs for good gets a bounded number of attempts, and pokes buy no
// more than as many again; all of them end when it does.
func TestKeeperBoundsWhatHangs(t *testing.T) {
	c := soundtest.Card(t)
	tell(t, c, alsatest.HangsOpen)
	tries := make(chan struct{}, 1000)
	before := threads(t)
	k, r, _ := keep(t, func() (microphone.Config, error) {
		tries <- struct{}{}
		return microphone.Config{Device: alsatest.Mono}, nil
	})
	r.wait(t, "word of it", 3*time.Second, code(microphone.Hung))
	over := time.After(60 * time.Second)
	for most := 0; most < 20; most++ { // each try is asked for as soon as the one before is given up
		select {
		case <-tries:
		case <-over:
			t.Fatal("tries come too slowly")
		}
		for given := false; !given; {
			k.Poke()
			select {
			case <-over:
				t.Fatal("pokes are not heard")
			case <-time.After(20 * time.Millisecond):
				given = len(tries) > 0
			}
		}
	}
	if now := threads(t) - before; now > 16+8 { // the Go runtime's own come and go
		t.Errorf("%d threads more", now)
	}
	tell(t, c, alsatest.Works)
	r.wait(t, "sound", 3*time.Second, hearsSound)
	r.wait(t, "word of it", time.Second, code(microphone.Present))
}

package microphone_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kioskd/capture/microphone"
	"kioskd/capture/soundcard/soundtest"
)

// capture runs a microphone into a recorder; stop ends it and gives Run's error.
func capture(t *testing.T, device string) (mic *microphone.Microphone, r *recorder, stop func() error, ended <-chan error) {
	t.Helper()
	mic, err := microphone.Open(microphone.Config{Device: device})
	if err != nil {
		t.Fatal(err)
	}
	r = newRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- mic.Run(ctx, r.put) }()
	stop = func() error {
		cancel()
		select {
		case err := <-end:
			return err
		case <-time.After(5 * time.Second):
			t.Fatal("Run does not end")
			return nil
		}
	}
	t.Cleanup(cancel)
	return mic, r, stop, end
}

func TestToneAndPace(t *testing.T) {
	s := soundtest.Server(t)
	mic, r, stop, _ := capture(t, s.PCM)
	r.wait(t, "tone", 5*time.Second, hearsTone)
	// Let the buffers between settle, then count three seconds.
	r.wait(t, "second of sound", 5*time.Second, func(r *recorder) bool { return len(r.times) > 100 })
	r.wait(t, "three seconds more", 8*time.Second, func(r *recorder) bool { return r.times[len(r.times)-1].Sub(r.times[100]) > 3*time.Second })
	if err := stop(); err != nil {
		t.Error(err)
	}
	chunks := r.times[100:]
	rate := float64(len(chunks)-1) / chunks[len(chunks)-1].Sub(chunks[0]).Seconds()
	t.Logf("%.2f chunks/s, tone %.3f of the energy, %+v", rate, toneShare(r.last(100)), mic.Stats())
	if math.Abs(rate-100) > 2 {
		t.Errorf("%.2f chunks/s, want 100 within 2 %%", rate)
	}
	if share := toneShare(r.last(100)); share < 0.98 {
		t.Errorf("the tone is %.3f of a second's energy: sound was lost or torn", share)
	}
	if got := mic.Stats(); got.Chunks != uint64(len(r.times)) || got.Overruns != 0 {
		t.Errorf("%+v for %d chunks", got, len(r.times))
	}
	for i, at := range r.ats {
		if age := r.times[i].Sub(at); age < 10*time.Millisecond || age > 500*time.Millisecond {
			t.Fatalf("chunk %d is said to be %v old", i, age)
		}
	}
}

func TestStopIsQuick(t *testing.T) {
	s := soundtest.Server(t)
	_, r, stop, _ := capture(t, s.PCM)
	r.wait(t, "sound", 5*time.Second, func(r *recorder) bool { return len(r.times) > 5 })
	began := time.Now()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 200*time.Millisecond {
		t.Errorf("Run took %v to end", took)
	}
}

func TestServerKilled(t *testing.T) {
	s := soundtest.Server(t)
	_, r, _, ended := capture(t, s.PCM)
	r.wait(t, "tone", 5*time.Second, hearsTone)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, microphone.ErrGone) && !errors.Is(err, microphone.ErrStalled) {
			t.Errorf("%v, want ErrGone", err)
		}
		t.Log(err)
	case <-time.After(1500 * time.Millisecond):
		t.Error("the end of the server was not noticed within 1.5 s")
	}
	if _, err := microphone.Open(microphone.Config{Device: s.PCM}); !errors.Is(err, microphone.ErrNoDevice) {
		t.Errorf("without a server: %v, want ErrNoDevice", err)
	}
}

// A put that breaks the rule and waits does not end the capture.
func TestSlowReader(t *testing.T) {
	s := soundtest.Server(t)
	mic, err := microphone.Open(microphone.Config{Device: s.PCM})
	if err != nil {
		t.Fatal(err)
	}
	r := newRecorder()
	ctx, cancel := context.WithCancel(context.Background())
	end, held := make(chan error, 1), make(chan struct{})
	go func() {
		first := true
		end <- mic.Run(ctx, func(pcm []int16, at time.Time) {
			if first {
				first = false
				<-held
			}
			r.put(pcm, at)
		})
	}()
	timer := time.NewTimer(700 * time.Millisecond)
	<-timer.C
	close(held)
	r.wait(t, "tone", 5*time.Second, hearsTone)
	cancel()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

func TestOpenByName(t *testing.T) {
	s := soundtest.Server(t)
	dir := t.TempDir()
	conf := `</usr/share/alsa/alsa.conf>
pcm.nothing { type pulse server "unix:` + filepath.Join(dir, "no.sock") + `" }
pcm.chain { type plug slave { pcm "` + s.PCM + `" } }
`
	base, err := os.ReadFile(s.ALSAConfig)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "asound.conf")
	if err := os.WriteFile(path, append([]byte(conf), base[len("</usr/share/alsa/alsa.conf>\n"):]...), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALSA_CONFIG_PATH", path)
	for _, name := range []string{"nothing", "hw:CARD=NoSuchCard", "plughw:31", "no_such_pcm"} {
		if _, err := microphone.Open(microphone.Config{Device: name}); !errors.Is(err, microphone.ErrNoDevice) {
			t.Errorf("%s: %v, want ErrNoDevice", name, err)
		}
	}
	// While a chain of plugins opens.
	_, r, stop, _ := capture(t, "chain")
	r.wait(t, "tone", 5*time.Second, hearsTone)
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func threads(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestNoLeaks(t *testing.T) {
	s := soundtest.Server(t)
	cycle := func() {
		_, r, stop, _ := capture(t, s.PCM)
		r.wait(t, "sound", 5*time.Second, func(r *recorder) bool { return len(r.times) > 2 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	files, tasks := openFiles(t), threads(t)
	for range 20 {
		cycle()
	}
	if now := openFiles(t); now > files {
		t.Errorf("%d files open, %d before", now, files)
	}
	if now := threads(t); now > tasks+4 { // the Go runtime's own come and go
		t.Errorf("%d threads, %d before", now, tasks)
	}
}

func TestListWithoutACard(t *testing.T) {
	if _, err := os.Stat("/dev/snd"); err == nil {
		t.Log("this machine has sound cards: checking that their microphones have stable names")
	}
	infos, err := microphone.List()
	if err != nil || infos == nil {
		t.Fatalf("%v, %v", infos, err)
	}
	cards, err := filepath.Glob("/dev/snd/pcm*c")
	if err != nil || len(infos) != len(cards) {
		t.Errorf("%d microphones listed, %d capture nodes: %+v", len(infos), len(cards), infos)
	}
}

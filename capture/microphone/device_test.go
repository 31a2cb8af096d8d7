package microphone

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"kioskd/capture/soundcard"
)

// A device without mono, which moreover gives sound (silence) faster than time.
func TestStereoDeviceThatFloods(t *testing.T) {
	path := filepath.Join(t.TempDir(), "asound.conf")
	conf := `</usr/share/alsa/alsa.conf>
pcm.stereo_only { type copy slave.pcm {
	type multi
	slaves.a.pcm "null"
	slaves.a.channels 2
	bindings.0.slave a
	bindings.0.channel 0
	bindings.1.slave a
	bindings.1.channel 1
} }
`
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALSA_CONFIG_PATH", path)
	m, err := Open(Config{Device: "stereo_only"})
	if err != nil {
		t.Fatal(err)
	}
	if m.pcm.Channels != 2 {
		t.Errorf("opened with %d channels", m.pcm.Channels)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	chunks, end := 0, make(chan error, 1)
	go func() {
		end <- m.Run(ctx, func(pcm []int16, _ time.Time) {
			if len(pcm) != ChunkSamples {
				t.Errorf("a chunk of %d samples", len(pcm))
			}
			if chunks++; chunks == 100 {
				cancel()
			}
		})
	}()
	select {
	case err := <-end:
		if err != nil || chunks < 100 || chunks > 100+maxDrain {
			t.Errorf("%d chunks, %v", chunks, err)
		}
	case <-time.After(5 * time.Second):
		t.Error("a flood keeps Run from ending")
	}
}

// What the device says while it runs, other than what can be recovered from, is its end.
func TestGoneIsNamed(t *testing.T) {
	m := &Microphone{name: "hw:X"}
	for _, code := range []syscall.Errno{syscall.ENODEV, syscall.EIO, syscall.EBADFD} {
		if err := m.recover(t.Context(), code); !errors.Is(err, ErrGone) || !errors.Is(err, code) || m.Stats().Overruns != 0 {
			t.Errorf("%v while running: %v", code, err)
		}
	}
}

func TestMixdown(t *testing.T) {
	m := &Microphone{pcm: &soundcard.PCM{Channels: 2}, raw: make([]int16, 2*ChunkSamples)}
	m.raw[0], m.raw[1], m.raw[2], m.raw[3] = 100, 300, math.MinInt16, math.MinInt16
	if got := m.mixdown(); len(got) != ChunkSamples || got[0] != 200 || got[1] != math.MinInt16 || got[2] != 0 {
		t.Errorf("%v", got[:3])
	}
	m.pcm.Channels, m.raw = 1, m.raw[:ChunkSamples]
	if got := m.mixdown(); got[1] != 300 {
		t.Errorf("mono: %v", got[:3])
	}
}

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
	if m.pcm.channels != 2 {
		t.Errorf("opened with %d channels", m.pcm.channels)
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

func TestErrorsAreNamed(t *testing.T) {
	for code, want := range map[syscall.Errno]error{
		syscall.EBUSY: ErrBusy, syscall.EACCES: ErrPermission, syscall.EPERM: ErrPermission,
		syscall.ENOENT: ErrNoDevice, syscall.ENODEV: ErrNoDevice, syscall.ENXIO: ErrNoDevice, syscall.ECONNREFUSED: ErrNoDevice,
		syscall.EINVAL: syscall.EINVAL,
	} {
		if err := openError("hw:X", code); !errors.Is(err, want) || !errors.Is(err, code) {
			t.Errorf("%v: %v", code, err)
		}
	}
	m := &Microphone{name: "hw:X"}
	if err := m.recover(syscall.ENODEV); !errors.Is(err, ErrGone) || m.Stats().Overruns != 0 {
		t.Errorf("ENODEV while running: %v", err)
	}
}

func TestMixdown(t *testing.T) {
	m := &Microphone{pcm: &pcm{channels: 2}, raw: make([]int16, 2*ChunkSamples)}
	m.raw[0], m.raw[1], m.raw[2], m.raw[3] = 100, 300, math.MinInt16, math.MinInt16
	if got := m.mixdown(); len(got) != ChunkSamples || got[0] != 200 || got[1] != math.MinInt16 || got[2] != 0 {
		t.Errorf("%v", got[:3])
	}
	m.pcm.channels, m.raw = 1, m.raw[:ChunkSamples]
	if got := m.mixdown(); got[1] != 300 {
		t.Errorf("mono: %v", got[:3])
	}
}

func TestInfoNamesAreStable(t *testing.T) {
	got := info("C920", "HD Pro Webcam C920", "HD Pro Webcam C920 at usb-0000:00:14.0-2, high speed", 0, "USB Audio")
	want := Info{ID: "plughw:CARD=C920,DEV=0", Name: "HD Pro Webcam C920 USB Audio", Card: "HD Pro Webcam C920 at usb-0000:00:14.0-2, high speed"}
	if got != want {
		t.Errorf("%+v", got)
	}
	if got := info("X", "USB Audio", "", 2, "USB Audio"); got.Name != "USB Audio" || got.ID != "plughw:CARD=X,DEV=2" {
		t.Errorf("%+v", got)
	}
}

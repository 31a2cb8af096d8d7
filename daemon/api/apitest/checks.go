package apitest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kioskd/configs/words"
	"kioskd/daemon/backend"
	"kioskd/daemon/check"
)

// rehearsed is how a loopback call of the test's kiosk goes.
var rehearsed = check.Media{
	Frames: 91, Live: 91, Lasts: 3 * time.Second, Packets: 500, Latency: 20 * time.Millisecond, Latency9: 40 * time.Millisecond,
	Bytes: 500_000, Sound: 150, RMS: 0.1, Peak: 0.3, Codec: "video/H264",
}

// checker is the real Checker in front of the test's devices, a backend whose name
// nobody knows, and a loopback call that lasts until Rehearsal says so.
func (k *Kiosk) checker() (*check.Checker, error) {
	texts, err := words.Load(words.Fallback)
	if err != nil {
		return nil, err
	}
	return check.New(check.Options{ //nolint:gosec // a path, not a token
		Texts: texts, ConfigFile: "/etc/kioskd/kioskd.toml", TokenFile: "/etc/kioskd/backend-token", StateDir: "/",
		Devices: k.devices, Network: func() (bool, error) { return true, nil },
		Backend: func(context.Context) backend.Probe {
			return backend.Probe{Host: "clinic.test", Name: "clinic.test", Port: "443", Origin: "https://clinic.test/", Status: http.StatusMethodNotAllowed, Date: time.Now(), Middle: time.Now()}
		},
		Media: func(ctx context.Context, _ time.Duration, _ string) (check.Media, error) {
			if hold := k.Rehearsal.Load(); hold != nil {
				select {
				case <-*hold:
				case <-ctx.Done():
					return check.Media{}, errors.New("nobody waits for it any more")
				}
			}
			return rehearsed, nil
		},
		Busy: func() bool { return k.Runner.Model().Running() },
	}), nil
}

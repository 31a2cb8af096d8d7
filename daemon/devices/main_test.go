package devices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/camns/camtest"
	"kioskd/configs"
	"kioskd/configs/words"
	"kioskd/daemon/health"
	"kioskd/store"
)

// The tests of this package use real V4L2 calls against cmd/fakecam. TestMain builds it
// and starts the test binary once more in a mount namespace with devices of its own.
const wait = 20 * time.Second

func TestMain(m *testing.M) {
	camtest.Enter()
	goleak.VerifyTestMain(m)
}

// plugIn starts a fakecam with n cameras in the namespace's /dev.
func plugIn(t *testing.T, n int, args ...string) *camctl.Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	p, err := camctl.Start(ctx, camtest.Fakecam(), append([]string{"-n", fmt.Sprint(n)}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// kiosk is Devices over a real store, and what they told.
type kiosk struct {
	*Devices
	t      *testing.T
	health *health.Set
	store  *store.Store
	dir    string

	mu      sync.Mutex
	changes int
	news    chan struct{} // a token where something was told
}

// newKiosk has an empty folder for cameras and no microphone.
func newKiosk(t *testing.T, change ...func(*configs.Config)) *kiosk {
	t.Helper()
	return newKioskAt(t, t.TempDir(), change...)
}

// newKioskAt has the store in a folder: what an earlier one knew it knows.
func newKioskAt(t *testing.T, dir string, change ...func(*configs.Config)) *kiosk {
	t.Helper()
	cfg, err := configs.Parse("test", []byte("[backend]\nurl = \"https://clinic.example\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Camera.Directory, cfg.Camera.Width, cfg.Camera.Height, cfg.Camera.FPS = t.TempDir(), 160, 120, 15
	cfg.Microphone.Enabled, cfg.Microphone.Device, cfg.Speaker.Device = false, "mic", "out"
	for _, c := range change {
		c(&cfg)
	}
	w, err := words.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	k := &kiosk{t: t, health: health.New(), dir: dir, news: make(chan struct{}, 1)}
	if k.store, err = store.Open(dir, store.Options{}); err != nil {
		t.Fatal(err)
	}
	told := func() {
		k.mu.Lock()
		k.changes++
		k.mu.Unlock()
		select {
		case k.news <- struct{}{}:
		default:
		}
	}
	k.Devices = New(Options{
		Config: cfg, Words: w, Health: k.health, Store: k.store, Log: slog.New(slog.DiscardHandler), Changed: told,
		Shown: func() { _ = k.List(); told() }, // as the API does
	})
	t.Cleanup(func() { k.shut() })
	return k
}

// shut ends the kiosk, so that another can have its store; a second one does nothing.
func (k *kiosk) shut() {
	if k.store == nil {
		return
	}
	if err := errors.Join(k.Close(), k.store.Close()); err != nil {
		k.t.Error(err)
	}
	k.store = nil
}

// real lets the cameras of the namespace be used.
func realCameras(cfg *configs.Config) { cfg.Camera.Directory = camns.DevDir }

func conditions(k *kiosk) string {
	var codes []string
	for _, c := range k.health.List() {
		codes = append(codes, c.Code)
	}
	slices.Sort(codes) // the list is by age, and two may come within one tick of the clock or not
	return strings.Join(codes, " ")
}

// seen puts cameras in as if the last look had found them: "base" or "base@port".
func (k *kiosk) seen(ids ...string) {
	var list []camera.Info
	for i, id := range ids {
		base, port, _ := strings.Cut(id, "@")
		list = append(list, camera.Info{Base: base, Port: port, Path: fmt.Sprintf("/dev/video%d", i), Name: "Camera " + base, Permission: true})
	}
	k.take(forCameras, k.numbered(forCameras), func(f *found) { f.cameras = list })
}

// heardOf puts microphones in the same way.
func (k *kiosk) heardOf(ids ...string) {
	var list []microphone.Info
	for _, id := range ids {
		base, port, _ := strings.Cut(id, "@")
		list = append(list, microphone.Info{Base: base, Port: port, Device: "hw:" + base + port, Name: "Microphone " + base})
	}
	k.take(forSound, k.numbered(forSound), func(f *found) { f.mics = list })
}

// eventually waits until ok holds, looking at each word of the devices.
func (k *kiosk) eventually(what string, within time.Duration, ok func() bool) {
	k.t.Helper()
	deadline, look := time.NewTimer(within), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer look.Stop()
	for !ok() {
		select {
		case <-k.news:
		case <-look.C:
		case <-deadline.C:
			k.t.Fatalf("not within %v: %s; conditions %q, devices %+v", within, what, conditions(k), k.List())
		}
	}
}

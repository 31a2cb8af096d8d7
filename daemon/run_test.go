package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/configs"
	"kioskd/daemon"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
)

// nowhere is a backend that nobody asks in these tests.
const nowhere = "http://127.0.0.1:9"

// leftover waits until no goroutine is there that was not before.
func leftover(t *testing.T, before goleak.Option) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(wait)
	for {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// fails runs the daemon where it cannot, and gives the error.
func fails(t *testing.T, cfg configs.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	err := daemon.Run(ctx, cfg, apitype.Version{}, slog.New(slog.DiscardHandler))
	if err == nil || ctx.Err() != nil {
		t.Fatalf("the daemon ran: %v", err)
	}
	if !strings.HasPrefix(err.Error(), "cannot ") {
		t.Errorf("the error is %q", err)
	}
	return err
}

func TestReadyOnceTheSocketAnswers(t *testing.T) {
	dir := folder(t)
	k := launch(t, settings(t, dir, nowhere))
	said := k.systemd.hear(t, "READY=1")
	if !strings.Contains(said, "STATUS=Idle: no session") {
		t.Errorf("systemd was told %q", said)
	}
	info, err := os.Stat(k.cfg.API.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != os.ModeSocket|0o660 {
		t.Errorf("the socket's mode is %v, want 0660", info.Mode())
	}
	// READY waits for no device: that there is no camera comes when it has been looked.
	s := watch(t, k.cfg.API.Socket).see("a kiosk without a camera", func(s apitype.Status) bool { return hasCondition(s, "camera_missing") })
	if s.Session != nil || len(s.Conditions) != 1 || s.Version.Version != "test" {
		t.Errorf("an idle kiosk says %+v", s)
	}
	if h, err := k.Health(t.Context()); err != nil || !h.OK {
		t.Errorf("its health is %+v, %v", h, err)
	}
	k.stop()
	k.systemd.hear(t, "STOPPING=1")
	if _, err := os.Stat(k.cfg.API.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	if strings.Contains(k.log.String(), `"level":"ERROR"`) || strings.Contains(k.log.String(), `"level":"WARN"`) {
		t.Errorf("an idle life was not quiet:\n%s", k.log)
	}
}

func TestStopWhileIdleIsQuickAndClean(t *testing.T) {
	dir := folder(t)
	before := goleak.IgnoreCurrent()
	t.Run("run", func(t *testing.T) {
		k := start(t, settings(t, dir, nowhere))
		began := time.Now()
		k.stop()
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %v to stop", d)
		}
	})
	leftover(t, before)
}

// A stop that comes before anything runs is one, too.
func TestStopBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := daemon.Run(ctx, settings(t, folder(t), nowhere), apitype.Version{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Error(err)
	}
}

func TestWatchdogIsFedThroughTheSession(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "2000000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	k := start(t, settings(t, folder(t), nowhere))
	for range 2 {
		k.systemd.hear(t, "WATCHDOG=1")
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	cfg := settings(t, folder(t), nowhere)
	if err := os.MkdirAll(filepath.Dir(cfg.API.Socket), 0o700); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: cfg.API.Socket})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false) // what a crash leaves
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	k := start(t, cfg)
	if _, err := k.Status(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	dir := folder(t)
	k := start(t, settings(t, dir, nowhere))
	if err := fails(t, k.cfg); !strings.Contains(err.Error(), "another kioskd") || !strings.Contains(err.Error(), k.cfg.API.Socket) {
		t.Errorf("on the same socket: %v", err)
	}
	other := k.cfg
	other.API.Socket = filepath.Join(dir, "other")
	if err := fails(t, other); !strings.Contains(err.Error(), "store") {
		t.Errorf("on the same store: %v", err)
	}
	if _, err := os.Stat(other.API.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the refused one left its socket: %v", err)
	}
	if _, err := k.Status(t.Context()); err != nil {
		t.Errorf("the first one suffered: %v", err)
	}
}

func TestWhatIsNoSocketStays(t *testing.T) {
	cfg := settings(t, folder(t), nowhere)
	cfg.API.Socket = filepath.Join(filepath.Dir(cfg.Store.Dir), "precious")
	if err := os.WriteFile(cfg.API.Socket, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fails(t, cfg); !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(cfg.API.Socket); err != nil || string(b) != "data" {
		t.Errorf("the file holds %q, %v", b, err)
	}
}

func TestImpossibleSettings(t *testing.T) {
	for _, c := range []struct {
		name, says string
		change     func(*configs.Config, string)
	}{
		{"socket path too long", "107 bytes", func(c *configs.Config, dir string) {
			c.API.Socket = filepath.Join(dir, strings.Repeat("s", 108))
		}},
		{"folder of the socket is a file", "folder", func(c *configs.Config, dir string) {
			c.API.Socket = filepath.Join(dir, "file", "s")
		}},
		{"unknown language", "words", func(c *configs.Config, _ string) { c.Screen.Language = "xx" }},
		{"no backend", "[backend]", func(c *configs.Config, _ string) { c.Backend.URL = "" }},
		{"no CA file", "[backend]", func(c *configs.Config, dir string) { c.Backend.CAFile = filepath.Join(dir, "none") }},
		{"store is a file", "store", func(c *configs.Config, dir string) {
			c.Store.Dir, c.Daemon.SafeMode = filepath.Join(dir, "file"), false
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := folder(t)
			cfg := settings(t, dir, nowhere)
			if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			c.change(&cfg, dir)
			if err := fails(t, cfg); !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %q, want %q in it", err, c.says)
			}
			if conn, err := net.Dial("unix", cfg.API.Socket); err == nil {
				t.Errorf("somebody still listens: %v", conn.Close())
			}
		})
	}
}

func TestDamagedStoreIsToldAndDoesNotStopTheKiosk(t *testing.T) {
	cfg := settings(t, folder(t), nowhere)
	if err := os.MkdirAll(cfg.Store.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Store.Dir, "kiosk.db"), []byte(strings.Repeat("garbage", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	k := start(t, cfg)
	s, err := k.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !hasCondition(s, "store_damaged") || strings.HasPrefix(s.Conditions[0].Message, "condition.") {
		t.Errorf("conditions are %+v", s.Conditions)
	}
}

// A watcher need not wait for its own deadline to learn that the daemon went.
func TestClientsAreCutAtTheEnd(t *testing.T) {
	k := start(t, settings(t, folder(t), nowhere))
	first, cut := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	c := client.New(k.cfg.API.Socket)
	defer c.Close()
	go func() {
		cut <- c.Watch(t.Context(), func(apitype.Event) error { once.Do(func() { close(first) }); return nil })
	}()
	select {
	case <-first:
	case err := <-cut:
		t.Fatal(err)
	}
	k.stop()
	select {
	case err := <-cut:
		if err == nil {
			t.Error("the watcher was told nothing")
		}
	case <-time.After(wait):
		t.Error("the watcher still waits")
	}
}

// A screen learns from the status what language the kiosk speaks.
func TestLanguageIsTold(t *testing.T) {
	k := start(t, unreachable(t, "screen.language=de"))
	if s, err := k.Status(t.Context()); err != nil || s.Language != "de" {
		t.Errorf("the status says %q, %v", s.Language, err)
	}
}

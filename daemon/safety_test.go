package daemon_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kioskd/configs"
	"kioskd/daemon"
	"kioskd/daemon/api/apitype"
)

// young is the file by which the daemon counts its deaths.
func young(cfg configs.Config) string { return filepath.Join(cfg.Store.Dir, "young") }

// died leaves what so many daemons leave that died young.
func died(t *testing.T, cfg configs.Config, times int) {
	t.Helper()
	if err := os.MkdirAll(cfg.Store.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(young(cfg), []byte(strconv.Itoa(times-1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// unreachable is a kiosk with a token whose backend does not answer: a session waits.
func unreachable(t *testing.T, more ...string) configs.Config {
	t.Helper()
	dir := folder(t)
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	return settings(t, dir, nowhere, more...)
}

// Safe mode: what tells is answered, nothing else is; after a while all is as before,
// the session too.
func TestSafeMode(t *testing.T) {
	cfg := unreachable(t)
	k := start(t, cfg)
	do(t)(k.Open(t.Context(), appointment))
	k.stop()
	died(t, cfg, 3)

	k = launchIn(t, cfg, daemon.Surroundings{SafeFor: 2 * time.Second})
	if said := k.systemd.hear(t, "READY=1"); !strings.Contains(said, "STATUS=Safe mode") {
		t.Errorf("systemd was told %q", said)
	}
	s, err := k.Status(t.Context())
	if err != nil || s.Session != nil || !hasCondition(s, "safe_mode") {
		t.Fatalf("the status is %+v, %v", s, err)
	}
	if h, err := k.Health(t.Context()); err != nil || h.OK {
		t.Errorf("its health is %+v, %v", h, err)
	}
	for name, command := range map[string]func() error{
		"open":   func() error { _, err := k.Open(t.Context(), "another"); return err },
		"mute":   func() error { _, err := k.Mute(t.Context(), nil); return err },
		"end":    func() error { _, err := k.EndCall(t.Context()); return err },
		"bind":   func() error { _, err := k.SetRole(t.Context(), apitype.RoleFace, "x"); return err },
		"report": func() error { _, err := k.SubmitReport(t.Context(), "It ended."); return err },
	} {
		if err := command(); code(err) != apitype.CodeSafeMode {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := watch(t, cfg.API.Socket)
	s = w.see("the session again", func(s apitype.Status) bool { return s.Session != nil && !hasCondition(s, "safe_mode") })
	if s.Session.AppointmentID != appointment {
		t.Error("another session came back")
	}
	do(t)(k.EndCall(t.Context()))
	if _, err := os.Stat(young(cfg)); !os.IsNotExist(err) {
		t.Errorf("deaths are still counted: %v", err)
	}
}

// A stop in safe mode is clean, and the next start an ordinary one.
func TestStopInSafeMode(t *testing.T) {
	cfg := settings(t, folder(t), nowhere)
	died(t, cfg, 7)
	k := start(t, cfg)
	if s, err := k.Status(t.Context()); err != nil || !hasCondition(s, "safe_mode") {
		t.Fatalf("the status is %+v, %v", s, err)
	}
	k.stop()
	k = start(t, cfg)
	if s, err := k.Status(t.Context()); err != nil || hasCondition(s, "safe_mode") {
		t.Errorf("the status is %+v, %v", s, err)
	}
}

// A store that cannot be opened is safe mode from the first start on. A stop is clean.
func TestSafeModeWithoutAStore(t *testing.T) {
	dir := folder(t)
	cfg := settings(t, dir, nowhere)
	cfg.Store.Dir = filepath.Join(dir, "file")
	if err := os.WriteFile(cfg.Store.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	k := launch(t, cfg)
	if said := k.systemd.hear(t, "READY=1"); !strings.Contains(said, "STATUS=Safe mode: cannot open the store") {
		t.Errorf("systemd was told %q", said)
	}
	if s, err := k.Status(t.Context()); err != nil || !hasCondition(s, "safe_mode") {
		t.Fatalf("the status is %+v, %v", s, err)
	}
	if _, err := k.Open(t.Context(), appointment); code(err) != apitype.CodeSafeMode {
		t.Errorf("an appointment: %v", err)
	}
	k.stop()
	if left, err := filepath.Glob(filepath.Join(dir, "run", "*")); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v, %v", left, err)
	}
}

// Whatever is in the file, the daemon starts; only three deaths that are known make it
// careful.
func TestCountOfDeaths(t *testing.T) {
	for _, c := range []struct {
		name, content string
		off, safe     bool
		after         string
	}{
		{name: "no death", content: "-", after: "0"},
		{name: "one", content: "0", after: "1"},
		{name: "two", content: "1", after: "2"},
		{name: "three", content: "2", safe: true, after: "3"},
		{name: "three, off", content: "2", off: true, after: "2"},
		{name: "many", content: "65535", safe: true, after: "32768"},
		{name: "too many", content: "65536", after: "1"},
		{name: "empty", content: "", after: "1"},
		{name: "garbage", content: "\x00\xff\n\n9", after: "1"},
		{name: "negative", content: "-5", after: "1"},
		{name: "huge", content: strings.Repeat("9", 1<<20), after: "1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := settings(t, folder(t), nowhere, "daemon.safe_mode="+strconv.FormatBool(!c.off))
			if c.content != "-" {
				died(t, cfg, 1)
				if err := os.WriteFile(young(cfg), []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			k := start(t, cfg)
			s, err := k.Status(t.Context())
			if err != nil || hasCondition(s, "safe_mode") != c.safe {
				t.Errorf("safe mode is %t, want %t: %v", hasCondition(s, "safe_mode"), c.safe, err)
			}
			if b, err := os.ReadFile(young(cfg)); err != nil || string(b) != c.after {
				t.Errorf("the file holds %.20q, want %q: %v", b, c.after, err)
			}
		})
	}
}

// A folder in the file's place, or a state directory that is read-only, stops nothing.
func TestDeathsCannotBeCounted(t *testing.T) {
	cfg := settings(t, folder(t), nowhere)
	if err := os.MkdirAll(filepath.Join(young(cfg), "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	k := start(t, cfg)
	if s, err := k.Status(t.Context()); err != nil || hasCondition(s, "safe_mode") {
		t.Errorf("the status is %+v, %v", s, err)
	}
	if !strings.Contains(k.log.String(), "cannot count how often") {
		t.Error("nobody is told")
	}
}

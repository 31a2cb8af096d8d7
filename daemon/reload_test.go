package daemon_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"kioskd/configs"
	"kioskd/daemon"
	"kioskd/daemon/api/apitype"
)

// TestReload: what can change changes at once, the rest is named, systemd hears of it,
// and settings that are refused change nothing.
func TestReload(t *testing.T) {
	cfg := settings(t, folder(t), nowhere)
	var mu sync.Mutex
	next, refuse := cfg, error(nil)
	file := func(change func(*configs.Config), err error) {
		mu.Lock()
		defer mu.Unlock()
		change(&next)
		refuse = err
	}
	level, hup := &slog.LevelVar{}, make(chan struct{}, 1)
	k := launchIn(t, cfg, daemon.Surroundings{Reload: daemon.Reloading{Signal: hup, Level: level, Load: func() (configs.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		return next, refuse
	}}})
	said := k.systemd
	said.hear(t, "READY=1")

	file(func(c *configs.Config) { c.Log.Level, c.Session.WaitSeconds, c.Camera.FPS = "debug", 77, 15 }, nil)
	answer, err := k.Reload(t.Context())
	if err != nil || !slices.Equal(answer.Changed, []string{"log.level", "session.wait_seconds"}) || !slices.Equal(answer.NeedRestart, []string{"camera.fps"}) {
		t.Errorf("the answer is %+v, %v", answer, err)
	}
	shown, err := k.Config(t.Context())
	if err != nil || !strings.Contains(string(shown), `"wait_seconds":77`) || strings.Contains(string(shown), `"fps":15`) {
		t.Errorf("in force is %s, %v", shown, err)
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("the log's level is %v", level.Level())
	}
	audit, err := k.Audit(t.Context(), 10)
	if err != nil || !slices.ContainsFunc(audit.Entries, func(e apitype.AuditEntry) bool { return strings.HasPrefix(e.Text, "reload by: uid=") }) {
		t.Errorf("the audit is %+v, %v", audit, err)
	}

	file(func(c *configs.Config) { c.Log.Level = "warn" }, errors.New("kioskd.toml:3:1: unknown key"))
	var p *apitype.Problem
	if _, err := k.Reload(t.Context()); !errors.As(err, &p) || p.Code != apitype.CodeBadSettings || !strings.Contains(p.Detail, "kioskd.toml:3:1") {
		t.Errorf("refused settings: %v", err)
	}
	hup <- struct{}{}
	said.hear(t, "RELOADING=1\nMONOTONIC_USEC=")
	said.hear(t, "READY=1")
	if level.Level() != slog.LevelDebug {
		t.Errorf("refused settings changed the level to %v", level.Level())
	}
	file(func(*configs.Config) {}, nil)
	hup <- struct{}{}
	said.hear(t, "RELOADING=1\nMONOTONIC_USEC=")
	said.hear(t, "READY=1")
	if level.Level() != slog.LevelWarn {
		t.Errorf("after SIGHUP the level is %v", level.Level())
	}
}

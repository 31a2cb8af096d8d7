package pulsetest_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/capture/microphone/pulsetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The address is the only thing that tells a live server from a dead one.
func reachable(dir string) bool {
	c, err := net.Dial("unix", filepath.Join(dir, "pulse.sock"))
	if err != nil {
		return false
	}
	return c.Close() == nil
}

func TestServerLives(t *testing.T) {
	dir := t.TempDir()
	s, err := pulsetest.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(s.ALSAConfig)
	if err != nil || !strings.Contains(string(conf), "pcm."+s.PCM) {
		t.Errorf("%s, %v", conf, err)
	}
	if env := strings.Join(s.Env(), "\n"); !strings.Contains(env, "ALSA_CONFIG_PATH="+s.ALSAConfig) || !strings.Contains(env, "PULSE_COOKIE="+dir) {
		t.Errorf("environment %s", env)
	}
	if !reachable(dir) {
		t.Error("not reachable after Start")
	}
	if err := s.Restart(); err != nil || !reachable(dir) {
		t.Errorf("not reachable after Restart: %v", err)
	}
	for range 2 {
		if err := s.Kill(); err != nil || reachable(dir) {
			t.Errorf("reachable after Kill: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The switches act on a server that runs, and say so on one that does not.
func TestControls(t *testing.T) {
	s, err := pulsetest.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, on := range []bool{true, false} {
		if err := errors.Join(s.MuteSource(on), s.Suspend(on)); err != nil {
			t.Error(err)
		}
	}
	if err := s.Leave(); err != nil {
		t.Error(err)
	}
	if err := s.MuteSource(true); err == nil || !strings.Contains(err.Error(), "pulseaudio-utils") {
		t.Errorf("muting a source that has left: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// One that took a frozen one's place is reachable; Close ends both.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	s, err := pulsetest.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Freeze(true), s.Replace()); err != nil {
		t.Fatal(err)
	}
	if err := s.MuteSource(true); err != nil {
		t.Errorf("the new server does not answer: %v", err)
	}
	if err := s.Close(); err != nil || reachable(dir) {
		t.Errorf("still there: %v", err)
	}
}

// The server dies with its context, frozen or not.
func TestServerEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	s, err := pulsetest.Start(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Freeze(true); err != nil {
		t.Error(err)
	}
	cancel()
	if err := s.Close(); err != nil || reachable(dir) {
		t.Errorf("still there: %v", err)
	}
	if err := s.Freeze(false); err == nil {
		t.Error("a server that is gone was thawed")
	}
}

func TestStartRefuses(t *testing.T) {
	for name, dir := range map[string]string{
		"too long": filepath.Join(t.TempDir(), strings.Repeat("x", 120)),
		"spaces":   filepath.Join(t.TempDir(), "a b"),
		"folder":   "/dev/null/x",
	} {
		if _, err := pulsetest.Start(t.Context(), dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A program that cannot be found is told with its package.
	t.Setenv("PATH", t.TempDir())
	if _, err := pulsetest.Start(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "package pulseaudio") {
		t.Error(err)
	}
}

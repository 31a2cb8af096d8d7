package e2e_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestSafeMode kills the daemon three times right after its start: then API and page
// say what is the matter and nothing else runs, until a clean stop, or ten minutes.
func TestSafeMode(t *testing.T) {
	c := theScene(t, stage.Options{SafeMode: true})
	// The life that counts begins here, and not before there was a browser.
	if err := c.StopKioskd(); err != nil {
		t.Fatal(err)
	}
	c.starts(t)
	if _, err := c.api.Open(t.Context(), "safe-mode-1"); err != nil {
		t.Fatal(err)
	}
	c.reaches(t, apitype.StateWaiting)
	for range 2 {
		c.killed(t)
		c.reaches(t, apitype.StateWaiting) // two deaths are bad luck
	}
	c.killed(t)
	if c.Ready > 5*time.Second {
		t.Errorf("READY took %v", c.Ready)
	}
	s, err := c.api.Status(t.Context())
	if err != nil || s.Session != nil || len(s.Conditions) != 1 || s.Conditions[0].Code != "safe_mode" {
		t.Fatalf("the status is %s, %v", line(s), err)
	}
	c.sees(t, `document.querySelector("#banner [data-code=safe_mode]")?.textContent.includes("checked after a fault")`)
	c.dark(t, 0, time.Second)
	_, err = c.api.Open(t.Context(), "safe-mode-2")
	refusedWith(t, err, apitype.CodeSafeMode)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ctl := filepath.Join(os.Getenv(binEnv), "kioskctl")
	if out, err := exec.CommandContext(ctx, ctl, "--socket", c.Socket, "status").CombinedOutput(); err != nil || !strings.Contains(string(out), "safe_mode: The kiosk is being checked") {
		t.Errorf("kioskctl status says %s, %v", out, err)
	}
	if out, err := exec.CommandContext(ctx, ctl, "--socket", c.Socket, "mute").CombinedOutput(); err == nil || !strings.Contains(string(out), "safe mode") || !strings.Contains(string(out), "journalctl") {
		t.Errorf("kioskctl mute says %s, %v", out, err)
	}
	c.killed(t) // a death in safe mode is one too
	if !c.condition(t, "safe_mode") {
		t.Error("a death in safe mode ends it")
	}
	if err := c.StopKioskd(); err != nil { // a clean stop is none
		t.Fatal(err)
	}
	c.starts(t)
	c.reaches(t, apitype.StateWaiting) // the appointment of before
	if c.condition(t, "safe_mode") {
		t.Error("a clean stop does not end it")
	}
}

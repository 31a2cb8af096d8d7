package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLab plays the lab's short form: the package's units judged by systemd, what the
// sandbox refuses, the start, the log, a reload in a call and a part that hangs. The
// long form is `make lab`. It needs root, and KIOSKD_BIN with the programs and lab.deb
// (make deb-lab lab-programs).
func TestLab(t *testing.T) {
	bin := os.Getenv("KIOSKD_BIN")
	if bin == "" || os.Getuid() != 0 {
		t.Fatal("cannot boot the lab: run it as root with KIOSKD_BIN set to the folder of the built programs (make test)")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "lab"), "-short", "-dir", t.TempDir(), "-bin", bin, "-deb", filepath.Join(bin, "lab.deb"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it takes its namespaces down
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Errorf("the lab says %v", err)
	}
	t.Logf("\n%s", out.String())
	for _, r := range rows() {
		if r.short && !strings.Contains(out.String(), " s  "+r.name+" ") {
			t.Errorf("the row %q was not played", r.name)
		}
	}
}

package killpoint_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kioskd/store/killpoint"
)

// variable is what arms a point; the released package does not know its name.
const variable = "KIOSKD_KILLPOINT"

// TestReleasedDaemonCannotBeKilled: the daemon that is built as a release has neither
// the variable's name in it nor a call of Pass, and the one with the tag has, so the
// test can see.
func TestReleasedDaemonCannotBeKilled(t *testing.T) {
	released := filepath.Join(os.Getenv("KIOSKD_BIN"), "kioskd")
	if os.Getenv("KIOSKD_BIN") == "" {
		released = build(t, "nolibopusfile")
	}
	armed := build(t, "nolibopusfile,faults")
	for path, want := range map[string]bool{released: false, armed: true} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, mark := range []string{variable, "kioskd/store/killpoint.Pass"} {
			if got := bytes.Contains(b, []byte(mark)); got != want {
				t.Errorf("%s: %q is in it: %t, want %t", path, mark, got, want)
			}
		}
	}
}

func build(t *testing.T, tags string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kioskd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags="+tags, "-o", path, "kioskd/cmd/kioskd").CombinedOutput(); err != nil {
		t.Fatalf("cannot build kioskd: %v\n%s", err, out)
	}
	return path
}

// TestPassDoesNothing: a release that finds the variable set goes on.
func TestPassDoesNothing(t *testing.T) {
	for _, p := range killpoint.All() {
		t.Setenv(variable, string(p)+":1")
		killpoint.Pass(p)
	}
}

// TestEveryPointIsPassed: each point stands in the code once at least, and is listed.
func TestEveryPointIsPassed(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"../*.go", "../../daemon/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			source.Write(b)
		}
	}
	own, err := os.ReadFile("killpoint.go")
	if err != nil {
		t.Fatal(err)
	}
	all := killpoint.All()
	for line := range strings.Lines(string(own)) {
		name, value, ok := strings.Cut(line, " Point = \"")
		if !ok {
			continue
		}
		name, value = strings.TrimSpace(name), value[:strings.IndexByte(value, '"')]
		if !strings.Contains(source.String(), "killpoint.Pass(killpoint."+name+")") {
			t.Errorf("nothing passes %s", name)
		}
		at := slices.Index(all, killpoint.Point(value))
		if at < 0 {
			t.Errorf("%s is not listed", name)
			continue
		}
		all = slices.Delete(all, at, at+1)
	}
	if len(all) > 0 {
		t.Errorf("listed and not named: %v", all)
	}
}

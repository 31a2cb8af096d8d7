package alsatest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/capture/soundcard/alsatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What is told lands in the files that the devices read, and nowhere else in them.
func TestCardIsTold(t *testing.T) {
	dir := t.TempDir()
	c, err := alsatest.New(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	conf, err := os.ReadFile(c.ALSAConfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pcm." + alsatest.Mono, "ctl." + alsatest.Mono, "pcm." + alsatest.Stereo, "ctl." + alsatest.Headset, "ctl." + alsatest.Loose} {
		if !strings.Contains(string(conf), name+" {") {
			t.Errorf("no %s in %s", name, conf)
		}
	}
	if err := c.Set(alsatest.Stalled); err != nil {
		t.Fatal(err)
	}
	if err := c.Switch(true, false); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"control": "q", "switches": "1110"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "control")); err != nil {
		t.Fatal(err)
	}
	if err := c.Set(alsatest.Works); err == nil {
		t.Error("a device that is not there was told")
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := alsatest.New(t.Context(), filepath.Join(t.TempDir(), "no", "folder")); err == nil {
		t.Error("made in a folder that is not there")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := alsatest.New(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "cannot compile") {
		t.Error(err)
	}
}

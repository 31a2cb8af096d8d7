package units

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// desktop runs kiosk-desktop with a systemctl that writes its arguments down and says
// whether the unit is enabled.
func desktop(t *testing.T, enabled bool, args ...string) (calls string, err error) {
	t.Helper()
	dir := t.TempDir()
	code := "1"
	if enabled {
		code = "0"
	}
	script := "#!/bin/sh\necho \"$@\" >>" + dir + "/calls\ncase $* in *is-enabled*) exit " + code + ";; esac\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"lib/kiosk-desktop"}, args...)...)
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "WAYLAND_DISPLAY=wayland-1"}
	err = cmd.Run()
	b, readErr := os.ReadFile(filepath.Join(dir, "calls"))
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(b), err
}

// The entry is every user's: it starts nothing for one who has not enabled the unit.
func TestDesktopStartsWhatIsEnabled(t *testing.T) {
	const asks = "--user --quiet is-enabled kioskscreen-browser.service\n"
	const imports = "--user import-environment WAYLAND_DISPLAY\n"
	for _, c := range []struct {
		enabled bool
		args    []string
		want    string
		fails   bool
	}{
		{true, nil, asks + imports + "--user start kioskscreen-browser.service\n", false},
		{true, []string{"--wait"}, asks + imports + "--user start --wait kioskscreen-browser.service\n", false},
		{false, nil, asks, false},
		{false, []string{"--wait"}, asks, true},
	} {
		if calls, err := desktop(t, c.enabled, c.args...); calls != c.want || (err != nil) != c.fails {
			t.Errorf("enabled %t, %q: %v, it called\n%s", c.enabled, c.args, err, calls)
		}
	}
}

// A desktop starts what the entry names (Desktop Entry Specification), and the package
// puts both in their place.
func TestAutostartEntry(t *testing.T) {
	entry, list := read(t, "user/kioskscreen-browser.desktop"), read(t, "../package/nfpm.yaml")
	if !strings.HasPrefix(entry, "[Desktop Entry]\nType=Application\nName=") || !strings.Contains(entry, "\nExec=/usr/lib/kioskd/kiosk-desktop\n") {
		t.Errorf("the entry is\n%s", entry)
	}
	for _, want := range []string{"dst: /usr/lib/kioskd/kiosk-desktop, file_info: {mode: 0755}", "dst: /etc/xdg/autostart/kioskscreen-browser.desktop, type: config,"} {
		if !strings.Contains(list, want) {
			t.Errorf("the package has no %q", want)
		}
	}
}

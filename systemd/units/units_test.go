// Package units has no code: its tests look at the files that the package installs.
package units

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browse starts kiosk-browser with a browser that prints its arguments.
func browse(t *testing.T, launch string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	dir := t.TempDir()
	browser := filepath.Join(dir, "browser")
	if err := os.WriteFile(browser, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "lib/kiosk-browser", launch)
	cmd.Env = append(os.Environ(), "RUNTIME_DIRECTORY="+dir, "KIOSK_BROWSER="+browser)
	cmd.WaitDelay = 10 * time.Second
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// The browser starts when the launch file is there, and its command line has the
// file's path and nothing of what is in it.
func TestBrowserGetsTheFileAndNoSecret(t *testing.T) {
	launch := filepath.Join(t.TempDir(), "launch.html")
	cmd, out := browse(t, launch)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(launch, []byte(`url=http://127.0.0.1:1/open/s3cr3t`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	args := strings.Fields(out.String())
	if last := args[len(args)-1]; last != "file://"+launch || strings.Contains(out.String(), "s3cr3t") {
		t.Errorf("the browser got %q", args)
	}
	for _, want := range []string{
		"--kiosk", "--no-first-run", "--autoplay-policy=no-user-gesture-required",
		"--password-store=basic", "--disable-features=Translate", // each would ask the patient something
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("the browser got no %s", want)
		}
	}
}

// The browser ignores a switch that it does not know, without a word.
func TestBrowserKnowsItsSwitches(t *testing.T) {
	const chromium = "/usr/lib/chromium/chromium"
	program, err := os.ReadFile(chromium)
	if err != nil {
		t.Fatalf("cannot look for the switches (make setup installs chromium): %v", err)
	}
	_, command, _ := strings.Cut(read(t, "lib/kiosk-browser"), "\nexec ")
	switches := regexp.MustCompile(`--([a-z][a-z-]*)`).FindAllStringSubmatch(command, -1)
	if len(switches) < 10 {
		t.Errorf("the switches are %q", switches)
	}
	for _, s := range switches {
		if !bytes.Contains(program, []byte("\x00"+s[1]+"\x00")) {
			t.Errorf("chromium does not know --%s", s[1])
		}
	}
}

func TestBrowserThatIsMissing(t *testing.T) {
	launch := filepath.Join(t.TempDir(), "launch.html")
	if err := os.WriteFile(launch, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, out := browse(t, launch)
	cmd.Env = []string{"PATH=/nonexistent", "RUNTIME_DIRECTORY=" + t.TempDir()}
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "apt install chromium") {
		t.Errorf("got %v, %s", err, out)
	}
}

// The user unit and the script agree on where the launch file is, and it is in a folder
// of that user's alone.
func TestLaunchFileIsPrivate(t *testing.T) {
	screen, browser := read(t, "user/kioskscreen.service"), read(t, "user/kioskscreen-browser.service")
	at := regexp.MustCompile(`%t/kioskscreen/launch\.html`)
	if !at.MatchString(screen) || !at.MatchString(browser) || !strings.Contains(screen, "\nRuntimeDirectory=kioskscreen\nRuntimeDirectoryMode=0700\n") {
		t.Error("the launch file is elsewhere, or not private")
	}
}

// What keeps the kiosk coming back.
func TestUnitsNeverGiveUp(t *testing.T) {
	service, socket := read(t, "kioskd.service"), read(t, "kioskd.socket")
	for _, want := range []string{"StartLimitIntervalSec=0", "Restart=always", "WatchdogSec=5s", "Type=notify", "NotifyAccess=main", "RuntimeDirectoryPreserve=yes"} {
		if !strings.Contains(service, "\n"+want+"\n") {
			t.Errorf("kioskd.service has no %s", want)
		}
	}
	if !strings.Contains(socket, "\nTriggerLimitIntervalSec=0\n") || strings.Contains(service, "\nPrivateUsers=") {
		t.Error("a limit of knocks would close the socket for good, or peers would lose their uids")
	}
}

// A group of devices is allowed only when its module is loaded before the unit starts.
func TestAllowedGroupsAreLoaded(t *testing.T) {
	modules := map[string]string{"video4linux": "videodev", "alsa": "snd"} // name in /proc/devices -> module
	service := read(t, "kioskd.service")
	groups := regexp.MustCompile(`(?m)^DeviceAllow=(?:char|block)-(\S+)`).FindAllStringSubmatch(service, -1)
	if len(groups) != len(modules) {
		t.Errorf("the service allows %q", groups)
	}
	for _, g := range groups {
		for _, key := range []string{"Wants", "After"} {
			if !regexp.MustCompile(`(?m)^` + key + `=(.* )?modprobe@` + modules[g[1]] + `\.service( |$)`).MatchString(service) {
				t.Errorf("%s= does not have the module of %s", key, g[1])
			}
		}
	}
}

// The interface's address has to be one that no network uses, and brings no route.
func TestKiosk0sAddress(t *testing.T) {
	if text := read(t, "lib/kiosk0"); !strings.Contains(text, "192.0.0.8/32") || strings.Contains(text, "ip route") {
		t.Error("kiosk0 has another address, or a route")
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "lib/kiosk0", "sideways")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "usage: kiosk0 up|down") {
		t.Errorf("got %v, %s", err, out)
	}
}

// Rules are lines of KEY==VALUE and KEY=VALUE, joined by commas (udev(7)).
func TestUdevRules(t *testing.T) {
	files, err := filepath.Glob("../../configs/udev/*.rules")
	if err != nil || len(files) != 2 {
		t.Fatalf("got %q, %v", files, err)
	}
	token := regexp.MustCompile(`^[A-Z]+(\{[\w./]+\})?(==|!=|=|\+=|-=|:=)"[^"]*"$`)
	for _, f := range files {
		text := read(t, f)
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			for part := range strings.SplitSeq(line, ", ") {
				if !token.MatchString(part) {
					t.Errorf("%s: %q", f, part)
				}
			}
		}
		for _, m := range regexp.MustCompile(`GOTO="(\w+)"`).FindAllStringSubmatch(text, -1) {
			if !strings.Contains(text, `LABEL="`+m[1]+`"`) {
				t.Errorf("%s jumps to %s, which is not there", f, m[1])
			}
		}
	}
	if sound := read(t, "../../configs/udev/79-kioskd-sound.rules"); !strings.Contains(sound, `ENV{ACP_IGNORE}="1"`) || !strings.Contains(sound, `ENV{PULSE_IGNORE}="1"`) {
		t.Error("the desktop's sound server would take the kiosk's microphone")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.FromSlash(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

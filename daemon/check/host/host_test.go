package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kioskd/daemon/api/apitype"
)

// judged compares a check with "result fault" and its command.
func judged(t *testing.T, name string, got apitype.Check, want, command string) {
	t.Helper()
	if have := strings.TrimSpace(got.Result + " " + got.Fault); have != want || got.Command != command {
		t.Errorf("%s: got %q with %q, want %q with %q", name, have, got.Command, want, command)
	}
	if got.Message == "" || got.Code == "" {
		t.Errorf("%s: %+v says nothing", name, got)
	}
}

// tree writes files below a folder of its own.
func tree(t *testing.T, files map[string]string) *Host {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &Host{Root: root, Run: func(context.Context, string, ...string) (string, error) { return "", errors.New("not here") }}
}

func TestUnits(t *testing.T) {
	for _, tt := range []struct{ name, text, want, command string }{
		{"well", "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nResult=success\n", "pass", ""},
		{"static", "LoadState=loaded\nActiveState=active\nUnitFileState=static\n", "pass", ""},
		{"not there", "LoadState=not-found\nActiveState=inactive\nUnitFileState=\n", "fail unit_missing", "apt-get install --reinstall kioskd"},
		{"masked", "LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n", "fail unit_masked", "systemctl unmask kioskd.service"},
		{"cannot be read", "LoadState=bad-setting\nActiveState=inactive\n", "fail unit_broken", "systemctl cat kioskd.service"},
		{"failed", "LoadState=loaded\nActiveState=failed\nResult=exit-code\nUnitFileState=enabled\n", "fail unit_failed", "journalctl -u kioskd.service -n 50"},
		{"crash loop", "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nResult=exit-code\nUnitFileState=enabled\n", "fail unit_failed", "journalctl -u kioskd.service -n 50"},
		{"off for good", "LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nResult=success\n", "fail unit_disabled", "systemctl enable --now kioskd.service"},
		{"stopped", "LoadState=loaded\nActiveState=inactive\nUnitFileState=enabled\nResult=success\n", "fail unit_stopped", "systemctl start kioskd.service"},
		{"not after a reboot", "LoadState=loaded\nActiveState=active\nUnitFileState=disabled\n", "warn unit_not_enabled", "systemctl enable kioskd.service"},
		{"nothing", "", "fail unit_broken", "systemctl cat kioskd.service"},
	} {
		judged(t, tt.name, judgeUnit("kioskd.service", parseUnit(tt.text)), tt.want, tt.command)
	}
}

// systemd is asked where it runs, and only there.
func TestUnitsAreAsked(t *testing.T) {
	const browser = "/usr/lib/chromium/chromium\x00--kiosk\x00--user-data-dir=/run/user/1000/kioskscreen-browser/profile\x00--no-first-run\x00"
	h := tree(t, map[string]string{"proc/1/comm": "systemd\n"})
	if got := h.Units(t.Context()); len(got) != 1 || got[0].Fault != "no_systemd" {
		t.Errorf("without systemd: %+v", got)
	}
	h = tree(t, map[string]string{"run/systemd/system/x": "", "proc/7/comm": "kioskscreen\n", "proc/x/comm": "kioskscreen\n", "proc/8/cmdline": browser})
	var asked []string
	h.Run = func(_ context.Context, name string, args ...string) (string, error) {
		asked = append(asked, name+" "+args[len(args)-1])
		return "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n", nil
	}
	got := h.Units(t.Context())
	if len(got) != 4 || got[0].Code != "kioskd.socket" || got[1].Result != "pass" || got[2].Result != "pass" || got[3].Result != "pass" {
		t.Errorf("with systemd: %+v", got)
	}
	if want := "systemctl kioskd.socket,systemctl kioskd.service,systemctl kiosk0.service"; strings.Join(asked, ",") != want {
		t.Errorf("asked %v", asked)
	}
	h = tree(t, map[string]string{"run/systemd/system/x": "", "proc/7/comm": "kioskd\n", "proc/8/cmdline": browser})
	got = h.Units(t.Context())
	judged(t, "no screen", got[3], "warn screen_stopped", "systemctl --user enable --now kioskscreen kioskscreen-browser")
	other := "chromium\x00--user-data-dir=/home/anna/x\x00"
	h = tree(t, map[string]string{"proc/7/comm": "kioskscreen\n", "proc/8/cmdline": other})
	judged(t, "no browser", h.screenUnit(), "warn browser_stopped", "systemctl --user enable --now kioskscreen kioskscreen-browser")
	judged(t, "no answer", got[0], "skip no_answer", "")
}

func TestGroups(t *testing.T) {
	const both = "root:x:0:\nkiosk:x:990:kioskd,anna,ben\nkiosk-tech:x:991:anna\nvideo:x:44:\nbroken line\nodd:x:y:\n"
	for _, tt := range []struct{ name, text, who, want, command string }{
		{"well", both, "anna", "pass", ""},
		{"root", both, "root", "pass", ""},
		{"nobody", both, "", "pass", ""},
		{"screen only", both, "ben", "warn not_in_group", "usermod -aG kiosk,kiosk-tech ben"},
		{"stranger", both, "eve; x", "warn not_in_group", "usermod -aG kiosk,kiosk-tech 'eve; x'"},
		{"no group", "root:x:0:\n", "anna", "fail group_missing", "groupadd --system kiosk"},
		{"no technicians", "kiosk:x:990:anna\n", "anna", "fail group_missing", "groupadd --system kiosk-tech"},
	} {
		judged(t, tt.name, judgeGroups(parseGroups(tt.text), tt.who), tt.want, tt.command)
	}
	judged(t, "no file", tree(t, nil).groups(), "skip groups_unknown", "")
}

func TestNodes(t *testing.T) {
	own := uint32(os.Getgid())
	for _, tt := range []struct {
		name, group string
		mode        os.FileMode
		gid         uint32
		want        string
	}{
		{"well", "video", 0o660, own, "pass"},
		{"for all", "other", 0o666, own + 1, "pass"},
		{"the group may only read", "video", 0o640, own, "fail node_forbidden"},
		{"another group", "video", 0o660, own + 1, "fail node_forbidden"},
		{"no such group", "other", 0o660, own, "fail node_forbidden"},
	} {
		h := tree(t, map[string]string{"etc/group": tt.group + ":x:" + uintText(tt.gid) + ":\n", "cams/video3": "", "cams/other": ""})
		path := h.path("cams", "video3")
		if err := os.Chmod(path, tt.mode); err != nil {
			t.Fatal(err)
		}
		command := ""
		if strings.HasPrefix(tt.want, "fail") {
			command = "chgrp video " + path + " && chmod 660 " + path
		}
		judged(t, tt.name, h.nodes(h.path("cams")), tt.want, command)
	}
	h := tree(t, map[string]string{"etc/group": "audio:x:4242:\n", "dev/snd/pcmC0D0c": ""})
	judged(t, "sound", h.nodes(""), "fail node_forbidden", "chgrp audio "+h.path("dev", "snd", "pcmC0D0c")+" && chmod 660 "+h.path("dev", "snd", "pcmC0D0c"))
	judged(t, "nothing", tree(t, map[string]string{"etc/group": ""}).nodes(""), "skip no_nodes", "")
}

func uintText(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// Who holds a device is found in the real /proc: it is this test.
func TestHolders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "video0")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	h := &Host{Root: "/"}
	busy := apitype.Device{Kind: apitype.KindCamera, Name: "Face", Path: path, State: apitype.DeviceBusy}
	other := apitype.Device{Kind: apitype.KindCamera, Path: path, State: apitype.DeviceOK}
	got := h.holders([]apitype.Device{other, busy}, false)
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	judged(t, "held", got[0], "fail camera_held", "kill "+uintText(uint32(os.Getpid())))
	if !strings.Contains(got[0].Message, "host.test") {
		t.Errorf("it does not name the program: %s", got[0].Message)
	}
	if got := h.holders([]apitype.Device{other, {Kind: apitype.KindCamera, Path: "/dev/none", State: apitype.DeviceOK}}, true); len(got) != 1 || got[0].Fault != "camera_held" {
		t.Errorf("one that only a call found busy: %+v", got)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	judged(t, "gone", h.holders([]apitype.Device{busy}, false)[0], "warn holder_gone", "kioskctl doctor")
	judged(t, "hidden", judgeHolders(busy, nil, 1000), "warn holder_hidden", "sudo kioskctl doctor")
	judged(t, "a service", judgeHolders(busy, []holder{{"12", "motion", "motion.service"}}, 0), "fail camera_held", "systemctl stop motion.service")
	judged(t, "ours", judgeHolders(busy, []holder{{"12", "kioskd", "kioskd.service"}}, 0), "fail camera_held", "kill 12")
}

// A process is told by its cgroup's name, and its own name steers no terminal.
func TestHoldersOfATree(t *testing.T) {
	h := tree(t, map[string]string{
		"proc/12/comm": "\x1b[2Jmotion\n", "proc/12/cgroup": "0::/system.slice/motion.service\n",
		"proc/13/comm": "cheese\n", "proc/13/cgroup": "0::/user.slice/user-1000.slice/session-2.scope\n", "proc/self/comm": "x",
	})
	for _, pid := range []string{"12", "13"} {
		if err := os.MkdirAll(h.path("proc", pid, "fd"), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/dev/snd/pcmC1D0c", h.path("proc", pid, "fd", "5")); err != nil {
			t.Fatal(err)
		}
	}
	got := h.holding("/dev/snd/")
	if len(got) != 2 || got[0] != (holder{"12", "\ufffd[2Jmotion", "motion.service"}) || got[1] != (holder{"13", "cheese", ""}) {
		t.Errorf("got %q", got)
	}
	if got := h.holding("/dev/snd/pcm"); len(got) != 0 {
		t.Errorf("a part of a name was taken for it: %v", got)
	}
}

func TestUSB(t *testing.T) {
	fast, high, slow := usbCamera{"A", "1", 5000}, usbCamera{"B", "2", 480}, usbCamera{"C", "3", 12}
	for _, tt := range []struct {
		name          string
		list          []usbCamera
		want, command string
	}{
		{"none", nil, "skip no_usb_camera", ""},
		{"one", []usbCamera{high}, "pass", ""},
		{"two buses", []usbCamera{high, {"D", "4", 480}}, "pass", ""},
		{"fast ones share", []usbCamera{fast, fast}, "pass", ""},
		{"two on one", []usbCamera{high, high}, "warn usb_shared", "lsusb -t"},
		{"full speed", []usbCamera{fast, slow}, "fail usb_slow", "lsusb -t"},
		{"speed not known", []usbCamera{{"D", "4", 0}}, "pass", ""},
	} {
		judged(t, tt.name, judgeUSB(tt.list), tt.want, tt.command)
	}
	dev := "sys/bus/usb/devices/"
	h := tree(t, map[string]string{
		dev + "1-2/product": "HD Cam\n", dev + "1-2/busnum": "1\n", dev + "1-2/speed": "12\n", dev + "1-2:1.0/bInterfaceClass": "0e\n",
		dev + "1-2/1-2:1.0/bInterfaceClass": "0e\n", dev + "1-3/product": "Mouse\n", dev + "1-3/speed": "1.5\n", dev + "1-3/1-3:1.0/bInterfaceClass": "03\n",
	})
	got := h.usb()
	judged(t, "a tree", got, "fail usb_slow", "lsusb -t")
	if !strings.Contains(got.Message, "HD Cam") {
		t.Errorf("it names no camera: %s", got.Message)
	}
	judged(t, "no USB", tree(t, nil).usb(), "skip no_usb", "")
}

func TestALSA(t *testing.T) {
	const cards = " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n                      HDA Intel PCH at 0xb1418000 irq 143\n 1 [C920           ]: USB-Audio - HD Pro Webcam C920\n"
	got := tree(t, map[string]string{"proc/asound/cards": cards}).alsa()
	judged(t, "cards", got, "pass", "")
	if want := "Sound cards: HDA-Intel - HDA Intel PCH; USB-Audio - HD Pro Webcam C920."; got.Message != want {
		t.Errorf("it says %q, want %q", got.Message, want)
	}
	judged(t, "none", tree(t, map[string]string{"proc/asound/cards": "--- no soundcards ---\n"}).alsa(), "warn no_card", "arecord -l")
	judged(t, "no ALSA", tree(t, nil).alsa(), "warn no_alsa", "modprobe snd-usb-audio")
}

func TestSynchronised(t *testing.T) {
	judged(t, "well", judgeSynchronised(unix.TIME_OK, unix.STA_PLL, nil), "pass", "")
	judged(t, "error", judgeSynchronised(unix.TIME_ERROR, 0, nil), "warn clock_unsynchronised", "timedatectl set-ntp true")
	judged(t, "unsynchronised", judgeSynchronised(unix.TIME_OK, unix.STA_UNSYNC, nil), "warn clock_unsynchronised", "timedatectl set-ntp true")
	judged(t, "forbidden", judgeSynchronised(0, 0, unix.EPERM), "skip clock_unknown", "")
	if got := New(func(string) string { return "" }).synchronised(); got.Fault == "clock_unknown" {
		t.Errorf("the kernel does not answer: %+v", got)
	}
}

func TestVersions(t *testing.T) {
	judged(t, "same", versions(Facts{Version: "1", Own: "1"}), "pass", "")
	judged(t, "other", versions(Facts{Version: "1", Own: "2"}), "warn version_differs", "systemctl restart kioskd")
	judged(t, "no daemon", versions(Facts{Own: "2"}), "skip no_daemon", "")
}

// All of them, on this machine: each says something, and none panics.
func TestChecksOfThisMachine(t *testing.T) {
	env := map[string]string{"SUDO_USER": "anna", "USER": "root"}
	h := New(func(name string) string { return env[name] })
	if h.User != "anna" {
		t.Errorf("who asks is %q", h.User)
	}
	seen := map[string]bool{}
	for _, c := range h.Checks(t.Context(), Facts{Own: "1", Version: "1", Cameras: "/dev"}) {
		seen[c.Code] = true
		bad := c.Result == apitype.CheckFail || c.Result == apitype.CheckWarn
		if c.Message == "" || bad != (c.Command != "") || (c.Fault == "") != (c.Result == apitype.CheckPass) {
			t.Errorf("not whole: %+v", c)
		}
	}
	for _, code := range []string{"version", "groups", "permissions", "usb", "alsa", "synchronised"} {
		if !seen[code] {
			t.Errorf("%s was not checked", code)
		}
	}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/check/checktest"
	"kioskd/daemon/e2e/stage"
)

// TestRootDoctorNamesFaults seeds real faults into a real kiosk, one at a time, and asks
// kioskctl doctor: it names each by its code, with the command that mends it, and
// names none of them on a kiosk that is well.
func TestRootDoctorNamesFaults(t *testing.T) {
	if !stage.Inside() {
		outside(t, "TestRootDoctorNamesFaults")
		return
	}
	if err := stage.Settle(true); err != nil {
		t.Fatal(err)
	}
	p := newPatient(t)
	before := p.ask(t, nil, true)
	for _, f := range p.faults(t) {
		if _, there := findCheck(before, f); there {
			t.Errorf("on a kiosk that is well it says %s", said(before))
		}
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) { p.suffer(t, f) })
	}
}

// patient is the kiosk of the faults.
type patient struct {
	*stage.Stage
	dir string
}

// fault is one thing that is wrong.
type fault struct {
	name string
	// drop is a drop-in of the settings, in TOML; kioskd is started anew with it.
	drop string
	// seed brings it about, and gives what takes it away; nil where drop is all of it.
	seed func(t *testing.T) (undo func() error)
	as   *syscall.Credential // who asks; nil is root
	call bool                // it takes the loopback call to see it
	// code, name and command are what the doctor has to say; the command's text is
	// looked for in the command.
	code, fault, command string
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	dir := filepath.Join("/dev/shm", "doctor")
	s, err := stage.Start(deadline(t), stage.Options{
		Bin: os.Getenv(binEnv), Dir: dir, FakeCamera: true, Network: true,
		CameraArgs: []string{"-scene", "webcam"},
		Config:     "[speaker]\ndevice = \"kiosk_speaker\"\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Log(err)
		}
	})
	return &patient{Stage: s, dir: dir}
}

// restart starts kioskd anew with a drop-in; "" is none.
func (p *patient) restart(t *testing.T, drop string) {
	t.Helper()
	folder := filepath.Join(p.dir, "kioskd.toml.d")
	err := errors.Join(p.KillKioskd(), os.MkdirAll(folder, 0o700))
	path := filepath.Join(folder, "10-fault.toml")
	if drop == "" {
		err = errors.Join(err, os.RemoveAll(path))
	} else {
		err = errors.Join(err, os.WriteFile(path, []byte(drop), 0o600))
	}
	if err = errors.Join(err, p.StartKioskd(deadline(t))); err != nil {
		t.Fatal(err)
	}
}

// ask runs kioskctl doctor as a user.
func (p *patient) ask(t *testing.T, as *syscall.Credential, call bool) []apitype.Check {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(binEnv), "kioskctl"),
		"--socket", p.Socket, "doctor", "--json", "--config", filepath.Join(p.dir, "kioskd.toml"), "--quick="+strconv.FormatBool(!call))
	cmd.Env = append(os.Environ(), "SUDO_USER=", "USER=anna")
	if as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitFailed) {
		t.Fatalf("doctor: %v", err)
	}
	var got apitype.Checks
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("doctor prints %q: %v", out, err)
	}
	if got.OK != (err == nil) {
		t.Errorf("it says ok %v and ends with %v", got.OK, err)
	}
	return got.Checks
}

// suffer seeds a fault, asks the doctor and takes the fault away.
func (p *patient) suffer(t *testing.T, f fault) {
	if f.drop != "" {
		p.restart(t, f.drop)
	}
	undo := func() error { return nil }
	if f.seed != nil {
		undo = f.seed(t)
	}
	got := p.ask(t, f.as, f.call)
	if c, ok := findCheck(got, f); !ok || !strings.Contains(c.Command, f.command) || c.Result == apitype.CheckPass {
		t.Errorf("it says %s, and not %s %s with the command %q", said(got), f.code, f.fault, f.command)
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	if f.drop != "" {
		p.restart(t, "")
	}
}

func findCheck(list []apitype.Check, f fault) (apitype.Check, bool) {
	for _, c := range list {
		if c.Code == f.code && c.Fault == f.fault {
			return c, true
		}
	}
	return apitype.Check{}, false
}

func said(list []apitype.Check) string {
	var words []string
	for _, c := range list {
		if c.Result != apitype.CheckPass {
			words = append(words, fmt.Sprintf("%s %s %s (%s)", c.Result, c.Code, c.Fault, c.Command))
		}
	}
	return strings.Join(words, "; ")
}

// camera tells the fake camera something, and gives what tells it the opposite.
func (p *patient) camera(order, opposite string) func(*testing.T) func() error {
	tell := func(ctx context.Context, what string) error {
		answer, err := p.Camera(ctx, 0, what)
		if err == nil && !strings.HasPrefix(answer, "ok") {
			err = fmt.Errorf("cannot %s: %s", what, answer)
		}
		return err
	}
	return func(t *testing.T) func() error {
		t.Helper()
		if err := tell(t.Context(), order); err != nil {
			t.Fatal(err)
		}
		return func() error { return tell(t.Context(), opposite) }
	}
}

// faults are all of them.
func (p *patient) faults(t *testing.T) []fault {
	return append(p.deviceFaults(), p.otherFaults(t)...)
}

func (p *patient) deviceFaults() []fault {
	return []fault{
		{name: "camera unplugged", seed: p.camera("unplug", "plug"), code: "camera", fault: "camera_missing", command: "v4l2-ctl --list-devices"},
		{name: "camera forbidden", seed: p.camera("deny all", "allow all"), code: "camera", fault: "camera_no_permission", command: "chgrp video /dev/video0 && chmod 660 /dev/video0"},
		{name: "shutter closed", seed: p.camera("shutter on", "shutter off"), code: "camera", fault: "camera_shuttered", command: "v4l2-ctl -d /dev/video0 -C privacy"},
		{name: "camera held", call: true, seed: p.holdCamera, code: "holder", fault: "camera_held", command: "kill "},
		{name: "no microphone", drop: "[microphone]\ndevice = \"plughw:CARD=Nowhere,DEV=0\"\n", code: "microphone", fault: "microphone_missing", command: "arecord -l"},
	}
}

func (p *patient) otherFaults(t *testing.T) []fault {
	url := func(url, more string) string { return fmt.Sprintf("[backend]\nurl = %q\n%s", url, more) }
	ours, theirs := checktest.NewAuthority(t), checktest.NewAuthority(t)
	well := checktest.Status(http.StatusMethodNotAllowed)
	trusting := "ca_file = \"" + ours.File + "\"\n"
	expired := checktest.Server(t, ours.Sign(t, -90, -1, "127.0.0.1"), well)
	foreign := checktest.Server(t, theirs.Sign(t, -1, 90, "127.0.0.1"), well)
	late := httptest.NewServer(checktest.Dated(-365 * 24 * time.Hour))
	t.Cleanup(late.Close)
	nobody := &syscall.Credential{Uid: 61099, Gid: 61099}
	return []fault{
		{name: "who asks is in no group", as: nobody, code: "daemon", fault: "daemon_forbidden", command: "usermod -aG kiosk,kiosk-tech anna"},
		{name: "name not known", drop: url("https://kioskd-test.invalid", ""), code: "dns", fault: "dns_failed", command: "getent hosts kioskd-test.invalid"},
		{name: "certificate expired", drop: url(expired, trusting), code: "backend", fault: "tls_expired", command: "openssl s_client -connect 127.0.0.1:"},
		{name: "certificate of another authority", drop: url(foreign, trusting), code: "backend", fault: "tls_authority", command: "sudoedit"},
		{name: "nobody listens", drop: url("https://127.0.0.1:9", ""), code: "backend", fault: "backend_closed", command: "curl -sv https://127.0.0.1:9/"},
		{name: "token refused", seed: p.otherToken, code: "token", fault: "token_refused", command: "install -m 600 /dev/stdin " + filepath.Join(p.dir, "backend-token")},
		{name: "clock off by a year", drop: url(late.URL, ""), code: "clock", fault: "clock_ahead", command: "timedatectl set-ntp true"},
		{name: "disk full", seed: p.fillDisk, code: "disk", fault: "disk_full", command: "journalctl --vacuum-size=100M"},
		{name: "cable out", seed: pullCable, code: "network", fault: "network_down", command: "ip -br addr"},
		{name: "settings damaged", seed: p.damageSettings, code: "settings", fault: "settings_wrong", command: "sudoedit " + filepath.Join(p.dir, "kioskd.toml.d", "99-damaged.toml")},
		{name: "daemon stopped, the token is not for all", as: nobody, seed: p.stopReadable, code: "token", fault: "token_hidden", command: "sudo kioskctl doctor"},
		{name: "daemon hangs", seed: p.freezeDaemon, code: "daemon", fault: "daemon_silent", command: "journalctl -u kioskd -n 50"},
		{name: "daemon stopped", seed: p.stopDaemon, code: "daemon", fault: "daemon_stopped", command: "systemctl enable --now kioskd.socket kioskd.service"},
	}
}

// holdCamera has another program stream from the camera.
func (p *patient) holdCamera(t *testing.T) func() error {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), "v4l2-ctl", "-d", "/dev/video0", "--stream-mmap", "--stream-count=0")
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx := deadline(t); ; {
		if answer, err := p.Camera(ctx, 0, "openers"); err == nil && strings.HasSuffix(answer, "streaming 1") {
			break
		} else if ctx.Err() != nil {
			t.Fatalf("nobody streams: %q, %v", answer, err)
		}
		<-tick.C
	}
	return func() error {
		err := cmd.Process.Kill()
		_ = cmd.Wait() // killed
		return err
	}
}

func (p *patient) otherToken(t *testing.T) func() error {
	t.Helper()
	path := filepath.Join(p.dir, "backend-token")
	before, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, []byte("another-token\n"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() error { return os.WriteFile(path, before, 0o600) }
}

// fillDisk puts a small file system under the state, and fills it.
func (p *patient) fillDisk(t *testing.T) func() error {
	t.Helper()
	state := filepath.Join(p.dir, "state")
	if err := errors.Join(p.KillKioskd(), unix.Mount("tmpfs", state, "tmpfs", 0, "size=24m"), p.StartKioskd(deadline(t)),
		os.WriteFile(filepath.Join(state, "big"), make([]byte, 16<<20), 0o600)); err != nil {
		t.Fatal(err)
	}
	return func() error {
		return errors.Join(p.KillKioskd(), unix.Unmount(state, unix.MNT_DETACH), p.StartKioskd(deadline(t)))
	}
}

func pullCable(t *testing.T) func() error {
	t.Helper()
	if err := stage.SetLink(false); err != nil {
		t.Fatal(err)
	}
	return func() error { return stage.SetLink(true) }
}

func (p *patient) damageSettings(t *testing.T) func() error {
	t.Helper()
	path := filepath.Join(p.dir, "kioskd.toml.d", "99-damaged.toml")
	if err := os.WriteFile(path, []byte("[camera]\nfsp = 30\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return func() error { return os.Remove(path) }
}

func (p *patient) stopDaemon(t *testing.T) func() error {
	t.Helper()
	if err := p.StopKioskd(); err != nil {
		t.Fatal(err)
	}
	return func() error { return p.StartKioskd(deadline(t)) }
}

// freezeDaemon has it take no calls, which its socket does not show.
func (p *patient) freezeDaemon(t *testing.T) func() error {
	t.Helper()
	pid := p.Kioskd.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	return func() error { return syscall.Kill(pid, syscall.SIGCONT) }
}

// stopReadable stops it where everyone may read its settings, as in /etc/kioskd.
func (p *patient) stopReadable(t *testing.T) func() error {
	t.Helper()
	undo := p.stopDaemon(t)
	open := map[string]os.FileMode{p.dir: 0o755, filepath.Join(p.dir, "kioskd.toml"): 0o644, filepath.Join(p.dir, "kioskd.toml.d"): 0o755}
	for path, mode := range open {
		info, err := os.Stat(path)
		if err == nil {
			err = os.Chmod(path, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
		before := undo
		undo = func() error { return errors.Join(os.Chmod(path, info.Mode()), before()) }
	}
	return undo
}

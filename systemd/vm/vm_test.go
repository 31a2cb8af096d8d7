package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/configs"
	"kioskd/daemon/api/apitype"
	"kioskd/systemd/vm/agent"
)

func TestParse(t *testing.T) {
	o, err := parse([]string{"-memory", "1024", "-fresh"}, io.Discard)
	if err != nil || o.memory != 1024 || !o.fresh || o.only || o.processors != 2 || o.nice != 15 || o.within != 8*time.Minute {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"more"}, {"-processors", "0"}, {"-memory", "1"}, {"-within", "0"}, {"-unknown"}} {
		var said bytes.Buffer
		if code := run(bad, io.Discard, &said); code != 2 || said.Len() == 0 {
			t.Errorf("%q: code %d, it says %q", bad, code, said.String())
		}
	}
}

func TestLimit(t *testing.T) {
	if got := (limit{time.Second, 4 * time.Second}).of(706 * time.Millisecond); got != "after 706 ms (promised 1000, allowed here 4000)" {
		t.Error(got)
	}
}

func TestRowsAreNamedOnce(t *testing.T) {
	names := map[string]bool{}
	for _, r := range rows() {
		if r.play == nil || names[r.name] || len(r.name) > 28 {
			t.Errorf("row %q: none to play, a second one, or too long for the table", r.name)
		}
		names[r.name] = true
	}
}

func TestComplaints(t *testing.T) {
	if err := complaints("[1.0] vivid-000: registered\n[2.0] eth0: link becomes ready\n[3.0] schedule_timeout: wrong timeout value ffffffffffffffff\n[3.0] Call Trace:\n"); err != nil {
		t.Error(err)
	}
	for _, line := range []string{"[3.1] BUG: kernel NULL pointer dereference", "[4.0] INFO: task kioskd:155 blocked for more than 120 seconds.", "[5] WARNING: CPU: 0 PID: 1 at fs/file.c:1"} {
		if err := complaints("[1.0] fine\n" + line + "\n"); err == nil || !strings.Contains(err.Error(), line) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// Refused by something else than the policy, or not at all: both have to be seen.
func TestJudgeAccess(t *testing.T) {
	ours := []string{"/dev/video0", "/dev/video1", "/dev/snd/controlC0", "/dev/snd/pcmC0D1c"}
	others := []string{"/dev/vda", "/dev/mem", "/dev/kmsg", "/dev/ttyS0"}
	for _, c := range []struct {
		opened, refused, free map[string][]string
		says                  string
	}{
		{map[string][]string{"ok": ours}, map[string][]string{"EPERM": others}, map[string][]string{"ok": others}, ""},
		{map[string][]string{"ok": ours[1:], "EPERM": ours[:1]}, map[string][]string{"EPERM": others}, map[string][]string{"ok": others}, "/dev/video0 was not opened"},
		{map[string][]string{"ok": ours}, map[string][]string{"EPERM": others[1:], "ok": others[:1]}, map[string][]string{"ok": others}, "/dev/vda was not refused"},
		{map[string][]string{"ok": ours}, map[string][]string{"EPERM": others}, map[string][]string{"ok": others[1:], "EPERM": others[:1]}, "/dev/vda was not refused"},
	} {
		if err := judgeAccess(c.opened, c.refused, c.free); (c.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
	}
}

func TestPaths(t *testing.T) {
	list := []agent.Holder{{PID: 1, Path: "/dev/video1"}, {PID: 1, Path: "/dev/snd/pcmC0D1c"}, {PID: 1, Path: "/dev/video1"}}
	if got := paths(list); got != "/dev/snd/pcmC0D1c, /dev/video1" {
		t.Error(got)
	}
}

func TestHardware(t *testing.T) {
	args := hardware{kernel: "k", initrd: "i", disk: "d", console: "c", processors: 2, memory: 768, nice: 15}.args()
	line := strings.Join(args, " ")
	for _, want := range []string{
		"nice -n 15 qemu-system-x86_64 ", " -accel tcg,", " -smp 2 ", " -m 768 ", " -kernel k ", " -initrd i ", "file=d,format=raw,if=virtio,snapshot=on",
		"hostfwd=tcp:127.0.0.1:7000-10.0.2.15:7000", "hostfwd=tcp:127.0.0.1:7001-10.0.2.15:7001", "file:c",
	} {
		if !strings.Contains(line, want) {
			t.Errorf("%q is not in %s", want, line)
		}
	}
	if slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "hostfwd=tcp::") || strings.Contains(a, "0.0.0.0") }) {
		t.Error("a port is open to others")
	}
}

// The daemon takes the configuration that the machine gives it.
func TestConfigIsOne(t *testing.T) {
	p, dir := payload{bin: t.TempDir(), deb: t.TempDir() + "/kioskd.deb", backend: "127.0.0.1:4711", token: []byte("secret")}, t.TempDir()
	if err := p.initramfs(filepath.Join(dir, "initrd"), nil); err == nil {
		t.Error("an initramfs without programs")
	}
	for path, text := range map[string]string{
		p.bin + "/vm-guest": "guest", p.bin + "/kioskd": "daemon", p.bin + "/kioskctl": "ctl",
		p.deb: "!<arch>", dir + "/ext4.ko": "module",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	to := filepath.Join(dir, "initrd")
	if err := p.initramfs(to, []string{filepath.Join(dir, "ext4.ko")}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"init\x00", "modules/000-ext4.ko\x00", "payload/root/kioskd.deb\x00", "payload/etc/systemd/system/multi-user.target.wants/guest.service\x00"} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("%q is not in the initramfs", want)
		}
	}
	_, rest, ok := bytes.Cut(b, []byte("payload/etc/kioskd/kioskd.toml\x00"))
	text, _, ok2 := bytes.Cut(bytes.TrimLeft(rest, "\x00"), []byte("070701"))
	if !ok || !ok2 {
		t.Fatal("there is no configuration in the initramfs")
	}
	c, err := configs.Parse("vm", bytes.TrimRight(text, "\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if c.Backend.URL != "http://127.0.0.1:4711" || c.Microphone.Device != microphone || c.Camera.Width != 320 || c.Camera.Height != 240 {
		t.Errorf("it says %+v", c)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path); err == nil || !strings.Contains(err.Error(), "another run has it") {
		t.Errorf("a second run: %v", err)
	}
	unlock()
	again, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dir := t.TempDir()
	p, err := start("the sleeper", filepath.Join(dir, "a.log"), []string{"WORD=ready"}, "sh", "-c", "echo $WORD; exec sleep 100")
	if err != nil {
		t.Fatal(err)
	}
	err = p.until(ctx, func(context.Context) error {
		if tail(p.log) != "ready" {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	p.stop()
	if p.err == nil {
		t.Error("it ended by itself")
	}
	p, err = start("the loser", filepath.Join(dir, "b.log"), nil, "sh", "-c", "echo no disk; exit 1")
	if err != nil {
		t.Fatal(err)
	}
	never := errors.New("never")
	if err := p.until(ctx, func(context.Context) error { return never }); err == nil || !strings.Contains(err.Error(), "it ended: exit status 1\nno disk") {
		t.Errorf("got %v", err)
	}
	p.stop()
	if _, err := start("nobody", filepath.Join(dir, "c.log"), nil, "/nowhere/program"); err == nil || !strings.HasPrefix(err.Error(), "cannot start nobody") {
		t.Errorf("got %v", err)
	}
}

func status(t *testing.T, name, state string) apitype.Event {
	t.Helper()
	s := apitype.Status{}
	if state != "" {
		s.Session = &apitype.Session{State: state}
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return apitype.Event{Name: name, Data: b}
}

func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s states
		began := time.Now()
		if err := s.stayed(began); err == nil {
			t.Error("nothing stayed active")
		}
		go func() {
			for _, state := range []string{"", apitype.StateWaiting, apitype.StateActive, apitype.StateActive} {
				time.Sleep(time.Second)
				if err := s.event(status(t, apitype.EventChange, state)); err != nil {
					t.Error(err)
				}
			}
		}()
		if err := s.await(t.Context(), apitype.StateActive, time.Minute); err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		active := time.Now()
		time.Sleep(10 * time.Second)
		if err := s.stayed(active); err != nil {
			t.Error(err)
		}
		if err := s.stayed(began); err == nil || !strings.Contains(err.Error(), "waiting") && !strings.Contains(err.Error(), `""`) {
			t.Errorf("before the call: %v", err)
		}
		// A moment of something else is one too many.
		s.add(time.Now(), apitype.StateReconnecting)
		s.add(time.Now(), apitype.StateActive)
		if err := s.stayed(active); err == nil || !strings.Contains(err.Error(), `"reconnecting" after 10s`) {
			t.Errorf("got %v", err)
		}
		if err := s.await(t.Context(), apitype.StateEnded, time.Second); err == nil {
			t.Error("it ended")
		}
		if err := s.event(apitype.Event{Name: apitype.EventOutput, Data: []byte("{}")}); err != nil {
			t.Error(err)
		}
		if err := s.event(apitype.Event{Name: apitype.EventChange, Data: []byte("[")}); err == nil {
			t.Error("half an event is none")
		}
	})
}

package camns_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/camns"
)

// insideEnv names what the re-executed test binary does in its namespace.
const insideEnv = "CAMNS_TEST_INSIDE"

func TestMain(m *testing.M) {
	switch os.Getenv(insideEnv) {
	case "":
		goleak.VerifyTestMain(m)
	case "setup":
		if err := camns.Setup("kmsg", "no-such-node"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(inside())
	case "exec":
		fmt.Println(camns.Exec([]string{"/bin/sh", "-c", "echo pid $$; ls /dev; touch /sys/dev/char/81:1 && ls /sys/dev/char"}, os.Environ()))
		os.Exit(1)
	case "exec-none":
		fmt.Println(camns.Exec(nil, nil), "|", camns.Exec([]string{"no-such-program"}, nil))
		os.Exit(1)
	}
}

// inside looks at the private devices and prints what is wrong.
func inside() int {
	bad := 0
	check := func(ok bool, format string, args ...any) {
		if !ok {
			bad = 1
			fmt.Printf(format+"\n", args...)
		}
	}
	for _, n := range []string{"null", "zero", "full", "urandom", "fuse", "kmsg"} {
		var st unix.Stat_t
		err := unix.Stat("/dev/"+n, &st)
		check(err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR, "/dev/%s: %v, mode %o", n, err, st.Mode)
	}
	_, err := os.Lstat("/dev/vda")
	check(errors.Is(err, os.ErrNotExist), "a disk is in the private /dev: %v", err)
	check(os.WriteFile("/dev/null", []byte("x"), 0) == nil, "cannot write to /dev/null")
	b, err := os.ReadFile("/dev/stdin")
	check(err == nil && string(b) == "hello", "stdin: %q %v", b, err)
	check(os.WriteFile("/dev/video-test", nil, 0o600) == nil, "cannot make a file in /dev")
	check(os.WriteFile("/dev/shm/camns-test", []byte("x"), 0o600) == nil, "cannot use /dev/shm")
	check(os.Remove("/dev/shm/camns-test") == nil, "cannot clean /dev/shm")
	check(os.Symlink("x", "/sys/dev/char/81:0") == nil, "cannot make a camera's entry")
	to, err := filepath.EvalSymlinks("/sys/dev/char/1:3")
	check(err == nil && strings.HasSuffix(to, "/mem/null"), "entry of /dev/null is lost: %q %v", to, err)
	return bad
}

// child runs the test binary in this role and returns what it printed.
func child(t *testing.T, role string, flags uintptr) (string, error) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("cannot make a mount namespace: run this test as root")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), insideEnv+"="+role)
	cmd.Stdin = strings.NewReader("hello")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: flags, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Each process's places are its own.
func TestCamera(t *testing.T) {
	if p := camns.Camera(0); p != (camns.Places{Mount: camns.MountDir, Control: camns.Control}) {
		t.Errorf("the first: %+v", p)
	}
	seen := map[string]int{}
	for n := range camns.MaxCameras {
		p := camns.Camera(n)
		for _, s := range []string{p.Mount, p.Control} {
			if at, twice := seen[s]; twice || filepath.Dir(s) != camns.DevDir {
				t.Errorf("%s of %d is that of %d, or not in %s", s, n, at, camns.DevDir)
			}
			seen[s] = n
		}
		if got, want := strings.Join(p.Args(), " "), fmt.Sprintf("-mount %s -dev /dev -ctl %s -first %d", p.Mount, p.Control, n); got != want {
			t.Errorf("flags %q, want %q", got, want)
		}
	}
}

func devices(t *testing.T) string {
	t.Helper()
	d, err := os.ReadDir("/dev")
	if err != nil {
		t.Fatal(err)
	}
	m, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v %s", d, m)
}

func TestSetup(t *testing.T) {
	before := devices(t)
	if out, err := child(t, "setup", syscall.CLONE_NEWNS); err != nil {
		t.Errorf("inside: %v\n%s", err, out)
	}
	if after := devices(t); after != before {
		t.Errorf("the namespace was seen outside:\n%s\nbefore:\n%s", after, before)
	}
}

// Setup must never cover the devices of the namespace its parent lives in.
func TestSetupRefusesShared(t *testing.T) {
	out, err := child(t, "setup", 0)
	if err == nil || !strings.Contains(out, "cannot set up private devices") || !strings.Contains(out, "CLONE_NEWNS") {
		t.Errorf("child in our namespace: %v, %q; want a refusal", err, out)
	}
}

func TestExec(t *testing.T) {
	out, err := child(t, "exec", 0)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"pid ", "\nnull\n", "\nfuse\n", "\n81:1\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\nvda\n") {
		t.Errorf("real devices inside:\n%s", out)
	}
}

func TestExecErrors(t *testing.T) {
	out, err := child(t, "exec-none", 0)
	if err == nil || !strings.Contains(out, "no command given") || !strings.Contains(out, "cannot start no-such-program") {
		t.Errorf("%v, %q", err, out)
	}
}

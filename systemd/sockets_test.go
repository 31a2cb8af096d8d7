package systemd_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"kioskd/systemd"
)

// childVariable tells the test binary to be the activated child.
const childVariable = "KIOSKD_TEST_ACTIVATED"

// activatedChild does what an activated daemon does and prints what it got. It
// accepts one connection on the socket named "control" and greets it.
func activatedChild() int {
	// systemd sets LISTEN_PID between fork and exec, which os/exec cannot.
	os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()+pidOffset()))
	listeners, err := systemd.Listeners()
	if err != nil {
		fmt.Println("error:", err)
		return 0
	}
	again, err := systemd.Listeners()
	fmt.Printf("names=%d again=%d err=%v env=%q\n", len(listeners), len(again), err, os.Getenv("LISTEN_FDS"))
	for _, listener := range listeners["control"] {
		if unix, ok := listener.(*net.UnixListener); ok {
			unix.SetDeadline(time.Now().Add(deadline))
		}
		conn, err := listener.Accept()
		if err != nil {
			fmt.Println("accept:", err)
			return 1
		}
		fmt.Fprint(conn, "hello")
		conn.Close()
		listener.Close()
	}
	return 0
}

// pidOffset lets a test pass sockets that are meant for another process.
func pidOffset() int {
	n, _ := strconv.Atoi(os.Getenv(childVariable))
	return n
}

// activate runs the child with the files as descriptors 3 and up.
func activate(t *testing.T, pidOffset int, names string, files ...*os.File) (output func() string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+strconv.Itoa(pidOffset), "LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = files
	cmd.WaitDelay = deadline
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		if err := cmd.Wait(); err != nil {
			t.Errorf("child: %v\n%s", err, out.String())
		}
		return out.String()
	}
}

// listen opens a Unix socket and gives its path and its descriptor.
func listen(t *testing.T, name string) (string, *os.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	t.Cleanup(func() { file.Close() })
	return path, file
}

func TestListenersAccept(t *testing.T) {
	path, file := listen(t, "control.sock")
	_, other := listen(t, "other.sock")
	output := activate(t, 0, "control:other", file, other)
	conn, err := net.DialTimeout("unix", path, deadline)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(deadline))
	if greeting, err := io.ReadAll(conn); err != nil || string(greeting) != "hello" {
		t.Errorf("got %q, %v", greeting, err)
	}
	if got := output(); !strings.HasPrefix(got, `names=2 again=0 err=<nil> env=""`) {
		t.Errorf("child says %s", got)
	}
	// The child closed its listener; the path has to outlive it.
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the child took the socket's path away: %v", err)
	}
}

func TestListenersRefuseOtherKinds(t *testing.T) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "d")})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	datagram, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	_, good := listen(t, "control.sock")
	got := activate(t, 0, "control:journal", good, datagram)()
	if !strings.Contains(got, `error: cannot listen on the socket "journal" from systemd`) || strings.Contains(got, `"control"`) {
		t.Errorf("child says %s", got)
	}
}

func TestListenersOfAnotherProcess(t *testing.T) {
	_, file := listen(t, "control.sock")
	if got := activate(t, 1, "control", file)(); !strings.HasPrefix(got, "names=0 ") {
		t.Errorf("child says %s", got)
	}
}

func TestListenersWithoutSystemd(t *testing.T) {
	t.Setenv("LISTEN_FDS", "")
	t.Setenv("LISTEN_PID", "")
	t.Setenv("LISTEN_FDNAMES", "")
	listeners, err := systemd.Listeners()
	if err != nil || len(listeners) != 0 {
		t.Errorf("got %v, %v", listeners, err)
	}
}

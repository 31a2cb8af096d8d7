package systemd_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// deadline bounds every wait of these tests.
const deadline = 10 * time.Second

// TestMain also plays the activated child of sockets_test.go: file descriptors
// from 3 on can only be handed to a new process.
func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(activatedChild())
	}
	goleak.VerifyTestMain(m)
}

// manager is a service manager's end of NOTIFY_SOCKET.
type manager struct{ conn *net.UnixConn }

// newManager listens on a real datagram socket and points NOTIFY_SOCKET at it.
func newManager(t *testing.T) manager {
	t.Helper()
	address := &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", address.Name)
	return manager{conn}
}

// next is the next datagram, waited for at most d; "" where none came.
func (m manager) next(t *testing.T, d time.Duration) string {
	t.Helper()
	if err := m.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	if err != nil {
		return ""
	}
	return string(buf[:n])
}

// running is a Watchdog in a goroutine of its own.
type running struct {
	cancel context.CancelFunc
	done   chan error
}

// stop ends it and gives what it returned.
func (r running) stop(t *testing.T) error {
	t.Helper()
	r.cancel()
	return r.wait(t)
}

func (r running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(deadline):
		t.Fatal("Watchdog does not end")
		return nil
	}
}

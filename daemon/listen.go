package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"kioskd/systemd"
)

// listen takes the control socket from systemd, or makes it: 0660, its group is
// the daemon's.
func listen(path string) (net.Listener, error) {
	given, err := systemd.Listeners()
	if err != nil {
		return nil, fmt.Errorf("cannot take the control socket: %w", err)
	}
	for _, list := range given {
		return list[0], nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // the socket's own mode guards it
		return nil, fmt.Errorf("cannot make the control socket's folder: %w", err)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on the control socket (is its path longer than 107 bytes?): %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil { //nolint:gosec // group kiosk opens it
		return nil, errors.Join(fmt.Errorf("cannot set the control socket's mode: %w", err), ln.Close())
	}
	return ln, nil
}

// removeStale removes a socket that nobody listens on, left by a crash, and
// nothing else: a busy daemon's answer to connect(2) is EAGAIN.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot look at the control socket: %w", err)
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("cannot listen on %s: something that is no socket is there; remove it or set api.socket", path)
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "unix", path)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("cannot listen on %s: another kioskd answers there, stop it first", path), c.Close())
	case !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("cannot listen on %s: another kioskd seems to be there, stop it first: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove the stale control socket: %w", err)
	}
	return nil
}

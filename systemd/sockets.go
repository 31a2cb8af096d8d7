package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
)

// Listeners are the stream sockets that systemd opened for this process, by
// FileDescriptorName= (a .socket unit's own name by default); empty without
// socket activation. It takes them out of the environment, so that no child
// finds them: a second call gives none. The caller closes them.
//
// A descriptor that is no stream listener is an error, and all are closed: a
// unit that passes one was not written for this program.
func Listeners() (map[string][]net.Listener, error) {
	listeners := map[string][]net.Listener{}
	var errs []error
	for _, file := range activation.Files(true) {
		listener, err := streamListener(file)
		if err != nil {
			errs = append(errs, fmt.Errorf("cannot listen on the socket %q from systemd: %w; use ListenStream= in its unit", file.Name(), err))
		}
		if listener == nil {
			continue
		}
		listeners[file.Name()] = append(listeners[file.Name()], listener)
	}
	if len(errs) == 0 {
		return listeners, nil
	}
	for _, sameName := range listeners {
		for _, listener := range sameName {
			errs = append(errs, listener.Close())
		}
	}
	return nil, errors.Join(errs...)
}

// streamListener makes a listener of a descriptor from systemd and closes the
// descriptor.
func streamListener(file *os.File) (net.Listener, error) {
	// net.FileListener takes datagram sockets too; Accept then waits for ever.
	err := accepting(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	listener, err := net.FileListener(file)
	// FileListener works on a copy of the descriptor.
	err = errors.Join(err, file.Close())
	if unix, ok := listener.(*net.UnixListener); ok {
		// The path is the .socket unit's: a client that knocks during a restart
		// must find it.
		unix.SetUnlinkOnClose(false)
	}
	return listener, err
}

// accepting asks the kernel whether listen(2) was called (SO_ACCEPTCONN,
// socket(7)).
func accepting(file *os.File) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var listening int
	var optErr error
	err = raw.Control(func(fd uintptr) {
		listening, optErr = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
	})
	if err = errors.Join(err, optErr); err == nil && listening == 0 {
		err = errors.New("it does not accept connections")
	}
	return err
}

package apitest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// User is who a test connects as.
type User struct {
	UID, GID uint32
	Groups   []uint32 // supplementary
}

// Dial connects to a Unix socket as another user. The kernel notes the
// credentials of the thread that calls connect(2), so a thread of its own takes
// them on (raw system calls change one thread only) and ends with them. Only
// root can do that.
func (u User) Dial(ctx context.Context, socket string) (net.Conn, error) {
	type dialed struct {
		conn net.Conn
		err  error
	}
	result := make(chan dialed, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := u.become(); err != nil {
			result <- dialed{nil, err}
			return
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", socket)
		result <- dialed{conn, err}
	}()
	r := <-result
	return r.conn, r.err
}

// become gives the calling thread the user's ids, groups first and uid last.
func (u User) become() error {
	if int(u.UID) == os.Geteuid() && u.Groups == nil {
		return nil
	}
	var groups unsafe.Pointer
	if len(u.Groups) > 0 {
		groups = unsafe.Pointer(&u.Groups[0])
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(u.Groups)), uintptr(groups), 0); errno != 0 {
		return fmt.Errorf("cannot become user %d, this test needs root: %w", u.UID, errno)
	}
	gid, uid := uintptr(u.GID), uintptr(u.UID)
	_, _, gerr := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid)
	_, _, uerr := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid)
	if gerr != 0 || uerr != 0 {
		return fmt.Errorf("cannot become user %d, this test needs root: %w", u.UID, errors.Join(gerr, uerr))
	}
	return nil
}

// Client gives an HTTP client that connects as the user. Close its idle
// connections at the end.
func (u User) Client(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return u.Dial(ctx, socket) },
	}}
}

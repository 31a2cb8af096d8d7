package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// kept is what makes this program the same for an open page after it was started again:
// the page's origin and the token in its cookie. With them a page that has lost its door
// knocks until it is back, and goes on.
type kept struct {
	Address string `json:"address"` // "127.0.0.1:PORT"
	Token   string `json:"token"`
}

// maxKept bounds the file.
const maxKept = 4096

// readKept reads what the program before has left; fs.ErrNotExist where there was none. A
// file that others than its owner, who is us, may read is not believed.
func readKept(path string) (kept, error) {
	var k kept
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return k, fs.ErrNotExist
	}
	if err != nil {
		return k, fmt.Errorf("cannot read the kept door %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return k, fmt.Errorf("cannot read the kept door %s: %w", path, err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Geteuid() || !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return k, fmt.Errorf("cannot use the kept door %s: it must be a file of this user's that nobody else may read", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKept))
	if err == nil {
		err = json.Unmarshal(data, &k)
	}
	if err != nil {
		return kept{}, fmt.Errorf("cannot read the kept door %s: %w", path, err)
	}
	if _, port, err := net.SplitHostPort(k.Address); err != nil || port == "0" || !isSecret(k.Token) {
		return kept{}, fmt.Errorf("cannot use the kept door %s: it is damaged", path)
	}
	return k, nil
}

// write keeps it for the program after.
func (k kept) write(path string) error {
	data, err := json.Marshal(k)
	if err == nil {
		err = replaceFile(path, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("cannot keep the door in %s: %w", path, err)
	}
	return nil
}

// isSecret says whether a text looks like one of newSecret's.
func isSecret(text string) bool {
	b, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(b) == secretBytes
}

// openDoor listens where the program before did, with its token; at an address of its own
// with a new token where that cannot be, which the log says: pages that are open then
// stay outside until the browser is started again.
func openDoor(ctx context.Context, o options) (net.Listener, string, error) {
	if o.keep == "" {
		ln, err := listenLoopback(ctx, o.listen)
		return ln, newSecret(), err
	}
	before, err := readKept(o.keep)
	if err == nil && !fixed(o.listen, before.Address) {
		var ln net.Listener
		if ln, err = listenLoopback(ctx, before.Address); err == nil {
			return ln, before.Token, nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.log.Warn("an open page has to be opened anew", "error", err)
	}
	ln, err := listenLoopback(ctx, o.listen)
	if err != nil {
		return nil, "", err
	}
	now := kept{Address: ln.Addr().String(), Token: newSecret()}
	if err := now.write(o.keep); err != nil {
		return nil, "", errors.Join(err, ln.Close())
	}
	return ln, now.Token, nil
}

// fixed says that the flag names a port, and another than the program before had.
func fixed(listen, before string) bool {
	_, port, _ := net.SplitHostPort(listen)
	return port != "0" && listen != before
}

//go:build faults

package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"kioskd/daemon/session"
)

// faults makes parts hang when told to, so that the watchdog can be tested from
// outside. No release is built with it.
type faults struct {
	mu     sync.Mutex
	wedged map[string]bool
}

// pass returns unless the part is to hang; then it never does.
func (f *faults) pass(part string) {
	f.mu.Lock()
	hang := f.wedged[part]
	f.mu.Unlock()
	if hang {
		select {}
	}
}

func (f *faults) wedge(part string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wedged == nil {
		f.wedged = map[string]bool{}
	}
	f.wedged[part] = true
}

// serveFaults hears single words on faults.sock beside the control socket: session,
// store, api, media, panic.
func (k *kiosk) serveFaults(ctx context.Context) error {
	path := filepath.Join(filepath.Dir(k.cfg.API.Socket), "faults.sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return fmt.Errorf("cannot listen for faults: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	word := make([]byte, 64)
	for {
		n, err := conn.Read(word)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		switch part := string(word[:n]); part {
		case "store":
			k.store.Wedge()
		case "session":
			k.faults.wedge(part)
			go func() { // has a running session publish; it never comes back
				_, _ = k.runner.Do(context.Background(), session.Event{What: session.Mute{}}, "")
			}()
		case "media":
			k.call.Wedge()
		case "api":
			k.faults.wedge(part)
		case "panic":
			panic("a fault that was asked for")
		}
	}
}

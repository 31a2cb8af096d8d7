package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// notifySocket is systemd's end of sd_notify(3): it reads for as long as the
// daemon may talk, since a full queue would hold the daemon up.
type notifySocket struct {
	path  string
	conn  *net.UnixConn
	ready chan struct{} // closed at READY=1
	done  chan struct{} // the reader is gone
}

func listenNotify(path string) (*notifySocket, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot replace the notify socket: %w", err)
	}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for sd_notify: %w", err)
	}
	n := &notifySocket{path: path, conn: c, ready: make(chan struct{}), done: make(chan struct{})}
	go n.read()
	return n, nil
}

func (n *notifySocket) read() {
	defer close(n.done)
	b := make([]byte, 4096)
	told := false
	for {
		m, err := n.conn.Read(b)
		if err != nil {
			return // closed
		}
		for l := range bytes.Lines(b[:m]) {
			if string(bytes.TrimSpace(l)) == "READY=1" && !told {
				told = true
				close(n.ready)
			}
		}
	}
}

// wait returns at READY=1, or says why it won't come.
func (n *notifySocket) wait(ctx context.Context, p *Process) error {
	select {
	case <-n.ready:
		return nil
	case <-p.done:
		return fmt.Errorf("cannot get READY=1: %s ended: %w\n%s", p.Name, p.err, p.tail())
	case <-ctx.Done():
		return fmt.Errorf("cannot get READY=1 from %s: %w\n%s", p.Name, context.Cause(ctx), p.tail())
	}
}

func (n *notifySocket) close() {
	_ = n.conn.Close() // it only reads
	<-n.done
}

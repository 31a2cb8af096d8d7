package badlink

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"
)

const dialWithin = 5 * time.Second

// Splice makes a TCP service on the caller's loopback reachable at the same address
// inside. What it carries does not cross the link: only media does.
func (l *Line) Splice(address string) error {
	var listener net.Listener
	err := l.Inside(func() (err error) {
		var c net.ListenConfig
		listener, err = c.Listen(context.Background(), "tcp", address)
		return err
	})
	if err != nil {
		return fmt.Errorf("cannot listen behind the bad link: %w", err)
	}
	l.mu.Lock()
	l.splices = append(l.splices, listener)
	l.mu.Unlock()
	l.wg.Go(func() {
		for {
			inside, err := listener.Accept()
			if err != nil {
				return // closed
			}
			l.connection.Go(func() { join(inside, address) })
		}
	})
	return nil
}

// join copies both ways until either side ends.
func join(inside net.Conn, address string) {
	defer inside.Close()
	d := net.Dialer{Timeout: dialWithin}
	outside, err := d.DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	defer outside.Close()
	done := make(chan struct{}, 1)
	go func() { // ends with its sockets
		_, _ = io.Copy(outside, inside)
		_ = outside.Close()
		_ = inside.Close()
		done <- struct{}{}
	}()
	_, _ = io.Copy(inside, outside)
	_ = outside.Close()
	_ = inside.Close()
	<-done
}

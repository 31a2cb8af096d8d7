package main

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	maxControls = 16               // connections at a time
	maxLine     = 128              // bytes of a command
	controlIdle = 10 * time.Minute // a silent connection is closed
	answerWait  = time.Second
)

// control is the control socket. A nil control does nothing.
type control struct {
	l    *net.UnixListener
	cams []*camera
	log  *slog.Logger
	wg   sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	over  bool
}

// listen opens the control socket, in place of a dead one, and serves it until
// close. No path, no socket.
func listen(path string, cams []*camera, log *slog.Logger) (*control, error) {
	if path == "" {
		return nil, nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot replace the control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen for control: %w", err)
	}
	c := &control{l: l, cams: cams, log: log, conns: map[net.Conn]struct{}{}}
	c.wg.Go(c.accept)
	return c, nil
}

func (c *control) accept() {
	for {
		conn, err := c.l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			c.log.Warn("cannot accept control", "error", err)
			return
		}
		if !c.add(conn) {
			_ = conn.Close()
			continue
		}
		c.wg.Go(func() {
			defer c.drop(conn)
			c.talk(conn)
		})
	}
}

func (c *control) add(conn net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || len(c.conns) >= maxControls {
		return false
	}
	c.conns[conn] = struct{}{}
	return true
}

func (c *control) drop(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
	_ = conn.Close()
}

// talk answers the lines of one connection.
func (c *control) talk(conn net.Conn) {
	in := bufio.NewScanner(conn)
	in.Buffer(make([]byte, 0, maxLine), maxLine)
	for {
		if conn.SetReadDeadline(time.Now().Add(controlIdle)) != nil || !in.Scan() {
			return
		}
		answer := "ok"
		cmd, err := parseCommand(in.Text(), c.roster())
		if err == nil {
			var rest string
			rest, err = cmd.do(c.cams)
			answer = strings.TrimSpace("ok " + rest)
		}
		if err != nil {
			answer = "error " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		if conn.SetWriteDeadline(time.Now().Add(answerWait)) != nil {
			return
		}
		if _, err := fmt.Fprintln(conn, answer); err != nil {
			return
		}
	}
}

// roster is how the cameras are called at this moment.
func (c *control) roster() []called {
	r := make([]called, len(c.cams))
	for i, cam := range c.cams {
		r[i] = called{cam.node().minor, cam.start}
	}
	return r
}

// close ends every connection and waits for their goroutines.
func (c *control) close() {
	if c == nil {
		return
	}
	_ = c.l.Close() // removes the socket's file too
	c.mu.Lock()
	c.over = true
	for conn := range c.conns {
		_ = conn.Close()
	}
	c.mu.Unlock()
	c.wg.Wait()
}

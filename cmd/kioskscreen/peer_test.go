package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const someRows = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:C350 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0
   2: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000   998        0 3 1 0
   3: 0000000000000000FFFF00000100007F:C351 0000000000000000FFFF00000100007F:1F90 01 0:0 0:0 0 1001 0 4 1 0
`

func TestOwnerOf(t *testing.T) {
	at := netip.MustParseAddrPort
	tests := []struct {
		from, to string
		uid      int
		found    bool
	}{
		{"127.0.0.1:50000", "127.0.0.1:8080", 1000, true},
		{"127.0.0.1:50001", "127.0.0.1:8080", 1001, true}, // an IPv6 socket with a mapped address
		{"127.0.0.1:50002", "127.0.0.1:8080", 0, false},
		{"127.0.0.1:8080", "127.0.0.1:50000", 998, true},
	}
	for _, tt := range tests {
		uid, found := ownerOf([]byte(someRows), at(tt.from), at(tt.to))
		if uid != tt.uid || found != tt.found {
			t.Errorf("%s to %s: %d %v, want %d %v", tt.from, tt.to, uid, found, tt.uid, tt.found)
		}
	}
}

// dialAs connects as another user and says whether it got an answer.
func dialAs(t *testing.T, uid uint32, addr string) bool {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	script := `exec 3<>"/dev/tcp/$0/$1" && printf 'GET / HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$0" "$1" >&3 && cat <&3`
	cmd := exec.CommandContext(ctx, "/bin/bash", "-c", script, host, port)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid, NoSetGroups: true}}
	out, _ := cmd.Output() // a refused connection is a failure of bash's
	return strings.Contains(string(out), "HTTP/1.1 ")
}

func TestOnlyTheBrowsersUserConnects(t *testing.T) {
	own, other := uint32(os.Getuid()), uint32(65534)
	far := newFarSide(t)
	mine := strings.TrimPrefix(startScreen(t, far.socket).base, "http://")
	theirs := strings.TrimPrefix(startScreen(t, far.socket, func(o *options) { o.browserUID = int(other) }).base, "http://")
	tests := []struct {
		addr string
		uid  uint32
		in   bool
	}{{mine, own, true}, {mine, other, false}, {theirs, other, true}, {theirs, own, false}}
	for _, tt := range tests {
		if got := dialAs(t, tt.uid, tt.addr); got != tt.in {
			t.Errorf("user %d was let in: %v, want %v", tt.uid, got, tt.in)
		}
	}
}

func newPeerListener(t *testing.T, procFiles []string, slots int, log *lockedBuffer) *peerListener {
	t.Helper()
	ln, err := listenLoopback(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &peerListener{
		Listener: ln, uid: os.Getuid(), procFiles: procFiles, slots: make(chan struct{}, slots),
		done: make(chan struct{}), log: slog.New(slog.NewTextHandler(log, nil)),
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func TestUnreadableTableLeavesItToTheToken(t *testing.T) {
	var log lockedBuffer
	l := newPeerListener(t, []string{filepath.Join(t.TempDir(), "none")}, 4, &log)
	for range 2 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		in, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
	}
	if n := strings.Count(log.String(), "the token alone guards the screen"); n != 1 {
		t.Errorf("warned %d times, want once", n)
	}
}

func TestUnknownConnectionIsTurnedAway(t *testing.T) {
	table := filepath.Join(t.TempDir(), "tcp")
	if err := os.WriteFile(table, []byte(someRows), 0o600); err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	l := newPeerListener(t, []string{table}, 4, &log)
	accepted := make(chan error, 1)
	go func() { _, err := l.Accept(); accepted <- err }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v: the connection should be closed", n, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err == nil {
		t.Error("Accept let the connection in")
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	var log lockedBuffer
	l := newPeerListener(t, procNetFiles(), 2, &log)
	conns := make(chan net.Conn, 4)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first, second := <-conns, <-conns
	select {
	case <-conns:
		t.Fatal("a third connection was let in beside two")
	case <-time.After(100 * time.Millisecond):
	}
	if err := errors.Join(first.Close(), first.(io.Closer).Close()); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	third := <-conns // the closed one's slot, and only one for two closes
	_ = second.Close()
	_ = third.Close()
	_ = l.Close()
	<-finished
}

func FuzzOwnerOf(f *testing.F) {
	f.Add([]byte(someRows))
	f.Add([]byte("0: 0100007F 0100007F:1F90 01 0 0 0 x\n"))
	from, to := netip.MustParseAddrPort("127.0.0.1:50000"), netip.MustParseAddrPort("127.0.0.1:8080")
	f.Fuzz(func(t *testing.T, table []byte) {
		if _, found := ownerOf(table, from, to); found && !strings.Contains(strings.ToUpper(string(table)), "C350") {
			t.Error("found a connection that is not in the table")
		}
	})
}

package peer

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/cmd/clinicsim/authority"
)

const streamWithin = 20 * time.Second

// dialed is what the dialer gives for a server on loopback, and the server's end.
func dialed(t *testing.T, secure bool) (ours, theirs net.Conn) {
	t.Helper()
	made, err := authority.New(net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	d := newTurnDialer(nil, nil)
	if secure {
		pair, err := tls.X509KeyPair(made.Cert, made.Key)
		if err != nil {
			t.Fatal(err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(made.CA)
		d = newTurnDialer([]webrtc.ICEServer{{URLs: []string{"turns:" + l.Addr().String() + "?transport=tcp"}}}, roots)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		c, err := l.Accept()
		if err != nil {
			return
		}
		if s, ok := c.(*tls.Conn); ok {
			_ = s.Handshake() // its failure is the dialer's too
		}
		accepted <- c
	}()
	ours, err = d.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs = <-accepted
	t.Cleanup(func() {
		_ = ours.Close()
		_ = theirs.Close()
	})
	return ours, theirs
}

// within runs do, which must not wait.
func within(t *testing.T, most time.Duration, what string, do func()) {
	t.Helper()
	began, done := time.Now(), make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(streamWithin):
		t.Fatalf("%s waits", what)
	}
	if took := time.Since(began); took > most {
		t.Errorf("%s took %v", what, took)
	}
}

// TestStreamNeverWaits: a TURN server, or a network, that takes nothing more holds
// nobody up, neither who writes nor who closes. What came through is whole messages.
func TestStreamNeverWaits(t *testing.T) {
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := dialed(t, secure)
			if _, ok := ours.LocalAddr().(*net.TCPAddr); !ok {
				t.Errorf("pion takes the address for TCP's, it is a %T", ours.LocalAddr())
			}
			if err := ours.SetWriteDeadline(time.Unix(1, 0)); err != nil {
				t.Error(err)
			}
			message := make([]byte, 1000)
			within(t, 10*time.Second, "writing", func() {
				for n := range 64 << 10 { // far more than both ends' buffers hold
					for i := range message {
						message[i] = byte(n)
					}
					if k, err := ours.Write(message); k != len(message) || err != nil {
						t.Errorf("message %d: %d, %v", n, k, err)
						return
					}
				}
			})
			within(t, 3*time.Second, "closing", func() { _ = ours.Close() })
			if _, err := ours.Write(message); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close a write gives %v", err)
			}
			whole := 0
			for { // the last one may be cut off
				if _, err := io.ReadFull(theirs, message); err != nil {
					break
				}
				if !bytes.Equal(message, bytes.Repeat(message[:1], len(message))) {
					t.Fatal("a message is a mixture of two")
				}
				whole++
			}
			if whole < streamWaits {
				t.Errorf("%d messages came through", whole)
			}
		})
	}
}

// TestStreamSaysItsLast: what was written just before Close arrives.
func TestStreamSaysItsLast(t *testing.T) {
	ours, theirs := dialed(t, true)
	if _, err := ours.Write([]byte("allocation, lifetime 0")); err != nil {
		t.Fatal(err)
	}
	within(t, 3*time.Second, "closing", func() { _ = ours.Close() })
	if b, err := io.ReadAll(theirs); err != nil || string(b) != "allocation, lifetime 0" {
		t.Errorf("%q arrived, %v", b, err)
	}
}

// TestStreamGivesUp: a connection that takes nothing for long is closed, so that
// whoever reads it knows.
func TestStreamGivesUp(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nobody accepts
	var nd net.Dialer
	raw, err := nd.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours := newStream(raw, raw, 300*time.Millisecond)
	defer func() { _ = ours.Close() }()
	read := make(chan error, 1)
	go func() {
		_, err := ours.Read(make([]byte, 1))
		read <- err
	}()
	deadline := time.After(streamWithin)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		for range 100 {
			_, _ = ours.Write(make([]byte, 1000)) // fails once it is closed
		}
		select {
		case err := <-read:
			if err == nil {
				t.Error("somebody said something")
			}
			<-ours.ended
			if _, err := ours.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a write gives %v", err)
			}
			return
		case <-tick.C:
		case <-deadline:
			t.Fatal("the connection is not given up")
		}
	}
}

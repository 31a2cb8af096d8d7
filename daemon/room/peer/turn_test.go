package peer_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/cmd/clinicsim/authority"
	"kioskd/daemon/room/peer"
)

// turnServer is Debian's coturn on loopback.
type turnServer struct {
	plain, secure int // ports
	roots         *x509.CertPool
	process       *os.Process
}

// freePort is one that was free a moment ago, for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	var lc net.ListenConfig
	for range 20 {
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		u, err := lc.ListenPacket(t.Context(), "udp", address)
		_ = l.Close()
		if err != nil {
			continue
		}
		_ = u.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	t.Fatal("no free port")
	return 0
}

func startTURN(t *testing.T) turnServer {
	t.Helper()
	path, err := exec.LookPath("turnserver")
	if err != nil {
		t.Fatal("coturn is not installed: run make setup")
	}
	dir := t.TempDir()
	made, err := authority.New(net.IPv4(127, 0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"cert.pem": made.Cert, "key.pem": made.Key} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := turnServer{plain: freePort(t), secure: freePort(t), roots: x509.NewCertPool()}
	s.roots.AppendCertsFromPEM(made.CA)
	cmd := exec.CommandContext(context.Background(), path, "-n", "-L", "127.0.0.1", "-E", "127.0.0.1",
		"--listening-port", fmt.Sprint(s.plain), "--tls-listening-port", fmt.Sprint(s.secure), "--min-port", "40000", "--max-port", "49999",
		"--lt-cred-mech", "--user", "kiosk:secret", "--realm", "clinic", "--allow-loopback-peers", "--no-cli", "--no-multicast-peers",
		"--cert", filepath.Join(dir, "cert.pem"), "--pkey", filepath.Join(dir, "key.pem"),
		"--userdb", filepath.Join(dir, "db"), "--pidfile", filepath.Join(dir, "pid"), "--log-file", "stdout", "--simple-log")
	var log lockedBuffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it keeps nothing
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("coturn says:\n%s", log.text())
		}
	})
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(wait)
	defer tick.Stop()
	for _, port := range []int{s.plain, s.secure} {
		for {
			var d net.Dialer
			c, err := d.DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				_ = c.Close()
				break
			}
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("coturn does not listen:\n%s", log.text())
			}
		}
	}
	return s
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (s turnServer) options(url string) peer.Options {
	return peer.Options{
		Loopback: true, RelayOnly: true, Roots: s.roots,
		ICEServers: []webrtc.ICEServer{{URLs: []string{url}, Username: "kiosk", Credential: "secret"}},
	}
}

// TestRelay: a kiosk that may use nothing but a TURN server reaches a far side through
// it, over UDP, TCP and TLS of a private authority.
func TestRelay(t *testing.T) {
	s := startTURN(t)
	for name, url := range map[string]string{
		"UDP": fmt.Sprintf("turn:127.0.0.1:%d", s.plain),
		"TCP": fmt.Sprintf("turn:127.0.0.1:%d?transport=tcp", s.plain),
		"TLS": fmt.Sprintf("turns:127.0.0.1:%d?transport=tcp", s.secure),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it waits for connections to end
			ours, theirs := connection(t, s.options(url)), connection(t, peer.Options{Loopback: true})
			said, heard := make(chan struct{}), make(chan string, 1)
			theirs.OnDataChannel(func(d *webrtc.DataChannel) {
				d.OnMessage(func(m webrtc.DataChannelMessage) { heard <- string(m.Data) })
			})
			dc, err := ours.CreateDataChannel("x", nil)
			if err != nil {
				t.Fatal(err)
			}
			dc.OnOpen(func() {
				defer close(said)
				if err := dc.SendText("through the relay"); err != nil {
					t.Error(err)
				}
			})
			sdp := offer(t, ours)
			if strings.Contains(sdp, "typ host") || !strings.Contains(sdp, "typ relay") {
				t.Fatalf("the offer's candidates are not those of a relay alone: %v", hosts(sdp))
			}
			answer(t, ours, theirs, sdp)
			select {
			case <-said:
			case <-time.After(wait):
				t.Fatal("no path through the relay")
			}
			select {
			case text := <-heard:
				if text != "through the relay" {
					t.Errorf("heard %q", text)
				}
			case <-time.After(wait):
				t.Fatal("nothing comes through the relay")
			}
			pair, err := ours.SCTP().Transport().ICETransport().GetSelectedCandidatePair()
			if err != nil || pair == nil || pair.Local.Typ != webrtc.ICECandidateTypeRelay {
				t.Errorf("the path is %v (%v)", pair, err)
			}
		})
	}
}

// TestRelayTakesNothingMore: a TURN server over TCP or TLS that stops reading, or a
// network that drops all that is sent to it, holds up neither who sends media, nor who
// asks for figures, nor the connection's end.
func TestRelayTakesNothingMore(t *testing.T) {
	for name, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it waits for connections to end
			s := startTURN(t)
			url := fmt.Sprintf("turn:127.0.0.1:%d?transport=tcp", s.plain)
			if secure {
				url = fmt.Sprintf("turns:127.0.0.1:%d?transport=tcp", s.secure)
			}
			ours, theirs := connection(t, s.options(url)), connection(t, peer.Options{Loopback: true})
			track, err := webrtc.NewTrackLocalStaticRTP(peer.AudioCodec(), "audio", "test")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ours.AddTrack(track); err != nil {
				t.Fatal(err)
			}
			up := make(chan struct{})
			var once sync.Once
			ours.OnConnectionStateChange(func(now webrtc.PeerConnectionState) {
				if now == webrtc.PeerConnectionStateConnected {
					once.Do(func() { close(up) })
				}
			})
			answer(t, ours, theirs, offer(t, ours))
			select {
			case <-up:
			case <-time.After(wait):
				t.Fatal("no path through the relay")
			}
			if err := s.process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.process.Signal(syscall.SIGCONT) }() // else what waits for it below would for ever
			done := make(chan struct{})
			go func() {
				defer close(done)
				p := &rtp.Packet{Header: rtp.Header{Version: 2}, Payload: make([]byte, 1000)}
				for range 30_000 { // more than the buffers hold
					p.SequenceNumber++
					_ = track.WriteRTP(p) // what does not go out is lost
				}
				ours.SCTP().Transport().ICETransport().GetSelectedCandidatePairStats()
				if err := ours.GracefulClose(); err != nil {
					t.Error(err)
				}
			}()
			select {
			case <-done:
			case <-time.After(wait):
				t.Error("the connection is held up")
			}
		})
	}
}

// answer completes the negotiation.
func answer(t *testing.T, ours, theirs *webrtc.PeerConnection, sdp string) {
	t.Helper()
	if err := theirs.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: sdp}); err != nil {
		t.Fatal(err)
	}
	a, err := theirs.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ours.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: settle(t, theirs, a)}); err != nil {
		t.Fatal(err)
	}
}

// A TURN server that nobody vouches for is not used, and without another there is no
// candidate at all.
func TestRelayOfAStranger(t *testing.T) {
	s := startTURN(t)
	o := s.options(fmt.Sprintf("turns:127.0.0.1:%d?transport=tcp", s.secure))
	o.Roots = nil
	if sdp := offer(t, connection(t, o)); strings.Contains(sdp, "a=candidate") {
		t.Errorf("candidates of a server that is not trusted: %v", hosts(sdp))
	}
}

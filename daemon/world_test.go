package daemon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"kioskd/cmd/clinicsim/sim"
	"kioskd/configs"
	"kioskd/daemon"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/peer"
)

const (
	wait = 20 * time.Second
	// appointment and doctor must never be seen in a log.
	appointment = "canary-4711"
	doctor      = "Dr. Canary"
)

// folder is a new one with a short name: a socket's path has at most 107 bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// clinic is a clinicsim in this process.
type clinic struct {
	t           *testing.T
	host, token string // host is ADDRESS:PORT
	end         context.CancelFunc
	ended       chan error
}

func startClinic(t *testing.T, dir, listen string) *clinic {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	s := &clinic{t: t, token: filepath.Join(dir, "token"), end: end, ended: make(chan error, 1)}
	ready := make(chan sim.Addresses, 1)
	go func() {
		s.ended <- sim.Run(ctx, sim.Config{Listen: listen, TokenFile: s.token, Name: doctor}, func(a sim.Addresses) { ready <- a })
	}()
	select {
	case a := <-ready:
		s.host = strings.TrimPrefix(a.Backend, "http://")
	case err := <-s.ended:
		t.Fatal(err)
	case <-time.After(wait):
		t.Fatal("clinicsim does not start")
	}
	t.Cleanup(s.stop)
	return s
}

func (s *clinic) stop() {
	s.end()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Error(err)
		}
	case <-time.After(wait):
		s.t.Error("clinicsim does not end")
	}
	s.ended <- nil // for the next one who stops it
}

// clinician joins the appointment's room, hums, and tells what kinds of media
// arrive.
func (s *clinic) clinician(t *testing.T, id string) (*directtest.Clinician, <-chan pion.RTPCodecType) {
	t.Helper()
	token, err := os.ReadFile(s.token)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.host+"/api/v3/appointments/"+id+"/video-room", nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]string{"X-Camera": "Query", "X-Microphone": "Query", "X-Device": "Desktop", "Authorization": "Bearer " + strings.TrimSpace(string(token))} {
		req.Header.Set(k, v)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct{ Room struct{ URL, Token string } }
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || doc.Room.Token == "" {
		t.Fatalf("no room in the screen: %v", err)
	}
	track, err := pion.NewTrackLocalStaticRTP(peer.AudioCodec(), "audio", "clinician")
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(chan pion.RTPCodecType, 64)
	c := directtest.New(t, doc.Room.URL, doc.Room.Token, func(k pion.RTPCodecType, _ *rtp.Packet) {
		select {
		case kinds <- k:
		default:
		}
	}, track)
	hum(t, track)
	return c, kinds
}

// hum sends a packet of Opus silence every 20 ms until the test ends.
func hum(t *testing.T, track *pion.TrackLocalStaticRTP) {
	ctx, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := uint16(0); ; n++ {
			p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: 960 * uint32(n)}, Payload: []byte{0xf8, 0xff, 0xfe}}
			_ = track.WriteRTP(&p) // nobody may be there yet
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { end(); wg.Wait() })
}

// logs is a log that can be read while it is written.
type logs struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// manager is systemd's end of NOTIFY_SOCKET: said gets every datagram.
type manager struct {
	said chan string
}

func newManager(t *testing.T, dir string) *manager {
	t.Helper()
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	m, done := &manager{said: make(chan string, 1024)}, make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return // closed below
			}
			select {
			case m.said <- string(b[:n]):
			default:
			}
		}
	}()
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return m
}

// hear waits for a datagram with want in it.
func (m *manager) hear(t *testing.T, want string) string {
	t.Helper()
	deadline := time.After(wait)
	for {
		select {
		case said := <-m.said:
			if strings.Contains(said, want) {
				return said
			}
		case <-deadline:
			t.Fatalf("systemd was not told %q", want)
		}
	}
}

// settings are a whole configuration for tests; more goes over it.
func settings(t *testing.T, dir, backend string, more ...string) configs.Config {
	t.Helper()
	cameras := filepath.Join(dir, "dev")
	if err := os.MkdirAll(cameras, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load("", append([]string{
		"api.socket=" + filepath.Join(dir, "run", "s"), "store.dir=" + filepath.Join(dir, "state"),
		"backend.url=" + backend, "backend.token_file=" + filepath.Join(dir, "token"), "backend.timeout_seconds=3",
		"camera.directory=" + cameras, "camera.width=320", "camera.height=240", "camera.fps=10",
		"microphone.enabled=false", "network.loopback_counts=true", "room.loopback=true",
		"room.ice_disconnected_ms=10000", // a machine under load is no outage
	}, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// kiosk is a daemon.Run in this process.
type kiosk struct {
	*client.Client
	t       *testing.T
	cfg     configs.Config
	log     *logs
	systemd *manager
	cancel  context.CancelCauseFunc
	done    chan error
}

// start runs the daemon until the test ends, or stop, and waits for READY.
func start(t *testing.T, cfg configs.Config) *kiosk {
	t.Helper()
	k := launch(t, cfg)
	k.systemd.hear(t, "READY=1")
	return k
}

func launch(t *testing.T, cfg configs.Config, reloading ...daemon.Reloading) *kiosk {
	t.Helper()
	k := &kiosk{Client: client.New(cfg.API.Socket), t: t, cfg: cfg, log: &logs{}, systemd: newManager(t, folder(t)), done: make(chan error, 2)}
	ctx, cancel := context.WithCancelCause(context.Background())
	k.cancel = cancel
	log := slog.New(slog.NewJSONHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() { k.done <- daemon.Run(ctx, cfg, apitype.Version{Version: "test"}, log, reloading...) }()
	t.Cleanup(func() {
		k.stop()
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", k.log)
		}
	})
	return k
}

// stop ends the daemon as SIGTERM would; a second one does nothing.
func (k *kiosk) stop() {
	k.t.Helper()
	k.cancel(errors.New("terminated"))
	k.Close()
	select {
	case err := <-k.done:
		if err != nil {
			k.t.Errorf("Run gives %v", err)
		}
	case <-time.After(wait):
		k.t.Error("Run does not end")
	}
	k.done <- nil // for the cleanup
	for _, canary := range []string{appointment, doctor, "Canary"} {
		if log := k.log.String(); strings.Contains(log, canary) {
			k.t.Errorf("%q is in the log:\n%s", canary, log)
		}
	}
}

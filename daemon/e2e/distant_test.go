package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/e2e/stage"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/peer"
)

// distant is a far side without a browser: it hums silence into each call and waits
// for the patient's picture and sound.
type distant struct {
	track *webrtc.TrackLocalStaticRTP
}

func newDistant(t *testing.T) *distant {
	t.Helper()
	track, err := webrtc.NewTrackLocalStaticRTP(peer.AudioCodec(), "audio", "clinician")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := uint16(0); ctx.Err() == nil; n++ {
			p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: 960 * uint32(n)}, Payload: []byte{0xf8, 0xff, 0xfe}}
			_ = track.WriteRTP(&p) // nobody may be there
			<-tick.C
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
	return &distant{track}
}

// joins brings the far side into a room and returns when the patient is seen and
// heard. leave closes all of it without a word.
func (d *distant) joins(t *testing.T, room stage.Room) (leave func()) {
	t.Helper()
	came := make(chan webrtc.RTPCodecType, 64)
	c := directtest.New(t, room.URL, room.Token, func(kind webrtc.RTPCodecType, _ *rtp.Packet) {
		select {
		case came <- kind:
		default:
		}
	}, d.track)
	deadline := time.After(10 * time.Second)
	for seen := map[webrtc.RTPCodecType]bool{}; len(seen) < 2; {
		select {
		case kind := <-came:
			seen[kind] = true
		case <-deadline:
			t.Fatalf("of picture and sound only %v came", seen)
		}
	}
	return c.Vanish
}

// victimEnv has this program be the far side of a call until it is killed.
const victimEnv = "KIOSKD_E2E_VICTIM"

// TestVictim is the far side that startVictim starts and kills.
func TestVictim(t *testing.T) {
	text := os.Getenv(victimEnv)
	if text == "" {
		t.Skip("started by startVictim only")
	}
	var room stage.Room
	if err := json.Unmarshal([]byte(text), &room); err != nil {
		t.Fatal(err)
	}
	newDistant(t).joins(t, room)
	if _, err := os.Stdout.WriteString("\nseen and heard\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the end, which is SIGKILL
}

// startVictim starts a far side in a process of its own, waits until it sees and hears
// the patient, and gives what kills it.
func startVictim(t *testing.T, room stage.Room) (kill func()) {
	t.Helper()
	b, err := json.Marshal(room)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^TestVictim$", "-test.v")
	cmd.Env = append(os.Environ(), victimEnv+"="+string(b))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for line := make([]byte, 4096); !strings.Contains(said.String(), "seen and heard"); {
		n, err := out.Read(line)
		said.Write(line[:n])
		if err != nil {
			t.Fatalf("the far side ends: %v\n%s", err, &said)
		}
	}
	return func() {
		_ = cmd.Process.Kill() // it cannot have ended: its input is open
		_ = cmd.Wait()         // killed, as wanted
		_ = in.Close()
	}
}

// page is the touchscreen page's view, without a browser.
type page struct {
	pc     *webrtc.PeerConnection
	http   *http.Client
	where  string // of the view
	packet chan struct{}
}

// newPage makes a view (WHEP) of a stream.
func newPage(t *testing.T, socket, of string) *page {
	t.Helper()
	p := &page{packet: make(chan struct{}, 1), http: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
	var err error
	if p.pc, err = peer.New(peer.Options{LoopbackOnly: true}); err != nil {
		t.Fatal(err)
	}
	p.pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			if _, _, err := track.ReadRTP(); err != nil {
				return
			}
			select {
			case p.packet <- struct{}{}:
			default:
			}
		}
	})
	only := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
	if _, err := p.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeVideo, only); err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(p.pc)
	offer, err := p.pc.CreateOffer(nil)
	if err == nil {
		err = p.pc.SetLocalDescription(offer)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-gathered
	answer := p.ask(t, http.MethodPost, "/v1/views/"+of, p.pc.LocalDescription().SDP, http.StatusCreated)
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *page) ask(t *testing.T, method, path, body string, want int) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://kioskd"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/sdp")
	}
	resp, err := p.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		t.Fatalf("%s %s: status %d, %v\n%s", method, path, resp.StatusCode, err, b)
	}
	if at := resp.Header.Get("Location"); at != "" {
		p.where = at
	}
	return string(b)
}

// sees waits for a packet.
func (p *page) sees(t *testing.T) {
	t.Helper()
	select {
	case <-p.packet:
	case <-time.After(10 * time.Second):
		t.Fatal("the view shows nothing")
	}
}

// gone closes the view's connection; with told the daemon is told before.
func (p *page) gone(t *testing.T, told bool) {
	t.Helper()
	if told {
		p.ask(t, http.MethodDelete, p.where, "", http.StatusOK)
	}
	if err := p.pc.GracefulClose(); err != nil {
		t.Error(err)
	}
}

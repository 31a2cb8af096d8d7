package peer_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"kioskd/daemon/room/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 20 * time.Second

func connection(t *testing.T, o peer.Options) *webrtc.PeerConnection {
	t.Helper()
	pc, err := peer.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
	return pc
}

// offer is a complete one, with a picture and sound both ways.
func offer(t *testing.T, pc *webrtc.PeerConnection) string {
	t.Helper()
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if _, err := pc.AddTransceiverFromKind(kind); err != nil {
			t.Fatal(err)
		}
	}
	o, err := pc.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	return settle(t, pc, o)
}

// settle takes the own description and waits for its candidates.
func settle(t *testing.T, pc *webrtc.PeerConnection, d webrtc.SessionDescription) string {
	t.Helper()
	gathered := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gathered:
	case <-time.After(wait):
		t.Fatal("the candidates do not come")
	}
	return pc.LocalDescription().SDP
}

// hosts are the addresses of an SDP's candidates (RFC 8839, section 5.1).
func hosts(sdp string) []string {
	var out []string
	for line := range strings.Lines(sdp) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "a=candidate:") && len(fields) > 4 {
			out = append(out, fields[2]+" "+fields[4])
		}
	}
	return out
}

// interfaces are the names of all but loopback ones, and their addresses.
// Others may come while a test runs.
func interfaces(t *testing.T) (names []string, addresses map[string]bool) {
	t.Helper()
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	addresses = map[string]bool{}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 {
			continue
		}
		names = append(names, i.Name)
		of, err := i.Addrs()
		if err != nil {
			continue // it went meanwhile
		}
		for _, a := range of {
			if n, ok := a.(*net.IPNet); ok {
				addresses[n.IP.String()] = true
			}
		}
	}
	return names, addresses
}

func TestOfferHasOurCodecsOnly(t *testing.T) {
	sdp := offer(t, connection(t, peer.Options{Loopback: true}))
	for _, want := range []string{
		"a=rtpmap:98 H264/90000", "a=rtpmap:99 rtx/90000", "a=fmtp:99 apt=98", "profile-level-id=42e01f", "packetization-mode=1", "abs-capture-time",
		"a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=rtpmap:111 opus/48000/2", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111",
		"a=fmtp:111 minptime=10;useinbandfec=1", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 ccm fir", "a=rtcp-fb:96 transport-cc", "a=rtcp-mux",
	} {
		if !strings.Contains(sdp, want) {
			t.Errorf("the offer lacks %s", want)
		}
	}
	if n := strings.Count(sdp, "a=rtpmap:"); n != 6 {
		t.Errorf("the offer has %d codecs, want 6:\n%s", n, sdp)
	}
	if !strings.Contains(sdp, "a=group:BUNDLE 0 1") {
		t.Error("the media are not bundled")
	}
}

// A far side is told how much it may say at a time on a data channel.
func TestOfferBoundsMessages(t *testing.T) {
	pc := connection(t, peer.Options{Loopback: true})
	if _, err := pc.CreateDataChannel("x", nil); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("a=max-message-size:%d\r\n", peer.MaxDataMessage)
	if sdp := offer(t, pc); !strings.Contains(sdp, want) || peer.MaxDataMessage != 16384 {
		t.Errorf("the offer lacks %s", want)
	}
}

func TestViewHasNoRTX(t *testing.T) {
	if sdp := offer(t, connection(t, peer.Options{LoopbackOnly: true})); strings.Contains(sdp, "rtx") {
		t.Errorf("a view's offer has RTX:\n%s", sdp)
	}
}

func TestWhereCandidatesComeFrom(t *testing.T) {
	names, addresses := interfaces(t)
	loopback := func(h string) bool { return strings.HasSuffix(h, " 127.0.0.1") || strings.HasSuffix(h, " ::1") }
	for _, c := range []struct {
		name     string
		options  peer.Options
		loopback bool // are loopback candidates there
		others   bool // may others be there
	}{
		{"the screen", peer.Options{LoopbackOnly: true}, true, false},
		{"a room", peer.Options{}, false, true},
		{"a room on this machine", peer.Options{Loopback: true}, true, true},
		{"a room, interfaces ignored", peer.Options{IgnoreInterfaces: names}, false, false},
		{"a room on this machine, lo ignored", peer.Options{Loopback: true, IgnoreInterfaces: []string{"lo"}}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			saw := false
			for _, h := range hosts(offer(t, connection(t, c.options))) {
				saw = saw || loopback(h)
				if _, ip, _ := strings.Cut(h, " "); addresses[ip] && !c.others {
					t.Errorf("a candidate at %s", h)
				}
				if c.options.LoopbackOnly && h != "udp 127.0.0.1" {
					t.Errorf("the screen is offered %s", h)
				}
				if strings.HasSuffix(h, ".local") {
					t.Errorf("a name instead of an address: %s", h)
				}
			}
			if saw != c.loopback {
				t.Errorf("loopback candidates: %v, want %v", saw, c.loopback)
			}
		})
	}
}

func TestUnusableServersAreAnError(t *testing.T) {
	_, err := peer.New(peer.Options{ICEServers: []webrtc.ICEServer{{URLs: []string{"http://x"}}}})
	if err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
		t.Errorf("got %v", err)
	}
}

// Two connections as the room makes them find each other and carry media.
func TestMediaFlows(t *testing.T) {
	options := peer.Options{Loopback: true, Timing: peer.Timing{Disconnected: wait, Failed: wait, Keepalive: 200 * time.Millisecond}}
	kiosk, far := connection(t, options), connection(t, options)
	track, err := webrtc.NewTrackLocalStaticRTP(peer.VideoCodec(), "video", "kiosk")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kiosk.AddTrack(track); err != nil {
		t.Fatal(err)
	}
	arrived := make(chan webrtc.PayloadType, 1)
	far.OnTrack(func(tr *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if _, _, err := tr.ReadRTP(); err == nil {
			arrived <- tr.PayloadType()
		}
	})
	o, err := kiosk.CreateOffer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := far.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: settle(t, kiosk, o)}); err != nil {
		t.Fatal(err)
	}
	a, err := far.CreateAnswer(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := kiosk.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: settle(t, far, a)}); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(wait)
	for n := uint16(0); ; n++ {
		p := rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Marker: true}, Payload: []byte{0x10, 0, 0, 0}}
		if err := track.WriteRTP(&p); err != nil {
			t.Fatal(err)
		}
		select {
		case pt := <-arrived:
			if pt != peer.PayloadVP8 {
				t.Errorf("it came as payload type %d", pt)
			}
			return
		case <-tick.C:
		case <-deadline:
			t.Fatal("no packet arrived")
		}
	}
}

// A firewall that knows some ports finds no candidate on another.
func TestPorts(t *testing.T) {
	sdp := offer(t, connection(t, peer.Options{Loopback: true, Ports: [2]uint16{50000, 50063}}))
	found := 0
	for line := range strings.Lines(sdp) {
		words := strings.Fields(line) // candidate:FOUNDATION COMPONENT TRANSPORT PRIORITY ADDRESS PORT (RFC 8839, section 5.1)
		if !strings.HasPrefix(line, "a=candidate:") || len(words) < 6 {
			continue
		}
		found++
		if port := words[5]; len(port) != 5 || port < "50000" || port > "50063" {
			t.Errorf("a candidate has port %s", port)
		}
	}
	if found == 0 {
		t.Errorf("there is no candidate in %s", sdp)
	}
	if _, err := peer.New(peer.Options{Ports: [2]uint16{50001, 50000}}); err == nil || !strings.HasPrefix(err.Error(), "cannot use the UDP ports") {
		t.Errorf("ports the wrong way round: %v", err)
	}
}

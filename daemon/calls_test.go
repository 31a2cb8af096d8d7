package daemon_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/webrtc/v4"
	"go.uber.org/goleak"

	"kioskd/capture/microphone/pulsetest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

// code is the stable code of a refusal; "" for no error.
func code(err error) string {
	var p *apitype.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// do fails the test where a command was refused.
func do(t *testing.T) func(apitype.CommandAnswer, error) *apitype.Session {
	return func(a apitype.CommandAnswer, err error) *apitype.Session {
		t.Helper()
		if err != nil || !a.Durable {
			t.Fatalf("the answer is %+v, %v", a, err)
		}
		return a.Session
	}
}

// arrives waits for a packet of each kind.
func arrives(t *testing.T, kinds <-chan pion.RTPCodecType) {
	t.Helper()
	seen := map[pion.RTPCodecType]bool{}
	for deadline := time.After(wait); len(seen) < 2; {
		select {
		case k := <-kinds:
			seen[k] = true
		case <-deadline:
			t.Fatalf("of picture and sound only %v arrived", seen)
		}
	}
}

func ptr(b bool) *bool { return &b }

func TestWholeCallWithoutCamera(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	k := start(t, settings(t, dir, "http://"+clinic.host))
	w := watch(t, k.cfg.API.Socket)
	far, kinds := clinic.clinician(t, appointment)

	do(t)(k.Open(t.Context(), appointment))
	s := w.state(apitype.StateActive)
	if s.Session.AppointmentID != appointment || len(s.Session.Participants) != 1 || s.Session.Participants[0].ID != "clin-1" {
		t.Errorf("the session is %+v", s.Session)
	}
	arrives(t, kinds)
	w.see("camera_missing", func(s apitype.Status) bool {
		return hasCondition(s, "camera_missing") && s.Session != nil && s.Session.State != apitype.StateError
	})
	// The same appointment again is nothing new, another one is refused.
	do(t)(k.Open(t.Context(), appointment))
	if _, err := k.Open(t.Context(), "another"); code(err) != "session_in_progress" {
		t.Errorf("another appointment: %v", err)
	}
	if s := do(t)(k.Mute(t.Context(), nil)); !s.Audio.Muted {
		t.Error("not muted")
	}
	if s := do(t)(k.DisableVideo(t.Context(), ptr(true))); !s.Video.Disabled {
		t.Error("the video is not off")
	}
	if _, err := k.DisableVideo(t.Context(), ptr(false)); code(err) != "camera_missing" {
		t.Errorf("video on without a camera: %v", err)
	}
	if s := do(t)(k.Mute(t.Context(), ptr(false))); s.Audio.Muted {
		t.Error("still muted")
	}
	// That the camera is missing is told at rest, too: there is time to plug it in.
	w.forget()
	do(t)(k.EndCall(t.Context()))
	if left := far.Await(signal.PeerLeft); left.Reason != signal.ReasonBye {
		t.Errorf("the room heard %q", left.Reason)
	}
	s = w.state(apitype.StateEnded)
	if s.Session.AppointmentID != "" || len(s.Session.Participants) != 0 {
		t.Errorf("the ended session still knows %+v", s.Session)
	}
	w.see("a kiosk at rest", func(s apitype.Status) bool {
		return s.Session.Final() && len(s.Conditions) == 1 && hasCondition(s, "camera_missing")
	})
	k.systemd.hear(t, "STATUS=Session: ended")
}

// Outputs are the contract of the screen: these, in this order, each once.
func TestOutputsInOrder(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	k := start(t, settings(t, dir, "http://"+clinic.host))
	w := watch(t, k.cfg.API.Socket)
	clinic.clinician(t, appointment)
	do(t)(k.Open(t.Context(), appointment))
	w.state(apitype.StateActive)
	do(t)(k.Mute(t.Context(), ptr(true)))
	do(t)(k.Mute(t.Context(), ptr(true)))
	do(t)(k.DisableVideo(t.Context(), ptr(true)))
	do(t)(k.EndCall(t.Context()))
	w.state(apitype.StateEnded)
	want := "state=waiting camera=unsupported session=started state=active audio=updated video=updated state=ended"
	if got := w.said("state=ended"); got != want {
		t.Errorf("the outputs were\n%s, want\n%s", got, want)
	}
}

// post sends a WHEP request over the control socket.
func post(t *testing.T, socket, path, body string) (status int, answer string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://kioskd"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", apitype.TypeSDP)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestScreenSeesItselfAndTheOther(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	k := start(t, settings(t, dir, "http://"+clinic.host))
	w := watch(t, k.cfg.API.Socket)
	clinic.clinician(t, appointment)
	do(t)(k.Open(t.Context(), appointment))
	w.state(apitype.StateActive)
	for path, want := range map[string]pion.RTPCodecType{
		apitype.RouteViewSelf: pion.RTPCodecTypeVideo, apitype.RouteViewRemote + "clin-1": pion.RTPCodecTypeAudio,
	} {
		pc, err := peer.New(peer.Options{LoopbackOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		arrived := make(chan struct{}, 8)
		pc.OnTrack(func(tr *pion.TrackRemote, _ *pion.RTPReceiver) {
			if _, _, err := tr.ReadRTP(); err == nil && tr.Kind() == want {
				arrived <- struct{}{}
			}
		})
		for _, kind := range []pion.RTPCodecType{pion.RTPCodecTypeVideo, pion.RTPCodecTypeAudio} {
			if _, err := pc.AddTransceiverFromKind(kind, pion.RTPTransceiverInit{Direction: pion.RTPTransceiverDirectionRecvonly}); err != nil {
				t.Fatal(err)
			}
		}
		gathered := pion.GatheringCompletePromise(pc)
		offer, err := pc.CreateOffer(nil)
		if err = errors.Join(err, pc.SetLocalDescription(offer)); err != nil {
			t.Fatal(err)
		}
		<-gathered
		status, answer := post(t, k.cfg.API.Socket, path, pc.LocalDescription().SDP)
		if status != http.StatusCreated {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
		if err := pc.SetRemoteDescription(pion.SessionDescription{Type: pion.SDPTypeAnswer, SDP: answer}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-arrived:
		case <-time.After(wait):
			t.Errorf("%s: no %s came", path, want)
		}
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	}
	for path, want := range map[string]string{
		apitype.RouteViewRemote + "nobody": apitype.CodeNotFound, apitype.RouteViewSelf: apitype.CodeBadSDP,
	} {
		if _, answer := post(t, k.cfg.API.Socket, path, "v=0\r\nx"); !strings.Contains(answer, `"`+want+`"`) {
			t.Errorf("%s: %s, want %s", path, answer, want)
		}
	}
}

func TestStopInACallSaysAwayAndIsQuick(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	before := goleak.IgnoreCurrent()
	t.Run("call", func(t *testing.T) {
		k := start(t, settings(t, dir, "http://"+clinic.host))
		w := watch(t, k.cfg.API.Socket)
		far, kinds := clinic.clinician(t, appointment)
		do(t)(k.Open(t.Context(), appointment))
		w.state(apitype.StateActive)
		arrives(t, kinds)
		began := time.Now()
		k.stop()
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %v to stop", d)
		}
		if left := far.Await(signal.PeerLeft); left.Reason != signal.ReasonAway {
			t.Errorf("the room heard %q, want away", left.Reason)
		}
		if strings.Contains(k.log.String(), `"level":"ERROR"`) {
			t.Errorf("a clean stop logged an error:\n%s", k.log)
		}
	})
	leftover(t, before)
}

// After a restart the appointment comes back by itself and nothing that was off
// is on: the camera is not even opened for a moment.
func TestRestartKeepsTheAppointmentAndWhatWasOff(t *testing.T) {
	const openCamera = `"effect":"open-camera"`
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	cfg := settings(t, dir, "http://"+clinic.host)
	k := start(t, cfg)
	w := watch(t, cfg.API.Socket)
	far, _ := clinic.clinician(t, appointment)
	do(t)(k.Open(t.Context(), appointment))
	w.state(apitype.StateActive)
	do(t)(k.Mute(t.Context(), ptr(true)))
	do(t)(k.DisableVideo(t.Context(), ptr(true)))
	k.stop()
	if left := far.Await(signal.PeerLeft); left.Reason != signal.ReasonAway {
		t.Errorf("the room heard %q, want away", left.Reason)
	}
	if !strings.Contains(k.log.String(), openCamera) {
		t.Error("an opened camera is not in the log: this test sees nothing")
	}
	w.forget()
	k = start(t, cfg)
	s := w.state(apitype.StateActive)
	if s.Session.AppointmentID != appointment || !s.Session.Audio.Muted || !s.Session.Video.Disabled {
		t.Errorf("it came back as %+v", s.Session)
	}
	if back := far.Await(signal.PeerJoined); back.Role != signal.Kiosk {
		t.Errorf("a %s came", back.Role)
	}
	w.never("something that was on", func(s apitype.Status) bool {
		return s.Session == nil || !s.Session.Audio.Muted || !s.Session.Video.Disabled
	})
	if strings.Contains(k.log.String(), openCamera) {
		t.Error("the camera was opened")
	}
	// What was told before the watcher was back is not told again; the snapshot had it.
	if said := w.soFar(); strings.Contains(said, "session=started") || strings.Contains(said, "updated") {
		t.Errorf("told again: %s", said)
	}
}

// What ended before a restart stays ended.
func TestRestartAfterTheEndIsIdle(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	cfg := settings(t, dir, "http://"+clinic.host)
	k := start(t, cfg)
	do(t)(k.Open(t.Context(), appointment))
	do(t)(k.EndCall(t.Context()))
	k.stop()
	k = start(t, cfg)
	if s, err := k.Session(t.Context()); err != nil || s != nil {
		t.Errorf("after the restart there is %+v, %v", s, err)
	}
}

func TestBackendDownAtOpenRecovers(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	clinic.stop()
	k := start(t, settings(t, dir, "http://"+clinic.host))
	w := watch(t, k.cfg.API.Socket)
	do(t)(k.Open(t.Context(), appointment))
	s := w.state(apitype.StateError)
	if e := s.Session.Error; e.Code != "network_unavailable" && e.Code != "backend_unavailable" || !e.Retryable {
		t.Errorf("the error is %+v", e)
	}
	k.systemd.hear(t, "STATUS=Session: error, "+s.Session.Error.Code)
	w.forget()
	startClinic(t, dir, clinic.host).clinician(t, appointment)
	w.state(apitype.StateActive)
	if got := w.said("state=active"); strings.Count(got, "session=started") != 1 {
		t.Errorf("the outputs were %s", got)
	}
}

func TestWrongTokenIsFinal(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("wrong-canary-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := start(t, settings(t, dir, "http://"+clinic.host))
	w := watch(t, k.cfg.API.Socket)
	do(t)(k.Open(t.Context(), appointment))
	s := w.state(apitype.StateError)
	if e := s.Session.Error; e.Code != "unauthorized" || e.Retryable || !s.Session.Final() {
		t.Errorf("the error is %+v", e)
	}
	if _, err := k.Mute(t.Context(), ptr(false)); code(err) != "session_over" {
		t.Errorf("unmute after the end: %v", err)
	}
	do(t)(k.Open(t.Context(), "next")) // it makes room
	if strings.Contains(k.log.String(), "wrong-canary-token") {
		t.Errorf("the token is in the log:\n%s", k.log)
	}
}

// With a microphone: it is open in a call only, and the list says so.
func TestMicrophoneIsOpenInACallOnly(t *testing.T) {
	dir := folder(t)
	sound, err := pulsetest.Start(t.Context(), folder(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sound.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, v := range sound.Env() {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	clinic := startClinic(t, dir, "127.0.0.1:0")
	k := start(t, settings(t, dir, "http://"+clinic.host, "microphone.enabled=true", "microphone.device="+sound.PCM))
	w := watch(t, k.cfg.API.Socket)
	inUse := func(want bool) func(apitype.Status) bool {
		return func(s apitype.Status) bool {
			for _, d := range s.Devices {
				if d.Path == sound.PCM {
					return d.InUse == want && d.State == "ok" && d.Role == "microphone"
				}
			}
			return false
		}
	}
	w.see("the microphone at rest", inUse(false))
	do(t)(k.Open(t.Context(), appointment))
	w.see("the microphone in use", inUse(true))
	w.forget()
	do(t)(k.EndCall(t.Context()))
	w.see("the microphone closed", func(s apitype.Status) bool { return s.Session.Final() && inUse(false)(s) })
}

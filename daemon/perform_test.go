package daemon

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hraban/opus"
	"github.com/pion/rtp"
	pion "github.com/pion/webrtc/v4"

	"kioskd/daemon/backend"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/session"
)

func TestPerformNeverWaits(t *testing.T) {
	r := newRig(t, silentBackend)
	url, accepted := stalledRoom(t)
	r.begin()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range 50 {
			r.want(session.CheckDevices{Number: n}, load(n, "a"), joins(n, url, "t"), session.OpenMicrophone{}, session.OpenCamera{ID: "a"},
				session.SetMuted{Muted: n%2 == 0}, session.SetVideoOff{Off: n%2 == 0}, session.CloseCamera{}, session.CloseMicrophone{},
				session.CancelLoad{}, session.LeaveRoom{How: session.Bye})
		}
		r.want(joins(99, url, "t"), load(99, "a"))
	}()
	select {
	case <-done:
	case <-time.After(wait):
		t.Fatal("perform waits")
	}
	next(t, accepted, "the last join")
	r.stop() // in the middle of a join and of a load
}

func TestNewestLoadWins(t *testing.T) {
	asked, gone := make(chan string, 8), make(chan string, 8)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		asked <- req.URL.Path + " " + req.Header.Get("X-Camera") + " " + req.Header.Get("X-Microphone")
		if strings.Contains(req.URL.Path, "first") {
			<-req.Context().Done()
			gone <- req.URL.Path
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
	r.begin()
	r.want(load(1, "first"))
	if got := next(t, asked, "the first load"); got != "/api/v3/appointments/first/video-room Granted Denied" {
		t.Errorf("the backend was asked %s", got)
	}
	r.want(load(2, "second"))
	next(t, gone, "the end of the first load")
	if f := await[session.RoomFailed](r); f.Attempt != 2 || f.Code != backend.CodeAppointmentUnknown || f.Retryable {
		t.Errorf("got %+v", f)
	}
}

// A load that was taken back before it began is never asked for.
func TestCancelledLoadIsNotSent(t *testing.T) {
	asked := make(chan string, 8)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		asked <- req.URL.Path
		w.WriteHeader(http.StatusInternalServerError)
	})
	r.want(load(1, "first"), session.CancelLoad{})
	r.loadRoom(t.Context()) // what run would do now
	r.begin()
	r.want(session.CancelLoad{}, load(2, "second"))
	if f := await[session.RoomFailed](r); f.Attempt != 2 || f.Code != backend.CodeBackendUnavailable || !f.Retryable {
		t.Errorf("got %+v", f)
	}
	if got := next(t, asked, "the load"); !strings.Contains(got, "second") {
		t.Errorf("the backend was asked %s", got)
	}
}

func TestNewestMediaWins(t *testing.T) {
	r := newRig(t, silentBackend)
	r.want(session.OpenMicrophone{}, session.OpenCamera{ID: "a"}, session.OpenCamera{ID: "b"})
	r.begin()
	if id := next(t, r.opened, "an opening"); id != "b" {
		t.Errorf("camera %s was opened, want b only", id)
	}
	r.want(session.OpenCamera{ID: "c"})
	if id := next(t, r.closed, "a closing"); id != "b" {
		t.Errorf("camera %s was closed", id)
	}
	if id := next(t, r.opened, "an opening"); id != "c" {
		t.Errorf("camera %s was opened", id)
	}
	r.want(session.CloseCamera{})
	next(t, r.closed, "the closing")
}

// A session that ended with its video off must not keep the next one's camera
// dark until the room is joined.
func TestNextSessionsCameraOpensAtOnce(t *testing.T) {
	r := newRig(t, silentBackend)
	r.begin()
	r.want(session.OpenMicrophone{}, session.SetVideoOff{Off: true}, session.CloseMicrophone{})
	r.want(session.OpenMicrophone{}, session.OpenCamera{ID: "a"})
	next(t, r.opened, "the camera of the next session")
}

func TestChecksAreReported(t *testing.T) {
	r := newRig(t, silentBackend)
	r.begin()
	r.want(session.CheckDevices{Number: 1})
	if got := await[session.DeviceReport](r); got.Camera != session.DeviceOK {
		t.Errorf("got %+v", got)
	}
	r.recheck()
	await[session.DeviceReport](r)
}

// TestALookFromBeforeIsNoAnswer: the session asks while a look is under way.
func TestALookFromBeforeIsNoAnswer(t *testing.T) {
	r := newRig(t, silentBackend)
	looking, looked := make(chan string), make(chan session.DeviceState)
	r.check = func() session.DeviceReport {
		looking <- ""
		return session.DeviceReport{Camera: <-looked}
	}
	r.begin()
	r.recheck()
	next(t, looking, "a look")
	r.want(session.CheckDevices{Number: 1})
	looked <- session.DeviceOK // as it was before
	next(t, looking, "a fresh look")
	looked <- session.DeviceShuttered
	if got := await[session.DeviceReport](r); got.Camera != session.DeviceShuttered {
		t.Errorf("got %+v", got)
	}
}

func TestOvertakenJoinIsCancelled(t *testing.T) {
	r := newRig(t, silentBackend)
	url, accepted := stalledRoom(t)
	r.begin()
	r.want(joins(1, url, "t"))
	next(t, accepted, "the first join")
	began := time.Now()
	r.want(joins(2, rooms(t), "t"))
	for {
		select {
		case w := <-r.posted:
			if f, bad := w.(session.JoinFailed); bad {
				t.Fatalf("the overtaken join was reported: %+v", f)
			}
			if j, ok := w.(session.Joined); ok {
				if j.Attempt != 2 || time.Since(began) > 4*time.Second {
					t.Errorf("attempt %d joined after %v", j.Attempt, time.Since(began))
				}
				return
			}
		case <-time.After(wait):
			t.Fatal("the second join did not come")
		}
	}
}

func TestJoinsThatFail(t *testing.T) {
	url := rooms(t)
	for _, c := range []struct{ name, url, token, code string }{
		{"refused", url, "bad", session.CodeTokenRefused},
		{"unreachable", "ws://127.0.0.1:9", "t", session.CodeNetwork},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, silentBackend)
			r.begin()
			r.want(joins(7, c.url, c.token))
			if f := await[session.JoinFailed](r); f.Attempt != 7 || f.Code != c.code || !f.Retryable {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// Who ended one call and opened the next at once has said bye to the first.
func TestByeSurvivesAJoinRightAfter(t *testing.T) {
	r := newRig(t, silentBackend)
	url := rooms(t)
	far := directtest.New(t, url, "one", nil)
	far.Await(signal.Welcome)
	r.begin()
	r.want(joins(1, url, "one"))
	await[session.Joined](r)
	far.Await(signal.PeerJoined)
	r.want(session.LeaveRoom{How: session.Bye}, joins(2, url, "two"), session.LeaveRoom{How: session.Away}, joins(3, url, "two"))
	if left := far.Await(signal.PeerLeft); left.Reason != signal.ReasonBye {
		t.Errorf("the room heard %q, want bye", left.Reason)
	}
	if j := await[session.Joined](r); j.Attempt < 2 {
		t.Errorf("joined %+v", j)
	}
}

func TestLastWishIsDoneAtTheEnd(t *testing.T) {
	r := newRig(t, silentBackend)
	url := rooms(t)
	far := directtest.New(t, url, "one", nil)
	far.Await(signal.Welcome)
	r.begin()
	r.want(joins(1, url, "one"), session.OpenMicrophone{}, session.OpenCamera{ID: "a"})
	await[session.Joined](r)
	next(t, r.opened, "the opening")
	r.cancel()
	r.want(session.CloseCamera{}, session.CloseMicrophone{}, session.LeaveRoom{How: session.Away})
	r.stop()
	r.call.Close(t.Context()) // what a wish that came too late is left to
	if left := far.Await(signal.PeerLeft); left.Reason != signal.ReasonAway {
		t.Errorf("the room heard %q, want away", left.Reason)
	}
	next(t, r.closed, "the closing")
}

// Muted means that from then on nothing that was said is sent, also while a
// camera takes its time to close.
func TestMuteActsAtOnce(t *testing.T) {
	r := newRig(t, silentBackend)
	url := rooms(t)
	decoder, err := opus.NewDecoder(48000, 1)
	if err != nil {
		t.Fatal(err)
	}
	peaks := make(chan int16, 1)
	far := directtest.New(t, url, "one", func(kind pion.RTPCodecType, p *rtp.Packet) {
		if kind != pion.RTPCodecTypeAudio {
			return
		}
		pcm, peak := make([]int16, 5760), int16(0)
		n, err := decoder.Decode(p.Payload, pcm)
		if err != nil {
			return
		}
		for _, v := range pcm[:n] {
			peak = max(peak, v)
		}
		select {
		case <-peaks: // the newest counts
		default:
		}
		select {
		case peaks <- peak:
		default: // another track was quicker
		}
	})
	far.Await(signal.Welcome)
	r.begin()
	r.hold = make(chan struct{})
	r.want(session.SetMuted{}, joins(1, url, "one"), session.OpenMicrophone{}, session.OpenCamera{ID: "a"})
	hear(t, peaks, "the patient", func(p int16) bool { return p > 8000 })
	next(t, r.opened, "the opening")
	r.want(session.CloseCamera{}, session.SetMuted{Muted: true})
	hear(t, peaks, "silence", func(p int16) bool { return p < 100 })
	close(r.hold)
	next(t, r.closed, "the closing")
}

func hear(t *testing.T, peaks <-chan int16, what string, ok func(int16) bool) {
	t.Helper()
	for deadline := time.After(wait); ; {
		select {
		case p := <-peaks:
			if ok(p) {
				return
			}
		case <-deadline:
			t.Fatalf("never heard %s", what)
		}
	}
}

package devices

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/configs"
	"kioskd/configs/words"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

func TestFaceCameraComesFirst(t *testing.T) {
	for _, c := range []struct {
		name, face string
		roles      map[string]string
		want       string // cameras in order
		face2      string // the one that is called face
	}{
		{"none configured", "", nil, "a b c", "a"},
		{"by id", "b", nil, "b a c", "b"},
		{"by path", "/dev/video2", nil, "c a b", "c"},
		{"not there", "d", nil, "a b c", "a"},
		{"bound", "b", map[string]string{"face": "c"}, "c a b", "c"},
		{"bound and not there", "b", map[string]string{"face": "d"}, "a b c", "d"},
		{"the first is for documents", "", map[string]string{"document": "a"}, "b a c", "b"},
		{"all are bound", "", map[string]string{"document": "b", "exam": "a", "face": "c"}, "c b a", "c"},
		{"none is left for the face", "", map[string]string{"document": "b", "exam": "a"}, "c b a", "c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKiosk(t, func(cfg *configs.Config) { cfg.Camera.Face = c.face })
			k.seen("a", "b", "c")
			k.kept.Roles = c.roles
			r := k.summary()
			if got := strings.Join(r.Cameras, " "); got != c.want || r.Camera != session.DeviceOK {
				t.Errorf("the session hears %q, %s", got, r.Camera)
			}
			for i, id := range strings.Fields(c.want) {
				if got := k.List()[i]; got.ID != id || got.Kind != apitype.KindCamera || got.Name != "Camera "+id || !got.Present || got.State != "ok" {
					t.Errorf("entry %d is %+v", i, got)
				}
			}
			for _, d := range k.List() {
				if (d.Role == "face") != (d.ID == c.face2) || d.ID == "d" && (d.Present || d.State != "missing" || d.Message == "" || d.Hint == "") {
					t.Errorf("%s has the role %q: %+v", d.ID, d.Role, d)
				}
			}
		})
	}
}

func TestSummaryOfCameras(t *testing.T) {
	broken := errors.New("odd")
	for _, c := range []struct {
		name   string
		errs   []error
		want   session.DeviceState
		usable string
		states string
	}{
		{"none", nil, session.DeviceMissing, "", ""},
		{"one", []error{nil}, session.DeviceOK, "c0", "ok"},
		{"forbidden", []error{camera.ErrPermission}, session.DeviceNoPermission, "", "no_permission"},
		{"forbidden and one", []error{camera.ErrPermission, nil}, session.DeviceOK, "c1", "no_permission ok"},
		{"one and forbidden", []error{nil, camera.ErrPermission}, session.DeviceOK, "c0", "ok no_permission"},
		{"busy may be free later", []error{camera.ErrBusy}, session.DeviceOK, "c0", "busy"},
		{"wrapped", []error{fmt.Errorf("x: %w", camera.ErrPermission)}, session.DeviceNoPermission, "", "no_permission"},
		{"hung", []error{camera.ErrHung}, session.DeviceOK, "c0", "hung"},
		{"no room", []error{camera.ErrNoRoom}, session.DeviceOK, "c0", "no_bandwidth"},
		{"broken", []error{broken}, session.DeviceOK, "c0", "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKiosk(t)
			var list []camera.Info
			for i, err := range c.errs {
				list = append(list, camera.Info{Base: fmt.Sprint("c", i), Err: err})
			}
			k.take(forCameras, k.numbered(forCameras), func(f *found) { f.cameras = list })
			r := k.summary()
			if r.Camera != c.want || strings.Join(r.Cameras, " ") != c.usable || r.Microphone != session.DeviceOK {
				t.Errorf("got %+v", r)
			}
			var states []string
			for _, d := range k.List() {
				if d.Kind == apitype.KindCamera {
					states = append(states, d.State)
					if (d.State == "ok") != (d.Message == "") || (d.State == "ok") != (d.Hint == "") {
						t.Errorf("%s says %q, %q", d.State, d.Message, d.Hint)
					}
				}
			}
			if strings.Join(states, " ") != c.states {
				t.Errorf("listed as %q", states)
			}
		})
	}
}

// Every code that a Keeper can report, and the condition it becomes.
func cameraCodes() map[camera.Code]string {
	return map[camera.Code]string{
		camera.Present: "", camera.Gone: "camera_missing", camera.Busy: "camera_busy", camera.NoPermission: "camera_no_permission",
		camera.Hung: "camera_hung", camera.NoBandwidth: "camera_no_bandwidth", camera.Broken: "camera_error",
	}
}

func microphoneErrors() map[error]string {
	return map[error]string{
		nil: "", microphone.ErrNoDevice: "microphone_missing", microphone.ErrGone: "microphone_missing", microphone.ErrBusy: "microphone_busy",
		microphone.ErrPermission: "microphone_no_permission", microphone.ErrStalled: "microphone_hung", errors.New("odd"): "microphone_error",
	}
}

func TestConditionOfEachCode(t *testing.T) {
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
	k.cam.keeper = camera.NewKeeper(camera.KeeperConfig{}) // as while it runs
	for code, want := range cameraCodes() {
		var cause error
		if want != "" {
			cause = errors.New(want)
		}
		k.cam.next = chosen{"cam", "/dev/video0"}
		k.cameraHeld("/dev/video0", true)
		before := k.changes
		k.cameraChanged(camera.State{Code: code, Err: cause, Path: "/dev/video0"})
		if got := conditions(k); got != want || k.changes != before+1 {
			t.Errorf("%s: the conditions are %q, want %q; told %d times", code, got, want, k.changes-before)
		}
		// What is open is another question: the Keeper tells it apart.
		if k.holds["cam"] != bySession {
			t.Errorf("%s: held is %v", code, k.holds)
		}
		k.cameraHeld("/dev/video0", false)
		if len(k.holds) > 0 {
			t.Errorf("%s: closed, and held is %v", code, k.holds)
		}
	}
	k.cameraChanged(camera.State{Code: camera.Present, Fits: "MJPG 640x480@30"})
	if list := k.health.List(); len(list) != 1 || list[0].Code != "camera_no_bandwidth" || !strings.Contains(list[0].Hint, "MJPG 640x480@30") {
		t.Errorf("a smaller picture: %+v", list)
	}
	k.cameraChanged(camera.State{Code: camera.Present})
	k.shutterChanged(true)
	if got := conditions(k); got != "camera_shuttered" || !k.summary().CameraShut {
		t.Errorf("a closed shutter: %q", got)
	}
	k.shutterChanged(false)
	k.mic.keeper = microphone.NewKeeper(microphone.KeeperConfig{})
	for err, want := range microphoneErrors() {
		k.mic.next = chosen{"mic-mic", "mic"}
		k.holdMicrophone("mic-mic")
		k.microphoneChanged(microphone.State{Device: "mic", Err: err})
		if got := conditions(k); got != want || !errors.Is(k.mic.err, err) {
			t.Errorf("%v: the conditions are %q, want %q", err, got, want)
		}
		if _, held := k.holds["mic-mic"]; held != (want == "" || want == "microphone_hung") {
			t.Errorf("%v: held is %v", err, k.holds)
		}
	}
}

// Whatever the daemon can say of a device has words in every language.
func TestEveryStateHasWords(t *testing.T) {
	codes := slices.Concat(cameraConditions(), microphoneConditions(), speakerConditions())
	for _, want := range cameraCodes() {
		if want != "" && !slices.Contains(codes, want) {
			t.Errorf("%s is never cleared", want)
		}
	}
	for _, want := range microphoneErrors() {
		if want != "" && !slices.Contains(codes, want) {
			t.Errorf("%s is never cleared", want)
		}
	}
	keys := []string{"slate.video_off", "slate.camera_missing", "condition.camera_no_bandwidth.fits"}
	for _, c := range codes {
		keys = append(keys, "condition."+c+".title", "condition."+c+".hint")
	}
	states := []string{
		apitype.DeviceMissing, apitype.DeviceNoPermission, apitype.DeviceBusy, apitype.DeviceShuttered, apitype.DeviceHung, apitype.DeviceError,
	}
	for _, s := range states {
		for _, kind := range []string{apitype.KindCamera, apitype.KindMicrophone} {
			keys = append(keys, "device."+kind+"_"+s+".title", "device."+kind+"_"+s+".hint")
		}
	}
	for _, s := range []string{"camera_no_bandwidth", "speaker_missing"} {
		keys = append(keys, "device."+s+".title", "device."+s+".hint")
	}
	for _, lang := range words.Languages() {
		w, err := words.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if !w.Has(key) || w.Text(key) == "" {
				t.Errorf("%s has no words for %s", lang, key)
			}
		}
	}
}

func TestReportOfAnEmptyKiosk(t *testing.T) {
	k := newKiosk(t)
	r := k.Report()
	if r.Camera != session.DeviceMissing || r.Microphone != session.DeviceOK || len(r.Cameras) != 0 || conditions(k) != "camera_missing" {
		t.Errorf("got %+v, %q", r, conditions(k))
	}
	k.seen("a") // of an earlier look
	k.prober = camera.NewProber(camera.ProberConfig{Dev: filepath.Join(k.cfg.Camera.Directory, "none")})
	if r := k.Report(); len(r.Cameras) != 1 {
		t.Errorf("a look that failed forgot the cameras: %+v", r)
	}
}

// A device that never comes back costs a bounded number of goroutines, and nobody waits
// for it.
func TestSlotsAreBounded(t *testing.T) {
	var s slots
	hang := make(chan struct{})
	for range 2 {
		if err := s.within(time.Millisecond, func() error { <-hang; return nil }); !errors.Is(err, errSlow) {
			t.Errorf("it came back: %v", err)
		}
	}
	if err := s.within(wait, func() error { t.Error("a third one runs"); return nil }); !errors.Is(err, errSlow) {
		t.Errorf("got %v", err)
	}
	close(hang)
	for deadline := time.Now().Add(wait); ; {
		if err := s.within(wait, func() error { return nil }); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the slots stay taken")
		}
	}
}

// run runs a device of the call until put was called n times.
func run(t *testing.T, device func(ctx context.Context, put func()), n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	came, done := make(chan struct{}, 1024), make(chan struct{})
	go func() {
		defer close(done)
		device(ctx, func() {
			select {
			case came <- struct{}{}:
			default:
			}
		})
	}()
	for range n {
		select {
		case <-came:
		case <-time.After(wait):
			t.Fatal("nothing comes")
		}
	}
	cancel()
	select {
	case <-done:
	case <-time.After(wait):
		t.Fatal("the device does not end")
	}
}

func TestMissingCameraGivesASlateAndACondition(t *testing.T) {
	k := newKiosk(t)
	var during string
	run(t, func(ctx context.Context, put func()) {
		k.RunCamera(ctx, "", func(f *capture.Frame) {
			if f.Rect.Dx() != 160 || f.Rect.Dy() != 120 {
				t.Errorf("the slate is %v", f.Rect)
			}
			f.Release()
			during = conditions(k)
			put()
		})
	}, 2)
	if during != "camera_missing" {
		t.Errorf("the condition was %q", during)
	}
	k.Report() // what the Keeper said last gives way to a look
	if got := conditions(k); got != "camera_missing" || len(k.holds) != 0 {
		t.Errorf("at rest: %q, held %v", got, k.holds)
	}
}

// A swap right after the camera was wanted must not be lost: the run that begins
// takes the newest wish.
func TestSwitchBeforeTheRunBegins(t *testing.T) {
	k := newKiosk(t)
	k.SwitchCamera("second")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	k.RunCamera(ctx, "first", func(f *capture.Frame) { f.Release() })
	if k.cam.target != "second" {
		t.Errorf("the run wants %q", k.cam.target)
	}
	k.RunCamera(ctx, "first", func(f *capture.Frame) { f.Release() })
	if k.cam.target != "first" {
		t.Errorf("the next run wants %q", k.cam.target)
	}
}

func TestFormatWords(t *testing.T) {
	for configured, want := range map[string]string{
		"auto": "", "yuyv": camera.YUYV, "mjpeg": camera.MJPEG, "nv12": camera.NV12, "yu12": camera.I420, "grey": camera.GREY,
	} {
		if got := format(configured); got != want {
			t.Errorf("%s is %q, want %q", configured, got, want)
		}
	}
}

func TestIdentifier(t *testing.T) {
	for _, c := range []struct{ text, otherwise, want string }{
		{"usb-046d-0825-A1", "x", "usb-046d-0825-A1"},
		{"plughw:CARD=C920,DEV=0", "", "plughw_CARD_C920_DEV_0"},
		{"", "x", "x"},
		{"", "", ""},
		{"..", "", "_."},
		{".", "", "_"},
		{"é/\n", "", "____"},
	} {
		if got := identifier(c.text, c.otherwise); got != c.want {
			t.Errorf("%q, %q is %q, want %q", c.text, c.otherwise, got, c.want)
		}
	}
}

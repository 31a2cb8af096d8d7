package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	"kioskd/daemon/health"
	"kioskd/daemon/session"
)

// newTestDevices has an empty folder for cameras and no microphone.
func newTestDevices(t *testing.T, change ...func(*configs.Config)) *devices {
	t.Helper()
	cfg, err := configs.Parse("test", []byte("[backend]\nurl = \"https://clinic.example\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Camera.Directory, cfg.Camera.Width, cfg.Camera.Height = t.TempDir(), 160, 120
	cfg.Microphone.Enabled, cfg.Microphone.Device = false, "mic"
	for _, c := range change {
		c(&cfg)
	}
	w, err := words.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	return newDevices(cfg, w, health.New(), slog.New(slog.DiscardHandler))
}

func conditions(d *devices) string {
	var codes []string
	for _, c := range d.health.List() {
		codes = append(codes, c.Code)
	}
	return strings.Join(codes, " ")
}

// seen puts cameras in as if the last look had found them.
func (d *devices) seen(ids ...string) {
	d.cameras = nil
	for i, id := range ids {
		d.cameras = append(d.cameras, camera.Info{ID: id, Path: fmt.Sprintf("/dev/video%d", i), Name: "Camera " + id, Permission: true})
	}
}

func TestFaceCameraComesFirst(t *testing.T) {
	for _, c := range []struct{ name, face, want string }{
		{"none configured", "", "a b c"},
		{"by id", "b", "b a c"},
		{"by path", "/dev/video2", "c a b"},
		{"not there", "d", "a b c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newTestDevices(t, func(cfg *configs.Config) { cfg.Camera.Face = c.face })
			d.seen("a", "b", "c")
			r := d.summary()
			if got := strings.Join(r.Cameras, " "); got != c.want || r.Camera != session.DeviceOK {
				t.Errorf("the session hears %q, %s", got, r.Camera)
			}
			list := d.list()
			for i, id := range strings.Fields(c.want) {
				role := ""
				if i == 0 {
					role = "face"
				}
				if got := list[i]; got.ID != id || got.Role != role || got.Kind != apitype.KindCamera || got.Name != "Camera "+id || !got.Present {
					t.Errorf("entry %d is %+v", i, got)
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
		{"one", []error{nil}, session.DeviceOK, "0", "ok"},
		{"forbidden", []error{camera.ErrPermission}, session.DeviceNoPermission, "", "no_permission"},
		{"forbidden and one", []error{camera.ErrPermission, nil}, session.DeviceOK, "1", "no_permission ok"},
		{"one and forbidden", []error{nil, camera.ErrPermission}, session.DeviceOK, "0", "ok no_permission"},
		{"busy may be free later", []error{camera.ErrBusy}, session.DeviceOK, "0", "busy"},
		{"wrapped", []error{fmt.Errorf("x: %w", camera.ErrPermission)}, session.DeviceNoPermission, "", "no_permission"},
		{"broken", []error{broken}, session.DeviceOK, "0", "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newTestDevices(t)
			for i, err := range c.errs {
				d.cameras = append(d.cameras, camera.Info{ID: fmt.Sprint(i), Err: err})
			}
			r := d.summary()
			if r.Camera != c.want || strings.Join(r.Cameras, " ") != c.usable || r.Microphone != session.DeviceOK {
				t.Errorf("got %+v", r)
			}
			var states []string
			for _, dev := range d.list() {
				if dev.Kind == apitype.KindCamera {
					states = append(states, dev.State)
				}
			}
			if strings.Join(states, " ") != c.states {
				t.Errorf("listed as %q", states)
			}
		})
	}
}

func TestMicrophoneStates(t *testing.T) {
	for _, c := range []struct {
		err     error
		session session.DeviceState
		listed  string
		present bool
	}{
		{nil, session.DeviceOK, "ok", true},
		{microphone.ErrBusy, session.DeviceOK, "busy", true},
		{microphone.ErrPermission, session.DeviceNoPermission, "no_permission", true},
		{microphone.ErrNoDevice, session.DeviceMissing, "missing", false},
		{errSilentServer, session.DeviceMissing, "missing", false},
	} {
		d := newTestDevices(t, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
		d.micErr = c.err
		if got := d.summary().Microphone; got != c.session {
			t.Errorf("%v: the session hears %s", c.err, got)
		}
		d.mics = []microphone.Info{{ID: "other", Name: "Other"}}
		list := d.list()
		if len(list) != 2 || list[0].ID != "other" || list[0].Role != "" || list[0].State != "ok" {
			t.Fatalf("%v: listed as %+v", c.err, list)
		}
		if got := list[1]; got.ID != "mic" || got.Role != "microphone" || got.State != c.listed || got.Present != c.present {
			t.Errorf("%v: listed as %+v", c.err, got)
		}
		d.mics = []microphone.Info{{ID: "mic", Name: "The one"}}
		if list := d.list(); len(list) != 1 || list[0].Name != "The one" || list[0].State != c.listed {
			t.Errorf("%v: a listed one is %+v", c.err, list)
		}
	}
	if list := newTestDevices(t).list(); len(list) != 0 {
		t.Errorf("a switched-off microphone is listed: %+v", list)
	}
}

// Every code that a keeper can report, and the condition it becomes.
func cameraCodes() map[camera.Code]string {
	return map[camera.Code]string{
		camera.Present: "", camera.Gone: "camera_missing", camera.Busy: "camera_busy", camera.NoPermission: "camera_no_permission",
		camera.Hung: "camera_hung", camera.Broken: "camera_error",
	}
}

func microphoneCodes() map[microphone.Code]string {
	return map[microphone.Code]string{
		microphone.Present: "", microphone.Gone: "microphone_missing", microphone.Busy: "microphone_busy",
		microphone.NoPermission: "microphone_no_permission", microphone.Hung: "microphone_hung", microphone.Broken: "microphone_error",
	}
}

func TestConditionOfEachCode(t *testing.T) {
	d := newTestDevices(t, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
	told := 0
	d.changed = func() { told++ }
	d.chosen = "cam"
	for code, want := range cameraCodes() {
		d.cameraChanged(camera.State{Code: code})
		if got := conditions(d); got != want {
			t.Errorf("%s: the conditions are %q, want %q", code, got, want)
		}
		if d.held["cam"] != (want == "") {
			t.Errorf("%s: held is %v", code, d.held)
		}
	}
	d.cameraChanged(camera.State{Code: camera.Present})
	for code, want := range microphoneCodes() {
		cause := errors.New(want)
		d.microphoneChanged("mic", microphone.State{Code: code, Err: cause})
		if got := conditions(d); got != want || !errors.Is(d.micErr, cause) {
			t.Errorf("%s: the conditions are %q, want %q", code, got, want)
		}
		if d.held["mic"] != (want == "") {
			t.Errorf("%s: held is %v", code, d.held)
		}
	}
	if want := len(cameraCodes()) + 1 + len(microphoneCodes()); told != want {
		t.Errorf("told %d of %d changes", told, want)
	}
}

// A microphone that is switched off on purpose is no trouble.
func TestNoConditionOfASwitchedOffMicrophone(t *testing.T) {
	d := newTestDevices(t)
	for code := range microphoneCodes() {
		if d.microphoneChanged("mic", microphone.State{Code: code}); conditions(d) != "" {
			t.Errorf("%s: the conditions are %q", code, conditions(d))
		}
	}
}

// Whatever the daemon can say has words in every language.
func TestConditionsAndSlatesHaveWords(t *testing.T) {
	codes := slices.Concat(cameraConditions(), microphoneConditions(), []string{"store_degraded", "store_damaged", "backend_unauthorized", "reports_waiting"})
	for _, want := range cameraCodes() {
		if want != "" && !slices.Contains(codes, want) {
			t.Errorf("%s is never cleared", want)
		}
	}
	for _, want := range microphoneCodes() {
		if want != "" && !slices.Contains(codes, want) {
			t.Errorf("%s is never cleared", want)
		}
	}
	keys := []string{"slate.video_off", "slate.camera_missing"}
	for _, c := range codes {
		keys = append(keys, "condition."+c+".title", "condition."+c+".hint")
	}
	for _, lang := range words.Languages() {
		w, err := words.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if !w.Has(k) || w.Text(k) == "" {
				t.Errorf("%s has no words for %s", lang, k)
			}
		}
	}
}

func TestReportOfAnEmptyKiosk(t *testing.T) {
	d := newTestDevices(t)
	r := d.report()
	if r.Camera != session.DeviceMissing || r.Microphone != session.DeviceOK || len(r.Cameras) != 0 {
		t.Errorf("got %+v", r)
	}
	d.seen("a") // of an earlier look
	d.cfg.Camera.Directory = filepath.Join(d.cfg.Camera.Directory, "none")
	if r := d.report(); len(r.Cameras) != 1 {
		t.Errorf("a look that failed forgot the cameras: %+v", r)
	}
}

func TestTryOfTheMicrophone(t *testing.T) {
	d := newTestDevices(t, func(cfg *configs.Config) { cfg.Microphone.Enabled, cfg.Microphone.Device = true, "no-such-pcm" })
	if r := d.report(); r.Microphone != session.DeviceMissing || !errors.Is(d.micErr, microphone.ErrNoDevice) {
		t.Errorf("got %+v, %v", r, d.micErr)
	}
	d.hold("no-such-pcm", true)
	d.micErr = microphone.ErrPermission // what the call knows counts, it is not tried
	if r := d.report(); r.Microphone != session.DeviceNoPermission {
		t.Errorf("while it is held: %+v", r)
	}
	d.hold("no-such-pcm", false)
	d.trying = true // another try hangs in the sound system
	if err := d.tryMicrophone(); !errors.Is(err, errSilentServer) {
		t.Errorf("got %v", err)
	}
	d.trying = false
	if err := d.tryMicrophone(); !errors.Is(err, microphone.ErrNoDevice) || d.trying {
		t.Errorf("got %v, trying %v", err, d.trying)
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
	d := newTestDevices(t)
	var during string
	shown := 0
	d.changed, d.shown = func() { during = conditions(d) }, func() { shown++ }
	run(t, func(ctx context.Context, put func()) {
		d.runCamera(ctx, "", func(f *capture.Frame) {
			if f.Rect.Dx() != 160 || f.Rect.Dy() != 120 {
				t.Errorf("the slate is %v", f.Rect)
			}
			f.Release()
			put()
		})
	}, 2)
	if during != "camera_missing" {
		t.Errorf("the condition was %q", during)
	}
	if got := conditions(d); got != "camera_missing" || shown != 1 { // it is still missing
		t.Errorf("after the call: %q, shown %d times", got, shown)
	}
	d.report() // what the keeper said last gives way to a look
	if got := conditions(d); got != "camera_missing" {
		t.Errorf("at rest: %q", got)
	}
}

func TestMissingMicrophoneGivesSilenceAndACondition(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		d := newTestDevices(t, func(cfg *configs.Config) { cfg.Microphone.Enabled, cfg.Microphone.Device = enabled, "no-such-pcm" })
		told := make(chan string, 16)
		d.changed = func() { told <- conditions(d) }
		run(t, func(ctx context.Context, put func()) {
			d.runMicrophone(ctx, func(pcm []int16, _ time.Time) {
				if slices.ContainsFunc(pcm, func(v int16) bool { return v != 0 }) {
					t.Error("silence is not silent")
				}
				put()
			})
		}, 100)
		want := ""
		if enabled {
			want = "microphone_missing"
		}
		if got := <-told; got != want {
			t.Errorf("enabled %v: the condition was %q", enabled, got)
		}
		if got := conditions(d); got != "" {
			t.Errorf("after the call: %q", got)
		}
	}
}

func TestFormatWords(t *testing.T) {
	for configured, want := range map[string]string{"auto": "", "yuyv": camera.YUYV, "mjpeg": camera.MJPEG} {
		if got := format(configured); got != want {
			t.Errorf("%s is %q, want %q", configured, got, want)
		}
	}
}

// A swap right after the camera was wanted must not be lost: the run that begins
// takes the newest wish.
func TestSwitchBeforeTheRunBegins(t *testing.T) {
	w, err := words.Load("en")
	if err != nil {
		t.Fatal(err)
	}
	cfg := configs.Config{Camera: configs.Camera{Directory: t.TempDir(), Width: 320, Height: 240, FPS: 15}}
	d := newDevices(cfg, w, health.New(), slog.New(slog.DiscardHandler))
	d.switchCamera("second")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.runCamera(ctx, "first", func(f *capture.Frame) { f.Release() })
	if d.target != "second" {
		t.Errorf("the run wants %q", d.target)
	}
	d.runCamera(ctx, "first", func(f *capture.Frame) { f.Release() })
	if d.target != "first" {
		t.Errorf("the next run wants %q", d.target)
	}
}

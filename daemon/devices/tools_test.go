package devices

import (
	"bytes"
	"context"
	"errors"
	"image/jpeg"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/capture/camera"
	"kioskd/capture/microphone/pulsetest"
	"kioskd/capture/soundcard/soundtest"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/configs"
	"kioskd/daemon/api/apitype"
)

// withSound has the test's microphone and speaker.
func withSound(pcm string) func(*configs.Config) {
	return func(cfg *configs.Config) {
		cfg.Microphone.Enabled, cfg.Microphone.Device, cfg.Speaker.Device = true, pcm, pcm
	}
}

func TestSnapshot(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras, func(cfg *configs.Config) { cfg.Camera.Width, cfg.Camera.Height = 640, 480 })
	id := k.names(1)[0]
	began := time.Now()
	got := make(chan []byte, 1)
	go func() {
		picture, err := k.Snapshot(t.Context(), id, "somebody")
		if err != nil {
			t.Error(err)
		}
		got <- picture
	}()
	k.eventually("it is shown", wait, func() bool {
		u := k.Technician()
		return u != nil && u.Device == id && u.Kind == "camera" && u.What == "snapshot" && inUse(k) == id+" technician"
	})
	picture := <-got
	if took := time.Since(began); took < shownFor {
		t.Errorf("it was shown for %v only", took)
	}
	if u := k.Technician(); u != nil || inUse(k) != "" {
		t.Errorf("after it: %+v, %q", u, inUse(k))
	}
	nobody(t, cams, 0, 500*time.Millisecond)
	img, err := jpeg.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	if b := img.Bounds(); b.Dx() != 640 || b.Dy() != 480 {
		t.Errorf("the picture is %v", b)
	}
	y := make([]byte, 640*480)
	for i := range y {
		r, _, _, _ := img.At(i%640, i/640).RGBA()
		y[i] = byte(r >> 8)
	}
	if _, err := blocks.Read(y, 640, 640, 480); err != nil {
		t.Errorf("it is not the camera's picture: %v", err)
	}
	if got := k.texts(); got != "snapshot device="+id {
		t.Errorf("the audit is %q", got)
	}
}

func TestToolsRefuse(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	id := k.names(1)[0]
	ctx := t.Context()
	snapshot := func(id string) string {
		_, err := k.Snapshot(ctx, id, "somebody")
		return code(err)
	}
	level := func(id string) string {
		return code(k.Level(ctx, id, "somebody", func(apitype.Level) error { return nil }))
	}
	tone := func(id string) string { return code(k.Tone(ctx, id, apitype.ToneRequest{}, "somebody")) }
	k.heardOf("gone")
	for what, c := range map[string][2]string{
		"an unknown camera":                   {snapshot("nobody"), apitype.CodeDeviceUnknown},
		"a speaker's picture":                 {snapshot("out-speaker"), apitype.CodeDeviceUnknown},
		"a camera's level":                    {level(id), apitype.CodeDeviceUnknown},
		"a camera's tone":                     {tone(id), apitype.CodeDeviceUnknown},
		"a microphone that is gone meanwhile": {level("gone"), apitype.CodeDeviceMissing},
		"a speaker that is not there":         {tone("out-speaker"), apitype.CodeDeviceMissing},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %q, want %s", what, c[0], c[1])
		}
	}
	k.Session(true, false)
	for what, got := range map[string]string{"snapshot": snapshot(id), "level": level("gone"), "tone": tone("out-speaker")} {
		if got != apitype.CodeSessionActive {
			t.Errorf("%s in a session: %q", what, got)
		}
	}
	k.Session(false, false)
	if err := cams.Deny(0, camctl.Everybody); err != nil {
		t.Fatal(err)
	}
	if got := snapshot(id); got != apitype.CodeDeviceFailed {
		t.Errorf("a forbidden camera: %q", got)
	}
	if err := cams.Allow(0, camctl.Everybody); err != nil {
		t.Fatal(err)
	}
	if err := cams.Unplug(0); err != nil {
		t.Fatal(err)
	}
	if got := snapshot(id); got != apitype.CodeDeviceMissing { // before a look has missed it
		t.Errorf("a camera that was pulled: %q", got)
	}
	if u := k.Technician(); u != nil || inUse(k) != "" {
		t.Errorf("left: %+v, %q", u, inUse(k))
	}
}

// Nobody looks or listens without being written down.
func TestToolsAreWrittenDownFirst(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	id := k.names(1)[0]
	if err := k.store.Close(); err != nil {
		t.Fatal(err)
	}
	k.store = nil
	if _, err := k.Snapshot(t.Context(), id, "somebody"); code(err) != "store_unavailable" || k.Technician() != nil || inUse(k) != "" {
		t.Errorf("got %v, %+v, %q", err, k.Technician(), inUse(k))
	}
	if st, err := cams.Stats(0); err != nil || st.Frames != 0 {
		t.Errorf("%d pictures were taken, %v", st.Frames, err)
	}
	_ = k.Close()
}

// A session that opens ends what is in use at once and gets the camera.
func TestSessionTakesTheCamera(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	id := k.names(1)[0]
	if err := cams.Stall(0, 3*time.Second); err != nil { // the snapshot waits for a picture
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := k.Snapshot(t.Context(), id, "somebody")
			ended <- err
		}()
	}
	if err := <-ended; code(err) != apitype.CodeDeviceInUse { // the second of them
		t.Errorf("two at a time: %v", err)
	}
	k.eventually("the camera is open", wait, func() bool { return openedNodes(t) != "" && inUse(k) == id+" technician" })
	began := time.Now()
	k.Session(true, false)
	if err := <-ended; code(err) != apitype.CodeSessionActive || time.Since(began) > time.Second {
		t.Errorf("it ended after %v with %v", time.Since(began), err)
	}
	if err := cams.Stall(0, 0); err != nil {
		t.Fatal(err)
	}
	c := k.film("")
	c.picture(wait)
	if got := inUse(k); got != id+" session" || k.Technician() != nil || conditions(k) != "" {
		t.Errorf("%q is in use, %+v, %q", got, k.Technician(), conditions(k))
	}
}

func TestLevel(t *testing.T) {
	s := soundtest.Server(t)
	k := newKiosk(t, withSound(s.PCM))
	k.Report()
	id := s.PCM + "-mic"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	levels := make(chan apitype.Level, 64)
	ended := make(chan error, 1)
	listen := func(ctx context.Context) {
		ended <- k.Level(ctx, id, "somebody", func(l apitype.Level) error {
			levels <- l
			return nil
		})
	}
	go listen(ctx)
	for deadline := time.After(wait); ; {
		var l apitype.Level
		select {
		case l = <-levels:
		case <-deadline:
			t.Fatal("the tone is not heard")
		}
		if l.Peak > 0.01 && l.RMS > 0 && l.RMS < l.Peak && time.Since(l.At) < time.Second {
			break
		}
	}
	if u := k.Technician(); u == nil || u.What != "level" || inUse(k) != id+" technician" {
		t.Errorf("the screen is told %+v; %q", u, inUse(k))
	}
	cancel() // who listens hangs up
	if err := <-ended; err != nil {
		t.Errorf("hung up: %v", err)
	}
	k.eventually("it is closed", wait, func() bool { return k.Technician() == nil && inUse(k) == "" })

	go listen(t.Context())
	<-levels
	if err := s.Kill(); err != nil { // the microphone is pulled
		t.Fatal(err)
	}
	if err := <-ended; code(err) != apitype.CodeDeviceMissing && code(err) != apitype.CodeDeviceFailed {
		t.Errorf("pulled: %v", err)
	}
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	for len(levels) > 0 {
		<-levels
	}
	go listen(t.Context())
	<-levels
	k.Session(true, false)
	if err := <-ended; code(err) != apitype.CodeSessionActive {
		t.Errorf("a session opens: %v", err)
	}
	// The session gets it, and hears the tone.
	heard := make(chan struct{})
	var once sync.Once
	run(t, func(ctx context.Context, put func()) {
		k.RunMicrophone(ctx, func(pcm []int16, _ time.Time) {
			for _, v := range pcm {
				if v > 1000 {
					once.Do(func() { close(heard) })
				}
			}
			select {
			case <-heard:
				put()
			default:
			}
		})
	}, 1)
	if got := strings.Count(k.texts(), "level device="+id); got != 3 {
		t.Errorf("the audit is %q", k.texts())
	}
}

// A tone is played on the speaker, and shown so long.
func TestTone(t *testing.T) {
	soundtest.Server(t)
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Speaker.Device = pulsetest.Speaker })
	k.Report()
	const id = pulsetest.Speaker + "-speaker"
	ended := make(chan error, 1)
	play := func(ctx context.Context, tone apitype.ToneRequest) {
		ended <- k.Tone(ctx, id, tone, "somebody")
	}
	began := time.Now()
	go play(t.Context(), apitype.ToneRequest{Seconds: 1})
	k.eventually("it is shown", wait, func() bool {
		u := k.Technician()
		return u != nil && u.Device == id && u.Kind == "speaker" && u.What == "tone" && inUse(k) == id+" technician"
	})
	if err := <-ended; err != nil || time.Since(began) < time.Second || k.Technician() != nil || inUse(k) != "" {
		t.Errorf("after %v: %v, %+v, %q", time.Since(began), err, k.Technician(), inUse(k))
	}
	go play(t.Context(), apitype.ToneRequest{Hertz: 880, Seconds: 10})
	k.eventually("it plays", wait, func() bool { return k.Technician() != nil })
	began = time.Now()
	k.Session(true, false)
	if err := <-ended; code(err) != apitype.CodeSessionActive || time.Since(began) > time.Second {
		t.Errorf("a session opens: after %v %v", time.Since(began), err)
	}
	k.eventually("it is closed", wait, func() bool { return inUse(k) == "" && k.Technician() == nil })
}

// Who cannot be written to ends it.
func TestLevelOfAReaderThatIsGone(t *testing.T) {
	s := soundtest.Server(t)
	k := newKiosk(t, withSound(s.PCM))
	k.Report()
	gone := errors.New("gone")
	if err := k.Level(t.Context(), s.PCM+"-mic", "somebody", func(apitype.Level) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if inUse(k) != "" {
		t.Errorf("%q is in use", inUse(k))
	}
}

// The daemon's end ends them too.
func TestStoppingEndsTools(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	id := k.names(1)[0]
	if err := cams.Stall(0, 3*time.Second); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); k.Run(ctx) }()
	ended := make(chan error, 1)
	go func() {
		_, err := k.Snapshot(context.Background(), id, "somebody")
		ended <- err
	}()
	k.eventually("it is in use", wait, func() bool { return k.Technician() != nil })
	cancel()
	if err := <-ended; code(err) != apitype.CodeStopping {
		t.Errorf("got %v", err)
	}
	<-done
	if _, err := k.Snapshot(context.Background(), id, "somebody"); code(err) != apitype.CodeStopping {
		t.Errorf("after it: %v", err)
	}
	nobody(t, cams, 0, time.Second)
}

func TestSetControls(t *testing.T) {
	plugIn(t, 1)
	k := newKiosk(t, realCameras)
	id := k.names(1)[0]
	controls := k.List()[0].Controls
	if len(controls) == 0 {
		t.Fatal("the camera has no controls to set")
	}
	c := controls[0]
	for _, x := range controls {
		if x.Type == "integer" && x.Enabled && x.Max > x.Min {
			c = x
		}
	}
	value := c.Min + c.Step
	got, err := k.SetControls(t.Context(), id, map[string]int32{c.Name: value}, "somebody")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range got {
		if (x.Name == c.Name) != x.Kept || x.Name == c.Name && x.Value != value {
			t.Errorf("set to %d, it is %+v", value, x)
		}
	}
	if _, err := k.SetControls(t.Context(), id, map[string]int32{"shoe_size": 1}, "somebody"); code(err) != apitype.CodeControlUnknown {
		t.Errorf("an unknown one: %v", err)
	}
	if _, err := k.SetControls(t.Context(), id, map[string]int32{c.Name: c.Max + 1}, "somebody"); code(err) != apitype.CodeControlValue {
		t.Errorf("off its range: %v", err)
	}
	// Somebody else turns it, and the call puts it back.
	if _, err := camera.SetControls("/dev/video0", map[string]int32{c.Name: c.Max}); err != nil {
		t.Fatal(err)
	}
	k.shut()
	again := newKioskAt(t, k.dir, realCameras)
	again.names(1)
	film := again.film("")
	film.picture(wait)
	film.end()
	again.Report()
	for _, x := range again.List()[0].Controls {
		if x.Name == c.Name && (x.Value != value || !x.Kept) {
			t.Errorf("after a restart and a call it is %+v, want %d", x, value)
		}
	}
	// The driver's own value takes back what was kept.
	got, err = again.SetControls(t.Context(), id, map[string]int32{c.Name: c.Default}, "somebody")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range got {
		if x.Kept || x.Name == c.Name && x.Value != c.Default {
			t.Errorf("set to its default %d, it is %+v", c.Default, x)
		}
	}
}

package devices

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/camera"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/configs"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// call runs the camera as the call does.
type call struct {
	k      *kiosk
	cancel context.CancelFunc
	done   chan struct{}
	live   chan time.Time // pictures of a camera; the newest few
}

// film begins a run and ends it with the test.
func (k *kiosk) film(id string) *call {
	ctx, cancel := context.WithCancel(context.Background())
	c := &call{k: k, cancel: cancel, done: make(chan struct{}), live: make(chan time.Time, 4)}
	go func() {
		defer close(c.done)
		k.RunCamera(ctx, id, func(f *capture.Frame) {
			if _, err := blocks.Read(f.Y, f.YStride, f.Rect.Dx(), f.Rect.Dy()); err == nil { // no slate
				select {
				case c.live <- time.Now():
				default:
				}
			}
			f.Release()
		})
	}()
	k.t.Cleanup(c.end)
	return c
}

func (c *call) end() {
	c.cancel()
	select {
	case <-c.done:
	case <-time.After(wait):
		c.k.t.Error("the camera does not end")
	}
}

// picture waits for a live picture that is newer than now.
func (c *call) picture(within time.Duration) {
	c.k.t.Helper()
	since, deadline := time.Now(), time.After(within)
	for {
		select {
		case at := <-c.live:
			if at.After(since) {
				return
			}
		case <-deadline:
			c.k.t.Fatalf("no picture within %v; conditions %q", within, conditions(c.k))
		}
	}
}

// inUse lists what is held and for whom.
func inUse(k *kiosk) string {
	var list []string
	for _, d := range k.List() {
		if d.InUse != (d.UsedBy != "") {
			k.t.Errorf("%s is in use: %v, by %q", d.ID, d.InUse, d.UsedBy)
		}
		if d.InUse {
			list = append(list, d.ID+" "+d.UsedBy)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// openedNodes lists the cameras that this process has open, by the kernel's word.
func openedNodes(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []string
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.Contains(to, "/video") {
			nodes = append(nodes, to)
		}
	}
	slices.Sort(nodes)
	return strings.Join(slices.Compact(nodes), " ")
}

// nobody waits until a camera of fakecam has no opener.
func nobody(t *testing.T, cams *camctl.Process, n int, within time.Duration) {
	t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for deadline := time.Now().Add(within); ; <-look.C {
		files, streaming, err := cams.Openers(n)
		if err != nil {
			t.Fatal(err)
		}
		if files == 0 && !streaming {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("camera %d is still open after %v (%d files, streaming %v)", n, within, files, streaming)
		}
	}
}

// names waits until n cameras are seen and gives their ids, in the order of their nodes.
func (k *kiosk) names(n int) []string {
	k.t.Helper()
	var ids []string
	k.eventually(fmt.Sprint(n, " cameras"), wait, func() bool {
		k.Report()
		ids = nil
		list := k.List()
		slices.SortFunc(list, func(a, b apitype.Device) int { return strings.Compare(a.Path, b.Path) })
		for _, d := range list {
			if d.Kind == apitype.KindCamera && d.Present {
				ids = append(ids, d.ID)
			}
		}
		return len(ids) == n
	})
	return ids
}

func TestCameraOfACall(t *testing.T) {
	cams := plugIn(t, 2)
	k := newKiosk(t, realCameras)
	ids := k.names(2)
	if got := inUse(k); got != "" || conditions(k) != "" {
		t.Fatalf("at rest %q is in use, %q", got, conditions(k))
	}
	c := k.film("")
	c.picture(wait)
	if got := inUse(k); got != ids[0]+" session" {
		t.Errorf("in a call %q is in use", got)
	}
	if f := k.CameraFigures(); f == nil || f.Width != 320 || f.Frames == 0 {
		t.Errorf("the figures are %+v", f)
	}
	k.SwitchCamera(ids[1])
	k.eventually("the swap", wait, func() bool { return inUse(k) == ids[1]+" session" })
	nobody(t, cams, 0, 2*time.Second)
	c.end()
	if got := inUse(k); got != "" || k.CameraFigures() != nil {
		t.Errorf("after the call %q is in use", got)
	}
	nobody(t, cams, 1, 500*time.Millisecond)
}

// A camera that is gone: a slate and words, and the patient's own camera when it is
// back; no other stands in.
func TestCameraThatIsPulled(t *testing.T) {
	cams := plugIn(t, 2)
	k := newKiosk(t, realCameras)
	ids := k.names(2)
	c := k.film(ids[0])
	c.picture(wait)
	if err := cams.Unplug(0); err != nil {
		t.Fatal(err)
	}
	k.eventually("the camera is missed", wait, func() bool { return conditions(k) == "camera_missing" })
	if got := inUse(k); got != "" {
		t.Errorf("%q is in use", got)
	}
	k.Report() // a look finds it gone
	d := k.List()
	i := slices.IndexFunc(d, func(d apitype.Device) bool { return d.ID == ids[0] })
	if i < 0 || d[i].Present || d[i].State != "missing" || d[i].Name == d[i].ID || d[i].Message == "" {
		t.Errorf("the wanted camera is listed as %+v", d)
	}
	if err := cams.Plug(0); err != nil {
		t.Fatal(err)
	}
	k.plugged()
	c.picture(wait)
	k.eventually("all is well", wait, func() bool { return conditions(k) == "" && inUse(k) == ids[0]+" session" })
}

// With camera.fallback the next one stands in, those with a role first, and makes room
// when the chosen one is back.
func TestCameraThatStandsIn(t *testing.T) {
	cams := plugIn(t, 3)
	k := newKiosk(t, realCameras, func(cfg *configs.Config) { cfg.Camera.Fallback = true })
	ids := k.names(3)
	if err := k.SetRole("document", ids[2], "somebody"); err != nil {
		t.Fatal(err)
	}
	c := k.film(ids[0])
	c.picture(wait)
	if err := cams.Unplug(0); err != nil {
		t.Fatal(err)
	}
	k.eventually("another stands in", wait, func() bool { return conditions(k) == "camera_fallback" && inUse(k) == ids[2]+" session" })
	c.picture(wait)
	if err := cams.Plug(0); err != nil {
		t.Fatal(err)
	}
	k.eventually("it goes back", wait, func() bool {
		k.Report() // as after the folder's word
		return conditions(k) == "" && inUse(k) == ids[0]+" session"
	})
	nobody(t, cams, 2, 2*time.Second)
}

// The chosen camera comes back and cannot be used: what stands in for it goes on.
func TestStandInOutlastsAnUnusableReturn(t *testing.T) {
	cams := plugIn(t, 2)
	k := newKiosk(t, realCameras, func(cfg *configs.Config) { cfg.Camera.Fallback = true })
	ids := k.names(2)
	c := k.film(ids[0])
	c.picture(wait)
	if err := cams.Unplug(0); err != nil {
		t.Fatal(err)
	}
	k.eventually("another stands in", wait, func() bool { return conditions(k) == "camera_fallback" && inUse(k) == ids[1]+" session" })
	tell(t, cams, "deny 0 all")
	if err := cams.Plug(0); err != nil {
		t.Fatal(err)
	}
	k.eventually("it is back and denied", wait, func() bool { return k.at("/dev/video0").State == "no_permission" })
	for range 3 {
		k.Report()
		c.picture(wait)
	}
	if conditions(k) != "camera_fallback" || inUse(k) != ids[1]+" session" {
		t.Errorf("%q, %q is in use", conditions(k), inUse(k))
	}
	tell(t, cams, "allow 0 all")
	k.eventually("it goes back", wait, func() bool {
		k.Report()
		return conditions(k) == "" && inUse(k) == ids[0]+" session"
	})
}

// What stands in does so for the camera that went, not for one that somebody chooses,
// and where nothing else is left its owner's trouble is told.
func TestNothingStandsInForAChoice(t *testing.T) {
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Camera.Fallback = true })
	wanted := func(errs ...error) string {
		var list []camera.Info
		for i, err := range errs {
			list = append(list, camera.Info{Base: string(rune('a' + i)), Path: fmt.Sprint("/dev/video", i), Err: err})
		}
		k.take(forCameras, k.numbered(forCameras), func(f *found) { f.cameras = list })
		c, standsIn := k.wantedCamera()
		if c == nil {
			return ""
		}
		return fmt.Sprint(c.id, standsIn)
	}
	k.SwitchCamera("b")
	for _, c := range []struct {
		errs []error
		want string
	}{
		{[]error{nil, camera.ErrBusy, camera.ErrBusy}, "atrue"},
		{[]error{nil, nil, camera.ErrBusy}, "bfalse"},
		{[]error{camera.ErrGone, camera.ErrBusy, camera.ErrBusy}, "bfalse"},
		{[]error{nil}, "atrue"},
		{[]error{camera.ErrGone}, ""},
	} {
		k.cam.standsIn = true
		if got := wanted(c.errs...); got != c.want {
			t.Errorf("%v: %q, want %q", c.errs, got, c.want)
		}
	}
	k.SwitchCamera("b")
	if !k.cam.standsIn {
		t.Error("the same wish once more ends what stands in for it")
	}
	k.SwitchCamera("c")
	if got := wanted(nil, nil, camera.ErrBusy); got != "cfalse" {
		t.Errorf("chosen and busy: %q", got)
	}
}

// A shutter that closes in a call is told to the session, and takes nothing else.
func TestShutterInACall(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	ids := k.names(1)
	c := k.film("")
	c.picture(wait)
	if r := k.Report(); r.CameraShut || r.Camera != session.DeviceOK {
		t.Errorf("open, it is %+v", r)
	}
	for _, closed := range []bool{true, false} {
		if err := cams.Shutter(0, closed); err != nil {
			t.Fatal(err)
		}
		k.eventually(fmt.Sprint("shutter closed ", closed), wait, func() bool {
			return k.Report().CameraShut == closed && (conditions(k) == "camera_shuttered") == closed
		})
		if d := k.List()[0]; (d.State == "shuttered") != closed || d.UsedBy != "session" || d.ID != ids[0] {
			t.Errorf("closed %v, it is listed as %+v", closed, d)
		}
	}
	if err := cams.Shutter(0, true); err != nil {
		t.Fatal(err)
	}
	k.eventually("the shutter", wait, func() bool { return k.Report().CameraShut })
	c.end()
	if r := k.Report(); r.CameraShut || r.Camera != session.DeviceShuttered || conditions(k) != "camera_shuttered" {
		t.Errorf("at rest nothing is in use, the look says %+v, %q", r, conditions(k))
	}
}

// The folder's word is enough to notice a camera that nobody uses.
func TestPlugIsNoticed(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	k.names(1)
	heard := make(chan struct{}, 1)
	k.o.Events = func(ctx context.Context, changed func()) error {
		changed()
		heard <- struct{}{}
		<-ctx.Done()
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	var life sync.WaitGroup
	life.Go(func() { k.Run(ctx) })
	defer func() { cancel(); life.Wait() }()
	<-heard
	told := func() int { k.mu.Lock(); defer k.mu.Unlock(); return k.changes }
	before := told()
	if before == 0 {
		t.Error("the kernel's word was not passed on")
	}
	if err := cams.Unplug(0); err != nil {
		t.Fatal(err)
	}
	k.eventually("the pull is told", wait, func() bool { return told() > before })
	k.names(0)
}

// What is held is what the Keeper says is open, by the names of that moment.
func TestCameraHeld(t *testing.T) {
	k := newKiosk(t)
	k.cam.next = chosen{"a", "/dev/video0"}
	k.cameraHeld("/dev/video0", true)
	k.cam.next = chosen{"b", "/dev/video1"} // a swap: both are open for a moment
	k.cameraHeld("/dev/video1", true)
	if len(k.holds) != 2 || k.holds["a"] != bySession || k.holds["b"] != bySession {
		t.Errorf("in a swap held is %v", k.holds)
	}
	k.cameraHeld("/dev/video0", false)
	if len(k.holds) != 1 || k.holds["b"] != bySession {
		t.Errorf("after the swap held is %v", k.holds)
	}
	k.cam.next = chosen{"c", "/dev/video1"} // another camera has got the number
	k.cameraHeld("/dev/video1", false)
	k.cameraHeld("/dev/video7", false) // nobody's
	if len(k.holds) != 0 {
		t.Errorf("all are closed and held is %v", k.holds)
	}
	k.cam.next = chosen{"a", "/dev/video0"}
	k.cameraHeld("/dev/video0", true)
	k.cam.next = chosen{"a", "/dev/video1"} // it hung, was replugged, and runs
	k.cameraHeld("/dev/video1", true)
	k.cameraHeld("/dev/video0", false)
	if len(k.holds) != 1 || k.holds["a"] != bySession {
		t.Errorf("it runs, its old file is closed, and held is %v", k.holds)
	}
	k.cameraHeld("/dev/video1", false)
	if len(k.holds) != 0 {
		t.Errorf("both are closed and held is %v", k.holds)
	}
}

package devices

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/camera"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/configs"
	"kioskd/daemon/api/apitype"
)

func tell(t *testing.T, cams *camctl.Process, command string) {
	t.Helper()
	if _, err := cams.Do(command); err != nil {
		t.Fatal(err)
	}
}

// at looks, and gives the device at a path.
func (k *kiosk) at(path string) apitype.Device {
	k.t.Helper()
	k.Report()
	list := k.List()
	i := slices.IndexFunc(list, func(d apitype.Device) bool { return d.Path == path })
	if i < 0 {
		k.t.Fatalf("nothing is at %s: %+v", path, list)
	}
	return list[i]
}

// Numbers change, restarts come: a role stays with its device, and its controls too.
func TestRolesFollowTheDevices(t *testing.T) {
	cams := plugIn(t, 2, "-serial", "A1,B2", "-port", "1-1,1-2.4")
	k := newKiosk(t, realCameras)
	ids := k.names(2)
	if !strings.HasSuffix(ids[1], "-B2") || k.at("/dev/video1").Where != "USB port 1-2.4" {
		t.Fatalf("the cameras are %v, the second is %+v", ids, k.at("/dev/video1"))
	}
	if err := k.SetRole("face", ids[1], "somebody"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.SetControls(t.Context(), ids[1], map[string]int32{"brightness": 7}, "somebody"); err != nil {
		t.Fatal(err)
	}
	tell(t, cams, "move 0 6")
	tell(t, cams, "move 1 0") // where the other one was
	if d := k.at("/dev/video0"); d.ID != ids[1] || d.Role != "face" {
		t.Errorf("after a renumbering: %+v", d)
	}
	k.shut()
	again := newKioskAt(t, k.dir, realCameras)
	if d := again.at("/dev/video0"); d.ID != ids[1] || d.Role != "face" || again.Report().Cameras[0] != ids[1] {
		t.Errorf("after a restart: %+v, the session hears %v", d, again.Report().Cameras)
	}
	if d := again.at("/dev/video6"); d.ID != ids[0] || d.Role != "" {
		t.Errorf("the other one: %+v", d)
	}
	c := again.film("")
	c.picture(wait)
	if got := inUse(again); got != ids[1]+" session" {
		t.Errorf("%q is in use", got)
	}
	again.Report()
	for _, x := range again.at("/dev/video0").Controls {
		if x.Name == "brightness" && (x.Value != 7 || !x.Kept) {
			t.Errorf("its control is %+v", x)
		}
	}
}

// Two with one serial number are told apart by their ports, whichever came first and
// whatever their numbers are.
func TestTwinsOnTheBus(t *testing.T) {
	cams := plugIn(t, 2, "-serial", "SAME", "-port", "1-1,1-2")
	tell(t, cams, "unplug 1")
	k := newKiosk(t, realCameras)
	alone := k.names(1)[0]
	if err := k.SetRole("face", alone, "somebody"); err != nil {
		t.Fatal(err)
	}
	tell(t, cams, "plug 1")
	ids := k.names(2)
	if ids[0] != alone+"-at-usb-1-1" || ids[1] != alone+"-at-usb-1-2" || k.at("/dev/video0").Role != "face" {
		t.Errorf("with the twin: %v, %s", ids, roles(k))
	}
	if r := k.Report(); len(r.Renamed) != 1 || r.Renamed[alone] != ids[0] {
		t.Errorf("the session hears of the new name %v", r.Renamed)
	}
	tell(t, cams, "unplug 0")
	if d := k.at("/dev/video1"); d.ID != ids[1] || d.Role == "face" { // it does not take the place of the other
		t.Errorf("the twin alone: %+v", d)
	}
	if r := k.Report(); len(r.Cameras) != 1 || r.Cameras[0] != ids[1] {
		t.Errorf("the session hears %+v", r)
	}
	tell(t, cams, "plug 0")
	tell(t, cams, "move 0 9")
	if d := k.at("/dev/video9"); d.ID != ids[0] || d.Role != "face" {
		t.Errorf("back under another number: %+v", d)
	}
}

// A driver that hangs holds nobody up, and is told.
func TestHungCamera(t *testing.T) {
	cams := plugIn(t, 2, "-serial", "A1,B2")
	k := newKiosk(t, realCameras)
	ids := k.names(2)
	c := k.film(ids[1])
	c.picture(wait)
	tell(t, cams, "hang 0 6000")
	began := time.Now()
	k.Report()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("the look took %v", took)
	}
	if d := k.at("/dev/video0"); d.ID != ids[0] || d.State != "hung" || !d.Present || !d.InUse || d.Message == "" || d.Hint == "" {
		t.Errorf("the one that hangs is %+v", d)
	}
	c.picture(time.Second)
	if _, err := k.Snapshot(t.Context(), ids[0], "somebody"); code(err) != apitype.CodeDeviceFailed {
		t.Errorf("its snapshot: %v", err)
	}
	k.eventually("it answers again", wait, func() bool { d := k.at("/dev/video0"); return d.State == "ok" && !d.InUse })
}

// A USB bus that is full is told in words, and what to do.
func TestFullBus(t *testing.T) {
	plugIn(t, 2, "-one-bus", "-serial", "A1,B2")
	k := newKiosk(t, realCameras)
	ids := k.names(2)
	other, err := camera.Open(camera.Config{Path: "/dev/video0"}, slog.New(slog.DiscardHandler)) // somebody else's
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	streams, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- other.Run(ctx, func(f *capture.Frame) {
			f.Release()
			select {
			case streams <- struct{}{}:
			default:
			}
		})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-streams
	c := k.film(ids[1])
	k.eventually("the full bus is told", wait, func() bool {
		return conditions(k) == "camera_no_bandwidth" && k.at("/dev/video1").State == "no_bandwidth"
	})
	if d := k.at("/dev/video1"); !strings.Contains(d.Message, "USB") || !strings.Contains(d.Hint, "mjpeg") || d.InUse {
		t.Errorf("it is told as %+v", d)
	}
	c.end()
}

// A permission that udev gives late, and one that is taken away.
func TestPermissionOfACamera(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras, func(cfg *configs.Config) {})
	k.names(1)
	tell(t, cams, "deny 0 all")
	if d := k.at("/dev/video0"); d.State != "no_permission" || conditions(k) != "camera_no_permission" || !strings.Contains(d.Hint, "group") {
		t.Errorf("denied, it is %+v; %q", d, conditions(k))
	}
	c := k.film("")
	tell(t, cams, "allow 0 all")
	c.picture(wait)
	k.eventually("all is well", wait, func() bool { return conditions(k) == "" })
}

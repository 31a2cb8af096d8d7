package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
	"kioskd/systemd/vm/farside"
)

// Where a driver's devices are taken from it and given back (kernel documentation,
// "ABI/testing/sysfs-bus-platform" and driver-model/binding).
const (
	vividDriver = "/sys/bus/platform/drivers/vivid/"
	aloopDriver = "/sys/bus/platform/drivers/snd_aloop/"
)

// What is promised, and what an emulated processor is given: looking for devices,
// opening one and a first picture take it seconds.
func slateLimit() limit { return limit{time.Second, 4 * time.Second} }
func liveLimit() limit  { return limit{500 * time.Millisecond, 6 * time.Second} }
func listLimit() limit  { return limit{time.Second, 6 * time.Second} }

// goneLive waits for the slate after a fault, and for the picture after its end.
// undo gives the time from which the picture counts.
func (r *rig) goneLive(ctx context.Context, at time.Time, undo func() (time.Time, error)) (string, error) {
	slate, err := r.far.Await(ctx, farside.Slate, at, slateLimit().allowed)
	if err != nil {
		return "", err
	}
	figures := "slate " + slateLimit().of(slate)
	told, err := r.told(ctx, at)
	figures += told
	back, undoErr := undo()
	if undoErr != nil {
		return figures, errors.Join(err, undoErr)
	}
	live, liveErr := r.far.Await(ctx, farside.Live, back, liveLimit().allowed)
	if liveErr == nil {
		figures += ", live again " + liveLimit().of(live)
	}
	return figures, errors.Join(err, liveErr)
}

// told waits until a condition says what is wrong with the camera.
func (r *rig) told(ctx context.Context, at time.Time) (string, error) {
	const within = 10 * time.Second
	for {
		health, err := r.kiosk.Health(ctx)
		if err != nil {
			return "", err
		}
		took := time.Since(at)
		for _, c := range health.Conditions {
			if strings.HasPrefix(c.Code, "camera_") {
				return fmt.Sprintf(", %s told after %s", c.Code, promise.MS(took)), nil
			}
		}
		if took > within {
			return "", fmt.Errorf("no condition said within %v what is wrong with the camera", within)
		}
		if err := promise.Pause(ctx, 50*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// rounds is how often the cameras are unplugged: udev's order differs, and names
// must not follow it.
const rounds = 3

// unplugged takes both cameras from their driver and gives them back.
func unplugged(ctx context.Context, r *rig) (string, error) {
	before, err := r.present(ctx, apitype.KindCamera)
	if err != nil {
		return "", err
	}
	began := time.Now()
	var figures []string
	for range rounds {
		if _, err := r.settled(ctx); err != nil {
			return strings.Join(figures, "; "), err
		}
		at := time.Now()
		if err := r.agent.Write(ctx, vividDriver+"unbind", "vivid.0"); err != nil {
			return strings.Join(figures, "; "), err
		}
		f, err := r.goneLive(ctx, at, func() (time.Time, error) {
			now := time.Now()
			return now, r.agent.Write(ctx, vividDriver+"bind", "vivid.0")
		})
		if figures = append(figures, f); err != nil {
			return strings.Join(figures, "; "), err
		}
		after, err := r.bothBack(ctx)
		if err == nil && !slices.Equal(before, after) {
			err = fmt.Errorf("the cameras were called %q and are now %q", before, after)
		}
		if err != nil {
			return strings.Join(figures, "; "), err
		}
	}
	return strings.Join(figures, "; "), r.states.stayed(began)
}

// bothBack waits until both cameras are listed again and gives their names.
func (r *rig) bothBack(ctx context.Context) ([]string, error) {
	last := time.Now().Add(liveLimit().allowed)
	for {
		ids, err := r.present(ctx, apitype.KindCamera)
		if err != nil || len(ids) >= 2 || time.Now().After(last) {
			return ids, err
		}
		if err := promise.Pause(ctx, 100*time.Millisecond); err != nil {
			return ids, err
		}
	}
}

// steadyLooks is how often in a row a node has to be the only one that is open: a
// look at all cameras opens each for a moment.
const steadyLooks = 4

// camera is the node that the daemon streams from.
func (r *rig) camera(ctx context.Context) (string, error) {
	last := time.Now().Add(commandWithin)
	for same, node := 0, ""; ; {
		list, err := r.held(ctx, "/dev/video")
		if err != nil {
			return "", err
		}
		if now := paths(list); now != node || now == "" || strings.Contains(now, ",") {
			same, node = 0, now
		} else if same++; same == steadyLooks {
			return node, nil
		}
		if time.Now().After(last) {
			return "", fmt.Errorf("cannot break the camera: open is %q", node)
		}
		if err := promise.Pause(ctx, 50*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// set sets one of vivid's own controls (kernel documentation, "The Virtual Video
// Test Driver", "Error Injection").
func (r *rig) set(ctx context.Context, node, control string) error {
	_, err := r.agent.Must(ctx, commandWithin, "v4l2-ctl", "-d", node, "-c", control)
	return err
}

// settled waits until pictures come, so that a fault meets a camera that runs.
func (r *rig) settled(ctx context.Context) (string, error) {
	if _, err := r.far.Await(ctx, farside.Live, time.Now(), liveLimit().allowed); err != nil {
		return "", err
	}
	return r.camera(ctx)
}

// felt is the least gap in the pictures that proves that a fault met the right
// camera: pictures come 67 ms apart, and opening it anew takes it longer.
const felt = 150 * time.Millisecond

// breaks plays a fault that lasts until the device is closed or the stream is
// stopped: pictures that come later than a second after it prove that the daemon
// did that, and began anew. It gives the longest gap between them.
func (r *rig) breaks(ctx context.Context, controls ...string) (time.Duration, error) {
	node, err := r.settled(ctx)
	if err != nil {
		return 0, err
	}
	at := time.Now()
	for _, c := range controls {
		if err := r.set(ctx, node, c); err != nil {
			return 0, err
		}
	}
	last := time.Now()
	// What is in flight may still show.
	if err := promise.Pause(ctx, time.Second); err != nil {
		return 0, err
	}
	if _, err := r.far.Await(ctx, farside.Live, last.Add(time.Second), liveLimit().allowed); err != nil {
		return 0, err
	}
	gap := r.far.Gap(farside.Live, at, time.Now())
	if gap < felt {
		return gap, fmt.Errorf("%q at %s was not felt: pictures were at most %s apart", controls, node, promise.MS(gap))
	}
	return gap, r.states.stayed(at)
}

// disconnected: every ioctl says ENODEV until the last user has closed the device.
// The second time the first STREAMON after it fails too.
func disconnected(ctx context.Context, r *rig) (string, error) {
	gap, err := r.breaks(ctx, "disconnect=1")
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("no live picture for %s", promise.MS(gap))
	gap, err = r.breaks(ctx, "inject_vidioc_streamon_error=1", "disconnect=1")
	if err != nil {
		return figures, err
	}
	return figures + fmt.Sprintf(", with a failing STREAMON after it for %s; camera opened anew by itself", promise.MS(gap)), nil
}

// noFrames: the driver loses every buffer, which looks like a hung camera.
func noFrames(ctx context.Context, r *rig) (string, error) {
	node, err := r.settled(ctx)
	if err != nil {
		return "", err
	}
	at := time.Now()
	if err := r.set(ctx, node, "percentage_of_dropped_buffers=100"); err != nil {
		return "", err
	}
	// The daemon closes and opens it meanwhile: the driver keeps the control.
	figures, err := r.goneLive(ctx, at, func() (time.Time, error) {
		began := time.Now()
		return began, r.set(ctx, node, "percentage_of_dropped_buffers=0")
	})
	return figures, errors.Join(err, r.states.stayed(at))
}

// streamErrors: single buffers marked bad, then the whole queue failing (EIO).
func streamErrors(ctx context.Context, r *rig) (string, error) {
	const marked = 5
	node, err := r.settled(ctx)
	if err != nil {
		return "", err
	}
	at := time.Now()
	for range marked {
		if err := r.set(ctx, node, "inject_v4l2_buf_flag_error=1"); err != nil {
			return "", err
		}
	}
	gap := r.far.Gap(farside.Live, at, time.Now())
	figures := fmt.Sprintf("%d buffers with V4L2_BUF_FLAG_ERROR: pictures at most %s apart", marked, promise.MS(gap))
	gap, err = r.breaks(ctx, "inject_fatal_streaming_error=1")
	if err != nil {
		return figures, err
	}
	return figures + fmt.Sprintf("; fatal error: no live picture for %s", promise.MS(gap)), r.states.stayed(at)
}

// withoutCall unloads both drivers while nobody uses their devices: the list has to
// follow by itself, and names to stay.
func withoutCall(ctx context.Context, r *rig) (string, error) {
	var figures []string
	for _, d := range []struct{ driver, kind string }{{"vivid", apitype.KindCamera}, {"snd-aloop", apitype.KindMicrophone}} {
		before, err := r.present(ctx, d.kind)
		if err != nil {
			return "", err
		}
		if err := r.unload(ctx, d.driver); err != nil {
			return strings.Join(figures, "; "), err
		}
		gone, goneErr := r.listed(ctx, d.kind, nil)
		if _, err := r.agent.Must(ctx, commandWithin, "modprobe", d.driver); err != nil { // the next rows need it
			return strings.Join(figures, "; "), errors.Join(goneErr, err)
		}
		back, err := r.listed(ctx, d.kind, before)
		err = errors.Join(goneErr, err)
		figures = append(figures, fmt.Sprintf("%s unloaded: off the list %s, loaded: on it %s", d.driver, listLimit().of(gone), listLimit().of(back)))
		if err != nil {
			return strings.Join(figures, "; "), err
		}
	}
	return strings.Join(figures, "; "), nil
}

// unload unloads a driver, as soon as nothing has its devices open: whoever looks
// what there is opens each for a moment.
func (r *rig) unload(ctx context.Context, driver string) error {
	last := time.Now().Add(commandWithin)
	for {
		_, err := r.agent.Must(ctx, commandWithin, "modprobe", "-r", driver)
		if err == nil || time.Now().After(last) {
			return err
		}
		if err := promise.Pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// listed waits until the devices of a kind that are there have these names, and no
// others, and gives the time it took.
func (r *rig) listed(ctx context.Context, kind string, want []string) (time.Duration, error) {
	began := time.Now()
	for {
		ids, err := r.present(ctx, kind)
		took := time.Since(began)
		if err != nil || slices.Equal(ids, want) {
			return took, err
		}
		if took > listLimit().allowed {
			return took, fmt.Errorf("the list has the %ss %q, and not %q", kind, ids, want)
		}
		if err := promise.Pause(ctx, 50*time.Millisecond); err != nil {
			return took, err
		}
	}
}

// soundAway takes the card from its driver while it is recorded from, unloads the
// driver, and loads it again.
func soundAway(ctx context.Context, r *rig) (string, error) {
	const quietWithin = 10 * time.Second
	back := limit{3 * time.Second, 10 * time.Second}
	if _, err := r.far.Await(ctx, farside.Tone, time.Now(), back.allowed); err != nil {
		return "", err
	}
	at := time.Now()
	// The kernel waits here until the last user has closed the card.
	if err := r.agent.Write(ctx, aloopDriver+"unbind", "snd_aloop.0"); err != nil {
		return "", err
	}
	freed := time.Since(at)
	quiet, err := r.far.Await(ctx, farside.Quiet, at, quietWithin)
	if err != nil {
		return "", err
	}
	figures := fmt.Sprintf("card taken: given up after %s, quiet after %s", promise.MS(freed), promise.MS(quiet))
	if err := r.unload(ctx, "snd-aloop"); err != nil {
		return figures, err
	}
	if _, err := r.agent.Must(ctx, commandWithin, "modprobe", "snd-aloop"); err != nil {
		return figures, err
	}
	loaded := time.Now()
	tone, err := r.far.Await(ctx, farside.Tone, loaded, back.allowed)
	if err == nil {
		figures += "; driver unloaded and loaded: tone again " + back.of(tone)
	}
	return figures, errors.Join(err, r.states.stayed(at))
}

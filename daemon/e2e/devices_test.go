package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestRandomCommands gives thousands of commands of the patient's and pulls plugs in
// between: whenever it is quiet for a moment, the devices that are open are exactly
// those that the last commands ask for, and fakecam agrees.
func TestRandomCommands(t *testing.T) {
	total := 600
	if full() {
		total = 10_000
	}
	c := theScene(t, stage.Options{Cameras: 2})
	c.join(t, "clinician")
	c.calls(t, "random")
	ids := c.ids(t)
	w := &wish{rng: rand.New(rand.NewPCG(3, uint64(total))), in: [2]bool{true, true}, camera: c.at(t, ids)}
	slowest := time.Duration(0)
	for n := range total {
		c.random(t, w)
		if n%20 != 19 {
			continue
		}
		took := c.settles(t, w, ids)
		slowest = max(slowest, took)
	}
	for n := range w.in {
		if !w.in[n] {
			c.camera(t, n, "plug")
		}
	}
	t.Logf("%d commands, %d looks at what is open: all as the last commands said, after %v at the most", total, total/20, slowest.Round(time.Millisecond))
	if s := c.session(t); s.State != apitype.StateActive {
		t.Errorf("the session says %s", line(s))
	}
	c.over(t)
	for n := range 2 {
		c.dark(t, n, closedWithin)
	}
}

// wish is what the commands so far come to.
type wish struct {
	rng    *rand.Rand
	off    bool    // video
	muted  bool    // microphone
	camera int     // number of the selected one
	in     [2]bool // plugged in
}

// random gives one command, or moves one plug.
func (c *scene) random(t *testing.T, w *wish) {
	t.Helper()
	switch r := w.rng.IntN(10); {
	case r < 4:
		off := w.rng.IntN(2) == 0
		_, err := c.api.DisableVideo(t.Context(), &off)
		if err == nil {
			w.off = off
		} else if off || !refusal(err, "camera_missing") {
			t.Fatalf("video off %v: %v", off, err)
		}
	case r < 6:
		muted := w.rng.IntN(2) == 0
		if _, err := c.api.Mute(t.Context(), &muted); err != nil {
			t.Fatal(err)
		}
		w.muted = muted
	case r < 8:
		if _, err := c.api.SwapCamera(t.Context(), ""); err != nil && !refusal(err, "camera_unsupported") {
			t.Fatal(err)
		}
	default:
		n := w.rng.IntN(2)
		if w.in[n] {
			c.camera(t, n, "unplug")
		} else {
			c.camera(t, n, "plug")
		}
		w.in[n] = !w.in[n]
	}
}

// settles waits until all that is open is what w asks for, and gives how long it took.
func (c *scene) settles(t *testing.T, w *wish, ids [2]string) time.Duration {
	t.Helper()
	s := c.session(t)
	if s.Video.Disabled != w.off || s.Audio.Muted != w.muted {
		t.Fatalf("video off %v, muted %v were asked for; the session says %s", w.off, w.muted, line(s))
	}
	began := time.Now()
	until(t, "the devices are as the last commands say", 5*time.Second, func() (bool, string) {
		wrong := c.wrong(t, w, ids, s.Camera.ID)
		return wrong == "", wrong
	})
	took := time.Since(began)
	if w.off && took > closedWithin {
		t.Errorf("with the video off it took %v until all cameras were closed", took)
	}
	return took
}

// wrong says what is not as it should be; empty: nothing.
func (c *scene) wrong(t *testing.T, w *wish, ids [2]string, selected string) string {
	t.Helper()
	list, err := c.api.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		want := !w.off && w.in[n] && ids[n] == selected
		if open := !strings.HasPrefix(c.camera(t, n, "openers"), "ok openers 0 "); open != want {
			return fmt.Sprintf("camera %d is open: %v, wanted %v", n, open, want)
		}
		for _, d := range list {
			if d.ID == ids[n] && d.InUse != want {
				return fmt.Sprintf("GET /v1/devices says in_use %v of camera %d, wanted %v", d.InUse, n, want)
			}
		}
	}
	for _, d := range list {
		if d.Kind == apitype.KindMicrophone && d.Role == apitype.RoleMicrophone && !d.InUse {
			return "the microphone is not held in a call"
		}
	}
	return ""
}

// ids are the two cameras' ids, by their numbers.
func (c *scene) ids(t *testing.T) (ids [2]string) {
	t.Helper()
	list, err := c.api.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		for n := range ids {
			if d.Path == fmt.Sprintf("/dev/video%d", n) {
				ids[n] = d.ID
			}
		}
	}
	if ids[0] == "" || ids[1] == "" {
		t.Fatalf("two cameras are wanted: %s", line(list))
	}
	return ids
}

// refusal tells whether err is the problem of that code.
func refusal(err error, code string) bool {
	var p *apitype.Problem
	return errors.As(err, &p) && p.Code == code
}

// at is the number of the camera in use.
func (c *scene) at(t *testing.T, ids [2]string) int {
	t.Helper()
	if c.session(t).Camera.ID == ids[1] {
		return 1
	}
	return 0
}

// TestRolesFollowTheDevices: two cameras come back under each other's number, two have
// one serial; the roles stay with the cameras.
func TestRolesFollowTheDevices(t *testing.T) {
	for name, args := range map[string][][]string{
		"two serials": {{"-serial", "A1", "-port", "1-1"}, {"-serial", "B2", "-port", "1-2"}},
		"one serial":  {{"-serial", "A1", "-port", "1-1"}, {"-serial", "A1", "-port", "1-2"}},
		"no serial":   {{"-serial", "", "-port", "1-1"}, {"-serial", "", "-port", "1-2"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := theScene(t, stage.Options{Cameras: 2, EachCamera: args})
			c.cameras(t, 2)
			ids := c.ids(t)
			for role, id := range map[string]string{apitype.RoleFace: ids[1], apitype.RoleDocument: ids[0]} {
				if _, err := c.api.SetRole(t.Context(), role, id); err != nil {
					t.Fatal(err)
				}
			}
			c.join(t, "clinician")
			c.calls(t, "roles-first")
			c.seesCamera(t, 1)
			c.over(t)
			// The cleaner swaps the numbers.
			for n := range 2 {
				c.camera(t, n, "unplug")
			}
			c.cameras(t, 0)
			c.camera(t, 0, "move 11")
			c.camera(t, 1, "move 10")
			c.cameras(t, 2)
			c.roles(t, ids, "/dev/video11", "/dev/video10")
			// And the daemon is started anew.
			if err := c.StopKioskd(); err != nil {
				t.Fatal(err)
			}
			c.starts(t)
			c.cameras(t, 2)
			c.roles(t, ids, "/dev/video11", "/dev/video10")
			c.calls(t, "roles-after")
			c.seesCamera(t, 1)
			c.over(t)
		})
	}
}

// roles checks that document and face are at these paths under their old ids.
func (c *scene) roles(t *testing.T, ids [2]string, document, face string) {
	t.Helper()
	until(t, "the roles are with their cameras", 2*time.Second, func() (bool, string) {
		list, err := c.api.Devices(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, d := range list {
			if d.Role == apitype.RoleDocument && d.ID == ids[0] && d.Path == document || d.Role == apitype.RoleFace && d.ID == ids[1] && d.Path == face {
				found++
			}
		}
		return found == 2, line(list)
	})
}

// TestSoundServerDies: the sound server is killed in a call and started again; the
// clinician hears the tone again, without a restart of anything of ours.
func TestSoundServerDies(t *testing.T) {
	const within = 3 * time.Second
	c := theScene(t, stage.Options{Cameras: 1, OwnSpeakers: true})
	c.join(t, "clinician")
	c.calls(t, "sound")
	hears := fmt.Sprintf("Math.abs(sim.audio.peakHz - %d) < 15 && sim.audio.rms > 0.001", stage.ToneHz)
	c.clinicSees(t, hears)
	pid := c.Kioskd.PID()
	var longest time.Duration
	for range max(rounds()/3, 2) {
		if err := c.Sound.Kill(); err != nil {
			t.Fatal(err)
		}
		c.clinicSees(t, "sim.audio.rms < 0.001")
		until(t, "the condition", 3*time.Second, func() (bool, string) {
			return c.condition(t, "microphone_missing") || c.condition(t, "microphone_hung"), "not set"
		})
		if err := c.Sound.Restart(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.clinicSees(t, hears)
		longest = max(longest, time.Since(began))
	}
	t.Logf("the clinician hears the tone again after %v at the most", longest.Round(time.Millisecond))
	if longest > within {
		t.Errorf("it took %v, promised are %v", longest, within)
	}
	if c.Kioskd.PID() != pid || os.Getpid() == pid {
		t.Error("kioskd is another process")
	}
	c.quiet(t, "state", "reconnecting")
	c.over(t)
}

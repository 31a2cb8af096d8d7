package session_test

import (
	"testing"

	"kioskd/daemon/session"
)

// A shutter or a button only takes away. It is told where it changes what is sent.
func TestHardwareTakesAway(t *testing.T) {
	k := active(t).do(shut(true, false)).want("active", "video=updated").wantEffects()
	if k.m.VideoOff || k.m.SendsVideo() || !k.m.SendsAudio() {
		t.Errorf("the choice is off %v, sends %v", k.m.VideoOff, k.m.SendsVideo())
	}
	k.do(shut(true, true)).want("active", "audio=updated").wantEffects()
	k.do(shut(true, true)).want("active")
	k.do(devices()).want("active", "audio=updated", "video=updated").wantEffects()
}

// Who has switched it off already sees no change, and nothing comes on when the
// shutter opens.
func TestHardwareOfWhatIsOff(t *testing.T) {
	k := active(t).do(session.Mute{}, session.DisableVideo{})
	k.do(shut(true, true)).want("active").wantEffects()
	k.do(devices()).want("active").wantEffects()
	k.do(shut(true, true), session.Mute{}).want("active", "audio=updated")
	if k.m.SendsAudio() {
		t.Error("unmuting overcame the button")
	}
	k.do(session.DisableVideo{}).want("active", "video=updated").wantEffects("set-video-off(false)", "open-camera(face)")
	if k.m.SendsVideo() {
		t.Error("enabling overcame the shutter")
	}
	k.do(devices()).want("active", "audio=updated", "video=updated")
	if !k.m.SendsAudio() || !k.m.SendsVideo() {
		t.Error("what the patient has switched on is not sent")
	}
}

// Controls name the patient's choice, and stay usable.
func TestHardwareLeavesTheControls(t *testing.T) {
	k := active(t)
	want := k.m.Controls()
	for i, c := range k.do(shut(true, true)).m.Controls() {
		if c != want[i] {
			t.Errorf("%s is %+v, want %+v", c.Reference, c, want[i])
		}
	}
}

// A microphone that its button has muted is no reason to refuse the appointment; the
// patient sees it and presses the button.
func TestHardwareMutedAtOpen(t *testing.T) {
	newKiosk(t).do(up(), open(), shut(false, true)).want("waiting/loading", "audio=updated")
}

// A closed shutter at the opening stays what it was: an error that goes by itself.
func TestShutterClosedAtOpen(t *testing.T) {
	closed := session.DeviceReport{Camera: session.DeviceShuttered, Microphone: session.DeviceOK}
	k := newKiosk(t).do(up(), open(), closed).want("error:camera_permission_required", "error=camera_permission_required")
	k.do(devices()).want("waiting/loading", "state=waiting")
}

// A camera that gets another name, because a second one of its kind came, stays the
// patient's choice.
func TestRenamedCameraStaysChosen(t *testing.T) {
	k := active(t).do(session.SwapCamera{Camera: "document"})
	twins := devices()
	twins.Cameras = []string{"face", "document-at-2", "document-at-1"}
	twins.Renamed = map[string]string{"document": "document-at-1"}
	k.do(twins).want("active", "camera=updated").wantEffects("open-camera(document-at-1)")
	k.do(twins).want("active").wantEffects()
	k.do(session.DisableVideo{}, session.DisableVideo{}).wantEffects("set-video-off(false)", "open-camera(document-at-1)")
	ended := active(t).do(session.EndCall{}, twins)
	if ended.m.Camera.ID != "" {
		t.Errorf("after the end the choice is %q", ended.m.Camera.ID)
	}
}

package main

import (
	"fmt"
	"testing"

	"kioskd/daemon/api/apitype"
)

// banner is what stands in the strip above everything, one row a line.
const banner = `(document.getElementById("banner").hidden ? [] : [...document.querySelectorAll("#banner > div")]).map((r) => r.dataset.code + ": " + r.querySelector("strong").textContent).join("\n")`

// Whoever stands before the idle screen reads that a technician looks, listens or
// plays, in his own language.
func TestPageSaysThatATechnicianUsesADevice(t *testing.T) {
	far := newFarSide(t)
	p := openPage(t, far)
	p.wait(`document.body.dataset.state === "none"`)
	for _, c := range []struct{ lang, kind, what, says string }{
		{"en", "camera", "snapshot", "A technician is using the camera."},
		{"en", "microphone", "level", "A technician is using the microphone."},
		{"en", "speaker", "tone", "A technician is using the speaker."},
		{"de", "camera", "snapshot", "Die Technik benutzt gerade die Kamera."},
		{"de", "microphone", "level", "Die Technik benutzt gerade das Mikrofon."},
		{"de", "speaker", "tone", "Die Technik benutzt gerade den Lautsprecher."},
		{"es", "camera", "snapshot", "El servicio técnico está usando la cámara."},
		{"es", "microphone", "level", "El servicio técnico está usando el micrófono."},
		{"es", "speaker", "tone", "El servicio técnico está usando el altavoz."},
	} {
		eval[bool](p, fmt.Sprintf(`(document.querySelector("#languages button[lang=%s]").click(), true)`, c.lang))
		p.wait(fmt.Sprintf(`document.documentElement.lang === %q`, c.lang))
		far.lend(c.kind, c.what)
		far.change(nil)
		p.wait(fmt.Sprintf(`%s === %q`, banner, "notice_technician_"+c.kind+": "+c.says))
	}
	far.lend("", "")
	far.change(nil)
	p.wait(banner + ` === ""`)
}

// What a button or a shutter takes away is said once, beside what else is wrong, and
// only of what the patient has switched on.
func TestPageSaysWhatTheHardwareTakesAway(t *testing.T) {
	far := newFarSide(t)
	far.studio = newStudio(t)
	p := openPage(t, far)
	muted := apitype.Condition{Code: "microphone_shuttered", Severity: apitype.SeverityWarning, Message: "muted"}
	shut := apitype.Condition{Code: "camera_shuttered", Severity: apitype.SeverityWarning, Message: "shut"}
	network := apitype.Condition{Code: "network_unavailable", Severity: apitype.SeverityError, Message: "none"}
	for _, c := range []struct {
		name                            string
		audio, video, muteOwn, videoOff bool
		conditions                      []apitype.Condition
		want                            string
	}{
		{"nothing", false, false, false, false, nil, ""},
		{"the button", true, false, false, false, []apitype.Condition{muted}, "notice_microphone_shut: Your microphone is muted on the device."},
		{"the shutter", false, true, false, false, []apitype.Condition{shut}, "notice_camera_shut: Your camera's shutter is closed."},
		{"both, before anything worse", true, true, false, false, []apitype.Condition{network, muted, shut}, "notice_microphone_shut: Your microphone is muted on the device.\nnotice_camera_shut: Your camera's shutter is closed."},
		{"one, and something else", true, false, false, false, []apitype.Condition{network, muted}, "notice_microphone_shut: Your microphone is muted on the device.\nnetwork_unavailable: There is no network."},
		{"muted anyway", true, false, true, false, []apitype.Condition{muted}, "microphone_shuttered: Your microphone is muted on the device."},
		{"off anyway", false, true, false, true, nil, ""},
	} {
		far.change(call(apitype.StateActive, func(s *apitype.Session) {
			s.Audio = apitype.Audio{Muted: c.muteOwn, Hardware: c.audio}
			s.Video = apitype.Video{Disabled: c.videoOff, Hardware: c.video}
			s.Title = c.name
		}), c.conditions...)
		p.wait(fmt.Sprintf(`window.kiosk.session?.title === %q && %s === %q`, c.name, banner, c.want))
		if got := eval[string](p, `[...document.querySelectorAll("#controls button")].map((b) => b.dataset.reference + b.disabled).join(" ")`); got != "end-callfalse report-issuefalse disable-videofalse mutefalse chatfalse" {
			t.Errorf("%s: the controls are %q", c.name, got)
		}
	}
}

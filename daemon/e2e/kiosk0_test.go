package e2e_test

import (
	"os/exec"
	"testing"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestScreenOnKiosk0Alone pulls the cable before the page is loaded and leaves the
// interface that the package brings: with no other address in the machine Chromium would
// never connect to a view on loopback.
func TestScreenOnKiosk0Alone(t *testing.T) {
	kiosk0 := func(verb string) {
		if out, err := exec.Command("/bin/sh", "../../systemd/units/lib/kiosk0", verb).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if err := stage.SetLink(false); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stage.SetLink(true); err != nil {
			t.Error(err)
		}
	})
	kiosk0("up")
	t.Cleanup(func() { kiosk0("down") })
	c := theScene(t, stage.Options{Cameras: 1})
	c.open(t, "kiosk0", apitype.StateWaiting)
	c.sees(t, "window.kiosk?.self?.live && window.kiosk.self.frames > 5")
	c.over(t)
}

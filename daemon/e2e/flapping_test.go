package e2e_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// flapping gives the machine an address and takes it away again, as Wi-Fi does that finds
// no rest, until the function it returns is called. That gives the number of times.
func flapping(t *testing.T, pause time.Duration) func() int {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	times, done := 0, make(chan error, 1)
	go func() {
		done <- func() error {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "wlan0"
			pair := &netlink.Veth{LinkAttrs: attrs, PeerName: "wlan0-peer"}
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for ; ctx.Err() == nil; times++ {
				<-tick.C
				err := netlink.LinkAdd(pair)
				if err == nil {
					err = netlink.AddrAdd(pair, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 51, 100, 7), Mask: net.CIDRMask(24, 32)}})
				}
				if err := errors.Join(err, netlink.LinkSetUp(pair), netlink.LinkDel(pair)); err != nil {
					return err
				}
			}
			return nil
		}()
	}()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return func() int { end(); return times }
}

// Chromium drops what it is connecting for when the machine's addresses change, also to
// this machine itself. A patient gets the whole page all the same, and buttons that do
// what they say.
func TestTheNetworkFlaps(t *testing.T) {
	c := theScene(t, stage.Options{Network: true, Cameras: 1})
	c.join(t, "clinician")
	c.calls(t, "flapping")
	began := time.Now()
	if err := c.screen.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Faster than a page loads, none ever does.
	times := flapping(t, max(200*time.Millisecond, 2*time.Since(began)))
	var longest time.Duration
	for range 5 {
		began = time.Now()
		if err := c.screen.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.sees(t, `document.body.dataset.state === "active" && window.kiosk.remote?.live`)
		longest = max(longest, time.Since(began))
	}
	for _, muted := range []bool{true, false, true, false} {
		c.press(t, "mute")
		c.sees(t, map[bool]string{true: `window.kiosk.session.audio.muted`, false: `!window.kiosk.session.audio.muted`}[muted])
	}
	t.Logf("the address came and went %d times: whole page with the picture after %d ms at the most", times(), longest.Milliseconds())
	c.reaches(t, apitype.StateActive)
}

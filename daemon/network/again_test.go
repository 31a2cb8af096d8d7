package network_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"kioskd/daemon/network"
)

// warnings are the errors that a watch tells of.
type warnings chan string

func (w warnings) Write(p []byte) (int, error) {
	select {
	case w <- string(p):
	default:
	}
	return len(p), nil
}

// watched is a watch that may stumble; its callbacks can be held up.
type watched struct {
	warned warnings
	told   chan bool
	moved  chan struct{}
}

func watchStumbles(t *testing.T, told chan bool) watched {
	t.Helper()
	w := watched{warned: make(warnings, 1024), told: told, moved: make(chan struct{}, 4096)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		o := network.Options{Log: slog.New(slog.NewTextHandler(w.warned, nil)), Moved: func() { w.moved <- struct{}{} }}
		done <- network.Watch(ctx, o, func(up bool) { w.told <- up })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the watch ended: %v", err)
		}
	})
	return w
}

func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: never", what)
	}
	return v
}

func (w watched) awaitWarning(t *testing.T, text string) {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case said := <-w.warned:
			if strings.Contains(said, text) {
				return
			}
		case <-deadline:
			t.Errorf("no warning of %q", text)
			return
		}
	}
}

// flood adds n addresses to a link, or removes them.
func flood(t *testing.T, l netlink.Link, n int, do func(netlink.Link, *netlink.Addr) error) {
	t.Helper()
	for i := range n {
		must(t, do(l, address(t, fmt.Sprintf("10.9.%d.%d/32", i/250, i%250+1))))
	}
}

// A list that changes while the kernel gives it is no answer, and no reason to end:
// it is asked for again.
func TestWatchOutlivesInterruptedDumps(t *testing.T) {
	l := cable(t, "v3")
	must(t, netlink.LinkSetUp(l))
	must(t, netlink.AddrAdd(l, address(t, "192.0.2.1/24")))
	flood(t, l, 2000, netlink.AddrAdd) // more than one answer of the kernel holds
	w := watchStumbles(t, make(chan bool, 64))
	awaitTold := func(want bool) {
		t.Helper()
		for await(t, fmt.Sprint("told ", want), w.told) != want {
		}
	}
	awaitTold(true)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		a := address(t, "192.0.2.7/32")
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := netlink.AddrAdd(l, a); err != nil {
				t.Error(err)
				return
			}
			if err := netlink.AddrDel(l, a); err != nil {
				t.Error(err)
				return
			}
			if n%20 == 19 { // so that the watch finds it quiet, and looks when it begins anew
				pause := time.NewTimer(60 * time.Millisecond)
				<-pause.C
			}
		}
	}()
	w.awaitWarning(t, netlink.ErrDumpInterrupted.Error())
	close(stop)
	<-stopped
	must(t, netlink.LinkSetDown(l))
	awaitTold(false)
}

// More at once than the watch's socket holds: it listens again, and misses nothing
// of what came of it.
func TestWatchListensAgain(t *testing.T) {
	told := make(chan bool) // the watch waits until it is read
	l := cable(t, "v4")
	w := watchStumbles(t, told)
	if await(t, "the first answer", told) {
		t.Fatal("there is a network")
	}
	must(t, netlink.LinkSetUp(l))
	must(t, netlink.AddrAdd(l, address(t, "192.0.2.1/24")))
	// Now it has something to tell, which nobody reads yet.
	for range 4 {
		flood(t, l, 2000, netlink.AddrAdd)
		flood(t, l, 2000, netlink.AddrDel)
	}
	if !await(t, "the network is up", told) {
		t.Fatal("it is down")
	}
	w.awaitWarning(t, "socket closed")
	must(t, netlink.LinkSetDown(l))
	if await(t, "the network is down", told) {
		t.Fatal("it is up")
	}
	for len(w.moved) > 0 {
		<-w.moved
	}
	must(t, netlink.LinkSetMTU(l, 1400))
	await(t, "a move after it", w.moved)
}

// Changes without a pause, as of a Wi-Fi that flaps, do not hide that the network is there.
func TestWatchLooksInABurst(t *testing.T) {
	told := make(chan bool, 16)
	l, noisy := cable(t, "v5"), cable(t, "noisy")
	w := watchStumbles(t, told)
	if await(t, "the first answer", told) {
		t.Fatal("there is a network")
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				stopped <- nil
				return
			case <-tick.C:
			}
			if err := netlink.LinkSetMTU(noisy, 1400+n%2); err != nil {
				stopped <- err
				return
			}
		}
	}()
	await(t, "the burst begins", w.moved)
	must(t, netlink.LinkSetUp(l))
	must(t, netlink.AddrAdd(l, address(t, "192.0.2.1/24")))
	if !await(t, "the network is up", told) {
		t.Error("it is down")
	}
	close(stop)
	must(t, <-stopped)
}

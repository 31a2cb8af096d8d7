package network_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/goleak"

	"kioskd/daemon/network"
)

const insideEnv = "NETWORK_TEST_INSIDE"

// TestMain runs the tests in a network namespace of their own, which holds
// nothing but lo. It needs root.
func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) == "1" {
		// The kernel gives a link that comes up an IPv6 address, seconds later: nothing a
		// test could wait for.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			fmt.Fprintln(os.Stderr, "cannot keep IPv6 off the tests' links:", err)
			os.Exit(1)
		}
		goleak.VerifyTestMain(m)
		return
	}
	runtime.LockOSThread() // Pdeathsig follows the thread
	cmd := exec.CommandContext(context.Background(), "/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot pass in a network namespace (run as root):", err)
		os.Exit(1)
	}
}

// cable makes a veth pair, one end of it named name, and returns that end.
func cable(t *testing.T, name string) netlink.Link {
	t.Helper()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatal(err)
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netlink.LinkDel(l); err != nil {
			t.Error(err)
		}
	})
	other, err := netlink.LinkByName(name + "p")
	if err == nil {
		err = netlink.LinkSetUp(other)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func address(t *testing.T, s string) *netlink.Addr {
	t.Helper()
	a, err := netlink.ParseAddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// awaitUp waits until the kernel's answer is want: an address takes a moment to count.
func awaitUp(t *testing.T, o network.Options, want bool) {
	t.Helper()
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(5*time.Second)
	defer tick.Stop()
	for {
		up, err := network.Up(o)
		must(t, err)
		if up == want {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("up is %v, want %v", up, want)
		}
	}
}

func TestUpWantsLinkAddressAndRoute(t *testing.T) {
	var o network.Options
	awaitUp(t, o, false)
	awaitUp(t, network.Options{LoopbackCounts: true}, false) // lo is down in a new namespace
	lo, err := netlink.LinkByName("lo")
	must(t, err)
	must(t, netlink.LinkSetUp(lo))
	t.Cleanup(func() { must(t, netlink.LinkSetDown(lo)) })
	awaitUp(t, o, false)
	awaitUp(t, network.Options{LoopbackCounts: true}, true)

	l := cable(t, "v0")
	must(t, netlink.LinkSetUp(l))
	awaitUp(t, o, false) // a link-local address only
	must(t, netlink.AddrAdd(l, address(t, "192.0.2.1/24")))
	awaitUp(t, o, true)
	awaitUp(t, network.Options{Ignore: []string{"v0"}}, false)

	routes, err := netlink.RouteList(l, netlink.FAMILY_V4)
	must(t, err)
	for _, r := range routes {
		must(t, netlink.RouteDel(&r))
	}
	awaitUp(t, o, false) // an address that leads nowhere
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: &net.IPNet{IP: net.IPv4zero, Mask: net.CIDRMask(0, 32)}}))
	awaitUp(t, o, true)
	must(t, netlink.LinkSetDown(l))
	awaitUp(t, o, false)
}

func TestWatchTellsEachChangeOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	told, done := make(chan bool, 16), make(chan error, 1)
	go func() {
		done <- network.Watch(ctx, network.Options{}, func(up bool) { told <- up })
	}()
	next := func(want bool) {
		t.Helper()
		select {
		case up := <-told:
			if up != want {
				t.Fatalf("told %v, want %v", up, want)
			}
		case err := <-done:
			t.Fatalf("the watch ended: %v", err)
		case <-time.After(5 * time.Second):
			t.Fatalf("never told %v", want)
		}
	}
	next(false) // the present answer comes first
	l := cable(t, "v1")
	must(t, netlink.AddrAdd(l, address(t, "192.0.2.1/24")))
	must(t, netlink.LinkSetUp(l))
	next(true)
	must(t, netlink.AddrAdd(l, address(t, "192.0.2.2/24"))) // no change of the answer
	must(t, netlink.LinkSetDown(l))
	next(false)
	must(t, netlink.LinkSetUp(l))
	next(true)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(told) != 0 {
		t.Errorf("told %d times more", len(told))
	}
}

// What does not change the answer may still have moved a path: another address, a
// route, a second link. What happens to an ignored link moves nothing.
func TestWatchTellsWhatMoved(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	moved, told, done := make(chan struct{}, 256), make(chan bool, 16), make(chan error, 1)
	quiet := cable(t, "quiet")
	l := cable(t, "v2")
	go func() {
		o := network.Options{Ignore: []string{"quiet"}, Moved: func() { moved <- struct{}{} }}
		done <- network.Watch(ctx, o, func(up bool) { told <- up })
	}()
	<-told
	moves := func(what string, do func() error) {
		t.Helper()
		must(t, do())
		select {
		case <-moved:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s moved nothing", what)
		}
		for settled := false; !settled; {
			select {
			case <-moved:
			case <-time.After(300 * time.Millisecond):
				settled = true
			}
		}
	}
	moves("an address", func() error { return netlink.AddrAdd(l, address(t, "192.0.2.1/24")) })
	moves("a link that comes up", func() error { return netlink.LinkSetUp(l) })
	moves("another address", func() error { return netlink.AddrAdd(l, address(t, "192.0.2.2/24")) })
	moves("a route", func() error {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.IPv4(192, 0, 2, 9)})
	})
	moves("an address that goes", func() error { return netlink.AddrDel(l, address(t, "192.0.2.2/24")) })
	must(t, netlink.LinkSetMTU(quiet, 1400))
	select {
	case <-moved:
		t.Error("an ignored link moved something")
	case <-time.After(300 * time.Millisecond):
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

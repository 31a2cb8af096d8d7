// Package badlink puts a program behind a bad link: into a network namespace of its
// own that is joined to the caller's by two TUN devices, with a relay between them
// that loses, delays and shuffles packets by a seed. Programs on both sides see plain
// interfaces; no candidate and no address has to be rewritten.
//
// Each Line owns its namespace, its devices and three goroutines; Close waits for
// them. It needs root and /dev/net/tun. Imported by daemon/e2e and its stage.
package badlink

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The two ends (RFC 5737, TEST-NET-2).
const (
	near, far         = "198.51.100.2", "198.51.100.1" // inside, and the caller's
	nearName, farName = "line0", "line1"
	mtu               = 1500
)

// Line is a namespace behind a link.
type Line struct {
	ns, own    *os.File
	near, far  *os.File
	out, in    *way // from inside, and into it
	mu         sync.Mutex
	splices    []net.Listener
	wg         sync.WaitGroup // ways, splices
	connection sync.WaitGroup
}

// New makes one whose link is good, until Impair. seed makes the same packets get lost
// each time, as far as the programs do the same.
func New(seed uint64) (*Line, error) {
	l := &Line{}
	if err := l.make(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make a network behind a bad link: %w", err), l.Close())
	}
	l.out, l.in = newWay(l.near, l.far, seed), newWay(l.far, l.near, seed+1)
	for _, w := range []*way{l.out, l.in} {
		l.wg.Go(w.read)
		l.wg.Go(w.write)
	}
	return l, nil
}

func (l *Line) make() error {
	var err error
	if l.own, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return err
	}
	made := make(chan error, 1)
	go func() { // on a thread that ends with it, for it is in the new namespace
		runtime.LockOSThread()
		made <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
				return err
			}
			var err error
			if l.ns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
				return err
			}
			lo, err := netlink.LinkByName("lo")
			if err == nil {
				err = netlink.LinkSetUp(lo)
			}
			if err == nil {
				l.near, err = tun(nearName, near, true)
			}
			return err
		}()
	}()
	if err := <-made; err != nil {
		return err
	}
	l.far, err = tun(farName, far, false)
	return err
}

// tun makes a TUN device with an address, in the namespace of the calling thread.
func tun(name, address string, gateway bool) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot make the device %s: %w", name, err), unix.Close(fd))
	}
	f := os.NewFile(uintptr(fd), name)
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(address), Mask: net.CIDRMask(24, 32)}})
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err == nil && gateway {
		err = netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.ParseIP(far)})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set up the device %s: %w", name, err), f.Close())
	}
	return f, nil
}

// Inside runs do on a thread in the namespace. A process that do starts stays there,
// and so does a socket that it opens.
func (l *Line) Inside(do func() error) error {
	runtime.LockOSThread()
	if err := unix.Setns(int(l.ns.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("cannot enter the network behind the bad link: %w", err)
	}
	err := do()
	if back := unix.Setns(int(l.own.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, back) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return err
}

// Impair makes the link bad both ways, or good again with Impairment{}.
func (l *Line) Impair(i Impairment) {
	l.out.impair(i)
	l.in.impair(i)
}

// Bottleneck lets bps bit/s out of the namespace, with a queue of so many milliseconds
// (tbf, tc-tbf(8)); 0 takes it away.
func (l *Line) Bottleneck(bps, queueMS int) error {
	args := fmt.Sprintf("qdisc replace dev %s root tbf rate %d burst 1600 latency %dms", nearName, bps, queueMS)
	if bps == 0 {
		args = "qdisc del dev " + nearName + " root"
	}
	return l.Inside(func() error {
		if out, err := exec.Command("tc", strings.Fields(args)...).CombinedOutput(); err != nil { //nolint:noctx,gosec // netlink answers at once; the words are ours
			return fmt.Errorf("cannot have tc do %q: %w: %s", args, err, out)
		}
		return nil
	})
}

// Passed is how many bytes, IP headers included, have come out of the namespace so far.
func (l *Line) Passed() uint64 {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return l.out.bytes
}

// Close ends the link. Processes inside must be gone.
func (l *Line) Close() error {
	l.mu.Lock()
	for _, s := range l.splices {
		_ = s.Close() // it only listened
	}
	l.mu.Unlock()
	var errs []error
	for _, w := range []*way{l.out, l.in} {
		if w != nil {
			w.stop()
		}
	}
	for _, f := range []*os.File{l.near, l.far, l.ns, l.own} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	l.wg.Wait()
	l.connection.Wait()
	return errors.Join(errs...)
}

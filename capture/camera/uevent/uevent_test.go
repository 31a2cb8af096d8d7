package uevent

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long an event may take; they come at once.
const limit = 5 * time.Second

// watched is a watch on a goroutine of its own.
type watched struct {
	events chan Event
	stop   context.CancelFunc
	end    chan error
}

// startWatch returns when the watch listens.
func startWatch(t *testing.T, udev bool, subsystems []string, changed func(Event)) *watched {
	t.Helper()
	control := filepath.Join(t.TempDir(), "control")
	if udev {
		if err := os.WriteFile(control, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{events: make(chan Event, 1024), stop: cancel, end: make(chan error, 1)}
	if changed == nil {
		changed = func(e Event) { w.events <- e }
	}
	ready, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		w.end <- watch(ctx, control, subsystems, changed, func() { close(ready) })
	}()
	t.Cleanup(func() { cancel(); <-done })
	select {
	case <-ready:
	case err := <-w.end:
		t.Fatal(err)
	}
	return w
}

// next waits for one event.
func (w *watched) next(t *testing.T, want Event) {
	t.Helper()
	select {
	case e := <-w.events:
		if e != want {
			t.Errorf("got %+v, want %+v", e, want)
		}
	case <-time.After(limit):
		t.Errorf("no event; want %+v", want)
	}
}

// sender is a netlink socket of ours.
func sender(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// inject has the kernel send a message as its own to this network namespace
// (lib/kobject_uevent.c: uevent_net_rcv).
func inject(t *testing.T, fd int, body []byte) {
	t.Helper()
	m := make([]byte, unix.NLMSG_HDRLEN+len(body))
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint16(m[4:], unix.NLMSG_MIN_TYPE)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST)
	copy(m[unix.NLMSG_HDRLEN:], body)
	if err := unix.Sendto(fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		t.Fatal(err)
	}
}

// multicast sends a message to a group as udevd does.
func multicast(t *testing.T, fd int, group uint32, body []byte) {
	t.Helper()
	err := unix.Sendto(fd, body, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (group - 1)})
	if err != nil && !errors.Is(err, unix.ECONNREFUSED) { // refused: nobody listens there
		t.Fatal(err)
	}
}

func (w *watched) ends(t *testing.T) {
	t.Helper()
	w.stop()
	select {
	case err := <-w.end:
		if err != nil {
			t.Errorf("Watch: %v", err)
		}
	case <-time.After(limit):
		t.Error("Watch does not end")
	}
}

func TestKernel(t *testing.T) {
	w := startWatch(t, false, []string{"video4linux", "sound"}, nil)
	fd := sender(t)
	inject(t, fd, kernelMessage("add", "/devices/usb1/1-2", "SUBSYSTEM=usb"))
	inject(t, fd, kernelMessage("add", camera, "SUBSYSTEM=video4linux", "DEVNAME=video0"))
	multicast(t, fd, groupUdev, udevMessage(40, added()...)) // not our group
	inject(t, fd, kernelMessage("remove", camera, "SUBSYSTEM=video4linux", "DEVNAME=video0"))
	w.next(t, Event{Action: "add", DevPath: camera, Subsystem: "video4linux", DevName: "/dev/video0"})
	w.next(t, Event{Action: "remove", DevPath: camera, Subsystem: "video4linux", DevName: "/dev/video0"})
	w.ends(t)
	if n := len(w.events); n != 0 {
		t.Errorf("%d more events", n)
	}
}

func TestUdev(t *testing.T) {
	w := startWatch(t, true, nil, nil)
	fd := sender(t)
	inject(t, fd, kernelMessage("add", camera, "SUBSYSTEM=video4linux")) // udevd has not seen it yet
	multicast(t, fd, groupUdev, udevMessage(40, added()...))
	w.next(t, Event{Action: "add", DevPath: camera, Subsystem: "video4linux", DevName: "/dev/video0"})
	multicast(t, fd, groupUdev, []byte("what is this"))
	w.next(t, Event{Lost: true})
	multicast(t, fd, groupUdev, udevMessage(40, append(added(), "LONG="+strings.Repeat("x", maxMessage))...))
	w.next(t, Event{Lost: true})
	multicast(t, fd, groupUdev, udevMessage(40, "ACTION=change", "DEVPATH=/devices/y", "SUBSYSTEM=sound"))
	w.next(t, Event{Action: "change", DevPath: "/devices/y", Subsystem: "sound"})
	w.ends(t)
}

// TestOnlyMulticast: what root sends to our port alone is nobody's news.
func TestOnlyMulticast(t *testing.T) {
	s, err := open(groupUdev)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var port uint32
	if err := s.raw.Control(func(fd uintptr) {
		if at, err := unix.Getsockname(int(fd)); err == nil {
			port = at.(*unix.SockaddrNetlink).Pid
		}
	}); err != nil || port == 0 {
		t.Fatalf("port %d, %v", port, err)
	}
	fd := sender(t)
	if err := unix.Sendto(fd, udevMessage(40, added()...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port}); err != nil {
		t.Fatal(err)
	}
	if e, err := s.next(); !errors.Is(err, errForeign) {
		t.Errorf("sent to us alone: %+v, %v", e, err)
	}
}

// TestOnlyRoot asks the check itself: the kernel lets nobody else multicast.
func TestOnlyRoot(t *testing.T) {
	s := &socket{group: groupUdev}
	group := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 2, Pid: 77}
	for name, c := range map[string]struct {
		from unix.Sockaddr
		oob  []byte
		want bool
	}{
		"root":            {group, unix.UnixCredentials(&unix.Ucred{Pid: 1}), true},
		"somebody":        {group, unix.UnixCredentials(&unix.Ucred{Pid: 1, Uid: 1000}), false},
		"nobody knows":    {group, nil, false},
		"garbage":         {group, []byte{1, 2, 3}, false},
		"another group":   {&unix.SockaddrNetlink{Groups: 1}, unix.UnixCredentials(&unix.Ucred{Pid: 1}), false},
		"another address": {&unix.SockaddrUnix{}, unix.UnixCredentials(&unix.Ucred{Pid: 1}), false},
	} {
		if got := s.believed(c.from, c.oob); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestOverrun sends more than the queue holds while nobody reads.
func TestOverrun(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{}, 1)
	events := make(chan Event, 1<<16)
	w := startWatch(t, true, nil, func(e Event) {
		select {
		case held <- struct{}{}:
		default:
		}
		<-hold
		events <- e
	})
	fd := sender(t)
	big := udevMessage(40, append(added(), "LONG="+strings.Repeat("x", 4000))...)
	multicast(t, fd, groupUdev, big)
	<-held
	for range 2000 { // 8 MB
		if err := unix.Sendto(fd, big, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 2}); err != nil && !errors.Is(err, unix.ENOBUFS) {
			t.Fatal(err)
		}
	}
	close(hold)
	for deadline := time.After(limit); ; {
		select {
		case e := <-events:
			if e.Lost {
				w.ends(t)
				return
			}
		case <-deadline:
			t.Fatal("a queue that ran over is not told")
		}
	}
}

// TestEndsAtOnce: before and while it waits.
func TestEndsAtOnce(t *testing.T) {
	startWatch(t, false, nil, nil).ends(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Watch(ctx, nil, func(e Event) { t.Errorf("event %+v", e) }); err != nil {
		t.Errorf("Watch after the end: %v", err)
	}
}

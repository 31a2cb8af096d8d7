// Command fakecam is a camera in user space: a Video4Linux2 device without a
// kernel module, for tests, demos and developers. Clients stream from it as from
// a webcam: blackjack/webcam, ffmpeg, GStreamer, v4l2-ctl, v4l2-compliance. It
// is a program of its own and imported by nobody; tests import its packages
// camns (private devices), camctl (start and drive it) and blocks (read what a
// frame says about itself).
//
//	fakecam ns CMD ARGS...   run CMD with a private /dev (see package camns)
//	fakecam -n 2 -ctl SOCK   serve /dev/video0 and /dev/video1 until SIGTERM
//
// It prints the line "ready" when the cameras can be opened. Every frame, YUYV
// and MJPEG, carries its counter and its time of making in the block code of
// package blocks; the counter runs with the V4L2 sequence. The control socket
// takes one command a line and answers each with "ok ..." or "error cannot ...":
//
//	unplug N        take /dev/videoN away: links go, open files answer ENODEV
//	plug N          bring it back
//	move N M        unplug it and plug it back as /dev/videoM, at the same port
//	stall N ms      send no frames for ms milliseconds, as a hung camera does
//	hang N ms       open(2) and ioctl(2) are answered only after ms milliseconds, as
//	                by a hung driver; a signal ends the wait; 0 ends the hang
//	openers N       ok openers FILES streaming 0|1: is anybody holding the camera?
//	stats N         ok frames F drops D late L and a count for each fault
//	control N NAME  ok value V inactive 0|1: a control, spelled as by v4l2-ctl -l
//	deny [N] UID    open(2) answers EACCES to this user; UID may be "all", root too
//	allow [N] UID   take that back
//	shutter [N] on  close the privacy shutter, off: open it; pictures are black
//	                without a code meanwhile and V4L2_CID_PRIVACY is 1
//
// And the faults, each on until it is told off:
//
//	garbage [N] on    bytes that no JPEG decoder takes; YUYV becomes noise
//	short [N] on      bytesused is half the picture's
//	oversize [N] on   bytesused is twice the buffer's length
//	wrongsize [N] on  pictures of half the width and height, unannounced
//	uneven [N] on     frames come five at once, then none for their time
//	revoke [N] on     open files answer ENODEV, open(2) EACCES; off: opens work again
//
// Without N all cameras of the process are meant. N is the camera's number now or,
// where no camera has that now, the one it was started with: after "move 0 5" both
// 0 and 5 call it. What deny, shutter and the faults did holds through unplug and
// plug. Who has a camera open keeps it after a deny, as with a device node.
//
// # Several cameras
//
// One process serves several (-n), or several processes serve some each (-first;
// camns.Camera gives each its places). A camera's number N is in its name, its
// port, its links and, in millions, in the counters of its frames (see
// -counter-base), so that a far page tells cameras apart.
//
// # Identity
//
// -product, -serial, -vendor, -usb-id and -port say what a camera is and where it
// is plugged in: "-n 2 -serial A,A -port 1-2.3,1-2.4" are two of one serial on a
// hub. realpath of /sys/dev/char/81:N, in the private one of package camns, leads
// into .../usb1/1-2/1-2.4/1-2.4:1.0/video4linux/videoN, where the folders above
// have the attributes of a real camera and its hubs. The links of v4l/by-id and
// by-path are made as udev does; cameras that want one name share it, the newest
// has it. With -metadata each camera has the second node of a UVC camera, which
// has no pictures. At plug, unplug and move the kernel sends its uevents, unless a
// udevd runs, which would believe them (-uevent); -udev sends udev's message too.
//
// # How it works
//
// Package fuse mounts a folder of files that answer ioctl, poll and mmap, and
// links /dev/videoN to them by symlinks, since a bind mount would pin the file.
// Package v4l2 answers the ioctls and fills buffers; package picture draws.
//
//   - mmap reaches the camera's memory itself (FUSE_PASSTHROUGH); where the kernel
//     or the rights lack it, frames are pushed into the page cache.
//   - A blocking DQBUF is a request that is answered when a frame comes; a signal
//     to its caller ends it as in a driver. O_NONBLOCK is read from the caller's
//     fdinfo, because FUSE passes on the flags of open(2) only.
//   - stat(2) sees a character device 81:N, open(2) a regular file.
//   - When fakecam dies hard, clients get ECONNABORTED, not ENODEV.
//   - Not there: read(2), dmabuf, multi-planar formats, streams of metadata, modes
//     and owners of the nodes (deny and allow stand for them). Controls are kept and
//     told, but change no picture.
//
// It needs root. Drawing a frame of 720p takes 0.05 to 1.3 ms.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"kioskd/cmd/fakecam/camns"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "ns" {
		fmt.Fprintln(os.Stderr, "fakecam:", camns.Exec(os.Args[2:], os.Environ()))
		os.Exit(1)
	}
	o, err := parseOptions(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakecam:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err = run(ctx, o, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fakecam:", err)
		os.Exit(1)
	}
}

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
//	stall N ms      send no frames for ms milliseconds, as a hung camera does
//	openers N       ok openers FILES streaming 0|1: is anybody holding the camera?
//	stats N         ok frames F drops D late L
//	deny [N] UID    open(2) answers EACCES to this user; UID may be "all", root too
//	allow [N] UID   take that back
//	shutter [N] on  close the privacy shutter, off: open it; pictures are black
//	                without a code meanwhile and V4L2_CID_PRIVACY is 1
//
// Without N all cameras of the process are meant. What deny and shutter did holds
// through unplug and plug. Who has a camera open keeps it after a deny, as with
// a device node.
//
// # Several cameras
//
// One process serves several (-n), or several processes serve some each (-first;
// camns.Camera gives each its places). A camera's number N is in its name, its
// bus address, its links and, in millions, in the counters of its frames (see
// -counter-base), so that a far page tells cameras apart.
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
//   - Not there: read(2), dmabuf, events, multi-planar formats, modes
//     and owners of the nodes (deny and allow stand for them).
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

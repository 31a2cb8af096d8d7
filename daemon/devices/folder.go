package devices

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// settleFor is how long a folder has to be quiet before its change is told: udev
// makes a node, changes its owner and its mode and puts links beside it.
const settleFor = 100 * time.Millisecond

// watchFolder tells of every change of a folder's entries whose names begin with
// prefix, of their owners and modes (inotify(7)), until ctx ends. It is how a
// second camera that nobody uses yet is noticed when it comes, goes, or may be used.
// It tells once when it begins: what changed before that was nobody's to notice.
func watchFolder(ctx context.Context, dir, prefix string, changed func()) error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return fmt.Errorf("cannot watch %s for devices: %w", dir, err)
	}
	file := os.NewFile(uintptr(fd), "inotify") // the runtime's poller waits for it
	stop := context.AfterFunc(ctx, func() { _ = file.Close() })
	defer func() {
		stop()
		_ = file.Close() // a second time where ctx has ended
	}()
	const mask = unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ATTRIB | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, dir, mask); err != nil {
		return fmt.Errorf("cannot watch %s for devices: %w", dir, err)
	}
	changed()
	events := make([]byte, 4096)
	for {
		n, err := file.Read(events)
		if err != nil {
			return watchEnd(ctx, dir, err)
		}
		if removed(events[:n]) {
			return watchEnd(ctx, dir, errors.New("the folder was removed"))
		}
		if !concerns(events[:n], prefix) {
			continue
		}
		if err := drain(file, events); err != nil {
			return watchEnd(ctx, dir, err)
		}
		changed()
	}
}

// removed says whether the kernel has ended the watch.
func removed(events []byte) bool {
	return len(events) >= unix.SizeofInotifyEvent && binary.NativeEndian.Uint32(events[4:])&unix.IN_IGNORED != 0
}

// concerns says whether any of the events (struct inotify_event, inotify(7)) is
// about a name with the prefix, or tells that events were lost.
func concerns(events []byte, prefix string) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		length := binary.NativeEndian.Uint32(events[12:])
		rest := events[unix.SizeofInotifyEvent:]
		if mask&unix.IN_Q_OVERFLOW != 0 || uint64(length) > uint64(len(rest)) {
			return true
		}
		if bytes.HasPrefix(rest[:length], []byte(prefix)) {
			return true
		}
		events = rest[length:]
	}
	return false
}

// drain reads until the folder has been quiet for a moment, or a second is over.
func drain(file *os.File, events []byte) error {
	last := time.Now().Add(time.Second)
	for time.Now().Before(last) {
		if err := file.SetReadDeadline(time.Now().Add(settleFor)); err != nil {
			return err
		}
		if _, err := file.Read(events); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			return err
		}
	}
	return file.SetReadDeadline(time.Time{})
}

func watchEnd(ctx context.Context, dir string, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("cannot go on watching %s for devices: %w", dir, err)
}

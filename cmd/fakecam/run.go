package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/fuse"
	"kioskd/cmd/fakecam/picture"
	"kioskd/cmd/fakecam/v4l2"
)

// readyWait is how long the kernel may take to say hello; it takes 1 ms.
const readyWait = 5 * time.Second

// rig is all the cameras and what joins them.
type rig struct {
	opts    options
	sys     sysfs
	moves   sync.Mutex // one move at a time
	cams    []*camera
	server  *fuse.Server
	journal *journal
	log     *slog.Logger
}

// run serves cameras until ctx ends. When it returns, the mount, the links and
// the socket are gone and no goroutine of it is left.
func run(ctx context.Context, o options, stdout io.Writer, log *slog.Logger) (err error) {
	raise(log)
	j, err := openJournal(o.log)
	if err != nil {
		return err
	}
	r := &rig{opts: o, sys: findSysfs(o.sys, o.dev), journal: j, log: log}
	defer func() { err = errors.Join(err, r.closeCameras(), j.close()) }()
	if err := r.makeCameras(o); err != nil {
		return err
	}
	made, err := mountPoint(o.mount)
	if err != nil {
		return err
	}
	if made {
		defer func() { _ = os.Remove(o.mount) }() // a folder in use stays
	}
	if r.server, err = fuse.Mount(o.mount, o.mode, r.files(), log); err != nil {
		return err
	}
	return r.serve(ctx, o, stdout)
}

// files are the cameras' files: first each camera's own, by its index, then the
// metadata nodes. Nobody maps those; they have the camera's memory to be alike.
func (r *rig) files() []fuse.Entry {
	var own, meta []fuse.Entry
	for _, c := range r.cams {
		mem, fd := c.dev.Memory()
		own = append(own, fuse.Entry{Memory: mem, FD: fd, File: c})
		if c.meta {
			meta = append(meta, fuse.Entry{Memory: mem, FD: fd, File: metaFile{c}})
		}
	}
	return append(own, meta...)
}

// serve runs the mounted rig and takes it down.
func (r *rig) serve(ctx context.Context, o options, stdout io.Writer) (err error) {
	served := make(chan error, 1)
	go func() { served <- r.server.Serve() }()
	defer func() {
		for _, c := range r.cams {
			err = errors.Join(err, c.unplug())
		}
		err = errors.Join(err, r.server.Unmount(), <-served)
		r.report()
	}()
	timer := time.NewTimer(readyWait)
	defer timer.Stop()
	select {
	case <-r.server.Ready():
	case e := <-served:
		served <- nil
		return e
	case <-timer.C:
		return fmt.Errorf("cannot mount %s: no word from the kernel within %v", o.mount, readyWait)
	case <-ctx.Done():
		return nil
	}
	for _, c := range r.cams {
		if err := c.plug(); err != nil {
			return err
		}
	}
	ctl, err := listen(o.ctl, r.cams, r.log)
	if err != nil {
		return err
	}
	defer ctl.close()
	r.log.Info("cameras ready", "count", len(r.cams), "mode", string(r.server.Mode()), "mount", o.mount)
	if _, err := fmt.Fprintln(stdout, "ready"); err != nil {
		return fmt.Errorf("cannot say ready: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case e := <-served:
		served <- nil
		if e == nil {
			e = fmt.Errorf("cannot go on: %s was unmounted", o.mount)
		}
		return e
	}
}

func (r *rig) makeCameras(o options) error {
	studio := picture.NewStudio(o.scene)
	var bus *v4l2.Bus
	if o.oneBus || o.busRoom > 0 {
		bus = &v4l2.Bus{Room: max(o.busRoom, 0)}
	}
	for i := range o.n {
		c := newCamera(i, o, r)
		dev, err := v4l2.New(v4l2.Options{
			Minor: c.start, Port: c.id.ports(), Base: o.base(i), Card: c.id.product, Only: o.only, FPS: o.fps, Shutter: o.shutter, Bus: bus,
			Painter: studio.Painter(), Kernel: c, Record: r.journal.frame(), Log: r.log,
		})
		if err != nil {
			return err
		}
		c.dev = dev
		r.cams = append(r.cams, c)
	}
	return nil
}

// closeCameras ends the cameras' goroutines, then what they talk to.
func (r *rig) closeCameras() error {
	var err error
	for _, c := range r.cams {
		err = errors.Join(err, c.dev.Close())
	}
	if r.server != nil {
		err = errors.Join(err, r.server.Close())
	}
	return err
}

// report logs what was done.
func (r *rig) report() {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return
	}
	r.log.Info("cameras end", "user", time.Duration(u.Utime.Nano()), "system", time.Duration(u.Stime.Nano()))
	for _, c := range r.cams {
		s := c.dev.Stats()
		r.log.Info("camera", "name", c.node().name, "frames", s.Frames, "drops", s.Drops, "late", s.Late)
	}
}

// mountPoint makes the folder to mount on; made says whether it was missing. A
// mount whose fakecam has died is taken away first.
func mountPoint(dir string) (made bool, err error) {
	_, err = os.Stat(dir)
	if errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED) {
		if err = unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return false, fmt.Errorf("cannot unmount the dead %s: %w", dir, err)
		}
		_, err = os.Stat(dir)
	}
	switch {
	case err == nil:
		return false, nil
	case !errors.Is(err, os.ErrNotExist):
		return false, fmt.Errorf("cannot use mount point %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return false, fmt.Errorf("cannot make mount point %s: %w", dir, err)
	}
	return true, nil
}

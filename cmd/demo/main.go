// demo runs a whole call on this machine: a camera (the machine's own, else a
// fake one), a microphone, the appointments backend with the clinician's page,
// the daemon and the touchscreen page. It prints where to look and goes on until
// Ctrl-C. With -check it opens both pages in headless Chromium, judges the call
// and exits 0 only if everything was seen and heard.
//
// Run it by `make demo`. It needs root for the namespaces that the fake camera
// lives in; everything else runs as whoever called sudo.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/daemon/e2e/stage"
)

// folder takes everything that a run writes; git ignores it.
const folder = "demo"

// Bounds of a check.
const (
	checkWithin = 2 * time.Minute
	lookFor     = 10 * time.Second
	appointment = "demo-1"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.Bool("check", false, "judge the call in headless Chromium and end")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if !stage.Inside() {
		code, err := stage.Enter(args, false)
		if err != nil {
			_, _ = fmt.Fprintln(stderr, "demo:", err)
		}
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := show(ctx, *check, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "demo:", err)
		return 1
	}
	return 0
}

// show puts everything on the stage and shows or judges it.
func show(ctx context.Context, check bool, out io.Writer) (err error) {
	who, err := owner()
	if err != nil {
		return err
	}
	o := stage.Options{
		Bin: "bin", Dir: filepath.Join(folder, "run"), FakeCamera: true,
		CameraArgs: []string{"-scene", "webcam"}, Credential: who,
	}
	if !check {
		useOwnDevices(&o, out)
	}
	if err := stage.Settle(o.FakeCamera); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("cannot make the folder for this run: %w", err)
	}
	defer func() { err = errors.Join(err, stage.HandOver(folder, who)) }()
	if err := stage.HandOver(folder, who); err != nil {
		return err
	}
	s, err := stage.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.Stop())
		if err == nil {
			err = clean(s, check)
		}
	}()
	if check {
		return judge(ctx, s, out)
	}
	return wait(ctx, s, out)
}

// owner is whom this folder belongs to, with all groups; nil when that is root.
// It is who called sudo, and who must be able to remove what a run leaves.
func owner() (*syscall.Credential, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(".", &st); err != nil {
		return nil, fmt.Errorf("cannot find out whose folder this is: %w", err)
	}
	if st.Uid == 0 || os.Getuid() != 0 {
		return nil, nil
	}
	c := &syscall.Credential{Uid: st.Uid, Gid: st.Gid}
	u, err := user.LookupId(strconv.Itoa(int(st.Uid)))
	if err != nil {
		return c, nil //nolint:nilerr // a user without an entry has no further groups
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("cannot find the groups of user %d: %w", st.Uid, err)
	}
	for _, id := range ids {
		if g, err := strconv.ParseUint(id, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(g))
		}
	}
	return c, nil
}

// useOwnDevices takes the machine's camera and microphone where it has them.
func useOwnDevices(o *stage.Options, out io.Writer) {
	if cams, err := camera.List("/dev"); err == nil && len(cams) > 0 && cams[0].Err == nil {
		o.FakeCamera = false
		_, _ = fmt.Fprintf(out, "camera      %s (%s)\n", cams[0].Name, cams[0].Path)
	}
	if mics, err := microphone.List(); err == nil && len(mics) > 0 {
		o.Microphone = mics[0].Device
		_, _ = fmt.Fprintf(out, "microphone  %s\n", mics[0].Name)
	}
}

func wait(ctx context.Context, s *stage.Stage, out io.Writer) error {
	clinician, err := s.ClinicianURL(ctx)
	if err != nil {
		return err
	}
	screen, err := s.ScreenURL(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, `
Everything runs (kioskd was ready after %d ms). Open both pages, each address works once:

  clinician    %s
  touchscreen  %s

Then open an appointment, and try more from another terminal:

  bin/kioskctl --socket %[4]s open %[5]s
  bin/kioskctl --socket %[4]s watch
  bin/kioskctl --socket %[4]s mute

Ctrl-C ends it all.
`, s.Ready.Milliseconds(), clinician, screen, s.Socket, appointment)
	if err != nil {
		return fmt.Errorf("cannot print the addresses: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.Broken():
		return err
	}
}

func judge(ctx context.Context, s *stage.Stage, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	p, err := s.OpenPages(ctx)
	if err != nil {
		return err
	}
	f, err := s.Judge(ctx, p, appointment, lookFor)
	err = errors.Join(err, p.Screenshots(ctx, folder), p.Close())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\nopened -> first remote frame %d ms; kioskd ready after %d ms\nkioskd idle: %s; in the call: %s\n",
		f, f.FirstFrame.Milliseconds(), s.Ready.Milliseconds(), f.Idle, f.InCall)
	return err
}

// clean removes what the run needed, keeping logs and screenshots of a check.
func clean(s *stage.Stage, check bool) error {
	if check {
		return s.CleanKeepingLogs()
	}
	return os.RemoveAll(filepath.Join(folder, "run"))
}

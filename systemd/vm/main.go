// Vm plays a call on a real kernel: Debian's stock 6.1 in QEMU, with vivid's two
// cameras and snd-aloop's sound card, systemd as process 1, and kioskd under its own
// unit. The clinic and a far side that judges what comes are outside, reached through
// QEMU's user network. Devices are unplugged, broken and taken away, and a table of
// what was promised and what was measured comes last.
//
// The processor is emulated: whatever takes kioskd milliseconds takes ten times that
// here, so each row says what was promised and what it allows.
//
// It runs in network, mount and process namespaces of its own, and everything it
// starts ends with it. Needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"kioskd/daemon/e2e/stage"
	"kioskd/systemd/promise"
	"kioskd/systemd/vm/image"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) } //nolint:forbidigo // main exits

// options are the flags.
type options struct {
	settings

	fresh, only bool
	within      time.Duration
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("vm", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.dir, "dir", "systemd/vm/build", "`folder` of the image and of the run's files")
	f.StringVar(&o.bin, "bin", "bin", "`folder` of the programs")
	f.StringVar(&o.deb, "deb", "bin/lab.deb", "the `package` that is installed")
	f.IntVar(&o.processors, "processors", 2, "`number` of emulated processors")
	f.IntVar(&o.memory, "memory", 768, "`MiB` of the machine's memory")
	f.IntVar(&o.nice, "nice", 15, "`niceness` of QEMU")
	f.BoolVar(&o.fresh, "fresh", false, "make the image anew, with the newest kernel")
	f.BoolVar(&o.only, "image", false, "make the image where there is none, and end")
	f.DurationVar(&o.within, "within", 8*time.Minute, "`time` for the whole run, the image aside")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.processors < 1 || o.memory < 256 || o.within <= 0 {
		return o, errors.New("cannot use these arguments: a processor, 256 MiB and some time are the least")
	}
	return o, nil
}

// run is main without the process: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "vm:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if stage.Inside() {
		err = inside(ctx, o, stdout)
	} else {
		var code int
		if code, err = outside(ctx, o, args, stdout); err == nil {
			return code
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "vm:", err)
		return 1
	}
	return 0
}

// imageWithin bounds the making of an image: it is downloads, most of it.
const imageWithin = 15 * time.Minute

// outside makes the image, which needs the network, and then enters namespaces
// that have none.
func outside(ctx context.Context, o options, args []string, stdout io.Writer) (int, error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil { //nolint:gosec // nothing in it is secret but the run's own folder
		return 1, fmt.Errorf("cannot make the image's folder: %w", err)
	}
	unlock, err := lock(filepath.Join(o.dir, "lock"))
	if err != nil {
		return 1, err
	}
	defer unlock()
	making, cancel := context.WithTimeout(ctx, imageWithin)
	defer cancel()
	began := time.Now()
	i, err := image.Builder{Dir: o.dir, Out: stdout}.Get(making, o.fresh)
	if err != nil {
		return 1, err
	}
	_, _ = fmt.Fprintf(stdout, "image: kernel %s, ready after %.1f s\n", i.Release, time.Since(began).Seconds())
	if o.only {
		return 0, nil
	}
	return stage.Enter(args, true)
}

// lock keeps a second run off the folder, until the given function is called.
func lock(path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the image's folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot lock %s: another run has it: %w", path, err), f.Close())
	}
	return func() { _ = f.Close() }, nil // closing unlocks; nothing was written
}

// inside plays all rows.
func inside(ctx context.Context, o options, stdout io.Writer) (err error) {
	if err := stage.Settle(false); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.within)
	defer cancel()
	i, err := image.Builder{Dir: o.dir, Out: stdout}.Kept()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout, "machine: booting")
	r, err := newRig(ctx, o.settings, i)
	if err != nil {
		return err
	}
	t := r.play(ctx, rows(), stdout)
	err = r.close()
	_, _ = fmt.Fprintf(stdout, "\nkernel %s in QEMU (TCG, %d processors), kioskd at 320x240, 15 frames/s\n%s", i.Release, o.processors, t)
	if t.Failed() > 0 {
		err = errors.Join(fmt.Errorf("cannot keep all promises: see the table; logs are in %s", r.dir), err)
	}
	return err
}

// play plays the rows one after the other and keeps the machine's words where one
// failed.
func (r *rig) play(ctx context.Context, rows []row, stdout io.Writer) promise.Table {
	var t promise.Table
	for _, row := range rows {
		began := time.Now()
		figures, err := row.play(ctx, r)
		res := promise.Result{Name: row.name, Figures: figures, Err: err, Took: time.Since(began)}
		t = append(t, res)
		_, _ = fmt.Fprintln(stdout, res.Line())
		if ctx.Err() != nil {
			break
		}
	}
	if t.Failed() > 0 {
		r.keepJournal()
	}
	return t
}

// keepJournal writes what the guest's journal has into the run's folder.
func (r *rig) keepJournal() {
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	// Its answer has room for 64 KiB: the newest lines are what matters.
	for name, args := range map[string][]string{
		"kioskd.journal": {"journalctl", "-u", "kioskd", "-u", "tone", "-n", "250", "--no-pager", "-o", "short-precise", "--no-hostname"},
		"kernel.journal": {"journalctl", "_TRANSPORT=kernel", "-n", "300", "--no-pager", "-o", "short-precise", "--no-hostname"},
	} {
		text, err := r.agent.Must(ctx, 15*time.Second, args...)
		if err != nil {
			text = err.Error()
		}
		_ = os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600) // the run has failed already
	}
}

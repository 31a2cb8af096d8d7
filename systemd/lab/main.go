// Lab boots a real systemd as process 1 in namespaces of its own, over this machine's
// root (or a fresh Debian's, -root) that it leaves untouched, with the package
// installed, fakecam as its camera and clinicsim beside it. Inside, a driver has the
// service crash, hang, stop, reload and be upgraded, and prints a row for each promise.
// The exit code is 1 where one was missed.
//
// The kernel is the machine's own: MemoryMax=, TasksMax= and DeviceAllow= for real
// cameras are for systemd/vm. Needs root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Stages of the one program, by its first argument.
const (
	stageInit  = "-stage-init"  // becomes process 1
	stageDrive = "-stage-drive" // plays the rows, under that systemd
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) } //nolint:forbidigo // main exits

// options are the flags. They reach the stages as JSON.
type options struct {
	Dir, Bin, Deb, Units, Root string
	Upgrade                    string
	Short, Hold                bool
	Only                       string
	Within                     time.Duration
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("lab", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.Dir, "dir", "systemd/lab/build", "`folder` of the run's files")
	f.StringVar(&o.Bin, "bin", "bin", "`folder` of the programs")
	f.StringVar(&o.Deb, "deb", "", "the `package`")
	f.StringVar(&o.Upgrade, "upgrade", "", "a newer `package`, for the upgrade in a call; empty: that row is left out")
	f.StringVar(&o.Root, "root", "/", "root `folder` to run over; fresh: a new Debian 12, kept in -dir")
	f.BoolVar(&o.Short, "short", false, "a few rows, few rounds")
	f.BoolVar(&o.Hold, "hold", false, "keep the lab after the rows, until Ctrl-C: nsenter -a -t PID looks inside")
	f.StringVar(&o.Only, "only", "", "only rows whose name has this `word`")
	f.DurationVar(&o.Within, "within", 25*time.Minute, "`time` for the whole run")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.Deb == "" {
		return o, errors.New("cannot use these arguments: the package is the least (-deb)")
	}
	return o, nil
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	code, err := 1, error(nil)
	switch {
	case len(args) == 2 && args[0] == stageInit:
		err = becomeInit(args[1])
	case len(args) == 1 && args[0] == stageDrive:
		code, err = drive(ctx, stdout)
	default:
		var o options
		if o, err = parse(args, stderr); err != nil {
			code = 2
			break
		}
		ctx, cancel := context.WithTimeout(ctx, o.Within)
		defer cancel()
		code, err = outside(ctx, o, stdout)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "lab:", err)
	}
	return code
}

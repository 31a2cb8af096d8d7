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
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Stages of the one program, by its first argument.
const (
	stageInit  = "-stage-init"  // becomes process 1
	stageDrive = "-stage-drive" // plays the rows, under that systemd
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) } //nolint:forbidigo // main exits

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

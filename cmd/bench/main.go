// Command bench runs our way from a camera to an encoded stream, and whole calls,
// side by side with what a user would take instead, on the same fake camera in one
// run, and prints one table with ratios for each. It exits non-zero where a promise is
// missed. It runs as root: the cameras are in namespaces of its own.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"kioskd/cmd/bench/calls"
	"kioskd/daemon/e2e/stage"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func run() (int, error) {
	if len(os.Args) > 1 && os.Args[1] == "ours" {
		return 0, ours(os.Args[2:])
	}
	o := options{}
	flag.StringVar(&o.bin, "bin", "bin", "`folder` with our programs and bench-mediadevices")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each encoder is run; two rounds on shared cores do not tell equals from each other")
	flag.IntVar(&o.callRounds, "call-rounds", 2, "how often each call is played")
	flag.IntVar(&o.seconds, "seconds", 6, "how long each encoder is looked at")
	flag.DurationVar(&o.look, "look", 12*time.Second, "how long each call is looked at")
	flag.StringVar(&o.only, "only", "", "only this `part`: encode or calls")
	flag.StringVar(&o.match, "match", "", "only calls with this `text` in their name")
	flag.StringVar(&o.row, "row", "", "only encoders of this `row`, such as \"MJPG H264\"")
	flag.StringVar(&o.keep, "keep", "", "leave the encoded streams and the programs' logs in this `folder`")
	flag.Parse()
	if o.only != "" && o.only != "encode" && o.only != "calls" {
		return 2, fmt.Errorf("cannot run the part %q: want encode or calls", o.only)
	}
	if !stage.Inside() {
		return stage.Enter(os.Args[1:], false)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := stage.Settle(true); err != nil {
		return 1, err
	}
	return 0, all(ctx, o)
}

type options struct {
	bin, keep, only, match, row string
	rounds, callRounds, seconds int
	look                        time.Duration
}

// all runs both parts and judges them together, so that one missed promise hides no other.
func all(ctx context.Context, o options) (err error) {
	o.bin = absolute(o.bin)
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "bench"); err != nil {
			return fmt.Errorf("cannot make a folder for the run: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	var text string
	var broken []string
	if o.only != "calls" {
		words, missed, err := compare(ctx, o, dir)
		if err != nil {
			return err
		}
		text, broken = text+words, append(broken, missed...)
	}
	if o.only != "encode" {
		r, err := playCalls(ctx, o, filepath.Join(dir, "calls"))
		if err != nil {
			return err
		}
		text, broken = text+"\n"+r.String(), append(broken, r.Promises()...)
	}
	fmt.Print(text)
	for _, b := range broken {
		fmt.Println("MISSED:", b)
	}
	if len(broken) > 0 {
		return errors.New("cannot keep what was promised, see above")
	}
	fmt.Println("all promises kept")
	return nil
}

// playCalls plays every kind of call, round after round.
func playCalls(ctx context.Context, o options, dir string) (r *calls.Report, err error) {
	s, err := calls.New(ctx, calls.Options{Bin: o.bin, Dir: dir, Warm: 8 * time.Second, Look: o.look})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r = &calls.Report{}
	for round := range o.callRounds {
		for _, run := range calls.Matching(round, o.match) {
			f, err := s.Play(ctx, run)
			if err != nil {
				return nil, err
			}
			r.Add(f)
			fmt.Fprintf(os.Stderr, "%-32s p50 %.0f p95 %.0f ms, %d frames, %d lost, %.0f kbit/s, buffers %.0f and %.0f ms; kiosk %.1f %% of a core %.1f, %.0f MiB PSS\n",
				run, f.P50, f.P95, f.Frames, f.Lost, f.Kbps, f.Video, f.Audio, f.Kiosk.CPU, f.Parts, f.Kiosk.PSS)
		}
	}
	return r, nil
}

func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

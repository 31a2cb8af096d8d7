// Clinicsim is a whole clinic on one machine, for developers, demos and tests:
// the appointments backend that the kiosk asks for its video room, the
// signalling server of the direct room and the pages of a clinician, a second
// one and an interpreter. POST /sim/behave tells it to fail in many ways.
//
// It listens on loopback only, and with -tls-listen on one more address, with TLS. It prints `ready` when it answers; the
// addresses go into the -launch file, or to the standard output without one.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"kioskd/cmd/clinicsim/sim"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code, 2 for wrong flags.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("clinicsim", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var cfg sim.Config
	flags.StringVar(&cfg.Listen, "listen", "127.0.0.1:0", "loopback `address` and port to listen on")
	flags.StringVar(&cfg.TLSListen, "tls-listen", "", "one more `address` and port, with TLS, for kiosks on other machines")
	flags.StringVar(&cfg.CAFile, "ca", "", "`file` that gets the certificate of the authority behind -tls-listen")
	flags.StringVar(&cfg.TokenFile, "token", "", "`file` with the kiosk's bearer token, made where there is none (required)")
	flags.StringVar(&cfg.LaunchFile, "launch", "", "`file` that gets the addresses as JSON, removed at the end")
	flags.IntVar(&cfg.SessionSeconds, "session-seconds", 1800, "`limit` of a session")
	flags.IntVar(&cfg.WaitSeconds, "wait-seconds", 900, "`limit` of the wait for the other side")
	flags.StringVar(&cfg.Name, "name", "Dr. Example", "the clinician's `name`")
	quiet := flags.Bool("quiet", false, "log warnings and errors only")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() > 0 || cfg.SessionSeconds < 1 || cfg.WaitSeconds < 1 {
		_, _ = fmt.Fprintln(stderr, "clinicsim: cannot use these arguments: limits are at least 1 and there is nothing after the flags")
		return 2
	}
	level := slog.LevelInfo
	if *quiet {
		level = slog.LevelWarn
	}
	cfg.Log = slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	err := sim.Run(ctx, cfg, func(a sim.Addresses) {
		if cfg.LaunchFile == "" {
			_, _ = fmt.Fprintf(stdout, "backend     %s\nclinician   %s\nsecond      %s\ninterpreter %s\ncontrol     %s\n",
				a.Backend, a.Clinician, a.Second, a.Interpreter, a.Control)
		}
		_, _ = fmt.Fprintln(stdout, "ready")
	})
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "clinicsim:", err)
		return 1
	}
	return 0
}

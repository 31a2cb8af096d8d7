// Command kioskscreen serves the touchscreen page on loopback and passes the
// page's calls on to kioskd's control socket. It is a client of the daemon like
// any other: it owns the door (guard, token, one-use link) and the page's files,
// and holds no state of the call. Nothing imports it.
//
// It imports the message catalogue and the standard library: no media, no
// store, no capture (see walls_test.go).
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
)

// defaultSocket is where kioskd listens unless told otherwise.
const defaultSocket = "/run/kioskd/control.sock"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := realMain(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// realMain gives the exit code: 0 stopped when asked, 1 failed, 2 wrong usage.
func realMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return 2
	}
	o.log = slog.New(slog.NewJSONHandler(stderr, nil))
	o.stdout = stdout
	if err := serve(ctx, o); err != nil {
		_, _ = fmt.Fprintf(stderr, "kioskscreen: %v\n", err)
		return 1
	}
	return 0
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{socket: os.Getenv("KIOSKD_SOCKET")}
	if o.socket == "" {
		o.socket = defaultSocket
	}
	set := flag.NewFlagSet("kioskscreen", flag.ContinueOnError)
	set.SetOutput(stderr)
	set.StringVar(&o.listen, "listen", "127.0.0.1:0", "loopback `address` of the page; port 0 takes a free one")
	set.StringVar(&o.socket, "socket", o.socket, "kioskd's control socket `path` (default from KIOSKD_SOCKET)")
	set.StringVar(&o.launch, "launch", "", "write the one-use link to this `file` (0600): JSON, or a page if it ends in .html")
	set.BoolVar(&o.printURL, "print-url", false, "print each one-use link to standard output")
	set.StringVar(&o.lang, "lang", "", "`language` of the page (default: the one in kioskd's settings, else what the browser asks for)")
	set.IntVar(&o.browserUID, "browser-uid", os.Getuid(), "user `id` that the browser runs as; others are turned away")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		_, _ = fmt.Fprintf(stderr, "kioskscreen: cannot use the argument %q: only flags are taken, see -help\n", set.Arg(0))
		return o, flag.ErrHelp
	}
	return o, nil
}

// kioskd is the clinic kiosk's media gateway: it owns the cameras, the
// microphone, the call and the session. See package daemon.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"kioskd/configs"
	"kioskd/daemon"
)

func main() {
	oneProcessor()
	smallHeap()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// overrides collects -set flags.
type overrides []string

func (o *overrides) String() string     { return strings.Join(*o, " ") }
func (o *overrides) Set(s string) error { *o = append(*o, s); return nil }

// exitRestart is the code after a write that failed on the disk: nothing is wrong
// that a new process would not put right (EX_TEMPFAIL of sysexits.h).
const exitRestart = 75

// run returns the exit code: 0 after a clean stop, 1 where the daemon cannot go
// on, exitRestart where it has to begin anew (systemd starts it again after both),
// 2 for wrong flags or settings.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("kioskd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "", "configuration `file`; empty: the built-in default")
	var set overrides
	flags.Var(&set, "set", "`section.key=value` over the file, may be given often")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	hup, end := hangups(ctx) // first: a SIGHUP that comes early must not end us
	defer end()
	load := func() (configs.Config, error) { return configs.Load(*path, set...) }
	cfg, err := load()
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "kioskd:", err)
		refused(ctx, hup, "Settings refused: see the log, mend the file; it is read again every few seconds")
		return 2
	}
	log, level := newLog(stderr, cfg.Log.SlogLevel())
	around := daemon.Surroundings{Reload: daemon.Reloading{Load: load, Signal: hup, Level: level}}
	if err := daemon.RunIn(ctx, cfg, buildVersion(), log, around); err != nil {
		log.Error("kioskd ends", "error", err)
		if errors.Is(err, daemon.ErrRestart) {
			return exitRestart
		}
		if errors.Is(err, daemon.ErrStart) {
			refused(ctx, hup, "Tries again every few seconds: "+err.Error())
		}
		return 1
	}
	return 0
}

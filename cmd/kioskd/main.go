// kioskd is the clinic kiosk's media gateway: it owns the cameras, the
// microphone, the call and the session. See package daemon.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"kioskd/configs"
	"kioskd/daemon"
	"kioskd/daemon/api/apitype"
)

// version is the release this source is of.
const version = "0.1.0"

func main() {
	oneProcessor()
	smallHeap()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// oneProcessor has Go's own code run on one processor, unless GOMAXPROCS says
// otherwise. The work is done in C (pictures, sound, codecs), on threads that need
// none; what is left for Go is a few percent. With more, each picture in an encoder
// holds one of them, and the runtime's watch over it (sysmon, 20 us a look) costs a
// tenth of a core, a fourth of the whole call.
func oneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

// overrides collects -set flags.
type overrides []string

func (o *overrides) String() string     { return strings.Join(*o, " ") }
func (o *overrides) Set(s string) error { *o = append(*o, s); return nil }

// run returns the exit code: 0 after a clean stop, 1 where the daemon cannot go
// on (systemd starts it again), 2 for wrong flags or settings.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("kioskd", flag.ContinueOnError)
	flags.SetOutput(stderr)
	path := flags.String("config", "", "configuration `file`; empty: the built-in default")
	var set overrides
	flags.Var(&set, "set", "`section.key=value` over the file, may be given often")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	cfg, err := configs.Load(*path, set...)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "kioskd:", err)
		return 2
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.Log.SlogLevel()}))
	if err := daemon.Run(ctx, cfg, buildVersion(), log); err != nil {
		log.Error("kioskd ends", "error", err)
		return 1
	}
	return 0
}

func buildVersion() apitype.Version {
	v := apitype.Version{Version: version}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return v
}

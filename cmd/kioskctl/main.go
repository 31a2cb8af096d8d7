// Command kioskctl is the technician's command line for kioskd. It is a client
// of the control socket like any other and holds nothing of its own: one file a
// verb, output.go for the words.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"kioskd/configs"
	"kioskd/daemon/client"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1 // refused, or something went wrong
	exitUsage       = 2
	exitUnreachable = 3 // nobody answers on the socket
)

const description = `Drives the clinic kiosk's call daemon over its socket.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 kioskd not reachable.`

// cli is the command line.
type cli struct {
	Socket string `help:"Path of kioskd's socket. Default: $$KIOSKD_SOCKET, then ${socket}." placeholder:"PATH"`

	Open        openCmd        `cmd:"" help:"Open a video appointment."`
	Permissions permissionsCmd `cmd:"" help:"Answer the permission request in the patient's place."`
	Status      statusCmd      `cmd:"" help:"Say how the kiosk and its session are."`
	Watch       watchCmd       `cmd:"" help:"Print a line for each change and output, until Ctrl-C."`
	Mute        muteCmd        `cmd:"" help:"Mute the microphone, or unmute it; toggles without on or off."`
	Video       videoCmd       `cmd:"" help:"Switch the camera's video on or off; toggles without on or off."`
	Swap        swapCmd        `cmd:"" help:"Use another camera."`
	Chat        chatCmd        `cmd:"" help:"Say something in the chat, or open and print it."`
	Report      reportCmd      `cmd:"" help:"Report an issue, or open the reporting flow on the screen."`
	End         endCmd         `cmd:"" help:"End the call."`
	Devices     devicesCmd     `cmd:"" help:"List cameras, microphones and speakers, and say what is wrong with them."`
	Role        roleCmd        `cmd:"" help:"Say which device has a role, or give the role to one."`
	Control     controlCmd     `cmd:"" help:"List, show or set a camera's controls, such as exposure, focus and zoom."`
	Preview     previewCmd     `cmd:"" help:"Draw what a camera sees, or write it to a file."`
	Meter       meterCmd       `cmd:"" help:"Show how loud a microphone is."`
	Tone        toneCmd        `cmd:"" help:"Play a tone on a speaker."`
	Health      healthCmd      `cmd:"" help:"Say what is wrong; exit code 1 where calls cannot be made."`
	Reports     reportsCmd     `cmd:"" help:"List the issue reports that wait to be sent, or print one."`
	Audit       auditCmd       `cmd:"" help:"Print who did what, and whether the journal is whole."`
	Config      configCmd      `cmd:"" help:"Print the settings in force, or check a settings file."`
	Reload      reloadCmd      `cmd:"" help:"Have kioskd read its settings anew; a call goes on."`
	Doctor      doctorCmd      `cmd:"" help:"Check everything that a call needs, and name the command that mends what is wrong."`
	Call        callCmd        `cmd:"" help:"Try a call without anybody."`
	Logs        logsCmd        `cmd:"" help:"Print what kioskd wrote into the journal."`
	Metrics     metricsCmd     `cmd:"" help:"Print figures as Prometheus reads them, for node_exporter's textfile collector."`

	Manual     manualCmd     `cmd:"" hidden:"" help:"Print the manual page."`
	Completion completionCmd `cmd:"" hidden:"" help:"Print a shell's completions."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run does one command and gives the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c cli
	left, leftWith := false, exitOK // --help ends the parsing
	parser, err := kong.New(&c, kong.Name("kioskctl"), kong.Description(description),
		kong.Vars{"socket": client.DefaultSocket, "config": configs.DefaultFile}, kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { left, leftWith = true, code }), kong.UsageOnError())
	if err != nil {
		complain(stderr, err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if left {
		return leftWith
	}
	if err != nil {
		complain(stderr, err)
		return exitUsage
	}
	kiosk := client.New(client.SocketPath(c.Socket, os.Getenv))
	defer kiosk.Close()
	kiosk.Slow(func() {
		_, _ = fmt.Fprintf(stderr, "kioskctl: kioskd at %s does not answer yet, waiting some seconds more\n", kiosk.Socket())
	})
	err = parsed.Run(&env{
		ctx: ctx, kiosk: kiosk, out: stdout, err: stderr,
		screen: func() screen { return screenOf(stdout, os.Getenv) },
	})
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled) && ctx.Err() != nil: // Ctrl-C is a good end
		return exitOK
	}
	complain(stderr, err)
	if errors.Is(err, client.ErrUnreachable) {
		return exitUnreachable
	}
	return exitFailed
}

func complain(w io.Writer, err error) { _, _ = fmt.Fprintln(w, "kioskctl:", err) }

// Package systemd owns what kioskd says to systemd and takes from it: readiness
// and status (sd_notify(3)), the watchdog (sd_watchdog_enabled(3)), sockets that
// were opened in advance (sd_listen_fds(3)), credentials (systemd.exec(5)) and the
// journal's own protocol.
//
// Without systemd everything here does nothing and says so, so that the same
// binary runs from a shell.
//
// Imports: standard library, go-systemd and x/sys. May be imported by cmd and daemon;
// it imports nothing of this module.
package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// maxStatus bounds a status text, in bytes. systemd shows it on one line.
const maxStatus = 200

// Notifier sends messages to the service manager named by NOTIFY_SOCKET. Its
// methods may be called by several goroutines. Each error is final for that
// message only; a daemon logs it and goes on.
type Notifier struct{ present bool }

// NewNotifier looks whether a service manager listens.
func NewNotifier() *Notifier {
	return &Notifier{present: os.Getenv("NOTIFY_SOCKET") != ""}
}

// Present is false where nobody listens: every method then does nothing and
// returns nil.
func (n *Notifier) Present() bool { return n.present }

// Ready says that the start is complete (READY=1) and sets the status text.
func (n *Notifier) Ready(status string) error {
	return n.send(daemon.SdNotifyReady + "\n" + statusLine(status))
}

// Status sets the text that `systemctl status` shows. Line breaks become
// blanks: a second line would be a second message.
func (n *Notifier) Status(text string) error { return n.send(statusLine(text)) }

// Reloading says that the settings are being read anew (RELOADING=1). Ready ends
// it. MONOTONIC_USEC= is what Type=notify-reload wants beside it (sd_notify(3)).
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("cannot tell the service manager RELOADING: %w", err)
	}
	return n.send(daemon.SdNotifyReloading + "\nMONOTONIC_USEC=" + strconv.FormatInt(now.Nano()/1000, 10))
}

// Stopping says that the daemon is on its way out (STOPPING=1).
func (n *Notifier) Stopping() error { return n.send(daemon.SdNotifyStopping) }

// Alive feeds the watchdog once (WATCHDOG=1). Watchdog does it at the right pace.
func (n *Notifier) Alive() error { return n.send(daemon.SdNotifyWatchdog) }

func (n *Notifier) send(message string) error {
	if !n.present {
		return nil
	}
	if _, err := daemon.SdNotify(false, message); err != nil {
		kind, _, _ := strings.Cut(message, "=")
		return fmt.Errorf("cannot tell the service manager %s: %w", kind, err)
	}
	return nil
}

// statusLine is a STATUS= assignment on one line of valid UTF-8.
func statusLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxStatus {
		cut := maxStatus
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	return "STATUS=" + text
}

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"kioskd/configs"
)

// flagList turns package flag's list ("  -name word" and a line of help after a tab)
// into man(7) paragraphs.
func flagList(help string) string {
	var b strings.Builder
	for line := range strings.Lines(help) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "  -"):
			b.WriteString(".TP\n.B " + roff(strings.TrimSpace(line)) + "\n")
		case strings.HasPrefix(line, "    \t"):
			b.WriteString(roff(strings.TrimSpace(line)) + "\n")
		}
	}
	return b.String()
}

const seeAlso = ".SH \"SEE ALSO\"\nkioskd(8), kioskd.toml(5), kioskctl(1), kioskscreen(1)\n"

func daemonPage(help string) string {
	return `.TH KIOSKD 8 "" kioskd "Clinic kiosk"
.SH NAME
kioskd \- media gateway of a clinic kiosk
.SH SYNOPSIS
.B kioskd
[\-config FILE] [\-set SECTION.KEY=VALUE]...
.SH DESCRIPTION
kioskd owns the kiosk's cameras and its microphone, carries the call over WebRTC and keeps
its session over crashes and power cuts. It listens on one Unix socket and on no TCP port.
systemd starts it as kioskd.service, with its socket open before it
(kioskd.socket): who knocks while it restarts waits and is not refused.
.SH OPTIONS
` + flagList(help) + `.SH SIGNALS
.TP
.B SIGTERM
Says \(lqaway\(rq to the room and ends within 5 seconds; the session goes on after the next start.
.TP
.B SIGHUP
Reads the settings anew. The call goes on. These change at once, the others are named in the log
and count after a restart: ` + roff(strings.Join(configs.LiveKeys(), ", ")) + `.
.TP
.B SIGABRT
What systemd's watchdog sends: prints every goroutine and ends.
.SH "EXIT STATUS"
0 after SIGTERM, 1 where it cannot go on, 2 for wrong flags or settings. Under systemd refused settings
are read again every few seconds until they are mended.
.SH FILES
.TP
.I /etc/kioskd/kioskd.toml
Settings, see kioskd.toml(5).
.TP
.I /etc/kioskd/backend\-token
The kiosk's token for the appointments backend (root, 0600). systemd hands kioskd a copy at its start:
restart it after a change.
.TP
.I /etc/kioskd/store\-key
32 bytes, optional (root, 0600): the key that what is stored is sealed with. Without it kioskd makes one
in its state directory. See sealed\-credentials.conf in /usr/share/doc/kioskd/examples for both sealed
with the machine's own key.
.TP
.I /var/lib/kioskd
The store.
.TP
.I /run/kioskd/control.sock
The control socket. Group kiosk opens it, group kiosk\-tech makes a technician.
` + seeAlso
}

func screenPage(help string) string {
	return `.TH KIOSKSCREEN 1 "" kioskd "Clinic kiosk"
.SH NAME
kioskscreen \- touchscreen page of a clinic kiosk
.SH SYNOPSIS
.B kioskscreen
[FLAGS]
.SH DESCRIPTION
Serves the touchscreen's page on loopback and passes its calls on to kioskd's socket. The browser gets in
by a link that holds once and is handed over in a file that only its own user can read.
.PP
The desktop's user, a member of group kiosk, starts it and the browser with
.PP
.RS
systemctl \-\-user enable \-\-now kioskscreen.service kioskscreen\-browser.service
.RE
.PP
The browser comes back with the desktop: by graphical\-session.target where the desktop starts it, else by
.IR /etc/xdg/autostart/kioskscreen\-browser.desktop .
Where it reads neither, one line does:
.TP
.B cage
cage \-\- /usr/lib/kioskd/kiosk\-desktop \-\-wait
.TP
.B sway
exec /usr/lib/kioskd/kiosk\-desktop, in its config
.TP
.B openbox
/usr/lib/kioskd/kiosk\-desktop &, in ~/.config/openbox/autostart (openbox\-session with python3\-xdg needs no line)
.SH OPTIONS
` + flagList(help) + `.SH ENVIRONMENT
.TP
.B KIOSKD_SOCKET
kioskd's control socket.
.TP
.B KIOSK_BROWSER
The browser that kioskscreen\-browser.service starts; chromium by default.
` + seeAlso
}

// settingsPage turns the commented sample into a page: a section a heading, a key with
// the comment above it.
func settingsPage(sample []byte) (string, error) {
	var b strings.Builder
	b.WriteString(".TH KIOSKD.TOML 5 \"\" kioskd \"Clinic kiosk\"\n.SH NAME\nkioskd.toml \\- settings of kioskd\n.SH DESCRIPTION\n")
	var comment []string
	head, keys := true, 0
	section := ""
	for line := range strings.Lines(string(sample)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			comment = append(comment, strings.TrimSpace(strings.TrimPrefix(line, "#")))
		case line == "":
			if head {
				paragraph(&b, comment)
				b.WriteString(".PP\n")
			}
			comment = nil
		case strings.HasPrefix(line, "["):
			if head {
				b.WriteString(".PP\n\\fBlive\\fR beside a key: a reload (systemctl reload kioskd) changes it; the others count after a restart.\n")
			}
			head, section = false, strings.Trim(line, "[]")
			b.WriteString(".SH \"" + roff(strings.ToUpper(line)) + "\"\n")
			paragraph(&b, comment)
			comment = nil
		default:
			key, _, found := strings.Cut(line, "=")
			if !found {
				return "", fmt.Errorf("cannot understand %q in the sample", line)
			}
			key = strings.TrimSpace(key)
			b.WriteString(".TP\n.B " + roff(key) + "\n")
			paragraph(&b, comment)
			if slices.Contains(configs.LiveKeys(), section+"."+key) {
				b.WriteString(".br\n\\fBlive\\fR\n")
			}
			comment, keys = nil, keys+1
		}
	}
	if keys == 0 {
		return "", errors.New("cannot find a key in the sample")
	}
	return b.String() + seeAlso, nil
}

// paragraph writes comment lines; the one with the unit stands by itself.
func paragraph(b *strings.Builder, lines []string) {
	for i, l := range lines {
		if strings.HasPrefix(l, "unit: ") && i > 0 {
			b.WriteString(".br\n")
		}
		if l != "" {
			b.WriteString(roff(l) + "\n")
		}
	}
}

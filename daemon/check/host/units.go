package host

import (
	"context"
	"os"
	"regexp"
	"strings"

	"kioskd/daemon/api/apitype"
)

// The units of the package.
const (
	service = "kioskd.service"
	socket  = "kioskd.socket"
	always  = "kiosk0.service" // the interface without which the browser shows no picture
)

// unit is what `systemctl show` says of one (org.freedesktop.systemd1(5)).
type unit struct {
	load, active, sub, file, result string
}

// Units asks systemd about the daemon's units.
func (h *Host) Units(ctx context.Context) []apitype.Check {
	if _, err := os.Stat(h.path("run", "systemd", "system")); err != nil { // sd_booted(3)
		return []apitype.Check{skip("units", "no_systemd", "Not asked: this machine was not started by systemd.")}
	}
	var out []apitype.Check
	for _, name := range []string{socket, service, always} {
		text, err := h.Run(ctx, "systemctl", "show", "-p", "LoadState,ActiveState,SubState,UnitFileState,Result", name)
		if err != nil {
			out = append(out, skip(name, "no_answer", "systemd does not answer: "+err.Error()))
			continue
		}
		out = append(out, judgeUnit(name, parseUnit(text)))
	}
	return append(out, h.screenUnit())
}

// parseUnit reads lines of KEY=VALUE.
func parseUnit(text string) unit {
	var u unit
	into := map[string]*string{
		"LoadState": &u.load, "ActiveState": &u.active, "SubState": &u.sub, "UnitFileState": &u.file, "Result": &u.result,
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if p, ok := into[key]; ok {
			*p = value
		}
	}
	return u
}

// judgeUnit judges a unit that should be on and enabled.
func judgeUnit(name string, u unit) apitype.Check {
	switch {
	case u.load == "not-found":
		return fail(name, "unit_missing", name+" is not installed.", "The package brings it.", "apt-get install --reinstall kioskd")
	case u.load == "masked" || u.file == "masked":
		return fail(name, "unit_masked", name+" is masked: nothing can start it.", "", "systemctl unmask "+name)
	case u.load != "loaded":
		return fail(name, "unit_broken", name+" cannot be loaded ("+u.load+").", "Somebody changed it.", "systemctl cat "+name)
	case u.active == "failed", u.active == "activating" && u.result != "success" && u.result != "":
		return fail(name, "unit_failed", name+" fails: "+u.result+".", "The journal says why.", "journalctl -u "+name+" -n 50")
	case u.active != "active" && u.file != "enabled":
		return fail(name, "unit_disabled", name+" is off, and stays off at the next start of the machine.", "", "systemctl enable --now "+name)
	case u.active != "active":
		return fail(name, "unit_stopped", name+" is "+u.active+".", "", "systemctl start "+name)
	case u.file != "enabled" && u.file != "static" && u.file != "indirect" && u.file != "generated":
		return warn(name, "unit_not_enabled", name+" runs, but not after the next start of the machine.", "", "systemctl enable "+name)
	}
	return pass(name, name+" runs and is enabled.")
}

// screenUnit tells whether a kioskscreen runs, and the browser in front of it: they are
// units of the desktop's user, of which the system's manager knows nothing.
func (h *Host) screenUnit() apitype.Check {
	const (
		code    = "kioskscreen"
		hint    = "They are units of the desktop's user; type this as that user."
		command = "systemctl --user enable --now kioskscreen kioskscreen-browser"
	)
	page, browser := false, false
	h.processes(func(pid string) bool {
		name, err := h.read("proc", pid, "comm")
		page = page || err == nil && name == "kioskscreen"
		words, err := h.read("proc", pid, "cmdline")
		browser = browser || err == nil && browserOfUnit.MatchString(words)
		return !page || !browser
	})
	switch {
	case !page:
		return warn(code, "screen_stopped", "No kioskscreen runs: the touchscreen shows nothing.", hint, command)
	case !browser:
		return warn(code, "browser_stopped", "kioskscreen runs, its browser does not: the touchscreen shows nothing.", hint, command)
	}
	return pass(code, "The touchscreen's program and its browser run.")
}

// browserOfUnit fits the command line that /usr/lib/kioskd/kiosk-browser makes, as
// /proc/pid/cmdline has it, with a zero byte between two words (proc(5)).
var browserOfUnit = regexp.MustCompile(`--user-data-dir=[^\x00 ]*/kioskscreen-browser/`)

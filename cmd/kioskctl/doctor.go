package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"kioskd/configs"
	"kioskd/configs/words"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/check"
	"kioskd/daemon/check/host"
	"kioskd/daemon/client"
	"kioskd/daemon/network"
)

// doctorCmd checks everything.
type doctorCmd struct {
	Config string `help:"The daemon's settings file. Default: ${config}." default:"${config}" placeholder:"PATH"`
	Quick  bool   `help:"Leave the loopback call out, which takes some seconds."`
	JSON   bool   `name:"json" help:"Print as JSON."`
}

// errSick makes kioskctl doctor fail where something has to be mended.
var errSick = errors.New("cannot call the kiosk well: see above")

// Run does it.
func (c *doctorCmd) Run(e *env) error {
	d := &doctor{env: e, host: host.New(os.Getenv), path: c.Config, quick: c.Quick}
	out := apitype.Checks{OK: true, Checks: d.examine(e.ctx)}
	out.OK = !slices.ContainsFunc(out.Checks, func(c apitype.Check) bool { return c.Result == apitype.CheckFail })
	err := c.print(e, out)
	if err == nil && !out.OK {
		return errSick
	}
	return err
}

func (c *doctorCmd) print(e *env, out apitype.Checks) error {
	if c.JSON {
		return e.json(out)
	}
	var lines []string
	count := map[string]int{}
	for _, check := range out.Checks {
		count[check.Result]++
		lines = append(lines, checkLines(check)...)
	}
	lines = append(lines, "", fmt.Sprintf("%d checks passed, %d warn, %d failed, %d could not be asked.",
		count[apitype.CheckPass], count[apitype.CheckWarn], count[apitype.CheckFail], count[apitype.CheckSkip]))
	return e.lines(lines)
}

// checkLines says one check: how it went, then what to do.
func checkLines(c apitype.Check) []string {
	word := map[string]string{
		apitype.CheckPass: "ok", apitype.CheckWarn: "warn", apitype.CheckFail: "FAIL", apitype.CheckSkip: "-",
	}[c.Result]
	lines := []string{fmt.Sprintf("%-5s %-15s %s", orElse(word, c.Result), printable(c.Code), printable(c.Message))}
	if c.Hint != "" && c.Result != apitype.CheckPass {
		lines = append(lines, fmt.Sprintf("%21s %s", "", printable(c.Hint)))
	}
	if c.Command != "" && c.Result != apitype.CheckPass {
		lines = append(lines, fmt.Sprintf("%21s $ %s", "", printable(c.Command)))
	}
	return lines
}

// doctor is one examination.
type doctor struct {
	*env
	host  *host.Host
	path  string
	quick bool // without the loopback call
}

// examine asks the settings file, the daemon, and the machine around it.
func (d *doctor) examine(ctx context.Context) []apitype.Check {
	cfg, out := d.settings()
	status, daemon := d.daemon(ctx)
	facts := host.Facts{Own: apitype.Release, Cameras: cfg.Camera.Directory}
	asked := false
	if daemon.Result == apitype.CheckPass {
		got, err := d.kiosk.Checks(ctx, apitype.ChecksRequest{Without: either(d.quick, apitype.CheckMedia, "")})
		refused := d.refused(err)
		switch asked = err == nil; {
		case asked:
			out = append(append(out, daemon), got.Checks...)
		case refused.Code == daemon.Code:
			out = append(out, refused)
		default:
			out = append(out, daemon, refused)
		}
		facts.CameraBusy = slices.ContainsFunc(out, func(c apitype.Check) bool { return c.Fault == "camera_busy" })
		facts.Version = status.Version.Version
		if asked { // the checks have looked at the devices
			if after, err := d.status(ctx); err == nil {
				status = after
			}
		}
		facts.Devices = status.Devices
	} else {
		out = append(out, daemon)
	}
	if !asked && cfg.Backend.URL != "" {
		out = append(out, d.alone(ctx, cfg)...)
	}
	return append(out, d.host.Checks(ctx, facts)...)
}

// settings checks the settings file.
func (d *doctor) settings() (configs.Config, []apitype.Check) {
	const code = "settings"
	fail := apitype.Check{Code: code, Result: apitype.CheckFail}
	cfg, problems := settings(d.path)
	if len(problems) == 0 {
		return cfg, []apitype.Check{{Code: code, Result: apitype.CheckPass, Message: d.path + " is fine."}}
	}
	var out []apitype.Check
	for _, p := range problems {
		c := fail
		c.Fault, c.Message, c.Hint = "settings_wrong", p.Error(), "kioskctl config sample prints every key with its range."
		c.Command = "sudoedit " + check.Quote(fileOf(p, d.path)) + " && kioskctl config check " + check.Quote(d.path)
		switch {
		case errors.Is(p, fs.ErrNotExist) && fileOf(p, "") == d.path:
			c.Fault, c.Command = "settings_missing", "kioskctl config sample | sudo tee "+check.Quote(d.path)
			c.Hint = "Then set backend.url in it."
		case errors.Is(p, fs.ErrPermission):
			c.Result, c.Fault, c.Command, c.Hint = apitype.CheckSkip, "settings_hidden", "sudo kioskctl doctor", ""
		}
		out = append(out, c)
	}
	return cfg, out
}

// fileOf is the file that a problem is in, otherwise where it does not say.
func fileOf(err error, otherwise string) string {
	var p *configs.Problem
	if errors.As(err, &p) && strings.HasPrefix(p.Where, "/") {
		path, _, _ := strings.Cut(p.Where, ":")
		return path
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Path
	}
	return otherwise
}

// statusWithin is how long the doctor waits for a status: a daemon that needs as long is
// ended by systemd (WatchdogSec).
const statusWithin = 5 * time.Second

// daemon checks whether kioskd answers, and lets us in.
func (d *doctor) daemon(ctx context.Context) (apitype.Status, apitype.Check) {
	c := apitype.Check{Code: "daemon", Result: apitype.CheckFail}
	status, err := d.status(ctx)
	var problem *apitype.Problem
	switch {
	case err == nil:
		c.Result, c.Message = apitype.CheckPass, "kioskd "+status.Version.Version+" answers."
		return status, c
	case errors.Is(err, fs.ErrPermission), errors.As(err, &problem) && problem.Code == apitype.CodeForbidden:
		c.Fault, c.Message = "daemon_forbidden", "kioskd does not let "+orElse(d.host.User, "this user")+" in."
		c.Hint = "It takes the group kiosk, and kiosk-tech for a technician; it counts from the next login on."
		c.Command = "usermod -aG kiosk,kiosk-tech " + check.Quote(orElse(d.host.User, "USER"))
	case errors.Is(err, context.DeadlineExceeded): // systemd holds the socket, and nobody takes a call
		return status, silent()
	case errors.Is(err, client.ErrUnreachable):
		c.Fault, c.Message = "daemon_stopped", "kioskd does not answer at "+d.kiosk.Socket()+"."
		c.Hint = "If it stops again, its journal says why: kioskctl logs."
		c.Command = "systemctl enable --now kioskd.socket kioskd.service"
	default:
		c.Fault, c.Message, c.Command = "daemon_failing", err.Error(), "systemctl restart kioskd"
	}
	return status, c
}

// status asks for the daemon's status, not for longer than statusWithin.
func (d *doctor) status(ctx context.Context) (apitype.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusWithin)
	defer cancel()
	return d.kiosk.Status(ctx)
}

// silent is what a daemon that takes no calls gets.
func silent() apitype.Check {
	return apitype.Check{
		Code: "daemon", Result: apitype.CheckFail, Fault: "daemon_silent", Message: "kioskd takes no calls: it does not come up, or it hangs.",
		Hint: "Its journal says why.", Command: "journalctl -u kioskd -n 50",
	}
}

// refused is why the daemon, which answers, did not run its checks.
func (d *doctor) refused(err error) apitype.Check {
	switch {
	case err == nil:
		return apitype.Check{}
	case errors.Is(err, context.DeadlineExceeded):
		return silent()
	}
	c := apitype.Check{Code: "checks", Result: apitype.CheckFail, Fault: "checks_failed", Message: err.Error(), Command: "journalctl -u kioskd -n 50"}
	var problem *apitype.Problem
	if !errors.As(err, &problem) {
		return c
	}
	switch problem.Code {
	case apitype.CodeSafeMode:
		c.Code, c.Fault = "daemon", "daemon_safe_mode"
		c.Message = "kioskd is in safe mode: it ended three times in a row shortly after its start."
		c.Hint = "Its journal says why; the restart tries again at once."
		c.Command = "journalctl -u kioskd -n 100 && systemctl restart kioskd"
	case apitype.CodeCheckRunning:
		c.Result, c.Fault, c.Hint, c.Command = apitype.CheckSkip, "checks_busy", "Ask again in some seconds.", "kioskctl doctor"
	}
	return c
}

// alone runs those of the daemon's checks that need no daemon.
func (d *doctor) alone(ctx context.Context, cfg configs.Config) []apitype.Check {
	texts, err := words.Load(words.Fallback)
	if err != nil { // it is built in
		return nil
	}
	asked, err := backendOf(cfg)
	if err != nil { // the settings' check has said so
		return nil
	}
	defer asked.Close()
	links := network.Options{Ignore: cfg.Network.IgnoreInterfaces, LoopbackCounts: cfg.Network.LoopbackCounts}
	token, sealed := cfg.Backend.TokenSource(os.Getenv, "/")
	got, err := check.New(check.Options{
		Texts: texts, ConfigFile: d.path, TokenFile: token, TokenSealed: sealed, Outside: true, StateDir: cfg.Store.Dir, Backend: asked.Probe,
		Network: func() (bool, error) { return network.Up(links) },
	}).Run(ctx, apitype.ChecksRequest{}, "")
	if err != nil { // nobody else runs checks with it
		return nil
	}
	return got.Checks
}

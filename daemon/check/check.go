// Package check looks at what a call needs before there is one: devices, network,
// backend, clock, disk and the way of the media. Each check is a file: a probing part
// that asks, and a pure part that judges what was found and knows the command that
// mends it. It owns the list of faults; their sentences are in the word catalogue,
// under "check.".
//
// Who may import it: daemon, which answers POST /v1/checks with it, and kioskctl, which
// asks by itself where no daemon answers. Imports: standard library, apitype, backend.
// No media: how a loopback call went is told to it.
package check

import (
	"context"
	"net/http"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
)

// Texts gives the sentences; configs/words.Catalogue is one.
type Texts interface {
	Has(key string) bool
	Text(key string, args ...string) string
}

// Options are what a Checker asks. A nil function leaves its checks out.
type Options struct {
	Texts Texts
	// ConfigFile is the settings file that commands name.
	ConfigFile string
	// Look has the devices looked at anew; Devices lists them then.
	Look    func()
	Devices func() []apitype.Device
	// Network tells whether there is a network.
	Network func() (bool, error)
	// Backend asks the backend once.
	Backend func(context.Context) backend.Probe
	// TokenFile is where a new token of the backend is put, for commands; TokenSealed
	// that systemd-creds(1) writes it.
	TokenFile   string
	TokenSealed bool
	// Outside means that not the daemon asks: it may read what we may not.
	Outside bool
	// StateDir is where the store is.
	StateDir string
	// Media runs a loopback call for so long. Its error is an *apitype.Problem where
	// the call was refused; Busy tells that a session runs, beside which there is none.
	Media func(ctx context.Context, lasts time.Duration, by string) (Media, error)
	Busy  func() bool
}

// Checker runs checks, one run at a time.
type Checker struct {
	o       Options
	running chan struct{} // holds a token while a run is under way
}

// New makes a Checker.
func New(o Options) *Checker {
	if o.Busy == nil {
		o.Busy = func() bool { return false }
	}
	return &Checker{o: o, running: make(chan struct{}, 1)}
}

// defaultSeconds is how long the check of the media lasts.
const defaultSeconds = 3

// Run runs all checks, or those that req leaves over, for whom by names (it goes into the
// audit). Errors are *apitype.Problem: check_running, session_active where only the
// media were to be checked, or what the loopback call refuses with.
func (c *Checker) Run(ctx context.Context, req apitype.ChecksRequest, by string) (apitype.Checks, error) {
	select {
	case c.running <- struct{}{}:
		defer func() { <-c.running }()
	default:
		return apitype.Checks{}, apitype.NewProblem(http.StatusConflict, apitype.CodeCheckRunning,
			"cannot check: another check runs", "try again in some seconds")
	}
	wanted := func(code string) bool { return code != req.Without && (req.Only == "" || req.Only == code) }
	var found []finding
	found = append(found, c.checkDevices(wanted)...)
	if wanted(apitype.CheckNetwork) && c.o.Network != nil {
		up, err := c.o.Network()
		found = append(found, judgeNetwork(up, err))
	}
	found = append(found, c.checkBackend(ctx, wanted)...)
	if wanted(apitype.CheckDisk) && c.o.StateDir != "" {
		found = append(found, judgeDisk(probeDisk(c.o.StateDir)))
	}
	if wanted(apitype.CheckMedia) && c.o.Media != nil {
		f, err := c.checkMedia(ctx, req, by)
		if err != nil {
			return apitype.Checks{}, err
		}
		found = append(found, f)
	}
	out := apitype.Checks{OK: true, Checks: []apitype.Check{}}
	for _, f := range found {
		check := c.tell(f)
		out.OK = out.OK && check.Result != apitype.CheckFail
		out.Checks = append(out.Checks, check)
	}
	return out, nil
}

// finding is what a check found, before it has words.
type finding struct {
	code, result string
	fault        string   // "" where it passed
	words        string   // the key of its words, where it is not "check." and the fault
	args         []string // of the words: name, value, ...
	command      string
	figures      map[string]float64
}

func pass(code string, args ...string) finding {
	return finding{code: code, result: apitype.CheckPass, args: args}
}

func skip(code, fault string, args ...string) finding {
	return finding{code: code, result: apitype.CheckSkip, fault: fault, args: args}
}

func fail(code, fault, command string, args ...string) finding {
	return finding{code: code, result: apitype.CheckFail, fault: fault, command: command, args: args}
}

func warn(code, fault, command string, args ...string) finding {
	return finding{code: code, result: apitype.CheckWarn, fault: fault, command: command, args: args}
}

// tell puts a finding into words.
func (c *Checker) tell(f finding) apitype.Check {
	key := f.words
	switch {
	case key != "":
	case f.fault == "":
		key = "check." + f.code + "_ok"
	default:
		key = "check." + f.fault
	}
	out := apitype.Check{
		Code: f.code, Result: f.result, Fault: f.fault, Command: f.command, Figures: f.figures,
		Message: c.o.Texts.Text(key+".title", f.args...),
	}
	if c.o.Texts.Has(key + ".hint") {
		out.Hint = c.o.Texts.Text(key+".hint", f.args...)
	}
	return out
}

// edit is the command that changes the settings.
func (c *Checker) edit() string {
	return "sudoedit " + Quote(c.o.ConfigFile) + " && systemctl restart kioskd"
}

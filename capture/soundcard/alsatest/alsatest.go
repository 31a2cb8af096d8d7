// Package alsatest gives a machine without a sound card devices that do as they are
// told: PCMs that overrun, sleep, stall, hang or vanish on command, and a card's
// switches. They are plugins of alsa-lib, compiled by the test, so that alsa-lib's
// own state machine and polling run above them.
//
// It owns the folder it was given and starts no goroutine. May be imported by tests
// only.
//
// Needs a C compiler and Debian's libasound2-dev, as the build does.
package alsatest

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed plugin
var plugin embed.FS

// Fault is what a device is told to do.
type Fault byte

// A capture gives a square wave of 480 Hz while it works, a playback keeps what it is
// given in a file.
const (
	Works      Fault = 'r'
	Zeros      Fault = 'z' // gives digital silence
	Overrun    Fault = 'x' // one xrun, then Works
	Overruns   Fault = 'X' // an xrun whenever it is asked
	Lost       Fault = 'e' // an xrun, and prepare says ENODEV
	Asleep     Fault = 's' // suspended: ESTRPIPE, and EAGAIN until it is told something else
	Unplugged  Fault = 'n' // ENODEV
	Stalled    Fault = 'q' // its clock stands still
	Hangs      Fault = 'h' // calls do not return
	HangsClose Fault = 'c' // stopping and closing it do not return
	HangsOpen  Fault = 'o' // opening it does not return
	Taken      Fault = 'b' // opening it gives EBUSY
	Forbidden  Fault = 'p' // opening it gives EACCES
	Missing    Fault = 'm' // opening it gives ENODEV
)

// Names of the devices in the configuration, besides alsa-lib's own.
const (
	Mono    = "faulty"        // a PCM of one channel; its ctl is a stereo switch "Capture" beside one "Line"
	Stereo  = "faulty_stereo" // a PCM of two channels only; its ctl has no switch for a microphone
	Headset = "headset"       // a ctl whose switch is called "Headset Mic"
	Loose   = "loose"         // a PCM whose ctl does not open
)

const buildDeadline = time.Minute

// Card is the devices of one folder.
type Card struct {
	// ALSAConfig is what ALSA_CONFIG_PATH must name.
	ALSAConfig string
	// Played is the file that holds what Mono was given to play: S16, mono.
	Played string

	control, switches string
}

// New compiles the plugins into dir, whose path must have no blanks, and writes the
// configuration. All devices work and all switches are on.
func New(ctx context.Context, dir string) (*Card, error) {
	c := &Card{
		ALSAConfig: filepath.Join(dir, "asound.conf"), Played: filepath.Join(dir, "played"),
		control: filepath.Join(dir, "control"), switches: filepath.Join(dir, "switches"),
	}
	var conf strings.Builder
	conf.WriteString("</usr/share/alsa/alsa.conf>\n")
	for kind, typ := range map[string]string{"pcm": "faulty", "ctl": "panel"} {
		lib, err := compile(ctx, dir, kind)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&conf, "%s_type.%s { lib \"%s\" }\n", kind, typ, lib)
	}
	for name, channels := range map[string]int{Mono: 1, Stereo: 2, Loose: 1} {
		fmt.Fprintf(&conf, "pcm.%s { type faulty control \"%s\" played \"%s\" channels %d }\n", name, c.control, c.Played, channels)
	}
	for name, elements := range map[string]string{
		Mono: "Line Capture Switch,Capture Switch", Stereo: "Line Capture Switch,Master Playback Switch",
		Headset: "Line Capture Switch,Headset Mic Capture Switch",
	} {
		fmt.Fprintf(&conf, "ctl.%s { type panel switches \"%s\" elements \"%s\" }\n", name, c.switches, elements)
	}
	fmt.Fprintf(&conf, "ctl.%s { type panel switches \"%s\" elements \"Capture Switch\" }\n", Loose, filepath.Join(dir, "none"))
	for path, text := range map[string]string{c.ALSAConfig: conf.String(), c.control: string(Works), c.switches: "1111"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("cannot write a test's sound device: %w", err)
		}
	}
	return c, nil
}

func compile(ctx context.Context, dir, kind string) (lib string, err error) {
	source, err := plugin.ReadFile("plugin/" + kind + ".c")
	if err != nil {
		return "", fmt.Errorf("cannot find the plugin's source: %w", err)
	}
	path, lib := filepath.Join(dir, kind+".c"), filepath.Join(dir, kind+".so")
	if err := os.WriteFile(path, source, 0o600); err != nil {
		return "", fmt.Errorf("cannot write the plugin's source: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, buildDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "cc", "-shared", "-fPIC", "-DPIC", "-D_GNU_SOURCE", "-O1", "-o", lib, path, "-lasound")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot compile the plugin: %w\n%s", err, out)
	}
	return lib, nil
}

// Set tells the PCMs what to do from now on.
func (c *Card) Set(f Fault) error { return change(c.control, 0, string(f)) }

// Switch turns the second element of each ctl on or off: left and right.
func (c *Card) Switch(left, right bool) error {
	bits := map[bool]string{true: "1", false: "0"}
	return change(c.switches, 2, bits[left]+bits[right])
}

// change writes into the file as it lies: the devices have it mapped and watched.
func change(path string, at int64, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cannot tell a test's sound device: %w", err)
	}
	_, err = f.WriteAt([]byte(text), at)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("cannot tell a test's sound device: %w", err)
	}
	return nil
}

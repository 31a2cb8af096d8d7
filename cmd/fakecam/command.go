package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	maxStall = time.Hour
	allUsers = "all"
	verbs    = "send unplug, plug, stall, openers, stats, deny, allow or shutter"
)

// command is one line of the control protocol.
type command struct {
	verb   string
	camera int // place in the process; -1: all cameras
	stall  time.Duration
	on     bool // shutter closed
	uid    uint32
	all    bool // users
}

// parseCommand reads a line. Cameras are called by the N of videoN: there are
// n of them from first on.
func parseCommand(line string, first, n int) (command, error) {
	f := strings.Fields(line)
	if len(f) == 0 {
		return command{}, errors.New("cannot do nothing: " + verbs)
	}
	c, args := command{verb: f[0], camera: -1}, f[1:]
	switch c.verb {
	case "unplug", "plug", "openers", "stats", "stall":
		rest, err := c.which(args, first, n)
		if err != nil {
			return command{}, err
		}
		return c, c.amount(rest)
	case "deny", "allow", "shutter":
		if len(args) == 2 { // else it is for all cameras
			rest, err := c.which(args, first, n)
			if err != nil {
				return command{}, err
			}
			args = rest
		}
		return c, c.whom(args)
	}
	return command{}, fmt.Errorf("cannot do %q: %s", c.verb, verbs)
}

// which takes the camera's number off the arguments.
func (c *command) which(args []string, first, n int) ([]string, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("cannot do %s: say which camera", c.verb)
	}
	i, err := strconv.Atoi(args[0])
	if err != nil || i < first || i >= first+n {
		return nil, fmt.Errorf("cannot find camera %q: there are %d to %d", args[0], first, first+n-1)
	}
	c.camera = i - first
	return args[1:], nil
}

// amount reads what follows the camera's number: milliseconds of a stall only.
func (c *command) amount(args []string) error {
	want := 0
	if c.verb == "stall" {
		want = 1
	}
	if len(args) != want {
		return fmt.Errorf("cannot do %s: it takes %d numbers", c.verb, want+1)
	}
	if want == 0 {
		return nil
	}
	ms, err := strconv.Atoi(args[0])
	if err != nil || ms < 0 || ms > int(maxStall/time.Millisecond) {
		return fmt.Errorf("cannot stall for %q ms: use 0 to %d", args[0], maxStall/time.Millisecond)
	}
	c.stall = time.Duration(ms) * time.Millisecond
	return nil
}

// whom reads the last word of deny, allow and shutter.
func (c *command) whom(args []string) error {
	switch {
	case len(args) != 1:
		return fmt.Errorf("cannot do %s: it takes a camera, or none for all, and one word", c.verb)
	case c.verb == "shutter":
		if args[0] != "on" && args[0] != "off" {
			return fmt.Errorf("cannot move the shutter %q: use on (closed) or off", args[0])
		}
		c.on = args[0] == "on"
		return nil
	case args[0] == allUsers:
		c.all = true
		return nil
	}
	uid, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil || uid == math.MaxUint32 { // that one means nobody (credentials(7))
		return fmt.Errorf("cannot find user %q: use a numeric uid or %s", args[0], allUsers)
	}
	c.uid = uint32(uid)
	return nil
}

// do carries a command out and gives the rest of the answer after "ok".
func (c command) do(cams []*camera) (string, error) {
	if c.camera >= 0 {
		return c.one(cams[c.camera])
	}
	var err error
	for _, cam := range cams {
		_, e := c.one(cam)
		err = errors.Join(err, e)
	}
	return "", err
}

func (c command) one(cam *camera) (string, error) {
	switch c.verb {
	case "unplug":
		return "", cam.unplug()
	case "plug":
		return "", cam.plug()
	case "stall":
		cam.dev.Stall(c.stall)
	case "deny", "allow":
		if c.all {
			cam.dev.DenyAll(c.verb == "deny")
		} else {
			cam.dev.Deny(c.uid, c.verb == "deny")
		}
	case "shutter":
		if err := cam.dev.Shutter(c.on); err != nil {
			return "", fmt.Errorf("cannot move the shutter of %s: %w", cam.name, err)
		}
	case "openers":
		s, on := cam.dev.Stats(), 0
		if s.Streaming {
			on = 1
		}
		return fmt.Sprintf("openers %d streaming %d", s.Openers, on), nil
	case "stats":
		s := cam.dev.Stats()
		return fmt.Sprintf("frames %d drops %d late %d", s.Frames, s.Drops, s.Late), nil
	}
	return "", nil
}

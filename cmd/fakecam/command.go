package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/v4l2"
)

const (
	maxPause = time.Hour
	allUsers = "all"
	verbs    = "send unplug, plug, move, stall, hang, openers, stats, control, deny, allow, shutter, garbage, short, oversize, wrongsize, uneven or revoke"
)

// command is one line of the control protocol.
type command struct {
	verb   string
	camera int           // place in the process; -1: all cameras
	pause  time.Duration // of stall and hang
	to     int           // where to move: M of videoM
	name   string        // of a control
	on     bool          // shutter closed, fault there
	uid    uint32
	all    bool // users
}

// called is how commands call one camera: by the N of its videoN now, and by the
// one it was started with.
type called struct{ now, start int }

// parseCommand reads a line. roster has the process's cameras in their order.
func parseCommand(line string, roster []called) (command, error) {
	f := strings.Fields(line)
	if len(f) == 0 {
		return command{}, errors.New("cannot do nothing: " + verbs)
	}
	c, args := command{verb: f[0], camera: -1}, f[1:]
	last, single := c.amount, false
	switch {
	case slices.Contains([]string{"unplug", "plug", "openers", "stats", "stall", "hang", "move", "control"}, c.verb):
		single = true
	case c.verb == "deny" || c.verb == "allow":
		last = c.whom
	case c.verb == "shutter" || slices.Contains(v4l2.Faults(), v4l2.Fault(c.verb)):
		last = c.onoff
	default:
		return command{}, fmt.Errorf("cannot do %q: %s", c.verb, verbs)
	}
	if single || len(args) == 2 { // else it is for all cameras
		rest, err := c.which(args, roster)
		if err != nil {
			return command{}, err
		}
		args = rest
	}
	err := last(args)
	return c, err
}

// which takes the camera's number off the arguments. After moves a number may be
// one camera's now and another's from the start: now counts.
func (c *command) which(args []string, roster []called) ([]string, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("cannot do %s: say which camera", c.verb)
	}
	n, err := strconv.Atoi(args[0])
	if err == nil {
		c.camera = slices.IndexFunc(roster, func(x called) bool { return x.now == n })
		if c.camera < 0 {
			c.camera = slices.IndexFunc(roster, func(x called) bool { return x.start == n })
		}
		if c.camera >= 0 {
			return args[1:], nil
		}
	}
	there := make([]string, len(roster))
	for i, x := range roster {
		there[i] = strconv.Itoa(x.now)
	}
	return nil, fmt.Errorf("cannot find camera %q: there is %s", args[0], strings.Join(there, ", "))
}

// amount reads what follows the camera's number: one word or none.
func (c *command) amount(args []string) error {
	want := 0
	switch c.verb {
	case "stall", "hang", "move", "control":
		want = 1
	}
	if len(args) != want {
		return fmt.Errorf("cannot do %s: it takes %d words", c.verb, want+1)
	}
	switch c.verb {
	case "stall", "hang":
		ms, err := strconv.Atoi(args[0])
		if err != nil || ms < 0 || ms > int(maxPause/time.Millisecond) {
			return fmt.Errorf("cannot %s for %q ms: use 0 to %d", c.verb, args[0], maxPause/time.Millisecond)
		}
		c.pause = time.Duration(ms) * time.Millisecond
	case "move":
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 0 || n >= camns.MaxCameras {
			return fmt.Errorf("cannot move to number %q: use 0 to %d", args[0], camns.MaxCameras-1)
		}
		c.to = n
	case "control":
		c.name = args[0]
	}
	return nil
}

// onoff reads the last word of shutter and of faults.
func (c *command) onoff(args []string) error {
	if len(args) != 1 || args[0] != "on" && args[0] != "off" {
		return fmt.Errorf("cannot do %s: it takes a camera, or none for all, and on or off", c.verb)
	}
	c.on = args[0] == "on"
	return nil
}

// whom reads the last word of deny and allow.
func (c *command) whom(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("cannot do %s: it takes a camera, or none for all, and a user", c.verb)
	}
	if args[0] == allUsers {
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
	case "move":
		return "", cam.move(c.to)
	case "stall":
		cam.dev.Stall(c.pause)
	case "hang":
		cam.dev.Hang(c.pause)
	case "deny", "allow":
		if c.all {
			cam.dev.DenyAll(c.verb == "deny")
		} else {
			cam.dev.Deny(c.uid, c.verb == "deny")
		}
		return "", cam.permitted()
	case "shutter":
		if err := cam.dev.Shutter(c.on); err != nil {
			return "", fmt.Errorf("cannot move the shutter of %s: %w", cam.node().name, err)
		}
	case "openers", "stats", "control":
		return c.tell(cam)
	default:
		cam.dev.SetFault(v4l2.Fault(c.verb), c.on)
		if v4l2.Fault(c.verb) == v4l2.Revoke {
			return "", cam.permitted()
		}
	}
	return "", nil
}

// tell answers what asks for something.
func (c command) tell(cam *camera) (string, error) {
	s := cam.dev.Stats()
	switch c.verb {
	case "openers":
		on := 0
		if s.Streaming {
			on = 1
		}
		return fmt.Sprintf("openers %d streaming %d", s.Openers, on), nil
	case "control":
		v, ok := cam.dev.Control(c.name)
		if !ok {
			return "", fmt.Errorf("cannot find control %q: use a name as v4l2-ctl -l spells it", c.name)
		}
		inactive := 0
		if v.Inactive {
			inactive = 1
		}
		return fmt.Sprintf("value %d inactive %d", v.Value, inactive), nil
	}
	f := s.Faults
	return fmt.Sprintf("frames %d drops %d late %d garbage %d short %d oversize %d wrongsize %d uneven %d revoked %d hung %d moved %d",
		s.Frames, s.Drops, s.Late, f.Garbage, f.Short, f.Oversize, f.WrongSize, f.Uneven, f.Revoked, f.Hung, cam.moves.Load()), nil
}

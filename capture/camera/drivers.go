package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxInside bounds the goroutines that are inside the driver of one node at a
// time, for whatever reason: a stream and a look, and as much again.
const maxInside = 4

// doGrace is how long what is ended may take to end.
const doGrace = 300 * time.Millisecond

// drivers counts who is inside a driver's system calls, by node.
//
// A system call into a driver can hang for good (a USB transfer that never ends, a
// lock that a dead device keeps), and nothing in user space wakes its thread: no
// signal, and no close by another. So each goes on a goroutine of its own, whose
// waiter has a deadline. What is late is left behind, remembered, and told;
// until it has come back nobody else goes into the driver of that node, for he would
// hang behind it and cost a thread more. So a hanging driver costs at most maxInside
// goroutines, mostly one, however often it is asked for. No node is shut out that could
// work: the kernel gives a node's number to another device only when the last
// file on the old one is closed, and that is what the late one holds.
type drivers struct {
	mu     sync.Mutex
	calls  map[string][]*call // by node
	closed bool
}

// call is one goroutine's time inside a driver.
type call struct {
	d          *drivers
	node, what string
	since      time.Time
	late       bool          // its waiter has gone
	done       chan struct{} // closed at its end
}

// Hanging is a system call into a driver that has not come back in time.
type Hanging struct {
	Path  string // the node
	What  string // what was to be done: "look at", "run" ...
	Since time.Time
}

func newDrivers() *drivers { return &drivers{calls: map[string][]*call{}} }

// errClosed is what is asked of a Prober that was closed.
var errClosed = errors.New("the prober is closed")

// enter notes a goroutine that is to go into the node's driver. The error wraps
// ErrHung where one is late in there, or too many are.
func (d *drivers) enter(node, what string) (*call, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	in := d.calls[node]
	switch i := slices.IndexFunc(in, func(c *call) bool { return c.late }); {
	case d.closed:
		return nil, fmt.Errorf("cannot %s camera %s: %w", what, node, errClosed)
	case i >= 0:
		return nil, fmt.Errorf("cannot %s camera %s: to %s it was begun %v ago and has not ended: %w",
			what, node, in[i].what, time.Since(in[i].since).Round(time.Millisecond), ErrHung)
	case len(in) >= maxInside:
		return nil, fmt.Errorf("cannot %s camera %s: %d others do so now: %w", what, node, len(in), ErrHung)
	}
	c := &call{d: d, node: node, what: what, since: time.Now(), done: make(chan struct{})}
	d.calls[node] = append(in, c)
	return c, nil
}

// overdue notes that nobody waits for the call any more; false: it has ended.
func (c *call) overdue() bool {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if !slices.Contains(c.d.calls[c.node], c) {
		return false
	}
	c.late = true
	return true
}

// leave ends the call.
func (c *call) leave() {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	left := slices.DeleteFunc(c.d.calls[c.node], func(o *call) bool { return o == c })
	if c.d.calls[c.node] = left; len(left) == 0 {
		delete(c.d.calls, c.node)
	}
	close(c.done)
}

// do runs f inside the node's driver and waits for its end, for a time and for
// ctx; that f gets is ended then, and f has a moment to close what it has open.
// Where f is late the error wraps ErrHung and f goes on alone.
func (d *drivers) do(ctx context.Context, node, what string, within time.Duration, f func(context.Context)) error {
	c, err := d.enter(node, what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, ErrHung)
	defer cancel()
	go func() { // close waits for it
		defer c.leave()
		f(ctx)
	}()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
	}
	// A grace for who heeds ctx. Else the node would count as hung for as long as
	// its file takes to close.
	grace := time.NewTimer(doGrace)
	defer grace.Stop()
	select {
	case <-c.done:
		return nil
	case <-grace.C:
	}
	if !c.overdue() {
		return nil
	}
	return fmt.Errorf("cannot %s camera %s within %v: %w", what, node, time.Since(c.since).Round(time.Millisecond), ErrHung)
}

// hanging lists what is late, the eldest first.
func (d *drivers) hanging() []Hanging {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Hanging
	for _, in := range d.calls {
		for _, c := range in {
			if c.late {
				out = append(out, Hanging{Path: c.node, What: c.what, Since: c.since})
			}
		}
	}
	slices.SortFunc(out, func(a, b Hanging) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Path, b.Path)) })
	return out
}

// close lets nobody in any more and waits so long for those who are inside. The
// error wraps ErrHung and names the nodes that hold some.
func (d *drivers) close(within time.Duration) error {
	d.mu.Lock()
	d.closed = true
	var inside []*call
	for _, in := range d.calls {
		inside = append(inside, in...)
	}
	d.mu.Unlock()
	limit := time.NewTimer(within)
	defer limit.Stop()
	over := false
	var errs []error
	for _, c := range inside {
		if !over {
			select {
			case <-c.done:
			case <-limit.C:
				over = true
			}
		}
		if c.overdue() {
			errs = append(errs, fmt.Errorf("cannot end what was begun to %s camera %s: %w", c.what, c.node, ErrHung))
		}
	}
	return errors.Join(errs...)
}

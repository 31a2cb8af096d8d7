package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// clockSlack is what a question that goes into an emulated machine may take.
const clockSlack = 5 * time.Second

// clockSet sets the machine's own clock six hours on, twelve back and home again, in
// the call: its state stays, and its timer goes as fast as ours.
func clockSet(ctx context.Context, r *rig) (string, error) {
	first, err := r.timer(ctx)
	if err != nil {
		return "", err
	}
	began := time.Now()
	for _, by := range []string{"+6 hours", "-12 hours", "+6 hours"} {
		if _, err := r.agent.Must(ctx, commandWithin, "date", "-s", by); err != nil {
			return "", err
		}
		if err := pause(ctx, 2*time.Second); err != nil {
			return "", err
		}
	}
	last, err := r.timer(ctx)
	if err != nil {
		return "", err
	}
	went, took := last-first, time.Since(began)
	figures := fmt.Sprintf("+6, -12, +6 hours in %.1f s: the call's timer went on by %.0f s", took.Seconds(), went.Seconds())
	if (went - took).Abs() > clockSlack {
		err = errors.New("a clock that is set must not move it")
	}
	return figures, errors.Join(err, r.states.stayed(began))
}

// timer is the running session's, in whole seconds.
func (r *rig) timer(ctx context.Context) (time.Duration, error) {
	s, err := r.kiosk.Session(ctx)
	if err == nil && s == nil {
		err = errors.New("there is no session any more")
	}
	if err != nil {
		return 0, err
	}
	return time.Duration(s.TimerSeconds) * time.Second, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
)

// meterCmd shows how loud a microphone is.
type meterCmd struct {
	Microphone string `arg:"" optional:"" help:"The microphone: its id, or a part of its id or name; without it the one bound to microphone, or the only one."`
	Seconds    uint   `placeholder:"N" help:"End after so many seconds; without it at Ctrl-C."`
	JSON       bool   `name:"json" help:"Print each level as one line of JSON: peak and rms, 0 to 1, ten times a second."`
}

// Run does it.
func (c *meterCmd) Run(e *env) error {
	d, err := e.device(apitype.KindMicrophone, c.Microphone)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(e.ctx)
	if c.Seconds > 0 {
		ctx, cancel = context.WithTimeout(e.ctx, time.Duration(c.Seconds)*time.Second)
	}
	defer cancel()
	m := meter{e: e, name: deviceName(d), drawn: e.screen().terminal && !c.JSON, json: c.JSON}
	err = e.kiosk.Levels(ctx, d.ID, func(l apitype.Level) {
		if m.failed = m.show(l); m.failed != nil {
			cancel()
		}
	})
	if m.failed == nil {
		m.failed = m.end()
	}
	switch {
	case m.failed != nil:
		return m.failed
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		if !m.seen {
			return fmt.Errorf("cannot measure %s: nothing came from it in %d s. See: kioskctl devices %s", deviceName(d), c.Seconds, printable(d.ID))
		}
		return nil
	}
	return err
}

// meter turns levels into what is printed.
type meter struct {
	e      *env
	name   string
	json   bool
	drawn  bool // as a bar in one place; else a line a second
	seen   bool
	failed error

	levels levels
	second time.Time // since when the line to come collects
	peak   float64   // of that time
	power  float64
	count  int
}

// show takes a level; the first one has the microphone's name before it.
func (m *meter) show(l apitype.Level) error {
	if m.levels.add(l); m.json {
		m.seen = true
		return m.e.json(l)
	}
	if !m.seen {
		m.seen, m.second = true, l.At.Add(-levelEvery)
		if err := m.e.say("%s", m.name); err != nil {
			return err
		}
	}
	if m.drawn {
		s := m.e.screen()
		if _, err := io.WriteString(m.e.out, "\r"+m.levels.bar(s.columns-3, s.moves)); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
		return nil
	}
	m.peak = max(m.peak, l.Peak)
	m.power += l.RMS * l.RMS
	m.count++
	if l.At.Sub(m.second) < time.Second-levelEvery/2 {
		return nil
	}
	return m.line(l.At)
}

// line prints what came since the last line.
func (m *meter) line(at time.Time) error {
	text := m.levels.words(math.Sqrt(m.power/float64(m.count)), m.peak)
	m.second, m.peak, m.power, m.count = at, 0, 0, 0
	return m.e.say("%s  %s", at.Local().Format(time.TimeOnly), strings.TrimRight(text, " "))
}

// end leaves the bar's line, or prints a last line if it has half a second in it.
func (m *meter) end() error {
	switch {
	case m.drawn && m.seen:
		return m.e.say("")
	case m.count >= int(time.Second/levelEvery)/2:
		return m.line(m.levels.now.At)
	}
	return nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
)

// env is what a verb works with.
//
//nolint:containedctx // kong hands values to Run, and this lives for one Run
type env struct {
	ctx      context.Context
	kiosk    *client.Client
	out, err io.Writer
	screen   func() screen // what out is, now: a terminal changes its size
}

// say prints one line of plain words.
func (e *env) say(format string, args ...any) error {
	if _, err := fmt.Fprintf(e.out, format+"\n", args...); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

// lines prints lines, broken to the terminal's width where it is one.
func (e *env) lines(lines []string) error {
	width := e.screen().columns
	for _, l := range lines {
		for _, part := range wrap(l, width) {
			if err := e.say("%s", part); err != nil {
				return err
			}
		}
	}
	return nil
}

// json prints v as one line of JSON.
func (e *env) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot print as JSON: %w", err)
	}
	return e.say("%s", b)
}

// answer prints a command's answer: as JSON, or the words for the session
// after it. What did not reach the disk is said on stderr.
func (e *env) answer(asJSON bool, a apitype.CommandAnswer, words func(*apitype.Session) string) error {
	e.warn(a)
	if asJSON {
		return e.json(a)
	}
	if a.Session == nil {
		return e.say("no session")
	}
	return e.say("%s", words(a.Session))
}

// warn says on stderr what did not reach the disk.
func (e *env) warn(a apitype.CommandAnswer) {
	if !a.Durable {
		_, _ = fmt.Fprintln(e.err, "kioskctl: done, but it could not be written to disk: it may be undone by a restart. See: kioskctl status")
	}
}

// raw prints JSON that is a document of its own: on one line, or indented.
func (e *env) raw(oneLine bool, doc json.RawMessage) error {
	var b bytes.Buffer
	err := json.Compact(&b, doc)
	if !oneLine && err == nil {
		b.Reset()
		err = json.Indent(&b, doc, "", "  ")
	}
	if err != nil {
		return fmt.Errorf("cannot print as JSON: %w", err)
	}
	return e.say("%s", b.Bytes())
}

// printable replaces what could steer a terminal: names, messages and titles
// come from others (CWE-150).
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// stateWords says the state in the contract's words: "state = waiting, step =
// loading". Neither the appointment nor a name is in it: this text ends up in
// photographs and tickets.
func stateWords(s *apitype.Session) string {
	if s == nil {
		return "no session"
	}
	words := []string{"state = " + s.State}
	if s.Step != "" {
		words = append(words, "step = "+s.Step)
	}
	if s.Error != nil {
		words = append(words, "error = "+s.Error.Code)
		if s.Error.Retryable {
			words = append(words, "it tries again by itself")
		}
	}
	return strings.Join(words, ", ")
}

func microphoneWords(s *apitype.Session) string {
	if s.Audio.Muted {
		return "The microphone is muted."
	}
	return "The microphone is on" + either(s.Audio.Hardware, ", but muted by its own button.", ".")
}

func videoWords(s *apitype.Session) string {
	if s.Video.Disabled {
		return "The video is off."
	}
	return "The video is on" + either(s.Video.Hardware, ", but the camera's shutter is closed.", ".")
}

// onOff reads the optional argument of mute and video: nil toggles.
func onOff(arg string) *bool {
	if arg == "" {
		return nil
	}
	on := arg == "on"
	return &on
}

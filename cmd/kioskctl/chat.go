package main

import (
	"strings"

	"kioskd/daemon/api/apitype"
)

// chatCmd opens the chat and prints it, or says something in it.
type chatCmd struct {
	Text []string `arg:"" optional:"" help:"What to say; without it the chat is opened and printed."`
	JSON bool     `name:"json" help:"Print the messages, or the answer, as JSON."`
}

// Run does it. What is said here is said in the patient's name.
func (c *chatCmd) Run(e *env) error {
	if len(c.Text) > 0 {
		a, err := e.kiosk.SendMessage(e.ctx, strings.Join(c.Text, " "))
		if err != nil {
			return err
		}
		if c.JSON {
			return e.json(a)
		}
		return e.say("%s", messageLine(a.Message))
	}
	a, err := e.kiosk.Chat(e.ctx, true)
	if err != nil {
		return err
	}
	e.warn(a)
	list, err := e.kiosk.Messages(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(apitype.Messages{Messages: list})
	}
	if len(list) == 0 {
		return e.say("The chat is open. Nobody has said anything.")
	}
	for _, m := range list {
		if err := e.say("%s", messageLine(m)); err != nil {
			return err
		}
	}
	return nil
}

// messageLine is one line of the chat: when, who, what, and whether it arrived.
func messageLine(m apitype.Message) string {
	who, arrived := m.From, ""
	if m.Name != "" {
		who = m.Name
	}
	if !m.Delivered {
		arrived = " (not delivered yet)"
	}
	text := strings.ReplaceAll(m.Text, "\n", " / ")
	return m.At.Local().Format("15:04:05") + " " + printable(who) + ": " + printable(text) + arrived
}

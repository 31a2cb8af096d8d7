package main

import (
	"fmt"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
)

// statusCmd says how things are.
type statusCmd struct {
	JSON bool `name:"json" help:"Print the status as JSON; it has the patient's data in it."`
}

// Run does it.
func (c *statusCmd) Run(e *env) error {
	s, err := e.kiosk.Status(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(s)
	}
	return e.say("%s", strings.Join(statusLines(s), "\n"))
}

// statusLines says a status in lines of a label and words. Names and the
// appointment's id are left to --json.
func statusLines(s apitype.Status) []string {
	line := func(label, format string, args ...any) string {
		return fmt.Sprintf("%-12s", label) + fmt.Sprintf(format, args...)
	}
	lines := []string{line("session", "%s", stateWords(s.Session))}
	if v := s.Session; v != nil {
		lines = append(lines, line("timer", "%d:%02d", v.TimerSeconds/60, v.TimerSeconds%60))
		for _, p := range v.Participants {
			lines = append(lines, line("participant", "%s, %s, audio %s, video %s", orElse(p.Role, "unknown role"), p.Presence, yesNo(p.Audio), yesNo(p.Video)))
		}
		lines = append(lines, line("microphone", "%s", either(v.Audio.Muted, "muted", "on")+either(v.Audio.Hardware, ", muted by its own button", "")),
			line("video", "%s", either(v.Video.Disabled, "off", "on")+either(v.Video.Hardware, ", shutter closed", "")),
			line("camera", "%s", printable(orElse(v.Camera.Name, orElse(v.Camera.ID, "none")))),
			line("chat", "%s, %d messages, %d unread", either(v.Chat.Open, "open", "closed"), v.Chat.Total, v.Chat.Unread))
		lines = append(lines, statisticsLines(line, v.Statistics)...)
		if v.Report.Submitted != "" {
			lines = append(lines, line("report", "%s, %s", v.Report.Submitted, either(v.Report.Sent, "sent", "waits to be sent")))
		}
		if v.Consent.Asked {
			lines = append(lines, line("consent", "camera %s, microphone %s", orElse(v.Consent.Camera, "not answered"), orElse(v.Consent.Microphone, "not answered")))
		}
	}
	for _, d := range s.Devices {
		lines = append(lines, line("device", "%s: %s, %s", d.Kind, printable(orElse(d.Name, d.ID)), deviceWords(d)))
	}
	if t := s.Technician; t != nil {
		lines = append(lines, line("technician", "uses the %s since %s", printable(t.Kind), t.Since.Local().Format(time.TimeOnly)))
	}
	for _, c := range s.Conditions {
		lines = append(lines, line(c.Severity, "%s: %s %s", c.Code, c.Message, c.Hint))
	}
	if len(s.Conditions) == 0 {
		lines = append(lines, line("conditions", "none"))
	}
	return append(lines, line("version", "%s", strings.TrimSpace(s.Version.Version+" "+s.Version.Commit)))
}

func yesNo(b bool) string { return either(b, "yes", "no") }

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func orElse(text, instead string) string { return either(text != "", text, instead) }

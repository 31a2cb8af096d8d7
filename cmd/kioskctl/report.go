package main

import (
	"strings"

	"kioskd/daemon/api/apitype"
)

// reportCmd opens the issue reporting flow, or hands a report in.
type reportCmd struct {
	Text []string `arg:"" optional:"" help:"What is wrong; without it the screen is asked to ask the patient."`
	JSON bool     `name:"json" help:"Print the answer as JSON."`
}

// Run does it.
func (c *reportCmd) Run(e *env) error {
	if len(c.Text) == 0 {
		a, err := e.kiosk.ReportIssue(e.ctx, true)
		if err != nil {
			return err
		}
		return e.answer(c.JSON, a, func(*apitype.Session) string { return "The screen asks what is wrong." })
	}
	a, err := e.kiosk.SubmitReport(e.ctx, strings.Join(c.Text, " "))
	if err != nil {
		return err
	}
	return e.answer(c.JSON, a, reportWords)
}

func reportWords(s *apitype.Session) string {
	return "Report " + s.Report.Submitted + either(s.Report.Sent, " is with the clinic.", " is kept until the clinic has it.")
}

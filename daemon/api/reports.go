package api

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
	"kioskd/daemon/session"
)

// postReportIssue opens the issue reporting flow, closes it, or hands a report
// in. The report's bundle is built before the command: it tells how things were
// when the patient complained, and a slow build holds the session up by nothing.
func (s *Server) postReportIssue(w http.ResponseWriter, r *http.Request) error {
	const hint = `send {"text":"..."} to report, {"open":false} to close, or an empty body to open`
	var req apitype.ReportRequest
	if _, err := wire.ReadJSON(w, r, &req, hint); err != nil {
		return err
	}
	if req.Text == nil {
		return s.command(w, r, session.ReportIssue{Close: req.Open != nil && !*req.Open})
	}
	if len(*req.Text) > session.MaxMessageText {
		return apitype.NewProblem(http.StatusBadRequest, session.CodeMessageBad,
			"cannot take the report: it has more than 2000 bytes", "Say it shorter.")
	}
	submit := session.SubmitReport{ID: rand.Text(), Text: session.PatientText(*req.Text)}
	if strings.TrimSpace(*req.Text) != "" { // else the session refuses it, and nothing is gathered
		var err error
		if submit.ID, submit.Bundle, err = s.deps.Report(*req.Text); err != nil {
			return fmt.Errorf("cannot gather the report: %w", err)
		}
	}
	return s.command(w, r, submit)
}

func (s *Server) getReports(w http.ResponseWriter, _ *http.Request) error {
	list, err := s.deps.Reports()
	if err != nil {
		return err
	}
	if list == nil {
		list = []apitype.ReportInfo{}
	}
	wire.WriteJSON(w, apitype.Reports{Reports: list})
	return nil
}

// getReport gives a report's bundle as it will be sent.
func (s *Server) getReport(w http.ResponseWriter, r *http.Request) error {
	bundle, err := s.deps.ReadReport(r.PathValue("id"))
	if err != nil {
		return err
	}
	wire.WriteRaw(w, bundle)
	return nil
}

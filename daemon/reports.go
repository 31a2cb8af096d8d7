package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
	"kioskd/daemon/report"
	"kioskd/daemon/session"
	"kioskd/store"
)

// outbox fits the store to the sender of reports.
type outbox struct{ store *store.Store }

// Waiting implements report.Outbox.
func (o outbox) Waiting() ([]string, error) {
	list, err := o.store.Reports()
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(list))
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

// Read implements report.Outbox.
func (o outbox) Read(id string) ([]byte, error) {
	b, _, err := o.store.Report(id)
	if errors.Is(err, store.ErrSealed) || errors.Is(err, store.ErrNoReport) {
		return nil, fmt.Errorf("%w: %w", report.ErrUnreadable, err)
	}
	return b, err
}

// Drop implements report.Outbox.
func (o outbox) Drop(id string) error { return o.store.DropReport(id) }

// postReport hands one report to the backend.
func (k *kiosk) postReport(ctx context.Context, id string, r report.Record) error {
	if r.Kind == report.KindQuality {
		return k.postQuality(ctx, id, r)
	}
	err := k.backend.PostReport(ctx, backend.ReportPost{
		AppointmentID: r.Appointment.Plain(), ID: id, Text: r.Text.Plain(), Bundle: r.Bundle,
	})
	if err != nil && backend.Permanent(err) {
		return fmt.Errorf("%w: %w", report.ErrRefused, err)
	}
	return err
}

// reportSent tells the session, which shows it.
func (k *kiosk) reportSent(id string) {
	if !k.post(session.ReportSent{ID: id}) {
		k.log.Error("cannot tell the session that its report was sent", "report", id)
	}
}

// sentBefore makes good what a crash between a report's sending and the session's
// word of it has left: a report that is not in the outbox any more was sent.
func (k *kiosk) sentBefore() {
	m := k.runner.Model()
	if m.ReportID == "" || m.ReportSent {
		return
	}
	waiting, err := (outbox{k.store}).Waiting()
	if err == nil && !slices.Contains(waiting, m.ReportID) {
		k.reportSent(m.ReportID)
	}
}

// reportsStuck shows that reports wait which could not be sent.
func (k *kiosk) reportsStuck(waiting int) {
	const code = "reports_waiting"
	list, err := k.store.Reports()
	if waiting == 0 || err == nil && len(reportsOnly(list)) == 0 { // figures that wait concern nobody
		k.health.Clear(code)
		return
	}
	k.health.Set(code, apitype.SeverityInfo,
		k.words.Text("condition."+code+".title"), k.words.Text("condition."+code+".hint"))
}

// listReports is GET /v1/reports.
func (k *kiosk) listReports() ([]apitype.ReportInfo, error) {
	if err := k.standIn.problem(); err != nil {
		return nil, err
	}
	list, err := k.store.Reports()
	if err != nil {
		return nil, err
	}
	list = reportsOnly(list)
	out := make([]apitype.ReportInfo, 0, len(list))
	for _, r := range list {
		out = append(out, apitype.ReportInfo{ID: r.ID, At: r.At, Bytes: r.Bytes})
	}
	return out, nil
}

// readReport is GET /v1/reports/{id}: the patient's words and the bundle, without
// the appointment, which a technician does not need.
func (k *kiosk) readReport(id string) ([]byte, error) {
	if err := k.standIn.problem(); err != nil {
		return nil, err
	}
	raw, info, err := k.store.Report(id)
	if errors.Is(err, store.ErrNoReport) {
		return nil, apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound,
			"cannot find this report: it was sent, or never made", "GET "+apitype.RouteReports+" lists those that wait")
	}
	if err != nil {
		return nil, err
	}
	r, err := report.Decode(raw)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"id": id, "at": info.At, "text": r.Text.Plain(), "bundle": r.Bundle})
}

// audit is GET /v1/audit.
func (k *kiosk) audit(limit int) (apitype.Audit, error) {
	if err := k.standIn.problem(); err != nil {
		return apitype.Audit{}, err
	}
	intact, broken, err := k.store.Verify()
	if err != nil {
		return apitype.Audit{}, err
	}
	list, err := k.store.Journal(limit)
	if err != nil {
		return apitype.Audit{}, err
	}
	out := apitype.Audit{Entries: make([]apitype.AuditEntry, 0, len(list)), Intact: intact, Broken: broken}
	for _, e := range list {
		out.Entries = append(out.Entries, apitype.AuditEntry{Number: e.Number, At: e.At, Kind: e.Kind, Text: e.Text})
	}
	return out, nil
}

// denied puts a request that was turned away into the audit.
func (k *kiosk) denied(text string) {
	if err := k.store.Save(store.Save{AuditOnly: true, Journal: []store.Entry{auditEntry(text)}}); err != nil {
		k.log.Error("cannot put a denied request into the audit", "error", err)
	}
}

package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kioskd/daemon/backend"
	"kioskd/daemon/report"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
	"kioskd/store"
)

// archive is the session's store with a place for how each call went: the commit that
// ends a call also puts its figures into the outbox, sealed like the reports, so that
// no crash comes in between. There they give way to reports.
type archive struct {
	persistence
	meter *report.Meter
	log   *slog.Logger
	call  session.Model // as the store has it; the runner's goroutine alone uses it
}

// Load implements runner.Store.
func (a *archive) Load() (session.Model, error) {
	m, err := a.persistence.Load()
	a.call = m
	return m, err
}

// Commit implements runner.Store.
func (a *archive) Commit(c runner.Commit) error {
	quality := ""
	if !c.AuditOnly && !c.Model.Running() && c.Report == nil && !a.call.ActiveSince.IsZero() {
		quality = a.figures(&c)
	}
	err := a.persistence.Commit(c)
	for errors.Is(err, runner.ErrOutboxFull) && a.makePlace() {
		err = a.persistence.Commit(c)
	}
	if quality != "" && (errors.Is(err, runner.ErrOutboxFull) || errors.Is(err, runner.ErrStoreFull)) {
		// The outbox is full of reports, which stay, or the disk is full: the end itself
		// takes something away, and may have room where the figures have none.
		a.log.Warn("how the call went is not kept", "error", err)
		c.Report = nil
		err = a.persistence.Commit(c)
	}
	if err == nil && !c.AuditOnly {
		a.call = session.Model{}
		if c.Model.Running() {
			a.call = c.Model
		}
	}
	return err
}

// figures puts how the call went into the commit that ends it, and gives their id.
func (a *archive) figures(c *runner.Commit) string {
	end := string(c.Model.State)
	if c.Model.State == session.Error {
		end = c.Model.Error.Code
	}
	id, record, err := report.NewQuality(a.call.Appointment, a.meter.Quality(a.call.Peer, c.Model.EndedAt.Sub(a.call.ActiveSince), end))
	if err != nil {
		a.log.Error("how the call went is not kept", "error", err)
		return ""
	}
	c.Report = &runner.Report{ID: id, Data: record}
	return id
}

// makePlace drops the oldest figures that wait; false: only reports do.
func (a *archive) makePlace() bool {
	list, err := a.store.Reports()
	if err != nil {
		return false
	}
	for _, waits := range list {
		if report.IsQuality(waits.ID) {
			a.log.Warn("how a call went is dropped: a report takes its place", "id", waits.ID)
			return a.store.DropReport(waits.ID) == nil
		}
	}
	return false
}

// measureEvery is how often a running call is looked at.
const measureEvery = time.Second

// measure looks at calls while they run.
func (k *kiosk) measure(ctx context.Context) {
	tick := time.NewTicker(measureEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.measureDue:
		}
		for m := k.runner.Model(); m.Running() && !m.ActiveSince.IsZero(); m = k.runner.Model() {
			k.meter.Look(m, *k.call.Statistics())
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// postQuality hands how a call went to the backend. One that wants no figures gets none.
func (k *kiosk) postQuality(ctx context.Context, id string, r report.Record) error {
	q, err := report.DecodeQuality(r)
	if err != nil {
		k.log.Error("cannot read how a call went: it is given up", "id", id, "error", err)
		return nil
	}
	err = k.backend.PostQuality(ctx, backend.QualityPost{AppointmentID: r.Appointment.Plain(), ID: id, Figures: q.Figures()})
	if err != nil && backend.Permanent(err) {
		k.log.Info("the backend wants no figures of the call", "id", id, "code", backend.Code(err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot send how a call went: %w", err)
	}
	return nil
}

// reportsOnly leaves out what is no issue report.
func reportsOnly(list []store.ReportInfo) []store.ReportInfo {
	var out []store.ReportInfo
	for _, r := range list {
		if !report.IsQuality(r.ID) {
			out = append(out, r)
		}
	}
	return out
}

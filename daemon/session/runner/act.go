package runner

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"kioskd/daemon/session"
)

// fact does an event that nobody can refuse. What the world did stays true when
// the store fails, so the model is taken on in any case.
func (r *Runner) fact(ctx context.Context, w session.What) {
	e := r.complete(session.Event{What: w})
	before := r.m
	next, effects, outputs, err := session.Step(r.m, e)
	if err != nil {
		r.o.Log.Warn("session refused an event", "event", w.Name(), "error", err)
	}
	if _, last := w.(session.Shutdown); last {
		r.perform(ctx, effects) // a disk that hangs must not keep the room from hearing `away`
		effects = nil
	}
	if set, ok := w.(session.ClockSet); ok && !before.DoubtfulSince.IsZero() && next.DoubtfulSince.IsZero() {
		r.setClock(r.Now().Add(set.Now.Sub(e.At))) // Step has moved the model's times the same way
	}
	stored := r.commit(Commit{Model: next, Outputs: outputs, Audit: r.transition(e, next)}, false) == nil
	r.adopt(next, outputs, stored)
	r.perform(ctx, r.holdAcks(effects, stored))
}

// holdAcks takes the acknowledgements out of effects whose messages are not
// stored, and puts those back in whose messages are now.
func (r *Runner) holdAcks(effects []session.Effect, stored bool) []session.Effect {
	isAck := func(e session.Effect) bool { _, ok := e.(session.AckMessage); return ok }
	switch {
	case !r.m.Running() || r.m.Stopping:
		r.acks = nil // nobody is there to be told
	case stored:
		effects = append(effects, r.acks...)
		r.acks = nil
	default:
		for _, e := range effects {
			if isAck(e) && len(r.acks) < session.MaxMessages && !slices.Contains(r.acks, e) {
				r.acks = append(r.acks, e)
			}
		}
		effects = slices.DeleteFunc(effects, isAck)
	}
	return effects
}

// command does one command and answers it.
func (r *Runner) command(ctx context.Context, q request) {
	if q.event.What == nil {
		q.answer <- answer{err: &session.Refusal{Code: "bad_event", Message: "cannot do a command without a content", Hint: "Report this fault."}}
		return
	}
	e := r.complete(q.event)
	print := r.keys.fingerprint(q.event.What)
	if old, ok, err := r.keys.find(q.key, print, time.Now()); ok || err != nil {
		if err != nil {
			old.err = err
		}
		r.repeat(q, e, old)
		return
	}
	if ok, err := recall(r.m, q.key, q.event.What, e.At); ok || err != nil {
		r.repeat(q, e, answer{result: session.Result{Durable: true}, err: err})
		return
	}
	narrows := session.Narrows(r.m, q.event.What)
	if !narrows && q.ctx.Err() != nil {
		q.answer <- answer{err: q.ctx.Err()} // nobody waits for it any more
		return
	}
	a, effects := r.do(ctx, q, e, narrows)
	if !forStorage(a.err) {
		r.keys.keep(q.key, print, a, time.Now())
	}
	q.answer <- a
	r.perform(ctx, r.holdAcks(effects, !r.dirty))
}

// repeat answers a command whose key was seen before.
func (r *Runner) repeat(q request, e session.Event, a answer) {
	a.result.Model = r.m.Clone()
	result := "repeated"
	if code := refusalCode(a.err); code != "" {
		result += " refused=" + code
	}
	r.note(e, entry(e, result, r.m, r.m))
	q.answer <- a
}

// do steps, and commits and acts in the order that the command asks for. The
// effects that it returns are still to be done, after the answer.
func (r *Runner) do(ctx context.Context, q request, e session.Event, narrows bool) (answer, []session.Effect) {
	next, effects, outputs, refusal := session.Step(r.m, e)
	changed := !same(r.m, next)
	if narrows {
		r.perform(ctx, effects)
		effects = nil
	}
	if refusal == nil {
		remember(&next, q.key, q.event.What, e.At)
	}
	had := !r.dirty && bytes.Equal(image(next), r.saved)
	c := Commit{Model: next, Outputs: outputs, Report: reportOf(e.What, effects), Audit: audit(e, changed, refusal, r.m, next)}
	err := r.commit(c, e.By != "")
	if errors.Is(err, ErrOutboxFull) {
		return r.refuse(e, &session.Refusal{
			Code:    session.CodeOutboxFull,
			Message: "cannot take the report: too many wait to be sent",
			Hint:    "Tell the staff of the clinic.",
		}), nil
	}
	durable := err == nil || had
	if !durable && !narrows && refusal == nil {
		refusal := unstored(err)
		r.owe(e, audit(e, false, refusal, r.m, r.m))
		return answer{err: refusal}, nil
	}
	if err != nil {
		r.owe(e, c.Audit)
	}
	r.adopt(next, outputs, durable)
	return answer{session.Result{Model: next.Clone(), Durable: durable, Changed: changed}, refusal}, effects
}

// reportOf is the report that a command hands in; nil: it hands none in.
func reportOf(w session.What, effects []session.Effect) *Report {
	submit, ok := w.(session.SubmitReport)
	if !ok || !slices.Contains(effects, session.Effect(session.SendReports{})) {
		return nil
	}
	return &Report{ID: submit.ID, Data: submit.Bundle}
}

// refuse answers a command that changes nothing, and notes that in the journal.
func (r *Runner) refuse(e session.Event, refusal error) answer {
	r.note(e, audit(e, false, refusal, r.m, r.m))
	return answer{result: session.Result{Model: r.m.Clone()}, err: refusal}
}

// note stores the audit entry of a command that left the model as it was.
func (r *Runner) note(e session.Event, text string) {
	if e.By == "" {
		return
	}
	err := r.commit(Commit{Model: r.m, Audit: text}, true)
	if err != nil {
		r.owe(e, text)
	} else if r.doubts {
		r.publish(nil, true) // this commit stored the session too
	}
}

// unstored refuses a command that the store did not take.
func unstored(err error) *session.Refusal {
	if errors.Is(err, ErrStoreFull) {
		return &session.Refusal{
			Code:    session.CodeStoreFull,
			Message: "cannot do this: the kiosk's disk is full",
			Hint:    "Free some space in the state directory.",
		}
	}
	return &session.Refusal{
		Code:    session.CodeStore,
		Message: "cannot do this: the kiosk cannot store it",
		Hint:    "Try again in a second. If it stays so, look at the disk: see journalctl -u kioskd.",
	}
}

// forStorage says whether a refusal goes away with the store's trouble: the same
// key may then act.
func forStorage(err error) bool {
	code := refusalCode(err)
	return code == session.CodeStore || code == session.CodeStoreFull || code == session.CodeOutboxFull
}

func refusalCode(err error) string {
	var r *session.Refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

// commit stores a step. Without always, one that changes nothing of what the
// store holds is left out.
func (r *Runner) commit(c Commit, always bool) error {
	img := image(c.Model)
	c.AuditOnly = !r.dirty && bytes.Equal(img, r.saved)
	if c.AuditOnly && !always {
		return nil
	}
	c.Audit = late(c.Audit, r.owed)
	boot, up := r.o.Uptime()
	c.Model.Boot, c.Model.Uptime = boot, up-r.Now().Sub(c.Model.LastAt)
	err := r.o.Store.Commit(c)
	switch {
	case errors.Is(err, ErrOutboxFull):
		return err
	case err != nil:
		r.dirty = true
		r.o.Log.Error("cannot store the session", "error", err)
		return err
	}
	r.saved, r.dirty, r.owed = img, false, nil
	return nil
}

// image is what counts of a model for the store: nothing where there is no
// session or one that is over (its record is gone), and not the time of the
// newest event, on either clock, which would make every event a commit.
func image(m session.Model) []byte {
	if !m.Running() {
		return nil
	}
	m.LastAt, m.Boot, m.Uptime = time.Time{}, "", 0
	b, err := m.Encode()
	if err != nil {
		return nil
	}
	return b
}

// adopt makes next the model and tells it.
func (r *Runner) adopt(next session.Model, outputs []session.Output, durable bool) {
	changed := !same(r.m, next)
	if r.m.State != next.State || r.m.Error.Code != next.Error.Code {
		r.o.Log.Info("session changed", "from", word(r.m), "session", next)
	}
	r.m = next
	shown := next.Clone()
	r.model.Store(&shown)
	if changed || len(outputs) > 0 || !durable || r.doubts { // that it is stored again has to be told too
		r.publish(outputs, durable)
	}
}

func (r *Runner) publish(outputs []session.Output, durable bool) {
	r.seq++
	r.doubts = !durable
	r.o.Publish(session.Snapshot{Model: r.m.Clone(), Outputs: outputs, Seq: r.seq, Durable: durable})
}

// same says whether two models differ in nothing but what nobody sees: the time
// of the newest event, on either clock, and the keys that the runner remembers in them.
func same(a, b session.Model) bool {
	for _, m := range []*session.Model{&a, &b} {
		m.LastAt, m.Boot, m.Uptime, m.Seen, m.SeenSalt = time.Time{}, "", 0, nil, nil
	}
	return reflect.DeepEqual(a, b)
}

func (r *Runner) perform(ctx context.Context, effects []session.Effect) {
	for _, e := range effects {
		r.o.Log.Debug("session effect", "effect", e.Name())
		r.o.Perform(ctx, e)
	}
}

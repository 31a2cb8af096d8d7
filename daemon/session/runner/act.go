package runner

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
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
	durable := r.commit(next, outputs, e) == nil
	r.adopt(next, outputs, durable)
	r.perform(ctx, effects)
	if set, ok := w.(session.ClockSet); ok && !before.DoubtfulSince.IsZero() && next.DoubtfulSince.IsZero() {
		r.offset += set.Now.Sub(e.At) // Step has moved the model's times the same way
	}
}

// command does one command and answers it.
func (r *Runner) command(ctx context.Context, q request) {
	if q.event.What == nil {
		q.answer <- answer{err: &session.Refusal{Code: "bad_event", Message: "cannot do a command without a content", Hint: "Report this fault."}}
		return
	}
	print := r.keys.fingerprint(q.event.What)
	if old, ok, err := r.keys.find(q.key, print, r.now()); ok || err != nil {
		old.result.Model = r.m.Clone()
		if err != nil {
			old.err = err
		}
		q.answer <- old
		return
	}
	narrows := session.Narrows(r.m, q.event.What)
	if !narrows && q.ctx.Err() != nil {
		q.answer <- answer{err: q.ctx.Err()} // nobody waits for it any more
		return
	}
	a, effects := r.do(ctx, r.complete(q.event), narrows)
	if !isStore(a.err) {
		r.keys.keep(q.key, print, a, r.now())
	}
	q.answer <- a
	r.perform(ctx, effects)
}

// do steps, and commits and acts in the order that the command asks for. The
// effects that it returns are still to be done, after the answer.
func (r *Runner) do(ctx context.Context, e session.Event, narrows bool) (answer, []session.Effect) {
	next, effects, outputs, refusal := session.Step(r.m, e)
	changed := !same(r.m, next)
	if narrows {
		r.perform(ctx, effects)
		effects = nil
	}
	err := r.commit(next, outputs, e)
	if err != nil && !narrows && refusal == nil {
		return answer{err: &session.Refusal{
			Code:    session.CodeStore,
			Message: "cannot do this: the kiosk cannot store it",
			Hint:    "Look at the conditions in GET /v1/status: the disk may be full.",
		}}, nil
	}
	r.adopt(next, outputs, err == nil)
	return answer{session.Result{Model: next.Clone(), Durable: err == nil, Changed: changed}, refusal}, effects
}

func isStore(err error) bool {
	r, ok := err.(*session.Refusal) //nolint:errorlint // made above, never wrapped
	return ok && r.Code == session.CodeStore
}

// commit stores the model, unless the store holds just that already.
func (r *Runner) commit(next session.Model, outputs []session.Output, e session.Event) error {
	img := image(next)
	if !r.dirty && bytes.Equal(img, r.saved) {
		return nil
	}
	audit := fmt.Sprintf("event=%s from=%s to=%s", e.What.Name(), word(r.m), word(next))
	if e.By != "" {
		audit += " by: " + e.By
	}
	if err := r.o.Store.Commit(next, outputs, audit); err != nil {
		r.dirty = true
		r.o.Log.Error("cannot store the session", "event", e.What.Name(), "error", err)
		return err
	}
	r.saved, r.dirty = img, false
	return nil
}

func word(m session.Model) string {
	switch {
	case !m.Exists():
		return "none"
	case m.State == session.Error:
		return "error:" + m.Error.Code
	default:
		return string(m.State)
	}
}

// image is what counts of a model for the store: nothing where there is no
// session or one that is over (its record is gone), and not the time of the
// newest event, which would make every event a commit.
func image(m session.Model) []byte {
	if !m.Running() {
		return nil
	}
	m.LastAt = time.Time{}
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
	if changed || len(outputs) > 0 || !durable {
		r.seq++
		r.o.Publish(session.Snapshot{Model: next.Clone(), Outputs: outputs, Seq: r.seq, Durable: durable})
	}
}

// same says whether two models differ in nothing but the time of the newest event.
func same(a, b session.Model) bool {
	a.LastAt, b.LastAt = time.Time{}, time.Time{}
	return reflect.DeepEqual(a, b)
}

func (r *Runner) perform(ctx context.Context, effects []session.Effect) {
	for _, e := range effects {
		r.o.Log.Debug("session effect", "effect", e.Name())
		r.o.Perform(ctx, e)
	}
}

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"kioskd/daemon/api/apitype"
)

// state is what commands change.
type state struct {
	Appointment       string // empty: no session runs
	Muted, Dark, Chat bool
	Said              []string
}

// ask is one command.
type ask struct {
	name                     string // in the audit
	method, route, key, body string
	then                     func(state) state // what it makes of a state
}

// ledger stands outside the daemon and knows what was answered.
type ledger struct {
	state   state
	answers int      // commands that were answered since the newest look
	mark    uint64   // the newest entry of the audit at that look
	pending *ask     // the command whose answer did not come
	applied bool     // and that has acted, as a look has shown
	acted   bool     // and that was told to have acted, without being stored
	idle    int      // of the newest answers, those of commands that changed nothing
	faulty  bool     // the disk is broken: what they leave in the audit may be owed to it
	reports []string // ids of reports that were acknowledged
	acks    int      // all answers, for the figures
	rnd     *rand.Rand
}

// next makes up a command. One that the state forbids is refused, which leaves an
// entry in the audit and nothing else.
func (l *ledger) next() ask {
	same := func(s state) state { return s }
	a := ask{method: http.MethodPost, key: fmt.Sprintf("%016x", l.rnd.Uint64()), then: same}
	set := func(name, route, body string, then func(state) state) ask {
		a.name, a.route, a.body, a.then = name, route, body, then
		return a
	}
	n := l.rnd.IntN(100)
	if l.state.Appointment == "" && n < 90 {
		id := fmt.Sprint("a-", l.rnd.IntN(1000))
		a.method = http.MethodPut
		return set("open", apitype.RouteSession, fmt.Sprintf(`{"appointment_id":%q}`, id), func(state) state { return state{Appointment: id} })
	}
	switch {
	case n < 25: // toggles: one that acts twice is seen
		return set("mute", apitype.RouteMute, "", func(s state) state { s.Muted = !s.Muted; return s })
	case n < 35:
		return set("disable-video", apitype.RouteDisableVideo, "", func(s state) state { s.Dark = !s.Dark; return s })
	case n < 50:
		open := l.rnd.IntN(2) == 0
		return set("chat", apitype.RouteChat, fmt.Sprintf(`{"open":%t}`, open), func(s state) state { s.Chat = open; return s })
	case n < 70:
		text := fmt.Sprintf("message %016x", l.rnd.Uint64())
		return set("send-message", apitype.RouteMessages, fmt.Sprintf(`{"text":%q}`, text), func(s state) state {
			s.Said = append(slices.Clone(s.Said), text)
			return s
		})
	case n < 80:
		return set("submit-report", apitype.RouteReportIssue, `{"text":"no sound"}`, same)
	case n < 85:
		return set("swap-camera", apitype.RouteSwapCamera, "", same)
	case n < 90:
		a.method = http.MethodPut
		return set("role", apitype.RouteRole+"exam", `{"device":""}`, same)
	default:
		return set("end-call", apitype.RouteEndCall, "", func(state) state { return state{} })
	}
}

// do gives a command; dead: no answer came.
func (l *ledger) do(b *box, a ask) (dead bool, err error) {
	got, err := b.send(a.method, a.route, a.key, a.body)
	if err != nil {
		l.pending = &a
		return true, nil //nolint:nilerr // that is what the loop is about
	}
	return false, l.answered(a, got)
}

func (l *ledger) answered(a ask, got answer) error {
	l.acks++
	switch code := got.code(); {
	case code == "busy" || code == "stopping": // it never came to be a command
		return nil
	case got.status == http.StatusOK && bytes.Contains(got.body, []byte(`"durable":false`)): // it has acted, and holds over a restart
		l.pending, l.acted = &a, true
		return nil
	case got.status == http.StatusOK:
		now := a.then(l.state)
		if l.idle++; !reflect.DeepEqual(now, l.state) || a.name == "submit-report" || a.name == "role" {
			l.idle = 0
		}
		l.state = now
	case got.status == http.StatusConflict || code == "outbox_full":
		l.idle++
	case code == "store_unavailable": // as good as no answer: what the disk holds is not known
		l.pending = &a
		return nil
	default:
		return fmt.Errorf("%s was answered with %d %s", a.name, got.status, got.body)
	}
	l.answers++
	if got.status != http.StatusOK || a.name != "submit-report" {
		return nil
	}
	var done apitype.CommandAnswer
	if err := json.Unmarshal(got.body, &done); err != nil || done.Session == nil || done.Session.Report.Submitted == "" {
		return fmt.Errorf("a report was answered with %s, %w", got.body, err)
	}
	l.reports = append(l.reports, done.Session.Report.Submitted)
	return nil
}

// look compares a daemon that was just started with what was acknowledged.
func (l *ledger) look(ctx context.Context, b *box) error {
	now, err := observe(ctx, b)
	if err != nil {
		return err
	}
	audit, err := b.api.Audit(ctx, 1000)
	if err != nil {
		return err
	}
	if !audit.Intact {
		return fmt.Errorf("the audit is broken at %d", audit.Broken)
	}
	if err := l.judge(now, audit.Entries); err != nil {
		return err
	}
	if n := len(audit.Entries); n > 0 {
		l.mark = audit.Entries[n-1].Number
	}
	l.answers, l.idle = 0, 0
	return l.seek(ctx, b)
}

// judge: each command that was answered has left its entry and its effect, and the
// one that was not answered both or neither.
func (l *ledger) judge(now state, audit []apitype.AuditEntry) error {
	var asked []string
	for _, e := range audit {
		if e.Number > l.mark && strings.Contains(e.Text, " by: ") {
			asked = append(asked, e.Text)
		}
	}
	want, over := l.state, len(asked)-l.answers
	switch {
	case over == 1 && l.pending != nil:
		last := asked[len(asked)-1]
		if !strings.HasPrefix(last, l.pending.name+" ") {
			return fmt.Errorf("the audit ends with %q, and %s was asked for", last, l.pending.name)
		}
		if !l.applied && !strings.Contains(last, " refused=") {
			want, l.applied = l.pending.then(want), true
		}
	case over <= 0 && l.pending != nil && l.acted && !l.applied && (over == 0 || l.faulty && -over <= l.idle):
		want, l.applied = l.pending.then(want), true
	case over < 0 && l.faulty && -over <= l.idle:
	case over != 0:
		return fmt.Errorf("%d commands were answered, %d stand in the audit: %q", l.answers, len(asked), asked)
	}
	if l.faulty && over == 1 && reflect.DeepEqual(now, l.state) {
		want = l.state // it was refused, the disk has it all the same, and the note keeps off what was off
	}
	if !reflect.DeepEqual(now, want) {
		return fmt.Errorf("acknowledged was %+v, there is %+v (unanswered: %s, in the audit: %d more)", want, now, l.pending.word(), over)
	}
	l.state = want
	return nil
}

func (a *ask) word() string {
	if a == nil {
		return "nothing"
	}
	return a.name
}

// seek looks for the reports that were acknowledged: the backend has each, or it waits.
func (l *ledger) seek(ctx context.Context, b *box) error {
	waiting, err := b.api.Reports(ctx)
	if err != nil {
		return err
	}
	l.reports = slices.DeleteFunc(l.reports, b.clinic.has)
	for _, id := range l.reports {
		if !slices.ContainsFunc(waiting, func(r apitype.ReportInfo) bool { return r.ID == id }) && !b.clinic.has(id) {
			return fmt.Errorf("report %s was acknowledged and is lost", id)
		}
	}
	return nil
}

// again repeats the unanswered command with its key: it acts once, in this life or in
// the one before.
func (l *ledger) again(ctx context.Context, b *box) (dead bool, err error) {
	if l.pending == nil {
		return false, nil
	}
	a := *l.pending
	got, err := b.send(a.method, a.route, a.key, a.body)
	if err != nil {
		return true, nil //nolint:nilerr // it stays the pending one
	}
	if l.applied {
		a.then = func(s state) state { return s }
	}
	l.pending, l.applied, l.acted = nil, false, false
	if err := l.answered(a, got); err != nil {
		return false, err
	}
	now, err := observe(ctx, b)
	if err != nil {
		return true, nil //nolint:nilerr // the next look tells
	}
	if !reflect.DeepEqual(now, l.state) {
		return false, fmt.Errorf("%s was repeated with its key: wanted %+v, there is %+v", a.name, l.state, now)
	}
	return false, nil
}

// observe asks the daemon for its state.
func observe(ctx context.Context, b *box) (state, error) {
	s, err := b.api.Session(ctx)
	if err != nil || s == nil || s.Final() {
		return state{}, err
	}
	now := state{Appointment: s.AppointmentID, Muted: s.Audio.Muted, Dark: s.Video.Disabled, Chat: s.Chat.Open}
	list, err := b.api.Messages(ctx)
	for _, m := range list {
		if m.From != "patient" {
			err = errors.Join(err, fmt.Errorf("a message from %s", m.From))
		}
		now.Said = append(now.Said, m.Text)
	}
	return now, err
}

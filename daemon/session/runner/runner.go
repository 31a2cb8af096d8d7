// Package runner runs the session's state machine: one goroutine owns the
// Model, commits each step, publishes it, answers and carries the effects out.
//
// Time in a model is the wall clock's at the opening, and monotonic from there, so
// that who sets the clock in a call moves no limit. Across a restart within one boot
// of the machine it goes on by the time since that boot, which nobody can set. Across
// a reboot the wall clock counts, where it is synchronised and not behind what was
// known; else time goes on from there until the backend says what it is.
//
// Who may import it: daemon (which builds it) and tests. It imports session and
// the standard library only; store, call and backend come in as functions.
package runner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"kioskd/daemon/session"
)

// recommitAfter is when a commit that failed is tried again.
const recommitAfter = 2 * time.Second

// Store keeps the model. Commit returns only when all of c would survive a power
// cut, in one transaction; with an error it has kept nothing of it. Load gives
// the zero Model where there is none.
type Store interface {
	Load() (m session.Model, err error)
	Commit(c Commit) error
}

// Commit is what is stored of one step.
type Commit struct {
	// Model is the session; one that is Final or None leaves no record behind.
	Model session.Model
	// AuditOnly says that the store has this Model already, from an earlier
	// Commit, or has no session and shall have none: only the rest is to be written.
	AuditOnly bool
	Outputs   []session.Output // for the journal
	Audit     string           // for the journal; at most maxAudit bytes, no patient data
	Report    *Report          // an issue report to keep until it is sent; nil: none
}

// Report is an issue report's bundle. It holds the patient's words.
type Report struct {
	ID   string
	Data []byte
}

// Format tells the id and hides the bundle.
func (r Report) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("report " + r.ID)) }

// LogValue tells the id and hides the bundle.
func (r Report) LogValue() slog.Value { return slog.StringValue("report " + r.ID) }

// ErrOutboxFull is what a Store's error wraps when it keeps no further report.
// Nothing else is wrong with the store.
var ErrOutboxFull = errors.New("cannot keep the report: too many wait to be sent")

// ErrStoreFull is what a Store's error wraps when the disk is full: it has kept
// nothing, and may keep the same later.
var ErrStoreFull = errors.New("cannot store the session: the disk is full")

// Options are what a Runner needs. Store and Perform are required.
type Options struct {
	Store Store
	// Perform carries an effect out. It is called in the runner's goroutine, in
	// order, and has to return at once; what takes time goes on elsewhere and
	// its result comes by Post. ctx ends with Run's; the effects of the shutdown
	// itself get one that does not end, so they need deadlines of their own.
	Perform func(ctx context.Context, e session.Effect)
	// Publish gets every change, in order, in the runner's goroutine; nil: nobody.
	Publish func(session.Snapshot)
	// AskConsent and Limits are for sessions to come, until SetDefaults.
	AskConsent bool
	Limits     session.Limits
	// ClockDoubtful tells whether the clock is not synchronised; nil: never.
	ClockDoubtful func() bool
	// Wall is the wall clock; nil: time.Now.
	Wall func() time.Time
	// Uptime names the machine's boot and tells the time since it, sleep included (the
	// kernel's boot_id and CLOCK_BOOTTIME); nil, or an empty boot: not known.
	Uptime func() (boot string, since time.Duration)
	Log    *slog.Logger // nil: none
}

// Runner owns the one session.
type Runner struct {
	o        Options
	commands chan request
	reports  chan session.What
	chat     atomic.Int32 // how many of the reports are of the chat
	ready    chan struct{}
	done     chan struct{}
	running  atomic.Bool
	model    atomic.Pointer[session.Model]
	anchor   atomic.Pointer[anchor]
	defaults atomic.Pointer[defaults]

	// The rest belongs to Run's goroutine.
	m      session.Model
	seq    uint64
	saved  []byte           // what the store holds, see image
	dirty  bool             // the newest commit failed
	doubts bool             // the newest snapshot was not durable
	owed   []string         // audit that could not be stored yet
	acks   []session.Effect // of messages that are not stored yet
	keys   keys
}

type request struct {
	ctx    context.Context //nolint:containedctx // the caller's, for this one command
	event  session.Event
	key    string
	answer chan answer // capacity 1: the runner never waits for a caller
}

type answer struct {
	result session.Result
	err    error
}

// anchor ties the model's time to the monotonic clock.
type anchor struct {
	seen  time.Time // with its monotonic part
	model time.Time // what it was then
}

// New makes a Runner; Run starts it. Do and Post may be called before: what they
// bring is done when Run is ready.
func New(o Options) (*Runner, error) {
	if o.Store == nil || o.Perform == nil {
		return nil, errors.New("cannot make a session runner: Store and Perform are required")
	}
	if o.Publish == nil {
		o.Publish = func(session.Snapshot) {}
	}
	if o.ClockDoubtful == nil {
		o.ClockDoubtful = func() bool { return false }
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Uptime == nil {
		o.Uptime = func() (string, time.Duration) { return "", 0 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := &Runner{
		o: o, commands: make(chan request, commandQueue), reports: make(chan session.What, reportQueue),
		ready: make(chan struct{}), done: make(chan struct{}), keys: newKeys(),
	}
	r.model.Store(&session.Model{})
	r.setClock(o.Wall())
	r.SetDefaults(o.AskConsent, o.Limits)
	return r, nil
}

// defaults are what a session begins with.
type defaults struct {
	askConsent bool
	limits     session.Limits
}

// SetDefaults changes what sessions to come begin with; the running one keeps its own.
func (r *Runner) SetDefaults(askConsent bool, limits session.Limits) {
	r.defaults.Store(&defaults{askConsent, limits})
}

// Ready is closed when Run has taken up what it found; a session whose time was
// over is wiped by then.
func (r *Runner) Ready() <-chan struct{} { return r.ready }

// Model is the newest published model. It never waits.
func (r *Runner) Model() session.Model { return r.model.Load().Clone() }

// Do does a command and answers when it is done: the result, or a
// *session.Refusal, or ctx's error (the command may be done all the same; ask
// again with the same key). A key (Idempotency-Key) that was seen in the last 10
// minutes gets its first answer again and acts no more; empty: none. What was
// done with a key is stored with the session, so this holds after a crash too.
//
// An event with a By leaves an audit entry, whatever came of it.
//
// A command that widens is answered when it would survive a power cut; one that
// narrows when it has acted, Durable says whether it was stored too.
func (r *Runner) Do(ctx context.Context, e session.Event, key string) (session.Result, error) {
	q := request{ctx: ctx, event: e, key: key, answer: make(chan answer, 1)}
	if err := r.enqueue(q); err != nil {
		return session.Result{}, err
	}
	select {
	case a := <-q.answer:
		return a.result, a.err
	case <-ctx.Done():
		return session.Result{}, ctx.Err()
	case <-r.done:
		select {
		case a := <-q.answer:
			return a.result, a.err
		default:
			return session.Result{}, stopping()
		}
	}
}

func (r *Runner) enqueue(q request) error {
	select {
	case <-r.done:
		return stopping()
	case r.commands <- q:
		return nil
	default:
	}
	switch q.event.What.(type) {
	case session.EndCall, session.Mute, session.DisableVideo, session.Permissions:
	default:
		return busy()
	}
	wait := time.NewTimer(narrowWait)
	defer wait.Stop()
	select {
	case <-r.done:
		return stopping()
	case r.commands <- q:
		return nil
	case <-q.ctx.Done():
		return q.ctx.Err()
	case <-wait.C:
		return busy()
	}
}

// Run loads the model, goes on with a session that it finds, closes Ready and
// serves until ctx ends. Then the room hears `away`, the model is committed and
// Run returns. It runs once.
func (r *Runner) Run(ctx context.Context) error {
	if r.running.Swap(true) {
		return errors.New("cannot run the session: it runs already")
	}
	defer close(r.done)
	r.start(ctx)
	close(r.ready)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(r.sleep())
		select {
		case <-ctx.Done():
		case <-timer.C:
			r.fact(ctx, session.Tick{})
		case w := <-r.reports:
			if ofChat(w) {
				r.chat.Add(-1)
			}
			r.fact(ctx, w)
		case q := <-r.commands:
			r.command(ctx, q)
		}
	}
	r.fact(context.WithoutCancel(ctx), session.Shutdown{})
	r.refuseWaiting()
	return nil
}

// refuseWaiting answers the commands that came too late.
func (r *Runner) refuseWaiting() {
	for {
		select {
		case q := <-r.commands:
			q.answer <- answer{err: stopping()}
		default:
			return
		}
	}
}

// start takes up the stored session. One that cannot be read is given up: a
// kiosk that does not start helps nobody.
func (r *Runner) start(ctx context.Context) {
	m, err := r.o.Store.Load()
	if err != nil {
		r.o.Log.Error("cannot go on with the stored session: it is given up", "error", err)
		m, r.dirty = session.Model{}, true
	}
	doubtful := r.resume(m)
	r.m, r.saved = m, image(m)
	r.dirty = r.dirty || m.Exists() // stored anew in any case: the boot is noted, from where time goes on
	if r.dirty {
		r.fact(ctx, session.Restarted{ClockDoubtful: doubtful})
	}
}

// resume sets the clock for a model that was stored; true: how long the kiosk was
// away is not known. Time then goes on from the newest known moment: nothing ends for
// a clock that is wrong, and no limit grows for one that went back.
func (r *Runner) resume(m session.Model) (doubtful bool) {
	boot, up := r.o.Uptime()
	switch {
	case m.LastAt.IsZero():
		return false
	case boot != "" && boot == m.Boot && up >= m.Uptime:
		r.setClock(m.LastAt.Add(up - m.Uptime))
		return false
	case r.o.ClockDoubtful() || !m.DoubtfulSince.IsZero() || m.LastAt.After(r.Now()):
		r.setClock(m.LastAt)
		return true
	}
	return false
}

// setClock makes it now in the model's time.
func (r *Runner) setClock(now time.Time) {
	r.anchor.Store(&anchor{seen: time.Now(), model: now.Round(0).UTC()})
}

// Now is the model's time. It never waits.
func (r *Runner) Now() time.Time {
	a := r.anchor.Load()
	return a.model.Add(time.Since(a.seen))
}

// newClock takes the wall clock anew, where it was set, for a session to come: nothing
// runs that could end early or late for it.
func (r *Runner) newClock() {
	wall := r.o.Wall()
	if by := wall.Sub(r.Now()); by.Abs() >= time.Second {
		r.m = r.m.Moved(by)
		r.setClock(wall)
	}
}

// sleep is how long nothing is due.
func (r *Runner) sleep() time.Duration {
	d := time.Hour
	if wake := session.Plan(r.m).Wake; !wake.IsZero() {
		d = min(d, wake.Sub(r.Now()))
	}
	if r.dirty {
		d = min(d, recommitAfter)
	}
	return max(d, time.Millisecond)
}

// complete fills what only the runner knows into an event.
func (r *Runner) complete(e session.Event) session.Event {
	open, ok := e.What.(session.Open)
	if ok && !r.m.Running() {
		r.newClock()
	}
	e.At = r.Now()
	if ok {
		open.Peer = rand.Text()
		d := r.defaults.Load()
		open.AskConsent, open.Limits = d.askConsent, d.limits
		open.ClockDoubtful = r.o.ClockDoubtful()
		e.What = open
	}
	return e
}

func busy() error {
	return &session.Refusal{Code: session.CodeBusy, Message: "cannot take the command: too many are waiting", Hint: "Try again in a second."}
}

func stopping() error {
	return &session.Refusal{Code: session.CodeStopping, Message: "cannot take the command: the kiosk is going down", Hint: "Try again in a few seconds."}
}

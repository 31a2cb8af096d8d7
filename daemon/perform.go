package daemon

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"kioskd/daemon/backend"
	"kioskd/daemon/call"
	"kioskd/daemon/room"
	"kioskd/daemon/session"
)

// Bounds of carrying out effects.
const (
	joinWithin  = 8 * time.Second
	leaveWithin = 2 * time.Second // the bye of an ended call is tried so long
)

// performer carries out what the session wants. It never makes the session's
// goroutine wait: devices, room and backend each have a goroutine of their own
// that works towards the newest wish, so a wish that is overtaken is skipped.
type performer struct {
	call    *call.Call
	backend *backend.Client
	check   func() session.DeviceReport
	post    func(session.What) bool
	send    func() // there is a report to send
	looked  func() // the devices were looked at anew
	log     *slog.Logger

	mu       sync.Mutex
	media    call.Media
	join     *session.JoinParams // where the session wants to be; nil: in no room
	farewell session.Leaving     // the word for the room that we are in; empty: said already
	joining  context.CancelFunc  // of the running join
	load     *session.LoadParams // wanted and not begun
	loading  context.CancelFunc  // of the running load
	refresh  *session.RefreshParams
	checks   int // the number of the newest check that the session wants

	mediaDue, roomDue, checkDue, loadDue, refreshDue chan struct{}
}

func newPerformer(log *slog.Logger) *performer {
	return &performer{
		looked: func() {}, send: func() {},
		log:      log,
		mediaDue: make(chan struct{}, 1), roomDue: make(chan struct{}, 1),
		checkDue: make(chan struct{}, 1), loadDue: make(chan struct{}, 1), refreshDue: make(chan struct{}, 1),
	}
}

// perform takes one effect. It returns at once.
func (p *performer) perform(_ context.Context, e session.Effect) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case session.CheckDevices:
		p.checks = e.Number
		poke(p.checkDue)
	case session.LoadRoom:
		p.wishLoad(&e.Params)
	case session.CancelLoad:
		p.wishLoad(nil)
	case session.JoinRoom:
		p.wishRoom(&e.Params, session.Away)
	case session.LeaveRoom:
		p.wishRoom(nil, e.How)
	case session.RefreshScreen:
		p.refresh = &e.Params
		poke(p.refreshDue)
	case session.SetOutbox:
		p.call.SetOutbox(roomMessages(e.Messages))
	case session.AckMessage:
		p.call.AckMessage(e.Participant, e.ID)
	case session.SendReports:
		p.send()
	default:
		p.wishMedia(e)
	}
}

func (p *performer) wishMedia(e session.Effect) {
	switch e := e.(type) {
	case session.SetMuted: // at once: nothing said from here on is sent
		p.call.SetMuted(e.Muted)
		return
	case session.SetVideoOff:
		p.media.VideoOff = e.Off
		p.call.SetPrivate(e.Off || !p.media.Camera)
	case session.OpenCamera:
		// Only a patient whose video is on has an open camera: what an ended
		// session left behind must not stand in its way until the room is joined.
		p.media.Camera, p.media.CameraID, p.media.VideoOff = true, e.ID, false
		p.call.SetPrivate(false)
	case session.CloseCamera:
		p.media.Camera, p.media.CameraID = false, ""
		p.call.SetPrivate(true)
	case session.OpenMicrophone:
		p.media.Microphone = true
		p.call.SetSilent(false)
	case session.CloseMicrophone:
		p.media.Microphone = false
		p.call.SetSilent(true)
	}
	poke(p.mediaDue)
}

func (p *performer) wishRoom(join *session.JoinParams, how session.Leaving) {
	if p.joining != nil { // a join that is under way is for a wish that is over
		p.joining()
	}
	p.join = join
	if p.farewell != session.Bye { // a bye that is still to be said stays one
		p.farewell = how
	}
	poke(p.roomDue)
}

func (p *performer) wishLoad(params *session.LoadParams) {
	if p.loading != nil {
		p.loading()
		p.loading = nil
	}
	p.load = params
	poke(p.loadDue)
}

// poke leaves a token where none is: there is something newer to look at.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// recheck asks for a device report outside the session's own asking.
func (p *performer) recheck() { poke(p.checkDue) }

// work does what is due, one after the other, until ctx ends.
func work(ctx context.Context, due <-chan struct{}, do func()) {
	for {
		select {
		case <-due:
			do()
		case <-ctx.Done():
			return
		}
	}
}

// finish does what is still due, once.
func finish(due <-chan struct{}, do func()) {
	select {
	case <-due:
		do()
	default:
	}
}

// run works until ctx ends, and returns when its goroutines are gone. What the
// last wishes for devices and room were is carried out first: the room's
// farewell is one of them.
func (p *performer) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() {
		work(ctx, p.mediaDue, p.applyMedia)
		finish(p.mediaDue, p.applyMedia)
	})
	wg.Go(func() {
		work(ctx, p.roomDue, func() { p.applyRoom(ctx) })
		finish(p.roomDue, func() { p.applyRoom(ctx) })
	})
	wg.Go(func() {
		work(ctx, p.checkDue, p.checkDevices)
	})
	wg.Go(func() { work(ctx, p.loadDue, func() { p.loadRoom(ctx) }) })
	wg.Go(func() { work(ctx, p.refreshDue, func() { p.refreshScreen(ctx) }) })
	wg.Wait()
}

// checkDevices looks and tells the session. A look that began before the session
// asked is no answer: what it saw may be from before the patient's answer. The next
// one is due already.
func (p *performer) checkDevices() {
	wanted := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.checks
	}
	before := wanted()
	r := p.check()
	if wanted() == before {
		p.report(r)
	}
	p.looked()
}

func (p *performer) applyMedia() {
	p.mu.Lock()
	m := p.media
	p.mu.Unlock()
	p.call.Apply(m)
}

// report hands a result to the session. Its queue is full only when the session
// hangs, which is the watchdog's case.
func (p *performer) report(w session.What) {
	if !p.post(w) {
		p.log.Error("cannot hand a result to the session: its queue is full or it has ended", "event", w.Name())
	}
}

// loadRoom carries out the newest wish for a load, unless it was taken back.
func (p *performer) loadRoom(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	params := p.load
	p.load, p.loading = nil, cancel
	p.mu.Unlock()
	if params == nil {
		return
	}
	screen, err := p.backend.OpenRoom(ctx, backend.OpenRequest{
		AppointmentID: params.Appointment.Plain(),
		Camera:        grant(params.Camera), Microphone: grant(params.Microphone),
	})
	if ctx.Err() != nil {
		return // nobody waits for it
	}
	if err != nil {
		p.log.Warn("cannot load the room", "code", backend.Code(err), "error", err)
		p.told(backend.DateOf(err))
		p.report(roomFailed(params.Attempt, err))
		return
	}
	p.told(screen.Date)
	p.report(roomLoaded(params.Attempt, screen))
}

// told hands the session the time that an answer of the backend's bore, bad ones too.
func (p *performer) told(date time.Time) {
	if !date.IsZero() {
		p.report(session.ClockSet{Now: date})
	}
}

func grant(a session.Answer) backend.Grant {
	switch a {
	case session.Granted:
		return backend.Granted
	case session.Denied:
		return backend.Denied
	default:
		return backend.Query
	}
}

func roomFailed(attempt int, err error) session.RoomFailed {
	return session.RoomFailed{
		Attempt: attempt, Code: backend.Code(err), Retryable: backend.Retryable(err), Title: session.PatientText(backend.Title(err)),
	}
}

// roomLoaded takes over what this kiosk can do of what the room offers.
func roomLoaded(attempt int, s backend.Screen) session.RoomLoaded {
	r := s.Room
	out := session.RoomLoaded{
		Attempt: attempt, Title: session.PatientText(s.Title),
		Room: session.Room{
			Provider: r.Provider, URL: session.PatientText(r.URL), Token: session.PatientText(r.Token), Expires: r.Expires,
			Participant: session.Participant{Name: session.PatientText(r.Participant.Name), Role: r.Participant.Role},
			Chat:        r.Chat, ReportIssue: r.ReportIssue,
		},
		Patch: patchOf(s.Patch),
		Limits: session.Limits{
			Wait: time.Duration(r.WaitSeconds) * time.Second, Session: time.Duration(r.SessionSeconds) * time.Second,
		},
	}
	for _, i := range r.ICEServers {
		out.Room.ICEServers = append(out.Room.ICEServers, session.ICEServer{
			URLs: i.URLs, Username: session.PatientText(i.Username), Credential: session.PatientText(i.Credential),
		})
	}
	return out
}

// refreshScreen asks the backend what has changed, once.
func (p *performer) refreshScreen(ctx context.Context) {
	p.mu.Lock()
	params := p.refresh
	p.refresh = nil
	p.mu.Unlock()
	if params == nil {
		return
	}
	patch, err := p.backend.Refresh(ctx, backend.RefreshRequest{
		URL: params.URL.Plain(), Camera: grant(params.Camera), Microphone: grant(params.Microphone),
	})
	var state *backend.StateError
	switch {
	case ctx.Err() != nil: // the daemon goes down
	case err == nil:
		p.told(patch.Date)
		p.report(session.ScreenPatched{Number: params.Number, Patch: patchOf(patch)})
	case errors.As(err, &state): // the state forbids it, and the answer says what changes
		p.log.Warn("the backend's state forbids the refresh", "code", state.Code)
		p.told(state.Date)
		p.report(session.ScreenPatched{Number: params.Number, Patch: patchOf(state.Patch)})
	default:
		p.log.Warn("cannot refresh the screen", "code", backend.Code(err), "error", err)
		p.told(backend.DateOf(err))
		p.report(session.RefreshFailed{Number: params.Number, Code: backend.Code(err), Retryable: backend.Retryable(err)})
	}
}

func patchOf(b backend.Patch) session.Patch {
	out := session.Patch{Update: session.PatientText(b.Update), Timeout: b.Timeout}
	if b.Title != nil {
		title := session.PatientText(*b.Title)
		out.Title = &title
	}
	for reference, c := range b.Controls {
		if out.Controls == nil {
			out.Controls = map[string]session.ControlPatch{}
		}
		out.Controls[reference] = session.ControlPatch{Visible: c.Visible, Enabled: c.Enabled}
	}
	return out
}

func roomMessages(list []session.Message) []room.Message {
	out := make([]room.Message, 0, len(list))
	for _, m := range list {
		out = append(out, room.Message{ID: m.ID, Text: m.Text.Plain(), At: m.At, To: m.Waiting})
	}
	return out
}

// applyRoom leaves the room we are in and joins the wanted one.
func (p *performer) applyRoom(ctx context.Context) {
	p.mu.Lock()
	join, farewell := p.join, p.farewell
	p.farewell = ""
	joining, cancel := context.WithTimeout(ctx, joinWithin)
	p.joining = cancel
	p.mu.Unlock()
	defer cancel()

	// Leaving has a deadline of its own: it is also what a stopping daemon does last.
	leaving, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	p.call.Leave(leaving, leavingWord(farewell))
	stop()
	if join == nil || errors.Is(joining.Err(), context.Canceled) {
		return
	}
	err := p.call.Join(joining, joinParams(*join))
	switch {
	case err == nil: // the call has reported it
	case errors.Is(joining.Err(), context.Canceled):
		// overtaken by a newer wish
	default:
		p.log.Warn("cannot join the room", "error", err)
		p.report(joinFailed(join.Attempt, err))
	}
}

func leavingWord(how session.Leaving) room.Reason {
	if how == session.Bye {
		return room.ReasonBye
	}
	return room.ReasonAway
}

func joinFailed(attempt int, err error) session.JoinFailed {
	if errors.Is(err, room.ErrNoProvider) {
		return session.JoinFailed{Attempt: attempt, Code: session.CodeRoom}
	}
	if errors.Is(err, room.ErrRefused) {
		return session.JoinFailed{Attempt: attempt, Code: session.CodeTokenRefused, Retryable: true}
	}
	return session.JoinFailed{Attempt: attempt, Code: session.CodeNetwork, Retryable: true}
}

func joinParams(j session.JoinParams) call.JoinParams {
	out := call.JoinParams{
		Provider: j.Room.Provider, URL: j.Room.URL.Plain(), Token: j.Room.Token.Plain(), Peer: j.Peer, Attempt: j.Attempt,
	}
	for _, i := range j.Room.ICEServers {
		out.ICEServers = append(out.ICEServers, call.ICEServer{
			URLs: i.URLs, Username: i.Username.Plain(), Credential: i.Credential.Plain(),
		})
	}
	return out
}

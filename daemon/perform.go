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
	log     *slog.Logger

	mu    sync.Mutex
	media call.Media
	room  roomWish
	load  context.CancelFunc // of the running load
	joins context.CancelFunc // of the running join

	mediaDue, roomDue, checkDue chan struct{}
	loads                       chan session.LoadParams
}

// roomWish is where the session wants to be.
type roomWish struct {
	join *session.JoinParams // nil: in no room
	how  session.Leaving     // the word when leaving
}

func newPerformer(log *slog.Logger) *performer {
	return &performer{
		log:      log,
		mediaDue: make(chan struct{}, 1), roomDue: make(chan struct{}, 1), checkDue: make(chan struct{}, 1),
		loads: make(chan session.LoadParams, 1),
	}
}

// perform takes one effect. It returns at once.
func (p *performer) perform(_ context.Context, e session.Effect) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := e.(type) {
	case session.CheckDevices:
		poke(p.checkDue)
	case session.LoadRoom:
		p.cancelLoad()
		select { // the newest wish replaces one that has not begun
		case <-p.loads:
		default:
		}
		p.loads <- e.Params
	case session.CancelLoad:
		p.cancelLoad()
	case session.JoinRoom:
		p.wishRoom(roomWish{join: &e.Params, how: session.Away})
	case session.LeaveRoom:
		p.wishRoom(roomWish{how: e.How})
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
	case session.OpenCamera:
		p.media.Camera, p.media.CameraID = true, e.ID
	case session.CloseCamera:
		p.media.Camera, p.media.CameraID = false, ""
	case session.OpenMicrophone:
		p.media.Microphone = true
	case session.CloseMicrophone:
		p.media.Microphone = false
	}
	poke(p.mediaDue)
}

func (p *performer) wishRoom(w roomWish) {
	if p.joins != nil { // a join that is under way is for a wish that is over
		p.joins()
	}
	p.room = w
	poke(p.roomDue)
}

func (p *performer) cancelLoad() {
	if p.load != nil {
		p.load()
		p.load = nil
	}
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

// run works until ctx ends, and returns when its goroutines are gone. What the
// last wishes were is carried out first: the room's farewell is one of them.
func (p *performer) run(ctx context.Context) {
	var wg sync.WaitGroup
	loop := func(due <-chan struct{}, do func(context.Context)) {
		wg.Go(func() {
			for {
				select {
				case <-due:
					do(ctx)
					continue
				case <-ctx.Done():
				}
				select {
				case <-due:
					do(ctx)
				default:
					return
				}
			}
		})
	}
	loop(p.mediaDue, func(context.Context) { p.applyMedia() })
	loop(p.roomDue, p.applyRoom)
	loop(p.checkDue, func(context.Context) { p.report(p.check()) })
	wg.Go(func() {
		for {
			select {
			case params := <-p.loads:
				p.loadRoom(ctx, params)
			case <-ctx.Done():
				return
			}
		}
	})
	wg.Wait()
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

func (p *performer) loadRoom(ctx context.Context, params session.LoadParams) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.load = cancel
	p.mu.Unlock()
	screen, err := p.backend.OpenRoom(ctx, backend.OpenRequest{
		AppointmentID: params.Appointment.Plain(),
		Camera:        grant(params.Camera), Microphone: grant(params.Microphone),
	})
	if ctx.Err() != nil {
		return // nobody waits for it
	}
	if err != nil {
		p.log.Warn("cannot load the room", "code", backend.Code(err), "error", err)
		p.report(roomFailed(params.Attempt, err))
		return
	}
	if !screen.Date.IsZero() {
		p.report(session.ClockSet{Now: screen.Date})
	}
	p.report(roomLoaded(params.Attempt, screen))
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
	f := session.RoomFailed{Attempt: attempt, Code: backend.Code(err), Retryable: backend.Retryable(err)}
	var e *backend.Error
	if errors.As(err, &e) {
		f.Title = session.PatientText(e.Title)
	}
	return f
}

func roomLoaded(attempt int, s backend.Screen) session.RoomLoaded {
	r := s.Room
	out := session.RoomLoaded{
		Attempt: attempt, Title: session.PatientText(s.Title),
		Room: session.Room{
			Provider: r.Provider, URL: session.PatientText(r.URL), Token: session.PatientText(r.Token), Expires: r.Expires,
			Participant: session.Participant{Name: session.PatientText(r.Participant.Name), Role: r.Participant.Role},
			Chat:        r.Chat, ReportIssue: r.ReportIssue,
		},
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

// applyRoom leaves the room we are in and joins the wanted one.
func (p *performer) applyRoom(ctx context.Context) {
	p.mu.Lock()
	wish := p.room
	joining, cancel := context.WithTimeout(ctx, joinWithin)
	p.joins = cancel
	p.mu.Unlock()
	defer cancel()

	// Leaving has a deadline of its own: it is also what a stopping daemon does last.
	leaving, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
	p.call.Leave(leaving, leavingWord(wish.how))
	stop()
	if wish.join == nil || joining.Err() != nil {
		return
	}
	err := p.call.Join(joining, joinParams(*wish.join))
	switch {
	case err == nil: // the call has reported it
	case errors.Is(joining.Err(), context.Canceled):
		// overtaken by a newer wish
	default:
		p.log.Warn("cannot join the room", "error", err)
		p.report(joinFailed(wish.join.Attempt, err))
	}
}

func leavingWord(how session.Leaving) room.Reason {
	if how == session.Bye {
		return room.ReasonBye
	}
	return room.ReasonAway
}

func joinFailed(attempt int, err error) session.JoinFailed {
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

package session

import (
	"fmt"
	"time"
)

// World is what the world should be for a model. The zero value is a kiosk at
// rest: no device open, no room, nothing asked.
type World struct {
	CheckDevices int         // number of the wanted check of the devices; 0: none
	Load         *LoadParams // the backend's PUT that is wanted
	Join         *JoinParams // the room that the kiosk should be in
	Camera       bool        // the camera's file should be open (a slate stands in for a missing one)
	CameraID     string      // which; empty: none is known
	Microphone   bool        // the microphone should be open
	Muted        bool        // what it gives is silence
	VideoOff     bool        // the patient's choice
	Farewell     Leaving     // the word to say when Join goes
	Outbox       []Message   // the patient's messages that wait for an acknowledgement
	Refresh      *RefreshParams
	Wake         time.Time // when Tick is due; zero: never. Not an effect: the runner reads it
}

// String tells what is wanted and nothing of the patient.
func (w World) String() string {
	return fmt.Sprintf("world(load %t, join %t, camera %t, microphone %t)", w.Load != nil, w.Join != nil, w.Camera, w.Microphone)
}

// Format hides what the pointers lead to, see Model.Format.
func (w World) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(w.String())) }

// LoadParams are what the PUT needs.
type LoadParams struct {
	Attempt     int
	Appointment PatientText
	Camera      Answer // granted, denied, or unanswered: not known yet (X-Camera: Query)
	Microphone  Answer
}

// JoinParams are what joining needs.
type JoinParams struct {
	Attempt int
	Peer    string // the identity, the same for all attempts of a session
	Room    Room
}

// Effect is one thing to do. An effect is handed over, not awaited: its result
// comes back as an event.
type Effect interface {
	// Name is a stable word for logs and the golden table.
	Name() string
	effect()
}

// The effects.
type (
	// CheckDevices asks for a DeviceReport, always a fresh one.
	CheckDevices struct{ Number int }
	// LoadRoom asks for RoomLoaded or RoomFailed; a LoadRoom or JoinRoom with a
	// higher attempt takes its place.
	LoadRoom struct{ Params LoadParams }
	// CancelLoad ends the LoadRoom that still runs, if one does.
	CancelLoad struct{}
	// JoinRoom asks for Joined or JoinFailed and from then on for the room's
	// events; it takes the place of an older attempt, whose tracks it keeps.
	JoinRoom struct{ Params JoinParams }
	// LeaveRoom ends the newest attempt and says How to the room.
	LeaveRoom struct{ How Leaving }
	// OpenCamera opens this camera and closes another.
	OpenCamera struct{ ID string }
	// CloseCamera closes the camera's file; its light goes out.
	CloseCamera struct{}
	// OpenMicrophone opens the microphone; SetMuted comes before it.
	OpenMicrophone struct{}
	// CloseMicrophone closes it.
	CloseMicrophone struct{}
	// SetMuted feeds silence (true) or the microphone (false) to the encoder.
	// It is said before a microphone is opened or a room joined, and at changes.
	SetMuted struct{ Muted bool }
	// SetVideoOff tells call and room the patient's choice, like SetMuted.
	SetVideoOff struct{ Off bool }
)

func (CheckDevices) Name() string    { return "check-devices" }
func (LoadRoom) Name() string        { return "load-room" }
func (CancelLoad) Name() string      { return "cancel-load" }
func (JoinRoom) Name() string        { return "join-room" }
func (LeaveRoom) Name() string       { return "leave-room" }
func (OpenCamera) Name() string      { return "open-camera" }
func (CloseCamera) Name() string     { return "close-camera" }
func (OpenMicrophone) Name() string  { return "open-microphone" }
func (CloseMicrophone) Name() string { return "close-microphone" }
func (SetMuted) Name() string        { return "set-muted" }
func (SetVideoOff) Name() string     { return "set-video-off" }

func (CheckDevices) effect()    {}
func (LoadRoom) effect()        {}
func (CancelLoad) effect()      {}
func (JoinRoom) effect()        {}
func (LeaveRoom) effect()       {}
func (OpenCamera) effect()      {}
func (CloseCamera) effect()     {}
func (OpenMicrophone) effect()  {}
func (CloseMicrophone) effect() {}
func (SetMuted) effect()        {}
func (SetVideoOff) effect()     {}

// Plan says what the world should be for m. It depends on nothing else, so a
// daemon that starts again plans the same from the stored model.
func Plan(m Model) World {
	w := World{Wake: m.nextDeadline(), Muted: m.Muted, VideoOff: m.VideoOff, Farewell: Away}
	if !m.Running() {
		w.Farewell = Bye
		return w
	}
	if m.Stopping {
		return w
	}
	if m.Checking {
		w.CheckDevices = m.Checks
	}
	if m.Trying && m.Room == nil {
		w.Load = &LoadParams{m.Attempt, m.Appointment, m.Facts.Camera.answer(), m.Facts.Microphone.answer()}
	}
	if m.Trying && m.Room != nil {
		w.Join = &JoinParams{m.Attempt, m.Peer, *m.Room.clone()}
		w.Outbox = m.outbox()
	}
	if m.Refreshing {
		w.Refresh = &RefreshParams{m.Refreshes, m.Screen.Update, m.Facts.Camera.answer(), m.Facts.Microphone.answer()}
	}
	if m.Admitted && (m.State == Waiting || m.State == Active || m.State == Reconnecting) {
		w.Camera, w.CameraID = !m.VideoOff, m.Camera.ID
		w.Microphone = true
	}
	return w
}

// answer is what the backend is told of a kind of device.
func (d DeviceState) answer() Answer {
	switch d {
	case DeviceOK:
		return Granted
	case DeviceUnknown:
		return Unanswered
	default:
		return Denied
	}
}

// difference lists what brings the world from old to now: first what takes
// away, then what is asked, at last what adds; silence before a microphone.
func difference(old, now World) []Effect {
	var list []Effect
	add := func(wanted bool, e Effect) {
		if wanted {
			list = append(list, e)
		}
	}
	joins := now.Join != nil && (old.Join == nil || old.Join.Attempt != now.Join.Attempt)
	loads := now.Load != nil && (old.Load == nil || old.Load.Attempt != now.Load.Attempt)
	listens := now.Microphone && !old.Microphone
	inUse := now.Microphone || now.Join != nil

	add(old.Camera && !now.Camera, CloseCamera{})
	add(old.Microphone && !now.Microphone, CloseMicrophone{})
	add(inUse && (joins || listens || old.Muted != now.Muted), SetMuted{now.Muted})
	add(now.Join != nil && (joins || old.VideoOff != now.VideoOff), SetVideoOff{now.VideoOff})
	add(joins || !sameOutbox(old.Outbox, now.Outbox), SetOutbox{now.Outbox})
	add(old.Load != nil && now.Load == nil && now.Join == nil, CancelLoad{})
	add(old.Join != nil && now.Join == nil, LeaveRoom{now.Farewell})
	add(now.CheckDevices > old.CheckDevices, CheckDevices{now.CheckDevices})
	if now.Refresh != nil && (old.Refresh == nil || old.Refresh.Number != now.Refresh.Number) {
		list = append(list, RefreshScreen{*now.Refresh})
	}
	if loads {
		list = append(list, LoadRoom{*now.Load})
	}
	if joins {
		list = append(list, JoinRoom{*now.Join})
	}
	add(listens, OpenMicrophone{})
	add(now.Camera && (!old.Camera || old.CameraID != now.CameraID), OpenCamera{now.CameraID})
	return list
}

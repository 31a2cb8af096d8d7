package daemon

import (
	"errors"

	"kioskd/capture/encode"
	"kioskd/daemon/call"
	"kioskd/daemon/room"
	"kioskd/daemon/session"
)

// sessionEvent translates what the call reports into the session's language.
// ok is false for what the session need not know.
func sessionEvent(e call.Event) (w session.What, ok bool) {
	switch e := e.(type) {
	case call.Joined:
		return session.Joined{Attempt: e.Attempt}, true
	case call.PeerJoined:
		return session.PeerJoined{Attempt: e.Attempt, Participant: session.Participant{
			ID: e.Participant.ID, Name: session.PatientText(e.Participant.Name), Role: e.Participant.Role,
		}}, true
	case call.PeerLeft:
		return session.PeerLeft{Attempt: e.Attempt, Participant: e.ID, How: leavingOf(e.Reason)}, true
	case call.MediaArrived:
		return session.MediaArrived{Attempt: e.Attempt, Participant: e.ID, Kind: session.Kind(e.Kind)}, true
	case call.MediaLost:
		return session.MediaLost{Attempt: e.Attempt, Participant: e.ID}, true
	case call.MediaBack:
		return session.MediaBack{Attempt: e.Attempt, Participant: e.ID}, true
	case call.MessageArrived:
		return session.MessageArrived{
			Attempt: e.Attempt, Participant: e.ID, ID: e.Message.ID, Text: session.PatientText(e.Message.Text),
		}, true
	case call.MessageAcked:
		return session.MessageAcked{Attempt: e.Attempt, Participant: e.ID, ID: e.Message}, true
	case call.RoomLost:
		return session.RoomLost{Attempt: e.Attempt}, true
	case call.RoomBack:
		return session.RoomBack{Attempt: e.Attempt}, true
	case call.RoomClosed:
		failed := session.JoinFailed{Attempt: e.Attempt, Code: session.CodeRoom, Retryable: true}
		switch {
		case errors.Is(e.Err, room.ErrSuperseded):
			failed.Code, failed.Retryable = "superseded", false
		case errors.Is(e.Err, room.ErrRefused):
			failed.Code = session.CodeTokenRefused
		}
		return failed, true
	default:
		return nil, false
	}
}

func leavingOf(r room.Reason) session.Leaving {
	switch r {
	case room.ReasonBye:
		return session.Bye
	case room.ReasonAway:
		return session.Away
	default:
		return session.Lost
	}
}

// preferred turns the configured codec into an order: the others stay in it, for far
// sides that do not take the first.
func preferred(codec string) []encode.Codec {
	if codec == "vp8" {
		return []encode.Codec{encode.CodecVP8, encode.CodecH264}
	}
	return []encode.Codec{encode.CodecH264, encode.CodecVP8}
}

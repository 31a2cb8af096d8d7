package session

import (
	"fmt"
	"log/slog"
)

// PatientText hides itself from fmt, but slog's JSON handler marshals a struct as
// JSON, where the text is plain. So every type that holds some says for itself
// what a log may show of it: its name. (A slice of such values has no such
// protection: log its length or its names.)

// LogValue names the event and leaves its content out.
func (w Open) LogValue() slog.Value { return slog.StringValue(w.Name()) }

// LogValue names the event and leaves its content out.
func (w RoomLoaded) LogValue() slog.Value { return slog.StringValue(w.Name()) }

// LogValue names the event and its code.
func (w RoomFailed) LogValue() slog.Value { return slog.StringValue(w.Name() + " " + w.Code) }

// LogValue names the event and leaves its content out.
func (w PeerJoined) LogValue() slog.Value { return slog.StringValue(w.Name()) }

// LogValue names the effect and leaves its content out.
func (e LoadRoom) LogValue() slog.Value { return slog.StringValue(e.Name()) }

// LogValue names the effect and leaves its content out.
func (e JoinRoom) LogValue() slog.Value { return slog.StringValue(e.Name()) }

// LogValue tells the attempt.
func (p LoadParams) LogValue() slog.Value { return slog.GroupValue(slog.Int("attempt", p.Attempt)) }

// LogValue tells the attempt and the provider.
func (p JoinParams) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("attempt", p.Attempt), slog.String("provider", p.Room.Provider))
}

// LogValue tells the role.
func (p Participant) LogValue() slog.Value { return slog.StringValue("participant " + p.Role) }

// LogValue tells how many URLs there are.
func (s ICEServer) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("urls", len(s.URLs)))
}

// LogValue tells the code.
func (f Failure) LogValue() slog.Value { return slog.StringValue(f.Code) }

// LogValue tells what Format tells.
func (w World) LogValue() slog.Value { return slog.StringValue(w.String()) }

// LogValue names the event and leaves its content out.
func (w SendMessage) LogValue() slog.Value { return slog.StringValue(w.Name()) }

// LogValue names the event and leaves its content out.
func (w SubmitReport) LogValue() slog.Value { return slog.StringValue(w.Name()) }

// Format names the event: its bundle is plain bytes, which fmt would print.
func (w SubmitReport) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(w.Name())) }

// LogValue names the event and leaves its content out.
func (w MessageArrived) LogValue() slog.Value { return slog.StringValue(w.Name()) }

// LogValue names the event and leaves its content out.
func (w ScreenPatched) LogValue() slog.Value { return slog.StringValue(w.Name()) }

// LogValue tells how much is changed.
func (p Patch) LogValue() slog.Value { return slog.GroupValue(slog.Int("controls", len(p.Controls))) }

// LogValue tells the message's id.
func (c Message) LogValue() slog.Value { return slog.StringValue("message " + c.ID) }

// LogValue tells the number.
func (p RefreshParams) LogValue() slog.Value { return slog.GroupValue(slog.Int("number", p.Number)) }

// LogValue names the effect and how many messages there are.
func (e SetOutbox) LogValue() slog.Value {
	return slog.GroupValue(slog.String("effect", e.Name()), slog.Int("messages", len(e.Messages)))
}

// LogValue names the effect and its number.
func (e RefreshScreen) LogValue() slog.Value {
	return slog.GroupValue(slog.String("effect", e.Name()), slog.Int("number", e.Params.Number))
}

// LogValue tells how many controls are taken away.
func (s Screen) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("hidden", len(s.Hidden)), slog.Int("disabled", len(s.Disabled)))
}

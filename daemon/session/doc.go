// Package session decides. It owns the kiosk's state machine: what an
// appointment's video session is (Model), what may happen to it (Event), what
// that changes (Step) and what the world should look like for it (Plan).
//
// Nothing here blocks: no I/O, no clock, no goroutine. The runner in
// daemon/session/runner holds the one Model, feeds Step, commits the result and
// carries the effects out.
//
// The rules, in the order in which they are asked (settle.go):
//
//  1. consent, where the configuration asks for it
//  2. permission of the devices, once an appointment
//  3. the network
//  4. the backend's PUT, which brings the room
//  5. the room
//  6. the other participant's first RTP
//
// Beside them: the chat and the issue reports (talk.go), what the backend says of
// its screen (screen.go), the limits (limits.go).
//
// The state is derived from facts (network up, room joined, media flowing), so
// there is one place that says what `active` means, and a fact that comes twice
// or late does no harm.
//
// Who may import it: daemon and its parts that speak of the session (api, call,
// runner). It imports the standard library only.
package session

package session

import "time"

// Bounds of the chat: it is stored with the model at every commit.
const (
	MaxMessages    = 100  // of both sides; the oldest one that is settled goes
	MaxMessageText = 2000 // bytes of UTF-8
	maxMessageID   = 64
	// maxChat is in bytes of the stored JSON, where a character may take six: the
	// store takes 256 KiB a model, and the room's half of it is the backend's.
	maxChat = 128 << 10
)

// Message is one line of the chat. An ID is unique for its sender.
type Message struct {
	ID   string      `json:"id"`             // 1 to 64 of A-Z a-z 0-9 . _ -
	From string      `json:"from,omitempty"` // participant's id; empty: the patient
	Name PatientText `json:"name,omitempty"` // who said it, as it was called then
	Text PatientText `json:"text"`           // 1 to MaxMessageText bytes
	At   time.Time   `json:"at"`             // when it was taken here
	// Waiting are the participants who have not acknowledged the patient's
	// message yet. Nobody was there: it is empty and Delivered is false.
	Waiting   []string `json:"waiting,omitempty"`
	Delivered bool     `json:"delivered,omitempty"` // somebody acknowledged it
}

// Commands of the chat and of issue reports.
type (
	// SendMessage says something in the chat. ID is made by the caller.
	SendMessage struct {
		ID   string `json:"-"`
		Text PatientText
	}
	// SubmitReport hands an issue report in. Bundle is stored with the commit
	// and is no part of the Model.
	SubmitReport struct {
		ID     string `json:"-"`
		Text   PatientText
		Bundle []byte `json:"-"`
	}
)

// Facts of the chat, reports and the screen's refresh.
type (
	// MessageArrived is a participant's message. It is acknowledged when it is
	// stored; one that comes again is acknowledged again.
	MessageArrived struct {
		Attempt     int
		Participant string
		ID          string
		Text        PatientText
	}
	// MessageAcked tells that a participant has the patient's message.
	MessageAcked struct {
		Attempt     int
		Participant string
		ID          string
	}
	// ReportSent tells that the backend has a report.
	ReportSent struct{ ID string }
	// ScreenPatched is the good end of RefreshScreen.
	ScreenPatched struct {
		Number int
		Patch  Patch
	}
	// RefreshFailed is the bad end of RefreshScreen. Code unauthorized ends the
	// refreshing: the call goes on.
	RefreshFailed struct {
		Number    int
		Code      string
		Retryable bool
	}
)

// Patch is what the backend changes of its screen. It can only take controls
// away that the kiosk has, and give back what it took.
type Patch struct {
	Title    *PatientText
	Controls map[string]ControlPatch // by reference; an unknown one is ignored
	Update   PatientText             // where to PATCH next; empty: as before
	Timeout  time.Duration           // until then; 0: no further refresh
}

// ControlPatch changes one control; nil leaves as it was.
type ControlPatch struct{ Visible, Enabled *bool }

// RefreshParams are what the PATCH needs.
type RefreshParams struct {
	Number     int
	URL        PatientText
	Camera     Answer
	Microphone Answer
}

// Effects of the chat, reports and the screen's refresh.
type (
	// SetOutbox gives the call the patient's messages that somebody has still
	// to acknowledge, oldest first, in place of those it had. It is said before
	// a room is joined and at changes, and empty when the room is left.
	SetOutbox struct{ Messages []Message }
	// AckMessage tells a participant that his message is stored. The runner
	// performs it only once the commit that holds the message has succeeded.
	AckMessage struct{ Participant, ID string }
	// RefreshScreen asks for ScreenPatched or RefreshFailed.
	RefreshScreen struct{ Params RefreshParams }
	// SendReports tells that there is a report to send.
	SendReports struct{}
)

func (SendMessage) Name() string    { return "send-message" }
func (SubmitReport) Name() string   { return "submit-report" }
func (MessageArrived) Name() string { return "message-arrived" }
func (MessageAcked) Name() string   { return "message-acked" }
func (ReportSent) Name() string     { return "report-sent" }
func (ScreenPatched) Name() string  { return "screen-patched" }
func (RefreshFailed) Name() string  { return "refresh-failed" }

func (SendMessage) what()    {}
func (SubmitReport) what()   {}
func (MessageArrived) what() {}
func (MessageAcked) what()   {}
func (ReportSent) what()     {}
func (ScreenPatched) what()  {}
func (RefreshFailed) what()  {}

func (SetOutbox) Name() string     { return "set-outbox" }
func (AckMessage) Name() string    { return "ack-message" }
func (RefreshScreen) Name() string { return "refresh-screen" }
func (SendReports) Name() string   { return "send-reports" }

func (SetOutbox) effect()     {}
func (AckMessage) effect()    {}
func (RefreshScreen) effect() {}
func (SendReports) effect()   {}

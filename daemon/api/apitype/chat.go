package apitype

import "time"

// Chat tells how the chat stands; GET /v1/session/messages has its text. When
// Total or Delivered differ from what a client saw, there is something to read.
type Chat struct {
	Open      bool `json:"open"`
	Total     int  `json:"total"`     // messages of both sides since the opening
	Unread    int  `json:"unread"`    // came while the chat was closed
	Delivered int  `json:"delivered"` // of the patient's, how many somebody has
}

// IssueReport tells how the issue reporting flow stands.
type IssueReport struct {
	Open      bool   `json:"open"`
	Submitted string `json:"submitted,omitempty"` // id of the newest report
	Sent      bool   `json:"sent"`                // the backend has it
}

// Consent is the patient's consent for this appointment. Where it is not asked
// for, the answers are empty.
type Consent struct {
	Asked      bool   `json:"asked"`
	Camera     string `json:"camera,omitempty" enum:"granted,denied,dismissed"` // empty: not answered
	Microphone string `json:"microphone,omitempty" enum:"granted,denied,dismissed"`
}

// Message is one line of the chat.
type Message struct {
	ID          string    `json:"id"`
	From        string    `json:"from" enum:"patient,participant"`
	Participant string    `json:"participant,omitempty"` // its id
	Name        string    `json:"name,omitempty"`
	Text        string    `json:"text"`
	At          time.Time `json:"at"`        // UTC
	Delivered   bool      `json:"delivered"` // true for what others said
}

// Messages is the answer of GET /v1/session/messages, oldest first.
type Messages struct {
	Messages []Message `json:"messages"` // never null
}

// MessageAnswer is the answer of POST /v1/session/messages.
type MessageAnswer struct {
	Message Message  `json:"message"`
	Session *Session `json:"session"`
}

// ReportInfo is one issue report that waits to be sent.
type ReportInfo struct {
	ID    string    `json:"id"`
	At    time.Time `json:"at"`
	Bytes int       `json:"bytes"`
}

// Reports is the answer of GET /v1/reports, oldest first.
type Reports struct {
	Reports []ReportInfo `json:"reports"` // never null
}

// AuditEntry is one line of the journal.
type AuditEntry struct {
	Number uint64    `json:"number"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"` // "audit", "output"
	Text   string    `json:"text"`
}

// Audit is the answer of GET /v1/audit, oldest first.
type Audit struct {
	Entries []AuditEntry `json:"entries"` // never null
	// Intact is false where an entry was changed, removed or added by something
	// else than kioskd; Broken is then the first such number.
	Intact bool   `json:"intact"`
	Broken uint64 `json:"broken,omitempty"`
}

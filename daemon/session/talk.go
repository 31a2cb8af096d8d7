package session

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The chat and the issue reports. Messages are delivered at least once and kept
// once: the sender repeats what is not acknowledged, the receiver knows a message
// by its sender and id.

// chat opens or closes the chat. The opening is told each time it is selected: a
// screen that was reloaded has to open it again.
func (s *stepper) chat(closes bool) error {
	m := &s.model
	if closes {
		m.ChatOpen = false
		return nil
	}
	if !m.hasChat() {
		return &Refusal{CodeChatUnsupported, "cannot open the chat: this session has none", "Speak to the clinician."}
	}
	if m.ChatOpen {
		s.outputs = append(s.outputs, Output{"chat", "opened"})
	}
	m.ChatOpen, m.Unread = true, 0
	return nil
}

func (m *Model) hasChat() bool { return m.Offers.Chat && !m.Screen.takes("chat") }

// say keeps a message of the patient's. It waits for everybody who is in the
// room, or was and may come back; where nobody is, for the first who comes.
func (m *Model) say(w SendMessage, at time.Time) error {
	if !m.hasChat() {
		return &Refusal{CodeChatUnsupported, "cannot send the message: this session has no chat", "Speak to the clinician."}
	}
	if !validID(w.ID) {
		return &Refusal{CodeMessageBad, "cannot send the message: its id is not valid", "Use 1 to 64 letters, digits, dots, dashes or underscores."}
	}
	if m.find("", w.ID) != nil {
		return nil
	}
	text := PatientText(strings.TrimSpace(string(w.Text)))
	if !validText(text) {
		return &Refusal{CodeMessageBad, "cannot send the message: it is empty, too long or not plain text", "Use 1 to 2000 bytes of UTF-8 without control characters."}
	}
	c := Message{ID: w.ID, Text: text, At: at}
	for _, p := range m.Participants {
		c.Waiting = append(c.Waiting, p.ID)
	}
	if !m.makePlace(c) {
		return &Refusal{CodeChatFull, "cannot send the message: too many were not received yet", "Wait until the other side is connected again."}
	}
	m.Messages = append(m.Messages, c)
	return nil
}

// hear keeps a participant's message. One that is known already changes nothing;
// one that is not valid, or that finds no place, is not kept and so is not
// acknowledged.
func (m *Model) hear(w MessageArrived, at time.Time) {
	p := m.participant(w.Participant, false)
	if p == nil || m.Stopping || !m.Offers.Chat || m.find(w.Participant, w.ID) != nil {
		return
	}
	c := Message{ID: w.ID, From: p.ID, Name: p.Name, Text: w.Text, At: at}
	if !validID(w.ID) || !validText(w.Text) || !m.makePlace(c) {
		return
	}
	m.Messages = append(m.Messages, c)
	if !m.ChatOpen {
		m.Unread++
	}
}

// acknowledge answers a message that is kept, be it new or repeated, while the
// room it came from is wanted.
func (s *stepper) acknowledge(w MessageArrived) {
	m := &s.model
	if w.Participant == "" || !m.Running() || m.Stopping || !m.Joined || w.Attempt != m.Attempt {
		return
	}
	if m.find(w.Participant, w.ID) != nil {
		s.effects = append(s.effects, AckMessage{w.Participant, w.ID})
	}
}

// acked notes that a participant has the patient's message. An acknowledgement
// of somebody who was not waited for counts where nobody was.
func (m *Model) acked(w MessageAcked) {
	c := m.find("", w.ID)
	if c == nil || m.participant(w.Participant, false) == nil {
		return
	}
	i := slices.Index(c.Waiting, w.Participant)
	if i >= 0 {
		c.Waiting = slices.Delete(c.Waiting, i, i+1)
	}
	if i >= 0 || len(c.Waiting) == 0 {
		c.Delivered = true
	}
}

// waitNoMore takes somebody who left for good from what messages wait for.
func (m *Model) waitNoMore(id string) {
	for i := range m.Messages {
		c := &m.Messages[i]
		c.Waiting = slices.DeleteFunc(c.Waiting, func(p string) bool { return p == id })
	}
}

// find gives the message of a sender; nil: there is none. From "" is the patient.
func (m *Model) find(from, id string) *Message {
	for i := range m.Messages {
		if c := &m.Messages[i]; c.ID == id && c.From == from {
			return c
		}
	}
	return nil
}

// makePlace drops the oldest settled messages until next fits into the bounds;
// false: it does not fit even then, and nothing was dropped that could stay.
func (m *Model) makePlace(next Message) bool {
	count, bytes := len(m.Messages)+1, next.weight()
	for _, c := range m.Messages {
		bytes += c.weight()
	}
	fits := func() bool { return count <= MaxMessages && bytes <= maxChat }
	drop := map[int]bool{}
	for i := 0; i < len(m.Messages) && !fits(); i++ {
		if c := m.Messages[i]; !c.pending() {
			drop[i] = true
			count, bytes = count-1, bytes-c.weight()
		}
	}
	if !fits() {
		return false
	}
	kept := m.Messages[:0]
	for i, c := range m.Messages {
		if !drop[i] {
			kept = append(kept, c)
		}
	}
	m.Messages, m.Forgotten = kept, m.Forgotten+len(drop)
	return true
}

// weight is what a message takes of the stored model, in bytes.
func (c Message) weight() int {
	b, err := json.Marshal(c)
	if err != nil {
		return maxChat + 1 // a time after the year 9999: it fits nowhere
	}
	return len(b)
}

// outbox lists what somebody has still to acknowledge.
func (m Model) outbox() []Message {
	var list []Message
	for _, c := range m.Messages {
		if c.pending() {
			list = append(list, c)
		}
	}
	return cloneMessages(list)
}

// pending says whether it is the patient's and waits for somebody.
func (c Message) pending() bool { return c.From == "" && (!c.Delivered || len(c.Waiting) > 0) }

// valid says whether a stored message keeps the bounds.
func (c Message) valid() bool {
	return validID(c.ID) && validText(c.Text) && len(c.From) <= maxName && len(c.Name) <= maxName && len(c.Waiting) <= MaxParticipants
}

func cloneMessages(list []Message) []Message {
	list = slices.Clone(list)
	for i := range list {
		list[i].Waiting = slices.Clone(list[i].Waiting)
	}
	return list
}

// sameOutbox compares what matters of two outboxes; a message's text never changes.
func sameOutbox(a, b []Message) bool {
	return slices.EqualFunc(a, b, func(x, y Message) bool { return x.ID == y.ID && slices.Equal(x.Waiting, y.Waiting) })
}

// validID accepts 1 to 64 of A-Z a-z 0-9 . _ -
func validID(id string) bool {
	ok := len(id) >= 1 && len(id) <= maxMessageID
	for _, c := range []byte(id) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	return ok
}

// validText accepts 1 to MaxMessageText bytes of UTF-8 with no control character
// but the line feed.
func validText(t PatientText) bool {
	control := func(r rune) bool { return r != '\n' && unicode.IsControl(r) }
	return len(t) >= 1 && len(t) <= MaxMessageText && utf8.ValidString(string(t)) && !strings.ContainsFunc(string(t), control)
}

// reportIssue opens or closes the issue reporting flow.
func (s *stepper) reportIssue(closes bool) error {
	m := &s.model
	if closes {
		m.ReportOpen = false
		return nil
	}
	if err := s.canReport(); err != nil {
		return err
	}
	m.ReportOpen = true
	return nil
}

func (s *stepper) canReport() error {
	if s.model.Offers.ReportIssue && !s.model.Screen.takes("report-issue") {
		return nil
	}
	s.outputs = append(s.outputs, Output{"issue", "unavailable"})
	return &Refusal{CodeIssueUnsupported, "cannot report an issue: this session does not support it", "Tell the staff of the clinic."}
}

// submitReport hands a report in; its words and its bundle are no part of the model.
func (s *stepper) submitReport(w SubmitReport) error {
	m := &s.model
	if err := s.canReport(); err != nil {
		return err
	}
	if !validID(w.ID) {
		return &Refusal{CodeMessageBad, "cannot take the report: its id is not valid", "Use 1 to 64 letters, digits, dots, dashes or underscores."}
	}
	if m.ReportID == w.ID {
		return nil
	}
	text := PatientText(strings.TrimSpace(string(w.Text)))
	if text == "" {
		return &Refusal{CodeIssueRequired, "cannot take the report: it says nothing", "Say in a few words what is wrong."}
	}
	if !validText(text) {
		return &Refusal{CodeMessageBad, "cannot take the report: it is too long or not plain text", "Use 1 to 2000 bytes of UTF-8 without control characters."}
	}
	m.ReportOpen, m.ReportID, m.ReportSent = false, w.ID, false
	s.outputs = append(s.outputs, Output{"issue", "submitted"})
	s.effects = append(s.effects, SendReports{})
	return nil
}

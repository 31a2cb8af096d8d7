package convert

import (
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// Who said a message.
const (
	fromPatient     = "patient"
	fromParticipant = "participant"
)

// chatOf tells how the chat stands, and none of its words.
func chatOf(m session.Model) apitype.Chat {
	c := apitype.Chat{Open: m.ChatOpen, Total: m.Forgotten + len(m.Messages), Unread: m.Unread}
	for _, msg := range m.Messages {
		if msg.From == "" && msg.Delivered {
			c.Delivered++
		}
	}
	return c
}

// Messages gives the chat, oldest first; never null.
func Messages(m session.Model) apitype.Messages {
	out := apitype.Messages{Messages: make([]apitype.Message, 0, len(m.Messages))}
	for _, msg := range m.Messages {
		out.Messages = append(out.Messages, message(msg))
	}
	return out
}

// Sent finds what the patient just said: by its id, else the newest own message
// with that text, for a command that was repeated with its key was done under
// another id. ok is false where there is none, because the session is over.
func Sent(m session.Model, id, text string) (found apitype.Message, ok bool) {
	for _, msg := range m.Messages {
		switch {
		case msg.From != "":
		case msg.ID == id:
			return message(msg), true
		case msg.Text.Plain() == text:
			found, ok = message(msg), true
		}
	}
	return found, ok
}

func message(m session.Message) apitype.Message {
	out := apitype.Message{
		ID: m.ID, From: fromPatient, Name: m.Name.Plain(), Text: m.Text.Plain(), At: m.At.UTC(), Delivered: m.Delivered,
	}
	if m.From != "" {
		out.From, out.Participant, out.Delivered = fromParticipant, m.From, true
	}
	return out
}

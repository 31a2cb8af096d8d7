package api

import (
	"crypto/rand"
	"net/http"
	"strings"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/convert"
	"kioskd/daemon/api/wire"
	"kioskd/daemon/session"
)

// postChat opens the chat, or closes it.
func (s *Server) postChat(w http.ResponseWriter, r *http.Request) error {
	var req apitype.ChatRequest
	if _, err := wire.ReadJSON(w, r, &req, `send {"open":false} to close, or an empty body to open`); err != nil {
		return err
	}
	return s.command(w, r, session.Chat{Close: req.Open != nil && !*req.Open})
}

// getMessages gives the chat. The status and the events have its numbers only:
// its words are for who asks for them.
func (s *Server) getMessages(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, convert.Messages(s.hub.Current()))
	return nil
}

// postMessage says something in the chat. The session says what may be said.
// The id is new at each request: what makes a repeated one act once is its key.
func (s *Server) postMessage(w http.ResponseWriter, r *http.Request) error {
	var req apitype.MessageRequest
	if err := readRequired(w, r, &req, `send {"text":"..."}`); err != nil {
		return err
	}
	id := rand.Text()
	result, err := s.do(r, session.SendMessage{ID: id, Text: session.PatientText(req.Text)})
	if err != nil {
		return err
	}
	sent, ok := convert.Sent(result.Model, id, strings.TrimSpace(req.Text))
	if !ok {
		return apitype.NewProblem(http.StatusConflict, session.CodeSessionOver,
			"cannot show the message: the session that had it is over", "Open an appointment first.")
	}
	wire.WriteJSON(w, apitype.MessageAnswer{Message: sent, Session: s.sessionOf(result.Model, s.devices())})
	return nil
}

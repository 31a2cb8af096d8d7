package direct_test

import (
	"fmt"
	"strings"
	"testing"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/chat"
	"kioskd/daemon/room/direct/directtest"
)

// Who comes back acknowledges all that was kept for him at once. None of these
// acknowledgements may be lost: a message goes once over a channel, so that the
// next chance is the next connection.
func TestChatAcksOfAFullOutbox(t *testing.T) {
	url, _ := theRoom(t)
	r, e := joined(t, url)
	list := make([]room.Message, 0, 100)
	for n := range cap(list) {
		list = append(list, message(fmt.Sprint("m", n), "x"))
	}
	r.SetOutbox(list)
	c := directtest.New(t, url, token, nil)
	c.AwaitChat()
	for range list {
		c.Tell(chat.Frame{Type: chat.Ack, ID: c.Heard().ID})
	}
	if last := await[room.MessageAcknowledged](t, e, len(list)); last.Message != "m99" {
		t.Errorf("the last one acknowledged is %q", last.Message)
	}
}

// What waits for a far side that reads slowly does not push our acknowledgements out.
func TestChatAcksBesideALongOutbox(t *testing.T) {
	url, _ := theRoom(t)
	r, e := joined(t, url)
	list := make([]room.Message, 0, 100)
	for n := range cap(list) {
		list = append(list, message(fmt.Sprint("m", n), strings.Repeat("\"", chat.MaxText)))
	}
	c := directtest.New(t, url, token, nil)
	c.AwaitChat()
	c.Tell(chat.Frame{Type: chat.Message, ID: "x", Text: "?"})
	await[room.MessageReceived](t, e, 1) // so the channel is open on our side
	r.SetOutbox(list)
	const acks = 10
	go func() {
		for n := range acks {
			r.Acknowledge(directtest.PeerID, fmt.Sprint("x", n))
		}
	}()
	heard := 0
	for heard < acks {
		if c.Heard().Type == chat.Ack {
			heard++
		}
	}
}

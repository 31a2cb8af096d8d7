package direct_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/chat"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
)

func message(id, text string, to ...string) room.Message {
	return room.Message{ID: id, Text: text, At: time.Unix(1_700_000_000, 0), To: to}
}

func interpreter(t *testing.T, url string) *directtest.Clinician {
	t.Helper()
	return directtest.Join(t, url, token, directtest.Who{Peer: "int-1", Name: "I", Role: signal.Interpreter})
}

// joined is a kiosk in a room.
func joined(t *testing.T, url string) (room.Room, *events) {
	t.Helper()
	e := newEvents()
	r, err := join(t, url, token, e, videoTrack(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { leave(t, r, room.ReasonBye) })
	return r, e
}

func TestChatBothWays(t *testing.T) {
	url, _ := theRoom(t)
	r, e := joined(t, url)
	r.SetOutbox([]room.Message{message("a", "before anybody is here")})
	c := directtest.New(t, url, token, nil)
	_, dc := c.AwaitChat()
	if !dc.Ordered() || dc.MaxRetransmits() != nil || dc.MaxPacketLifeTime() != nil {
		t.Error("the chat's channel is not ordered and reliable")
	}
	if f := c.Heard(); f.ID != "a" || f.Text != "before anybody is here" || !f.At.Equal(time.Unix(1_700_000_000, 0)) {
		t.Errorf("heard %q at %v", f.ID, f.At)
	}
	r.SetOutbox([]room.Message{message("a", "before anybody is here"), message("b", "two\nlines")})
	if f := c.Heard(); f.ID != "b" || f.Text != "two\nlines" { // a is not said twice on one channel
		t.Errorf("heard %q", f.ID)
	}
	c.Tell(chat.Frame{Type: chat.Ack, ID: "never-said"})
	c.Tell(chat.Frame{Type: chat.Ack, ID: "b"})
	if got := await[room.MessageAcknowledged](t, e, 1); got != (room.MessageAcknowledged{ID: directtest.PeerID, Message: "b"}) {
		t.Errorf("acknowledged %+v", got)
	}

	c.Tell(chat.Frame{Type: chat.Message, ID: "x.1", Text: "How do you feel?", At: time.Unix(5, 0)})
	got := await[room.MessageReceived](t, e, 1)
	if got.ID != directtest.PeerID || got.Message.ID != "x.1" || got.Message.Text != "How do you feel?" || !got.Message.At.Equal(time.Unix(5, 0)) {
		t.Errorf("received %q of %q", got.Message.ID, got.ID)
	}
	r.Acknowledge("nobody", "x.1")
	r.Acknowledge(directtest.PeerID, "x.1")
	if f := c.Heard(); f.Type != chat.Ack || f.ID != "x.1" {
		t.Errorf("heard %v %q", f, f.ID)
	}
	// One that comes again is reported again: whoever keeps it has to acknowledge it.
	c.Tell(chat.Frame{Type: chat.Message, ID: "x.1", Text: "How do you feel?"})
	await[room.MessageReceived](t, e, 2)
}

// What was not acknowledged goes again over a new connection, and only to those
// it is for.
func TestChatIsRepeatedOnANewChannel(t *testing.T) {
	url, _ := theRoom(t)
	r, _ := joined(t, url)
	c := directtest.New(t, url, token, nil)
	i := interpreter(t, url)
	c.AwaitChat()
	i.AwaitChat()
	all := []room.Message{message("a", "for all"), message("b", "for the clinician", directtest.PeerID), message("c", "for all")}
	r.SetOutbox(all)
	heard := func(who *directtest.Clinician, want ...string) {
		t.Helper()
		for _, id := range want {
			if f := who.Heard(); f.ID != id {
				t.Fatalf("heard %q, want %q", f.ID, id)
			}
		}
	}
	heard(c, "a", "b", "c")
	heard(i, "a", "c")
	r.SetOutbox(all[1:]) // a is settled
	c.Vanish()
	again := directtest.New(t, url, token, nil)
	again.AwaitChat()
	heard(again, "b", "c")
	r.SetOutbox(append(all[1:], message("d", "last")))
	heard(again, "d")
	heard(i, "d")
	if c, i := again.Unheard(), i.Unheard(); c != 0 || i != 0 {
		t.Errorf("said too much: %d, %d", c, i)
	}
}

// A far side that says what it must not is not listened to, and nothing breaks.
func TestChatDropsWhatIsTooMuch(t *testing.T) {
	url, _ := theRoom(t)
	_, e := joined(t, url)
	c := directtest.New(t, url, token, nil)
	_, dc := c.AwaitChat()
	for _, bad := range []string{
		"words", `{"type":"message","id":"a b","text":"x"}`, `{"type":"typing"}`,
		`{"type":"ack","id":"m","more":"` + strings.Repeat("x", chat.MaxFrame) + `"}`,
	} {
		if err := dc.SendText(bad); err != nil && len(bad) < chat.MaxFrame { // the far side may know our bound
			t.Fatal(err)
		}
	}
	if err := dc.Send([]byte(`{"type":"message","id":"binary","text":"x"}`)); err != nil {
		t.Fatal(err)
	}
	const flood = 1000
	for n := range flood {
		c.Tell(chat.Frame{Type: chat.Message, ID: fmt.Sprint("m", n), Text: "x"})
	}
	if got := await[room.MessageReceived](t, e, 1); got.Message.ID != "m0" {
		t.Errorf("the first to arrive is %q", got.Message.ID)
	}
	// It is heard again after a moment of quiet.
	deadline := time.After(15 * time.Second)
	for n := 0; ; n++ {
		id := fmt.Sprint("late", n)
		c.Tell(chat.Frame{Type: chat.Message, ID: id, Text: "x"})
		if e.has(func(ev room.Event) bool {
			m, ok := ev.(room.MessageReceived)
			return ok && strings.HasPrefix(m.Message.ID, "late")
		}) {
			break
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			t.Fatal("the kiosk never listens again")
		}
	}
	seen := 0
	e.has(func(ev room.Event) bool {
		if m, ok := ev.(room.MessageReceived); ok && m.Message.ID[0] == 'm' {
			seen++
		}
		return false
	})
	if seen > flood/2 {
		t.Errorf("%d of %d frames of a flood came through", seen, flood)
	}
}

// A full outbox of the longest messages is more than may wait in a channel: it
// goes all the same, in order.
func TestChatLongOutboxArrivesInOrder(t *testing.T) {
	url, _ := theRoom(t)
	r, _ := joined(t, url)
	list := make([]room.Message, 0, 100)
	for n := range cap(list) {
		list = append(list, message(fmt.Sprint("m", n), strings.Repeat("\"", chat.MaxText)))
	}
	r.SetOutbox(list)
	c := directtest.New(t, url, token, nil)
	c.AwaitChat()
	for n := range list {
		if f := c.Heard(); f.ID != fmt.Sprint("m", n) {
			t.Fatalf("number %d is %q", n, f.ID)
		}
	}
}

func TestStrangeDataChannels(t *testing.T) {
	url, _ := theRoom(t)
	r, e := joined(t, url)
	c := directtest.New(t, url, token, nil)
	pc, _ := c.AwaitChat()
	open := func(n int) {
		for i := range n {
			if _, err := pc.CreateDataChannel(fmt.Sprint("mine", i), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(32)
	r.SetOutbox([]room.Message{message("a", "still here")})
	if f := c.Heard(); f.ID != "a" {
		t.Errorf("heard %q", f.ID)
	}
	open(8)
	if left := await[room.PeerLeft](t, e, 1); left.ID != directtest.PeerID || left.Reason != room.ReasonLost {
		t.Errorf("left: %+v", left)
	}
}

package session_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/session"
)

// second brings a second participant into the call.
func second(k *kiosk) *kiosk {
	return k.do(session.PeerJoined{Attempt: 1, Participant: session.Participant{ID: "c2", Role: "interpreter"}},
		session.MediaArrived{Attempt: 1, Participant: "c2", Kind: session.Audio})
}

// chatIs checks the chat: "id>waiting,waiting" of the patient's ("!" delivered), "id<from" of the others.
func (k *kiosk) chatIs(want string) *kiosk {
	k.t.Helper()
	var list []string
	for _, c := range k.m.Messages {
		word := c.ID + "<" + c.From
		if c.From == "" {
			word = c.ID + ">" + strings.Join(c.Waiting, ",")
		}
		if c.Delivered {
			word += "!"
		}
		list = append(list, word)
	}
	if got := strings.Join(list, " "); got != want {
		k.t.Fatalf("chat %q, want %q", got, want)
	}
	return k
}

func TestSendMessage(t *testing.T) {
	t.Run("delivered when each who was there has it", func(t *testing.T) {
		k := second(active(t))
		k.do(say("m1")).refused("").wantEffects("set-outbox(1)").chatIs("m1>c1,c2")
		k.do(acked(1, "m1")).wantEffects("set-outbox(1)").chatIs("m1>c2!")
		k.do(acked(1, "m1")).wantEffects().chatIs("m1>c2!")
		k.do(session.MessageAcked{Attempt: 1, Participant: "c2", ID: "m1"}).wantEffects("set-outbox(0)").chatIs("m1>!")
	})
	t.Run("the same id again", func(t *testing.T) {
		k := active(t).do(say("m1"), say("m1")).refused("").wantEffects().chatIs("m1>c1")
		if got := k.m.Messages[0].Text; got != canaryText {
			t.Errorf("text is %q", got.Plain())
		}
	})
	t.Run("trimmed", func(t *testing.T) {
		k := active(t).do(session.SendMessage{ID: "m1", Text: " two\nlines \n"})
		if got := k.m.Messages[0].Text.Plain(); got != "two\nlines" {
			t.Errorf("text is %q", got)
		}
	})
	t.Run("who leaves for good is not waited for", func(t *testing.T) {
		k := second(active(t)).do(say("m1"), session.PeerLeft{Attempt: 1, Participant: "c2", How: session.Bye}).
			wantEffects("set-outbox(1)").chatIs("m1>c1")
		k.do(left(1, session.Lost)).chatIs("m1>c1")
	})
	t.Run("nobody is there", func(t *testing.T) {
		k := alone(t).do(say("m1")).wantEffects("set-outbox(1)").chatIs("m1>")
		k.do(acked(1, "m1")).chatIs("m1>") // of somebody who is not there
		k.do(peer(1), acked(1, "m1")).wantEffects("set-outbox(0)").chatIs("m1>!")
	})
	t.Run("a reconnection takes it along", func(t *testing.T) {
		k := active(t).do(say("m1"), session.JoinFailed{Attempt: 1, Retryable: true}).wantEffects("set-outbox(0)", "leave-room(away)")
		k.after(500*time.Millisecond).wantEffects("set-muted(false)", "set-video-off(false)", "set-outbox(1)", "join-room(2)").chatIs("m1>c1")
		k.do(acked(1, "m1")).chatIs("m1>c1") // of the old room
		k.do(joined(2), acked(2, "m1")).chatIs("m1>!")
	})
	t.Run("said while a new room is fetched", func(t *testing.T) {
		k := active(t).do(session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused}).want("reconnecting", "state=reconnecting")
		k.do(say("m1")).refused("").wantEffects()
		k.do(loaded(2)).wantEffects("set-muted(false)", "set-video-off(false)", "set-outbox(1)", "join-room(2)")
	})
	t.Run("refused", func(t *testing.T) {
		mute := room()
		mute.Chat = false
		loading(t).do(session.RoomLoaded{Attempt: 1, Room: mute}, say("m1")).refused(session.CodeChatUnsupported)
		loading(t).do(say("m1")).refused(session.CodeChatUnsupported)
		for _, text := range []string{"", " \n\t ", strings.Repeat("x", 2001), "bell\a", "tab\tin", "a\x00", "\xff", "del\x7f", "c1\u0085x"} {
			active(t).do(session.SendMessage{ID: "m1", Text: session.PatientText(text)}).refused(session.CodeMessageBad).chatIs("")
		}
		for _, id := range []string{"", strings.Repeat("x", 65), "a b", "ä", "a/b"} {
			active(t).do(session.SendMessage{ID: id, Text: "x"}).refused(session.CodeMessageBad).chatIs("")
		}
		active(t).do(session.SendMessage{ID: "m1", Text: session.PatientText(strings.Repeat("ä", 1000))}).refused("")
	})
}

func TestMessageArrived(t *testing.T) {
	t.Run("kept, then acknowledged, each time it comes", func(t *testing.T) {
		k := active(t).do(heard(1, "n1")).want("active").wantEffects("ack-message(c1 n1)").chatIs("n1<c1")
		k.do(heard(1, "n1")).wantEffects("ack-message(c1 n1)").chatIs("n1<c1")
		if c := k.m.Messages[0]; c.Name != canaryName || c.Text != canaryText || !c.At.Equal(k.now) {
			t.Errorf("kept is %q of %q at %v", c.Text.Plain(), c.Name.Plain(), c.At)
		}
	})
	t.Run("ids are the sender's own", func(t *testing.T) {
		k := second(active(t)).do(say("x"), heard(1, "x"), session.MessageArrived{Attempt: 1, Participant: "c2", ID: "x", Text: "y"})
		k.chatIs("x>c1,c2 x<c1 x<c2")
	})
	t.Run("before any media", func(t *testing.T) {
		alone(t).do(peer(1), heard(1, "n1")).wantEffects("ack-message(c1 n1)").chatIs("n1<c1")
	})
	t.Run("not kept, so not acknowledged", func(t *testing.T) {
		bare := room()
		bare.Chat = false
		say := func(who, id, text string) session.What {
			return session.MessageArrived{Attempt: 1, Participant: who, ID: id, Text: session.PatientText(text)}
		}
		for name, k := range map[string]*kiosk{
			"another attempt": active(t).do(heard(0, "n1")),
			"a stranger":      active(t).do(say("c9", "n1", "x")),
			"nobody":          active(t).do(say("", "n1", "x")),
			"no id":           active(t).do(say("c1", "", "x")),
			"empty":           active(t).do(say("c1", "n1", "")),
			"too long":        active(t).do(say("c1", "n1", strings.Repeat("x", 2001))),
			"control":         active(t).do(say("c1", "n1", "\x1b[2J")),
			"not UTF-8":       active(t).do(say("c1", "n1", "\xc3")),
			"no chat":         loading(t).do(session.RoomLoaded{Attempt: 1, Room: bare}, joined(1), peer(1), heard(1, "n1")),
			"not joined":      joining(t).do(heard(1, "n1")),
			"going down":      active(t).do(session.Shutdown{}, heard(1, "n1")),
			"over":            active(t).do(session.EndCall{}, heard(1, "n1")),
		} {
			if len(k.m.Messages) > 0 || len(k.effects) > 0 {
				t.Errorf("%s: %d messages, effects %s", name, len(k.m.Messages), effectWords(k.effects))
			}
		}
	})
	t.Run("not acknowledged to a room that was left", func(t *testing.T) {
		k := active(t).do(heard(1, "n1"), session.JoinFailed{Attempt: 1, Retryable: true}, heard(1, "n1")).wantEffects()
		k.chatIs("n1<c1")
	})
	t.Run("unread while closed", func(t *testing.T) {
		k := active(t).do(heard(1, "n1"), heard(1, "n2"), heard(1, "n2"))
		unread := func(want int) {
			t.Helper()
			if k.m.Unread != want {
				t.Fatalf("unread %d, want %d", k.m.Unread, want)
			}
		}
		unread(2)
		k.do(session.Chat{}).want("active", "chat=opened")
		unread(0)
		k.do(heard(1, "n3"))
		unread(0)
		k.do(session.Chat{}).want("active", "chat=opened") // a page that was reloaded
		k.do(session.Chat{Close: true}).want("active").refused("").do(heard(1, "n4"))
		unread(1)
	})
}

func TestChatFull(t *testing.T) {
	t.Run("the oldest settled goes", func(t *testing.T) {
		k := active(t).do(say("wait"))
		for i := range 200 {
			k.do(heard(1, fmt.Sprint("n", i)))
		}
		if len(k.m.Messages) != session.MaxMessages || k.m.Messages[0].ID != "wait" || k.m.Messages[1].ID != "n101" {
			t.Errorf("%d messages, %s, %s", len(k.m.Messages), k.m.Messages[0].ID, k.m.Messages[1].ID)
		}
		if b, err := k.m.Encode(); err != nil || len(b) > 64<<10 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
	t.Run("long messages, dear in JSON", func(t *testing.T) {
		long := session.PatientText(strings.Repeat("<", session.MaxMessageText))
		k := active(t).do(say("wait"))
		for i := range session.MaxMessages {
			id := fmt.Sprint("n", i)
			k.do(session.MessageArrived{Attempt: 1, Participant: "c1", ID: id, Text: long}).wantEffects("ack-message(c1 " + id + ")")
		}
		b, err := k.m.Encode()
		if n := len(k.m.Messages); err != nil || len(b) > 160<<10 || n < 10 || k.m.Messages[0].ID != "wait" || k.m.Messages[n-1].ID != "n99" {
			t.Errorf("%d messages, %d bytes, %v", n, len(b), err)
		}
		if k.m.Forgotten != session.MaxMessages+1-len(k.m.Messages) {
			t.Errorf("%d forgotten", k.m.Forgotten)
		}
		k = active(t)
		for i := 0; k.err == nil && i < session.MaxMessages; i++ {
			k.do(session.SendMessage{ID: fmt.Sprint("m", i), Text: long})
		}
		before := len(k.m.Messages)
		k.refused(session.CodeChatFull).do(say("short")).refused("")
		if len(k.m.Messages) != before+1 || k.m.Forgotten != 0 {
			t.Errorf("%d messages, %d before, %d forgotten", len(k.m.Messages), before, k.m.Forgotten)
		}
	})
	t.Run("nothing is settled", func(t *testing.T) {
		k := active(t)
		for i := range session.MaxMessages {
			k.do(say(fmt.Sprint("m", i))).refused("")
		}
		k.do(say("more")).refused(session.CodeChatFull).wantEffects()
		k.do(heard(1, "n1")).wantEffects()
		if slices.ContainsFunc(k.m.Messages, func(c session.Message) bool { return c.ID == "n1" || c.ID == "more" }) {
			t.Error("a full chat took a message")
		}
		k.do(acked(1, "m7"), heard(1, "n1")).wantEffects("ack-message(c1 n1)")
		k.do(say("more")).refused("") // what was heard is settled
	})
}

func TestReport(t *testing.T) {
	sent := func(id string) session.What { return session.ReportSent{ID: id} }
	is := func(k *kiosk, id string, open, sent bool) {
		t.Helper()
		if m := k.m; m.ReportID != id || m.ReportOpen != open || m.ReportSent != sent {
			t.Fatalf("report %q, open %t, sent %t", m.ReportID, m.ReportOpen, m.ReportSent)
		}
	}
	k := active(t).do(session.ReportIssue{}).want("active").refused("").wantEffects()
	is(k, "", true, false)
	is(k.do(session.ReportIssue{Close: true}), "", false, false)
	k.do(session.ReportIssue{}, session.SubmitReport{ID: "r0", Text: " \n"}).want("active").refused(session.CodeIssueRequired).wantEffects()
	is(k, "", true, false)
	k.do(session.SubmitReport{ID: "r0", Text: "bell\a"}).refused(session.CodeMessageBad)
	k.do(session.SubmitReport{Text: "x"}).refused(session.CodeMessageBad)
	k.do(sent("")) // of no report
	is(k, "", true, false)
	k.do(report("r1")).want("active", "issue=submitted").refused("").wantEffects("send-reports")
	is(k, "r1", false, false)
	k.do(report("r1")).want("active").refused("").wantEffects()
	is(k.do(sent("r9")), "r1", false, false)
	is(k.do(sent("r1")), "r1", false, true)
	is(k.do(report("r1")), "r1", false, true)
	k.do(report("r2")).want("active", "issue=submitted")
	is(k, "r2", false, false)
	is(k.do(session.EndCall{}), "r2", false, false)
	is(k.do(sent("r2")), "r2", false, true) // the screen can still say so
	is(k.after(session.ForgetAfter), "", false, false)

	bare := room()
	bare.ReportIssue = false
	k = loading(t).do(session.RoomLoaded{Attempt: 1, Room: bare})
	k.do(session.ReportIssue{}).want("waiting/joining", "issue=unavailable").refused(session.CodeIssueUnsupported)
	k.do(report("r1")).want("waiting/joining", "issue=unavailable").refused(session.CodeIssueUnsupported).wantEffects()
	newKiosk(t).do(report("r1")).refused(session.CodeNoSession)
}

// TestChatIsWiped: the end of a session leaves none of it.
func TestChatIsWiped(t *testing.T) {
	for name, end := range map[string]func(*kiosk){
		"ended":   func(k *kiosk) { k.do(session.EndCall{}) },
		"timeout": func(k *kiosk) { k.after(time.Hour) },
		"error":   func(k *kiosk) { k.do(session.JoinFailed{Attempt: 1, Code: "superseded"}) },
	} {
		k := active(t).do(session.Chat{}, say("m1"), heard(1, "n1"))
		end(k)
		if k.m.Messages != nil || k.m.ChatOpen || k.m.Unread != 0 || session.Plan(k.m).Outbox != nil || k.m.Offers.Chat {
			t.Errorf("%s: traces of the chat are left", name)
		}
		if !strings.Contains(effectWords(k.effects), "set-outbox(0)") {
			t.Errorf("%s: the call keeps the messages: %s", name, effectWords(k.effects))
		}
	}
}

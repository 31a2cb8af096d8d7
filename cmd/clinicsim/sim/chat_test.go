package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"kioskd/cmd/clinicsim/sim"
	"kioskd/daemon/room/direct/signal"
)

// said is one frame of the chat as JSON has it.
type said struct {
	Type, ID, Text string
	At             time.Time
}

// hear waits for the next chat frame.
func (k *kiosk) hear() (from string, s said) {
	k.t.Helper()
	select {
	case f := <-k.frames:
		if err := json.Unmarshal([]byte(f.text), &s); err != nil {
			k.t.Fatalf("the page sent %q: %v", f.text, err)
		}
		return f.from, s
	case <-time.After(wait):
		k.t.Fatal("no chat frame came")
		return "", said{}
	}
}

// hearAck waits for the next frame, which must acknowledge id.
func (k *kiosk) hearAck(id string) {
	k.t.Helper()
	if _, s := k.hear(); s.Type != "ack" || s.ID != id {
		k.t.Fatalf("got %s of %s, want an ack of %s", s.Type, s.ID, id)
	}
}

func message(id, text string) string {
	b, err := json.Marshal(map[string]string{"type": "message", "id": id, "text": text, "at": "2026-11-22T10:00:00Z"})
	if err != nil {
		return err.Error() // a map of strings: the page would refuse it
	}
	return string(b)
}

func ack(id string) string { return fmt.Sprintf(`{"type":"ack","id":%q}`, id) }

// write types into the page's chat and presses Enter: there is no mouse in it.
func write(t *testing.T, page context.Context, text string) {
	t.Helper()
	until(t, page, `!document.getElementById('chat-text').disabled`)
	if err := chromedp.Do(page, chromedp.SendKeys(chromedp.ID("chat-text"), text+"\r")); err != nil {
		t.Fatal(err)
	}
}

const sound = "autoplay-policy"

// called opens the page of url and joins with a kiosk.
func called(t *testing.T, clinic *running, url string) (context.Context, *kiosk) {
	t.Helper()
	page := browse(t, url, chromedp.Flag(sound, "no-user-gesture-required"))
	until(t, page, `window.clinic && clinic.state === 'waiting'`)
	k := joinKiosk(t, clinic.openRoom(t, "A-1"), "kiosk-1")
	until(t, page, `clinic.state === 'active' && clinic.chatOpen`)
	return page, k
}

// TestChatBothWays: what is said arrives, as text and not as markup, is
// acknowledged, is there once however often it comes, and nonsense is ignored.
func TestChatBothWays(t *testing.T) {
	clinic := start(t, sim.Config{})
	page, k := called(t, clinic, clinic.Clinician)
	write(t, page, "Good morning, can you hear me?")
	_, s := k.hear()
	if s.Type != "message" || s.Text != "Good morning, can you hear me?" || s.ID == "" || time.Since(s.At).Abs() > time.Minute {
		t.Errorf("the page said %+v", s)
	}
	until(t, page, `clinic.messages.length === 1 && !clinic.messages[0].acked && document.querySelector('li.mine small').textContent.includes('waiting')`)
	l := k.line("")
	l.say(ack(s.ID))
	until(t, page, `clinic.messages[0].acked && document.querySelector('li.mine small').textContent.includes('delivered')`)

	words := "<img src=x onerror=alert(1)> Grüße\nsecond line"
	l.say(message("m-1", words))
	k.hearAck("m-1")
	l.say(message("m-1", words))
	k.hearAck("m-1")
	until(t, page, `clinic.chat.repeated === 1`)
	if got := evaluate[[]string](t, page, `[...document.querySelectorAll('li.theirs p')].map((p) => p.textContent)`); len(got) != 1 || got[0] != words {
		t.Errorf("the page shows %q", got)
	}
	if n := evaluate[int](t, page, `document.querySelectorAll('#chat-list img').length`); n != 0 {
		t.Error("a message became markup")
	}

	shoot(t, page, "chat")

	nonsense := []string{
		``, `x`, `null`, `[]`, `{}`, `"ack"`, `{"type":"message"}`, `{"type":"later","id":"m-2"}`,
		message("", "no id"), message(strings.Repeat("i", 65), "long id"), message("a/b", "bad id"), message("m-3", ""),
		message("m-4", "bell\u0007"), message("m-5", strings.Repeat("ä", 1001)),
		strings.Replace(message("m-6", "no time"), "2026-", "x", 1), `{"type":"message","id":"m-7","text":7}`,
		message("m-8", strings.Repeat("x", 17<<10)), `{"type":"ack","id":{}}`, ack("never-said"),
	}
	for _, text := range nonsense {
		l.say(text)
	}
	l.say(message("m-9", strings.Repeat("ä", 1000)))
	k.hearAck("m-9")
	want := len(nonsense) - 1 // an ack of nothing is well formed
	if bad, n := evaluate[int](t, page, `clinic.chat.bad`), evaluate[int](t, page, `clinic.messages.length`); bad != want || n != 3 {
		t.Errorf("%d frames of %d were refused and %d messages kept", bad, want, n)
	}
}

// TestChatAfterALoss: what was not acknowledged comes again over the next
// channel in its order, also when only the channel broke; another patient gets none of it.
func TestChatAfterALoss(t *testing.T) {
	clinic := start(t, sim.Config{})
	page, k := called(t, clinic, clinic.Clinician)
	first := evaluate[string](t, page, `(clinic.sendChat('one'), clinic.sendChat('two'), clinic.messages[0].id)`)
	k.hear()
	k.hear()
	k.line("").say(ack(first))
	until(t, page, `clinic.messages[0].acked`)
	offers := evaluate[int](t, page, `clinic.offers`)
	evaluate[bool](t, page, `(clinic.dropChat(), true)`)
	until(t, page, `!clinic.chatOpen && document.getElementById('chat-hint').textContent.includes('messages wait')`)
	evaluate[string](t, page, `clinic.sendChat('three')`)

	peer := evaluate[string](t, page, `clinic.desk.peer`)
	k.offer(peer) // a fresh connection, as a kiosk that starts again makes
	for _, want := range []string{"two", "three"} {
		if _, s := k.hear(); s.Text != want {
			t.Errorf("heard %q, want %q", s.Text, want)
		}
	}
	if got := evaluate[int](t, page, `clinic.offers`); got != offers+1 {
		t.Errorf("%d offers after one more than %d", got, offers)
	}

	// A page that is deaf acknowledges nothing.
	evaluate[bool](t, page, `clinic.chat.deaf = true`)
	k.line("").say(message("lost", "not heard"))
	k.line("").say(message("lost-2", "not heard"))
	evaluate[bool](t, page, `(clinic.chat.deaf = false, true)`)
	k.line("").say(message("heard", "heard"))
	for {
		if _, s := k.hear(); s.ID == "heard" {
			break
		}
	}
	k.send(signal.Message{Type: signal.Bye})
	until(t, page, `clinic.state === 'patient-left'`)
	if n := evaluate[int](t, page, `clinic.messages.length`); n < 4 {
		t.Errorf("%d messages are left on the page", n)
	}
	other := joinKiosk(t, clinic.openRoom(t, "A-2"), "kiosk-2")
	until(t, page, `clinic.chatOpen && clinic.patient.peer === 'kiosk-2'`)
	if n := evaluate[int](t, page, `clinic.messages.length`); n != 0 {
		t.Errorf("another patient's chat begins with %d messages", n)
	}
	other.line("").say(message("m", "hello"))
	other.hearAck("m")
}

// TestChatIsBounded: words that cannot be sent are refused, and so are more
// than the page can keep for later.
func TestChatIsBounded(t *testing.T) {
	clinic := start(t, sim.Config{})
	page := browse(t, clinic.Clinician, chromedp.Flag(sound, "no-user-gesture-required"))
	until(t, page, `window.clinic && clinic.state === 'waiting'`)
	if why := evaluate[string](t, page, `clinic.sendChat('hello')`); !strings.Contains(why, "nobody") {
		t.Errorf("with nobody there: %q", why)
	}
	k := joinKiosk(t, clinic.openRoom(t, "A-1"), "kiosk-1")
	until(t, page, `clinic.chatOpen`)
	for _, c := range []struct{ script, says string }{
		{`clinic.sendChat(' \n ')`, "Write something"},
		{`clinic.sendChat('x'.repeat(2001))`, "too long"},
		{`clinic.sendChat('ä'.repeat(1001))`, "too long"},
		{`clinic.sendChat('a\u0000b')`, "cannot be sent"},
		{`clinic.sendChat('a\ud800b')`, "cannot be sent"},
	} {
		if why := evaluate[string](t, page, c.script); !strings.Contains(why, c.says) {
			t.Errorf("%s: %q", c.script, why)
		}
	}
	why := evaluate[[]string](t, page, `Array.from({ length: 51 }, (_, i) => clinic.sendChat('number ' + i))`)
	if why[49] != "" || !strings.Contains(why[50], "Too many") {
		t.Errorf("the 50th: %q, the 51st: %q", why[49], why[50])
	}
	for range 50 {
		_, s := k.hear()
		k.line("").say(ack(s.ID))
	}
	until(t, page, `clinic.chat.waiting.length === 0`)
	for i := range 300 {
		k.line("").say(message(fmt.Sprint("m", i), "x"))
	}
	for i := range 300 {
		k.hearAck(fmt.Sprint("m", i))
	}
	if n := evaluate[[]int](t, page, `[clinic.messages.length, document.querySelectorAll('#chat-list li').length]`); n[0] != 300 || n[1] != 300 {
		t.Errorf("%d messages are kept and %d shown", n[0], n[1])
	}
}

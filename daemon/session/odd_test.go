package session_test

import (
	"testing"
	"time"

	"kioskd/daemon/session"
)

// stranger is an event that Step does not know: a new kind that somebody forgot.
type stranger struct{ session.Tick }

// A kind of event that Step does not know changes nothing, in any state.
func TestUnknownEvent(t *testing.T) {
	for _, r := range rows() {
		k := r.make(t)
		before := describe(k.m)
		if k.do(stranger{}).want(before); len(k.effects) > 0 || k.err != nil {
			t.Errorf("%s: %s, %v", r.name, effectWords(k.effects), k.err)
		}
	}
}

// endOfTime is a year that JSON has no form for (RFC 3339): the model cannot be
// stored any more, and says so instead of storing half.
var endOfTime = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

func TestTimesThatCannotBeStored(t *testing.T) {
	k := active(t)
	k.m.Limits.Session = session.MaxLimit
	k.m.OpenedAt, k.m.ActiveSince, k.now = endOfTime, endOfTime, endOfTime
	k.do(say("late")).refused(session.CodeChatFull).want("active")
	if _, err := k.m.Encode(); err == nil {
		t.Error("a time was encoded that JSON has no form for")
	}
}

func TestRefusalSaysItsSentence(t *testing.T) {
	k := newKiosk(t).do(session.Mute{}).refused(session.CodeNoSession)
	if k.err.Error() != "cannot do this: there is no session" {
		t.Errorf("it says %q", k.err)
	}
}

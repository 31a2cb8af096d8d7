package direct

import (
	"fmt"
	"log/slog"
	"testing"

	"kioskd/daemon/room"
)

// Nobody reads the mail: it takes what there is room for, and never waits.
func TestMailIsBounded(t *testing.T) {
	r := &directRoom{mail: newMail(), log: slog.New(slog.DiscardHandler)}
	list := make([]room.Message, outboxMost+10)
	for n := range list {
		list[n].ID = fmt.Sprint(n)
	}
	r.SetOutbox(list)
	list[0].ID = "changed"
	for n := range acksMost + 10 {
		r.Acknowledge("p", fmt.Sprint(n))
	}
	select {
	case <-r.mail.due:
	default:
		t.Error("run is not told")
	}
	outbox, acks := r.mail.take()
	if len(outbox) != outboxMost || outbox[0].ID != "0" || outbox[outboxMost-1].ID != fmt.Sprint(outboxMost-1) {
		t.Errorf("%d messages wait, from %q", len(outbox), outbox[0].ID)
	}
	if len(acks) != acksMost || acks[3] != (ackFor{"p", "3"}) {
		t.Errorf("%d acknowledgements wait", len(acks))
	}
	if outbox, acks = r.mail.take(); len(outbox) != outboxMost || acks != nil {
		t.Errorf("then %d messages and %d acknowledgements: the first are a level, the others are said once", len(outbox), len(acks))
	}
}

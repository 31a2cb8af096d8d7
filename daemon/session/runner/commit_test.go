package runner_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
)

// audited checks the newest audit entry.
func (b *bench) audited(want string) {
	b.t.Helper()
	if got := b.disk.last(); got != want {
		b.t.Fatalf("audit\n  %q, want\n  %q", got, want)
	}
}

// TestAudit: whatever comes of a command, there is an entry that says so.
func TestAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.do(session.Mute{}, session.CodeNoSession, "audit")
		b.audited("mute refused=no_session from=none to=none by: uid=7")
		b.do(session.Open{Appointment: "bad/id"}, session.CodeBadAppointment, "audit")
		b.audited("open refused=bad_appointment_id from=none to=none by: uid=7")
		b.do(session.Open{Appointment: "a-1"}, "", "commit, publish state=waiting, check-devices")
		b.audited("open done from=none to=waiting by: uid=7")
		b.join()
		if !strings.Contains(b.disk.audits(), "\nmedia-arrived from=waiting to=active\n") && b.disk.last() != "media-arrived from=waiting to=active" {
			t.Errorf("no transition in\n%s", b.disk.audits())
		}
		b.doKey(session.Mute{}, "k1", "", "set-muted, commit, publish audio=updated")
		b.audited("mute done from=active to=active by: uid=7")
		b.doKey(session.Mute{}, "k1", "", "audit")
		b.audited("mute repeated from=active to=active by: uid=7")
		b.doKey(session.Chat{}, "k1", session.CodeKeyReused, "audit")
		b.audited("chat repeated refused=idempotency_key_reused from=active to=active by: uid=7")
		b.do(session.Mute{Set: new(true)}, "", "audit")
		b.audited("mute unchanged from=active to=active by: uid=7")
		b.do(session.Open{Appointment: "a-2"}, session.CodeSessionInProgress, "audit")
		b.audited("open refused=session_in_progress from=active to=active by: uid=7")
		b.do(session.EndCall{}, "", "close-camera, close-microphone, leave-room, commit, publish state=ended")
		b.audited("end-call done from=active to=ended by: uid=7")
		b.do(session.EndCall{}, "", "audit")
		b.audited("end-call unchanged from=ended to=ended by: uid=7")
		if a := b.disk.audits(); strings.Contains(a, "a-1") || strings.Contains(a, "a-2") || strings.Contains(a, "bad/id") {
			t.Errorf("an appointment is in the audit:\n%s", a)
		}
		// What nobody asked for leaves an entry only with a change.
		if _, err := b.r.Do(t.Context(), session.Event{What: session.EndCall{}}, ""); err != nil {
			t.Error(err)
		}
		b.sees("")
	})
}

// TestOutputsAreStored: also those of a refused command.
func TestOutputsAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		b.post(session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: []string{"face"}})
		b.sees("publish camera=unsupported")
		n := len(b.disk.told)
		b.do(session.SwapCamera{}, session.CodeCameraUnsupported, "audit, publish camera=unsupported")
		b.do(session.Chat{}, "", "commit, publish chat=opened")
		b.do(session.Chat{}, "", "audit, publish chat=opened")
		if got := outputs(b.disk.told[n:]); got != " camera=unsupported chat=opened chat=opened" {
			t.Errorf("stored are%s", got)
		}
	})
}

// TestAuditFails: a refusal is answered all the same, a narrowing command acts,
// and what was not written comes with the next commit that succeeds.
func TestAuditFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		b.disk.set(errDisk)
		b.do(session.Open{Appointment: "a-2"}, session.CodeSessionInProgress, "commit failed")
		b.doKey(session.Mute{}, "k1", "", "set-muted, commit failed, publish audio=updated")
		b.do(session.Mute{Set: new(false)}, session.CodeStore, "commit failed")
		b.doKey(session.Mute{}, "k1", "", "commit failed")
		b.disk.set(nil)
		time.Sleep(2*time.Second + shortly)
		synctest.Wait()
		b.sees("commit, publish")
		b.audited("tick from=active to=active" +
			"; late: mute repeated from=active to=active by: uid=7" +
			"; late: mute refused=store_unavailable from=active to=active by: uid=7" +
			"; late: mute done from=active to=active by: uid=7" +
			"; late: open refused=session_in_progress from=active to=active by: uid=7")
		b.do(session.Mute{Set: new(true)}, "", "audit")
		b.audited("mute unchanged from=active to=active by: uid=7")

		// A command that changes nothing is done already, and that is stored.
		b.disk.set(errDisk)
		if res := b.do(session.Mute{Set: new(true)}, "", "commit failed"); !res.Durable || res.Changed {
			t.Errorf("result %+v", res)
		}
		for range 40 { // what is owed is bounded
			b.do(session.Open{Appointment: "a-2"}, session.CodeSessionInProgress, "commit failed, publish")
		}
		b.disk.set(nil)
		time.Sleep(2*time.Second + shortly)
		synctest.Wait()
		if n := len(b.disk.last()); n > 1024 || strings.Count(b.disk.last(), "late: ") != 8 {
			t.Errorf("%d bytes of audit: %s", n, b.disk.last())
		}
	})
}

// TestKeysSurviveAKill: what was done with a key is known after a restart.
func TestKeysSurviveAKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.doKey(session.Open{Appointment: "a-1"}, "open-key", "", "commit, publish state=waiting, check-devices")
		b.join()
		b.doKey(session.Mute{}, "mute-key", "", "set-muted, commit, publish audio=updated")
		b.doKey(session.SendMessage{ID: "m1", Text: "hello"}, "say-key", "", "commit, publish, set-outbox")
		b.doKey(session.SwapCamera{Camera: "nowhere"}, "bad-key", session.CodeCameraUnknown, "audit")
		if raw := string(b.disk.record); strings.Contains(raw, "mute-key") || strings.Contains(raw, "say-key") {
			t.Error("a key is stored in the clear")
		}
		killed := b.disk.copy()

		c := begin(t, killed)
		c.join()
		if res := c.doKey(session.Mute{}, "mute-key", "", "audit"); res.Changed || !res.Durable || !res.Model.Muted {
			t.Errorf("a toggle that is repeated: %+v", res)
		}
		if res := c.doKey(session.Open{Appointment: "a-1"}, "open-key", "", "audit"); res.Model.State != session.Active {
			t.Errorf("state %s", res.Model.State)
		}
		// The id is made anew for each request; the command is the same.
		if res := c.doKey(session.SendMessage{ID: "m2", Text: "hello"}, "say-key", "", "audit"); len(res.Model.Messages) != 1 {
			t.Errorf("%d messages", len(res.Model.Messages))
		}
		c.doKey(session.SendMessage{ID: "m2", Text: "else"}, "say-key", session.CodeKeyReused, "audit")
		c.doKey(session.SwapCamera{Camera: "document"}, "bad-key", "", "commit, publish camera=updated, open-camera") // did nothing before
		c.do(session.Mute{}, "", "commit, publish audio=updated, set-muted")

		d := begin(t, c.disk.copy())
		time.Sleep(10 * time.Minute)
		d.join()
		d.doKey(session.Mute{}, "mute-key", "", "set-muted, commit, publish audio=updated") // 10 minutes are over
		for i := range 100 {
			d.doKey(session.Mute{}, fmt.Sprint("n", i), "", either(i%2 == 0, "commit, publish audio=updated, set-muted", "set-muted, commit, publish audio=updated"))
		}
		m := d.r.Model()
		if len(m.Seen) != session.MaxSeen || len(m.SeenSalt) == 0 {
			t.Errorf("%d keys are stored", len(m.Seen))
		}
		d.do(session.EndCall{}, "", "close-camera, close-microphone, set-outbox, leave-room, commit, publish state=ended")
		if m := d.r.Model(); m.Seen != nil || m.SeenSalt != nil {
			t.Error("the end of the session leaves keys")
		}
	})
}

// TestSaltDiffers: the same command with the same key is stored in different
// bytes for each session, so none can be recognised.
func TestSaltDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		var seen [2]session.SeenKey
		for i := range seen {
			b.doKey(session.Open{Appointment: "a-1"}, "key", "", "commit, publish state=waiting, check-devices")
			seen[i] = b.r.Model().Seen[0]
			b.do(session.EndCall{}, "", "commit, publish state=ended")
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			b.seen.take()
		}
		if bytes.Equal(seen[0].Key, seen[1].Key) || bytes.Equal(seen[0].Print, seen[1].Print) {
			t.Error("two sessions store the same hash")
		}
	})
}

// TestReports: a report is stored in the commit of its command, once.
func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		submit := session.SubmitReport{ID: "r1", Text: "no sound", Bundle: []byte(`{"words":"no sound"}`)}
		b.do(session.SubmitReport{ID: "r0", Text: " ", Bundle: []byte("x")}, session.CodeIssueRequired, "audit")
		b.doKey(submit, "k1", "", "commit, publish issue=submitted, send-reports")
		b.audited("submit-report done from=active to=active by: uid=7")
		again := submit
		again.ID, again.Bundle = "r2", []byte("made anew")
		b.doKey(again, "k1", "", "audit") // the same request
		b.do(submit, "", "audit")         // the same report
		if len(b.disk.kept) != 1 || b.disk.kept[0].ID != "r1" || !bytes.Equal(b.disk.kept[0].Data, submit.Bundle) {
			t.Errorf("%d reports are kept", len(b.disk.kept))
		}
		b.post(session.ReportSent{ID: "r1"})
		b.sees("commit, publish")

		b.disk.full = true
		b.doKey(again, "k2", session.CodeOutboxFull, "outbox full, audit")
		b.audited("submit-report refused=outbox_full from=active to=active by: uid=7")
		if m := b.r.Model(); m.ReportID != "r1" || !m.ReportSent {
			t.Error("a refused report changed the session")
		}
		b.disk.full = false
		b.doKey(again, "k2", "", "commit, publish issue=submitted, send-reports") // there is a place now

		b.disk.set(errDisk)
		again.ID = "r3"
		b.do(again, session.CodeStore, "commit failed")
		if m := b.r.Model(); m.ReportID != "r2" {
			t.Error("a report that is not stored was taken")
		}
	})
}

// TestAcksWaitForTheStore: a message is acknowledged once it is stored, not before.
func TestAcksWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		heard := func(id string) session.What {
			return session.MessageArrived{Attempt: 1, Participant: "c1", ID: id, Text: "hello"}
		}
		b.post(heard("n1"))
		b.sees("commit, publish, ack-message")
		b.post(heard("n1"))
		b.sees("ack-message") // it is stored
		b.disk.set(errDisk)
		b.post(heard("n2"), heard("n2"))
		b.sees("commit failed, publish, commit failed, publish")
		b.disk.set(nil)
		time.Sleep(2*time.Second + shortly)
		synctest.Wait()
		b.sees("commit, publish, ack-message")

		b.disk.set(errDisk)
		b.post(heard("n3"))
		b.sees("commit failed, publish")
		b.disk.set(nil)
		b.do(session.Chat{}, "", "commit, publish chat=opened, ack-message") // the command's commit holds it too
		b.disk.set(errDisk)
		b.post(heard("n4"))
		b.disk.set(nil)
		b.seen.take()
		b.do(session.EndCall{}, "", "close-camera, close-microphone, leave-room, commit, publish state=ended") // nobody is there to be told
	})
}

// TestChatLeavesRoom: participants that say more than a disk that hangs takes push out
// nothing but what they say, and that only while it hangs.
func TestChatLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{disk: &disk{}, hang: make(chan struct{}, 1)}
		b := begin(t, d.disk, func(o *runner.Options) { o.Store = d })
		b.active()
		d.hang <- struct{}{}
		b.r.Post(session.MessageArrived{Attempt: 1, Participant: "c1", ID: "first", Text: "hello"})
		synctest.Wait() // the runner is stuck in Commit now
		said := func(who string, from, n int) (taken int) {
			for i := range n {
				id := fmt.Sprint("n", from+i)
				for _, w := range []session.What{
					session.MessageArrived{Attempt: 1, Participant: who, ID: id, Text: "hello"}, session.MessageAcked{Attempt: 1, Participant: who, ID: id},
				} {
					if b.r.Post(w) {
						taken++
					}
				}
			}
			return taken
		}
		if n := said("c1", 0, 160) + said("c2", 0, 160) + said("c3", 0, 160); n != 128 {
			t.Errorf("%d of the chat were taken", n)
		}
		if !b.r.Post(session.PeerLeft{Attempt: 1, Participant: "c1", How: session.Bye}) {
			t.Error("that a participant left was not taken")
		}
		<-d.hang
		synctest.Wait()
		if m := b.r.Model(); m.State != session.Waiting || len(m.Messages) != 65 {
			t.Errorf("state %s, %d messages", m.State, len(m.Messages))
		}
		for i := range 160 { // each gives its place back
			b.post(session.MessageArrived{Attempt: 1, Participant: "c1", ID: fmt.Sprint("later", i), Text: "hello"})
		}
	})
}

// TestBundlesAreNotPrinted: neither by fmt nor by a log.
func TestBundlesAreNotPrinted(t *testing.T) {
	r := runner.Report{ID: "r1", Data: []byte("CANARY")}
	w := session.SubmitReport{ID: "r1", Text: "CANARY", Bundle: []byte("CANARY")}
	var text bytes.Buffer
	for _, v := range []any{r, &r, w, &w, runner.Commit{Report: &r}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&text, verb+"\n", v)
		}
	}
	slog.New(slog.NewJSONHandler(&text, nil)).Info("x", "report", r, "pointer", &r, "event", w)
	b, err := json.Marshal(w) // what the fingerprint is made of
	if err != nil || strings.Contains(string(b), "Bundle") || strings.Contains(string(b), "r1") {
		t.Errorf("%s, %v", b, err)
	}
	for _, canary := range []string{"CANARY", "43414e415259", "67 65 78 65", "[67"} {
		if strings.Contains(text.String(), canary) {
			t.Errorf("%s is printed:\n%s", canary, text.String())
		}
	}
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// TestJournalIsForRequestsAndTransitions: it is bounded, so what comes by itself
// and changes no state must not push the requests out of it.
func TestJournalIsForRequestsAndTransitions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := begin(t, nil)
		b.active()
		before := b.disk.audits()
		b.post(session.MessageArrived{Attempt: 1, Participant: "c1", ID: "n1", Text: "hello"})
		b.sees("commit, publish, ack-message")
		if got := b.disk.audits(); strings.TrimSpace(got) != strings.TrimSpace(before) {
			t.Errorf("a message is in the audit:\n%s", got)
		}
		b.post(session.PeerLeft{Attempt: 1, Participant: "c1", How: session.Bye})
		if !strings.HasSuffix(strings.TrimSpace(b.disk.audits()), "peer-left from=active to=waiting") {
			t.Errorf("no transition in\n%s", b.disk.audits())
		}
	})
}

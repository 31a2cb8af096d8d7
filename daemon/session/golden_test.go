package session_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/session"
)

var update = flag.Bool("update", false, "write testdata/transitions.golden anew")

// row is a situation of the golden table: a state and what matters in it.
type row struct {
	name string
	make func(t testing.TB) *kiosk
}

func rows() []row {
	asks := open()
	asks.AskConsent = true
	failed := func(retryable bool) session.What { return failedAt(1, retryable) }
	closed := session.DeviceReport{Camera: session.DeviceShuttered, Microphone: session.DeviceOK, Cameras: []string{"face", "document"}}
	one := session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: []string{"face"}}
	return []row{
		{"none", func(t testing.TB) *kiosk { return newKiosk(t).do(up(), devices()) }},
		{"waiting_permissions", func(t testing.TB) *kiosk { return newKiosk(t).do(up(), asks) }},
		{"waiting/loading (devices asked)", func(t testing.TB) *kiosk { return newKiosk(t).do(up(), open()) }},
		{"waiting/loading (network unknown)", func(t testing.TB) *kiosk { return newKiosk(t).do(open(), devices()) }},
		{"waiting/loading (PUT runs)", func(t testing.TB) *kiosk { return loading(t) }},
		{"waiting/joining", func(t testing.TB) *kiosk { return joining(t) }},
		{"waiting/participant (nobody)", func(t testing.TB) *kiosk { return alone(t) }},
		{"waiting/participant (there, no media)", func(t testing.TB) *kiosk { return alone(t).do(peer(1)) }},
		{"active", func(t testing.TB) *kiosk { return active(t) }},
		{"active (muted, video off)", func(t testing.TB) *kiosk { return active(t).do(session.Mute{}, session.DisableVideo{}) }},
		{"active (one camera)", func(t testing.TB) *kiosk { return active(t).do(one) }},
		{"active (no devices, all off)", func(t testing.TB) *kiosk {
			return active(t).do(session.Mute{}, session.DisableVideo{}, session.DeviceReport{})
		}},
		{"active (shutter and button closed)", func(t testing.TB) *kiosk { return active(t).do(shut(true, true)) }},
		{"active (muted, video off, shutter closed)", func(t testing.TB) *kiosk {
			return active(t).do(session.Mute{}, session.DisableVideo{}, shut(true, true))
		}},
		{"active (room lost)", func(t testing.TB) *kiosk { return active(t).do(session.RoomLost{Attempt: 1}) }},
		{"reconnecting (media lost)", func(t testing.TB) *kiosk {
			return active(t).do(session.MediaLost{Attempt: 1, Participant: "c1"})
		}},
		{"reconnecting (peer lost)", func(t testing.TB) *kiosk { return active(t).do(left(1, session.Lost)) }},
		{"reconnecting (network down)", func(t testing.TB) *kiosk { return active(t).do(down()) }},
		{"reconnecting (room gone, paused)", func(t testing.TB) *kiosk {
			return active(t).do(session.JoinFailed{Attempt: 1, Retryable: true})
		}},
		{"reconnecting (room lost, nobody)", func(t testing.TB) *kiosk { return alone(t).do(session.RoomLost{Attempt: 1}) }},
		{"error (shutter), retryable", func(t testing.TB) *kiosk { return newKiosk(t).do(up(), open(), closed) }},
		{"error (consent denied), retryable", func(t testing.TB) *kiosk {
			return newKiosk(t).do(up(), asks, session.Permissions{Camera: session.Granted, Microphone: session.Denied})
		}},
		{"error (no network at open), retryable", func(t testing.TB) *kiosk { return newKiosk(t).do(down(), open(), devices()) }},
		{"error (backend), retryable", func(t testing.TB) *kiosk { return loading(t).do(failed(true)) }},
		{"error (network in a call), retryable", func(t testing.TB) *kiosk { return active(t).do(down()).after(2 * time.Minute) }},
		{"error (room in a call), retryable", func(t testing.TB) *kiosk {
			return alone(t).do(session.RoomLost{Attempt: 1}).after(2 * time.Minute)
		}},
		{"error, final", func(t testing.TB) *kiosk { return loading(t).do(failed(false)) }},
		{"ended", func(t testing.TB) *kiosk { return active(t).do(session.EndCall{}) }},
		{"timeout", func(t testing.TB) *kiosk { return active(t).after(30 * time.Minute) }},
		{"active (message waits)", func(t testing.TB) *kiosk { return active(t).do(say("m1")) }},
		{"reconnecting (message waits)", func(t testing.TB) *kiosk { return active(t).do(say("m1"), left(1, session.Lost)) }},
		{"active (report handed in)", func(t testing.TB) *kiosk { return active(t).do(report("r1")) }},
		{"active (refresh planned)", func(t testing.TB) *kiosk { return refreshed(t) }},
		{"active (refresh runs)", func(t testing.TB) *kiosk { return refreshed(t).after(10 * time.Second) }},
		{"active (refreshing unauthorized)", func(t testing.TB) *kiosk {
			return refreshed(t).after(10 * time.Second).do(session.RefreshFailed{Number: 1, Code: session.CodeUnauthorized})
		}},
		{"reconnecting (PUT refused in a call)", func(t testing.TB) *kiosk {
			return active(t).do(session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused}, failedAt(2, false))
		}},
		{"ended (report not sent)", func(t testing.TB) *kiosk { return active(t).do(report("r1"), session.EndCall{}) }},
		{"active, stopping", func(t testing.TB) *kiosk { return active(t).do(session.Shutdown{}) }},
	}
}

func failedAt(attempt int, retryable bool) session.What {
	return session.RoomFailed{Attempt: attempt, Code: session.CodeUnauthorized, Retryable: retryable}
}

// column is an event of the table, with variants where a guard matters. after
// lets time pass before it.
type column struct {
	name  string
	after time.Duration
	what  func(attempt int) session.What
}

func columns() []column {
	always := func(w session.What) func(int) session.What { return func(int) session.What { return w } }
	answers := func(c, m session.Answer) func(int) session.What {
		return always(session.Permissions{Camera: c, Microphone: m})
	}
	other := open()
	other.Appointment, other.Peer = "other", "peer-2"
	asks := other
	asks.AskConsent = true
	closed := session.DeviceReport{Camera: session.DeviceNoPermission, Microphone: session.DeviceOK, Cameras: nil}
	return []column{
		{"open same", 0, always(open())},
		{"open other", 0, always(other)},
		{"open other, consent asked", 0, always(asks)},
		{"open bad id", 0, always(session.Open{Appointment: "../x"})},
		{"permissions granted", 0, answers(session.Granted, session.Granted)},
		{"permissions denied", 0, answers(session.Denied, session.Denied)},
		{"permissions dismissed", 0, answers(session.Dismissed, session.Dismissed)},
		{"permissions bad", 0, answers("", "x")},
		{"mute toggle", 0, always(session.Mute{})},
		{"mute on", 0, always(session.Mute{Set: yes()})},
		{"mute off", 0, always(session.Mute{Set: no()})},
		{"disable-video toggle", 0, always(session.DisableVideo{})},
		{"disable-video on", 0, always(session.DisableVideo{Set: yes()})},
		{"disable-video off", 0, always(session.DisableVideo{Set: no()})},
		{"swap-camera next", 0, always(session.SwapCamera{})},
		{"swap-camera document", 0, always(session.SwapCamera{Camera: "document"})},
		{"swap-camera unknown", 0, always(session.SwapCamera{Camera: "nowhere"})},
		{"chat", 0, always(session.Chat{})},
		{"chat close", 0, always(session.Chat{Close: true})},
		{"send-message", 0, always(say("m2"))},
		{"send-message again", 0, always(say("m1"))},
		{"send-message empty", 0, always(session.SendMessage{ID: "m3", Text: " \n"})},
		{"report-issue", 0, always(session.ReportIssue{})},
		{"report-issue close", 0, always(session.ReportIssue{Close: true})},
		{"submit-report", 0, always(report("r2"))},
		{"submit-report again", 0, always(report("r1"))},
		{"submit-report empty", 0, always(session.SubmitReport{ID: "r3"})},
		{"end-call", 0, always(session.EndCall{})},
		{"device-report all ok", 0, always(devices())},
		{"device-report camera closed", 0, always(closed)},
		{"device-report nothing there", 0, always(session.DeviceReport{Camera: session.DeviceMissing, Microphone: session.DeviceMissing})},
		{"device-report shutter closed", 0, always(shut(true, false))},
		{"device-report muted by its button", 0, always(shut(false, true))},
		{"network-changed up", 0, always(up())},
		{"network-changed down", 0, always(down())},
		{"tick at once", 0, always(session.Tick{})},
		{"tick after 2 s", 2 * time.Second, always(session.Tick{})},
		{"tick after 2 min", 2 * time.Minute, always(session.Tick{})},
		{"tick after 15 min", 15 * time.Minute, always(session.Tick{})},
		{"tick after 30 min", 30 * time.Minute, always(session.Tick{})},
		{"restarted", 0, always(session.Restarted{})},
		{"restarted, doubtful clock", 0, always(session.Restarted{ClockDoubtful: true})},
		{"restarted after 30 min", 30 * time.Minute, always(session.Restarted{})},
		{"clock-set", 0, always(session.ClockSet{Now: start.Add(time.Hour)})},
		{"shutdown", 0, always(session.Shutdown{})},
		{"room-loaded", 0, loaded},
		{"room-failed retryable", 0, func(n int) session.What { return session.RoomFailed{Attempt: n, Retryable: true} }},
		{"room-failed final", 0, func(n int) session.What { return session.RoomFailed{Attempt: n, Code: session.CodeRoom} }},
		{"joined", 0, joined},
		{"join-failed retryable", 0, func(n int) session.What { return session.JoinFailed{Attempt: n, Retryable: true} }},
		{"join-failed final", 0, func(n int) session.What { return session.JoinFailed{Attempt: n} }},
		{"join-failed token", 0, func(n int) session.What { return session.JoinFailed{Attempt: n, Code: session.CodeTokenRefused} }},
		{"room-lost", 0, func(n int) session.What { return session.RoomLost{Attempt: n} }},
		{"room-back", 0, func(n int) session.What { return session.RoomBack{Attempt: n} }},
		{"peer-joined", 0, peer},
		{"peer-left bye", 0, func(n int) session.What { return left(n, session.Bye) }},
		{"peer-left away", 0, func(n int) session.What { return left(n, session.Away) }},
		{"peer-left lost", 0, func(n int) session.What { return left(n, session.Lost) }},
		{"media-arrived", 0, media},
		{"media-arrived of an old attempt", 0, func(n int) session.What { return media(n - 1) }},
		{"message-arrived", 0, func(n int) session.What { return heard(n, "n1") }},
		{"message-arrived of an old attempt", 0, func(n int) session.What { return heard(n-1, "n1") }},
		{"message-acked", 0, func(n int) session.What { return acked(n, "m1") }},
		{"report-sent", 0, always(session.ReportSent{ID: "r1"})},
		{"screen-patched", 0, always(session.ScreenPatched{Number: 1, Patch: patch()})},
		{"refresh-failed retryable", 0, always(session.RefreshFailed{Number: 1, Retryable: true})},
		{"refresh-failed unauthorized", 0, always(session.RefreshFailed{Number: 1, Code: session.CodeUnauthorized})},
		{"room-failed unauthorized", 0, func(n int) session.What { return failedAt(n, false) }},
		{"media-lost", 0, func(n int) session.What { return session.MediaLost{Attempt: n, Participant: "c1"} }},
		{"media-back", 0, func(n int) session.What { return session.MediaBack{Attempt: n, Participant: "c1"} }},
	}
}

// TestTransitions compares every situation x every event with the reviewed table.
func TestTransitions(t *testing.T) {
	var b strings.Builder
	b.WriteString("# situation | event | state after, -> only where it changed, !: final | outputs | effects\n" +
		"# A refused command is marked \"refused CODE\". Made by: go test ./daemon/session -run TestTransitions -update\n")
	for _, r := range rows() {
		fmt.Fprintf(&b, "\n")
		first := r.make(t)
		frozen, was := first.m.Clone(), describe(first.m)
		for _, c := range columns() {
			k := &kiosk{t: t, m: first.m, now: first.now.Add(c.after)}
			k.do(c.what(k.m.Attempt))
			if !reflect.DeepEqual(first.m, frozen) {
				t.Fatalf("%s | %s: Step changed the model it was given", r.name, c.name)
			}
			after := describe(k.m)
			if after != was {
				after = "-> " + after
			}
			if k.err != nil {
				after += ", refused " + codeOf(k.err)
			}
			line := strings.Join([]string{r.name, c.name, after, words(k.outputs), effectWords(k.effects)}, " | ")
			b.WriteString(strings.TrimRight(line, " ") + "\n")
		}
	}
	path := filepath.Join("testdata", "transitions.golden")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, old := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(old)) {
		if i >= len(got) || i >= len(old) || got[i] != old[i] {
			t.Fatalf("line %d differs; look at it, then run with -update\n got %s\nwant %s", i+1, at(got, i), at(old, i))
		}
	}
}

// TestWayBack: from every situation there is a way back to no session, by ending
// the call and by doing nothing.
func TestWayBack(t *testing.T) {
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			k := r.make(t).do(session.EndCall{})
			if k.m.Running() || k.m.State == session.Ended && codeOf(k.err) != "" {
				t.Errorf("after end-call it is %s, refused %q", describe(k.m), codeOf(k.err))
			}
			k.after(session.ForgetAfter).want("none")

			k = r.make(t)
			for n := 0; k.m.Exists(); n++ {
				wake := session.Plan(k.m).Wake
				if !wake.After(k.m.LastAt) || n > 2000 { // a recheck of the devices each 2 s for 30 min
					t.Fatalf("%s does not end: it wakes at %v, after %d ticks", describe(k.m), wake, n)
				}
				k.now = wake
				k.do(session.Tick{})
			}
		})
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

package session_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/session"
)

func TestEncodeDecode(t *testing.T) {
	k := refreshed(t).do(session.Mute{}, session.Chat{}, say("m1"), heard(1, "n1"), report("r1"))
	k.after(10 * time.Second).do(session.ScreenPatched{Number: 1, Patch: patch()})
	k.m.Seen, k.m.SeenSalt = []session.SeenKey{{Key: []byte("k"), Print: []byte("p"), At: k.now}}, []byte("salt")
	b, err := k.m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range []string{canaryID, canaryName, canaryToken, canaryTitle, canaryText} {
		if !strings.Contains(string(b), canary) {
			t.Errorf("%s is not stored", canary)
		}
	}
	m, err := session.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	want := k.m.Clone()
	want.Facts, want.Trying, want.Joined, want.Checks, want.Refreshes = session.Facts{}, false, false, 0, 0 // a restart asks for them
	if !reflect.DeepEqual(m, want) {
		t.Errorf("read back\n%+v\nwant\n%+v", m, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := active(t).m
	change := func(f func(*session.Model)) []byte {
		m := good.Clone()
		f(&m)
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	whole := change(func(*session.Model) {})
	for name, b := range map[string][]byte{
		"no JSON":          []byte("{" + canaryName),
		"empty":            nil,
		"another version":  bytes.Replace(whole, []byte(`"version":1`), []byte(`"version":2`), 1),
		"no state":         change(func(m *session.Model) { m.State = "" }),
		"an unknown state": change(func(m *session.Model) { m.State = "paused" }),
		"no limits":        change(func(m *session.Model) { m.Limits.Wait = 0 }),
		"endless limits":   change(func(m *session.Model) { m.Limits.Session = session.MaxLimit + 1 }),
		"no opening time":  change(func(m *session.Model) { m.OpenedAt = time.Time{} }),
		"no appointment":   change(func(m *session.Model) { m.Appointment = "" }),
		"over, no time":    change(func(m *session.Model) { m.State = session.Ended }),
		"a final cause":    change(func(m *session.Model) { m.Cause.Code = "x" }),
		"a long message": change(func(m *session.Model) {
			m.Messages = []session.Message{{ID: "a", Text: session.PatientText(make([]byte, 2001))}}
		}),
		"a crowded chat": change(func(m *session.Model) { m.Messages = make([]session.Message, 101) }),
		"a hidden mute":  change(func(m *session.Model) { m.Screen.Hidden = []string{"mute"} }),
		"many keys":      change(func(m *session.Model) { m.Seen = make([]session.SeenKey, 65) }),
		"a long key":     change(func(m *session.Model) { m.Seen = []session.SeenKey{{Key: make([]byte, 65)}} }),
		"a long boot":    change(func(m *session.Model) { m.Boot = strings.Repeat("x", 65) }),
		"a crowd":        change(func(m *session.Model) { m.Participants = make([]session.Participant, 9) }),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := session.Decode(b)
			if err == nil {
				t.Fatal("it was taken")
			}
			if !strings.HasPrefix(err.Error(), "cannot ") || strings.Contains(err.Error(), "CANARY") {
				t.Errorf("the error reads %q", err)
			}
		})
	}
}

// FuzzDecode: whatever is stored, the machine goes on from it without a panic and
// comes to an end.
func FuzzDecode(f *testing.F) {
	for _, r := range rows() {
		b, err := r.make(f).m.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := session.Decode(b)
		if err != nil {
			return
		}
		k := &kiosk{t: t, m: m, now: start}
		k.do(session.Restarted{}, up(), devices(), loaded(k.m.Attempt), joined(k.m.Attempt), media(k.m.Attempt), session.Mute{})
		for range 3 { // limit, then 60 s
			if wake := session.Plan(k.m).Wake; k.m.Running() && wake.IsZero() {
				t.Fatalf("%s has no end", describe(k.m))
			}
			k.now = k.m.LastAt.Add(2 * session.MaxLimit)
			k.do(session.Tick{})
		}
		if k.m.Exists() {
			t.Fatalf("%s after all limits", describe(k.m))
		}
	})
}

// TestNothingIsPrinted: no way of printing shows what belongs to a patient.
func TestNothingIsPrinted(t *testing.T) {
	k := active(t)
	effects := loading(t).do(loaded(1)).effects
	effects = append(effects, refreshed(t).do(say("m1")).after(10*time.Second).effects...)
	effects = append(effects, active(t).do(say("m1")).effects...)
	k.do(say("m1"), heard(1, "n1"))
	var b bytes.Buffer
	values := []any{
		k.m, &k.m, k.m.Room, *k.m.Room, open(), loaded(1), peer(1), effects, session.Plan(k.m), k.m.Appointment,
		say("m1"), heard(1, "n1"), report("r1"),
		session.ScreenPatched{Patch: patch()},
		patch(), k.m.Messages, k.m.Screen,
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&b, verb+"\n", v)
		}
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&b, nil), slog.NewTextHandler(&b, nil)} {
		log := slog.New(h)
		log.Info("x", "model", k.m, "room", *k.m.Room, "pointer", k.m.Room, "id", k.m.Appointment, "event", session.Event{What: open()},
			"open", open(), "loaded", loaded(1), "peer", peer(1), "participant", k.m.Participants[0], "server", room().ICEServers[0],
			"left", k.m.Error, "failed", session.RoomFailed{Title: canaryTitle}, "world", session.Plan(k.m), "params", *session.Plan(k.m).Join,
			"load", session.LoadParams{Appointment: canaryID}, "failure", session.Failure{Title: canaryTitle})
		log.Info("x", "say", say("m1"), "heard", heard(1, "n1"), "report", report("r1"), "patched", session.ScreenPatched{Patch: patch()},
			"patch", patch(), "message", k.m.Messages[0], "screen", k.m.Screen, "refresh", session.RefreshParams{URL: canaryToken})
		for _, e := range append(effects, newKiosk(t).do(up(), open(), devices()).effects...) {
			log.Info("x", "effect", e)
		}
	}
	for _, canary := range []string{"CANARY", "43414e415259"} {
		if i := strings.Index(b.String(), canary); i >= 0 {
			t.Errorf("%s is printed: ...%s", canary, b.String()[max(0, i-200):i+10])
		}
	}
	if s := k.m.Appointment.String() + k.m.Appointment.GoString(); s != "[redacted][redacted]" {
		t.Errorf("String and GoString give %s", s)
	}
	if canaryID != k.m.Appointment.Plain() {
		t.Error("Plain does not give the text")
	}
}

func TestOutputJSON(t *testing.T) {
	b, err := json.Marshal([]session.Output{{Key: "audio", Value: "updated"}, {Key: "error", Value: `a"b`}})
	if want := `[{"audio":"updated"},{"error":"a\"b"}]`; err != nil || string(b) != want {
		t.Errorf("%s, %v, want %s", b, err, want)
	}
}

func TestControls(t *testing.T) {
	show := func(m session.Model) string {
		var s []string
		for _, c := range m.Controls() {
			if c.Level != 1 || c.Enabled && !c.Visible {
				t.Errorf("control %+v", c)
			}
			word := fmt.Sprintf("%s %s [%s]%s", c.Reference, c.Type, c.Value, c.Placement)
			switch {
			case !c.Visible:
				word = "(" + word + ")"
			case !c.Enabled:
				word += "-"
			}
			s = append(s, word)
		}
		return strings.Join(s, ", ")
	}
	none := session.DeviceReport{}
	for _, tc := range []struct {
		name string
		k    *kiosk
		want string
	}{
		{"none", newKiosk(t), ""},
		{"active", active(t), "(start-call Button [Start call]), end-call Link [End call]~, report-issue Link [Report issue]~, spacer Spacer []~-, swap-camera Link [Swap camera]~, disable-video Link [Disable video]~, mute Link [Mute]~, chat Link [Chat]~"},
		{"all off", active(t).do(session.Mute{}, session.DisableVideo{}), "(start-call Button [Start call]), end-call Link [End call]~, report-issue Link [Report issue]~, spacer Spacer []~-, swap-camera Link [Swap camera]~, disable-video Link [Enable video]~, mute Link [Unmute]~, chat Link [Chat]~"},
		{"all off, no device", active(t).do(session.Mute{}, session.DisableVideo{}, none), "(start-call Button [Start call]), end-call Link [End call]~, report-issue Link [Report issue]~, spacer Spacer []~-, (swap-camera Link [Swap camera]~), disable-video Link [Enable video]~-, mute Link [Unmute]~-, chat Link [Chat]~"},
		{"no room", loading(t), "(start-call Button [Start call]), end-call Link [End call]~, (report-issue Link [Report issue]~), spacer Spacer []~-, swap-camera Link [Swap camera]~, disable-video Link [Disable video]~, mute Link [Mute]~, (chat Link [Chat]~)"},
		{"ended", active(t).do(session.EndCall{}), "(start-call Button [Start call]), (end-call Link [End call]~), (report-issue Link [Report issue]~), (spacer Spacer []~), (swap-camera Link [Swap camera]~), (disable-video Link [Disable video]~), (mute Link [Mute]~), (chat Link [Chat]~)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := show(tc.k.m); got != tc.want {
				t.Errorf("controls\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestNarrows(t *testing.T) {
	on := active(t).m
	off := active(t).do(session.Mute{}, session.DisableVideo{}).m
	for _, tc := range []struct {
		name string
		m    session.Model
		what session.What
		want bool
	}{
		{"mute", on, session.Mute{}, true},
		{"unmute", off, session.Mute{}, false},
		{"set mute", off, session.Mute{Set: yes()}, true},
		{"video off", on, session.DisableVideo{}, true},
		{"video on", off, session.DisableVideo{}, false},
		{"end", on, session.EndCall{}, true},
		{"consent withdrawn", on, session.Permissions{Camera: session.Denied, Microphone: session.Granted}, true},
		{"consent", on, session.Permissions{Camera: session.Granted, Microphone: session.Granted}, false},
		{"open", on, open(), false},
		{"swap", on, session.SwapCamera{}, false},
	} {
		if got := session.Narrows(tc.m, tc.what); got != tc.want {
			t.Errorf("%s: narrows is %t", tc.name, got)
		}
	}
}

// TestNamesAreDistinct: logs and the journal tell events and effects apart by name.
func TestNamesAreDistinct(t *testing.T) {
	names := map[string]reflect.Type{}
	see := func(name string, v any) {
		if old, ok := names[name]; ok && old != reflect.TypeOf(v) || name == "" {
			t.Errorf("%T and %v are both called %q", v, old, name)
		}
		names[name] = reflect.TypeOf(v)
	}
	for _, c := range columns() {
		w := c.what(1)
		see(w.Name(), w)
	}
	for _, e := range []session.Effect{
		session.CheckDevices{},
		session.LoadRoom{},
		session.CancelLoad{},
		session.JoinRoom{},
		session.LeaveRoom{},
		session.OpenCamera{},
		session.CloseCamera{},
		session.OpenMicrophone{},
		session.CloseMicrophone{},
		session.SetMuted{},
		session.SetVideoOff{},
		session.SetOutbox{},
		session.AckMessage{},
		session.RefreshScreen{},
		session.SendReports{},
	} {
		see(e.Name(), e)
	}
	if len(names) != 32+15 {
		t.Errorf("%d names; is an event missing in the golden table?", len(names))
	}
}

func TestTimer(t *testing.T) {
	k := alone(t).after(time.Minute)
	if got := k.m.TimerSeconds(k.now); got != 0 {
		t.Errorf("timer %d before active", got)
	}
	k.do(peer(1), media(1))
	if got := k.m.TimerSeconds(k.now.Add(1999 * time.Millisecond)); got != 1 {
		t.Errorf("timer %d, want 1", got)
	}
	if got := k.m.TimerSeconds(k.now.Add(-time.Hour)); got != 0 {
		t.Errorf("timer %d with a clock that went back", got)
	}
}

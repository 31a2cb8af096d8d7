package session_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/session"
)

// shown lists the controls that can be pressed.
func shown(m session.Model) string {
	var list []string
	for _, c := range m.Controls() {
		if c.Enabled {
			list = append(list, c.Reference)
		}
	}
	return strings.Join(list, " ")
}

func TestPatch(t *testing.T) {
	const all = "end-call report-issue swap-camera disable-video mute chat"
	patched := func(number int, p session.Patch) session.What { return session.ScreenPatched{Number: number, Patch: p} }
	t.Run("takes away and gives back", func(t *testing.T) {
		k := refreshed(t)
		if got := shown(k.m); got != all {
			t.Fatalf("controls %s", got)
		}
		k.after(10 * time.Second).wantEffects("refresh-screen(1)").do(patched(1, patch())).want("active")
		if got := shown(k.m); got != "end-call report-issue disable-video mute" {
			t.Errorf("controls %s", got)
		}
		k.do(session.Chat{}).refused(session.CodeChatUnsupported)
		k.do(say("m1")).refused(session.CodeChatUnsupported)
		k.do(session.SwapCamera{}).want("active", "camera=unsupported").refused(session.CodeCameraUnsupported)
		back := session.Patch{Timeout: time.Minute, Controls: map[string]session.ControlPatch{"chat": {Enabled: yes()}, "swap-camera": {Visible: yes()}}}
		k.after(10 * time.Second).wantEffects("refresh-screen(2)").do(patched(2, back))
		if got := shown(k.m); got != all {
			t.Errorf("controls %s", got)
		}
	})
	t.Run("gives nothing that the kiosk has not", func(t *testing.T) {
		bare := room()
		bare.Chat, bare.ReportIssue = false, false
		give := session.Patch{Controls: map[string]session.ControlPatch{
			"chat": {Visible: yes(), Enabled: yes()}, "report-issue": {Visible: yes()}, "swap-camera": {Visible: yes()}, "start-call": {Visible: yes(), Enabled: yes()},
		}}
		k := newKiosk(t).do(up(), open(), session.DeviceReport{}, session.RoomLoaded{Attempt: 1, Room: bare, Patch: give})
		if got := shown(k.m); got != "end-call disable-video mute" {
			t.Errorf("controls %s", got)
		}
	})
	t.Run("title and address", func(t *testing.T) {
		title := session.PatientText(strings.Repeat("t", 600))
		k := refreshed(t).after(10 * time.Second).do(patched(1, session.Patch{Title: &title, Timeout: time.Second}))
		if len(k.m.Title) != 512 || k.m.Screen.Update != canaryToken+"/update" {
			t.Errorf("title of %d bytes, address %q", len(k.m.Title), k.m.Screen.Update.Plain())
		}
		k.after(time.Second).wantEffects("refresh-screen(2)").do(patched(2, session.Patch{Update: "next", Timeout: time.Second}))
		k.after(time.Second)
		if p := session.Plan(k.m).Refresh; p == nil || p.URL != "next" || p.Camera != session.Granted || p.Microphone != session.Granted {
			t.Errorf("the next refresh is %v", p)
		}
		k.do(patched(3, session.Patch{Update: session.PatientText(strings.Repeat("u", 2049))}))
		if k.m.Screen.Update != "next" {
			t.Error("an address over the bound was taken")
		}
	})
	t.Run("a new room is a new screen", func(t *testing.T) {
		k := refreshed(t).after(10*time.Second).do(patched(1, patch()), session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused}, loaded(2))
		if got := shown(k.m); got != all || !k.m.Screen.RefreshAt.IsZero() {
			t.Errorf("controls %s, refresh at %v", got, k.m.Screen.RefreshAt)
		}
	})
}

func TestRefreshTimes(t *testing.T) {
	for _, tc := range []struct{ timeout, want time.Duration }{
		{0, 0}, {-time.Second, 0}, {time.Millisecond, time.Second}, {90 * time.Second, 90 * time.Second}, {48 * time.Hour, 24 * time.Hour},
	} {
		k := loading(t).do(session.RoomLoaded{Attempt: 1, Room: room(), Patch: session.Patch{Update: "u", Timeout: tc.timeout}})
		want := time.Time{}
		if tc.want > 0 {
			want = start.Add(tc.want)
		}
		if got := k.m.Screen.RefreshAt; !got.Equal(want) {
			t.Errorf("timeout %v: refresh at %v, want %v", tc.timeout, got, want)
		}
	}
	k := loading(t).do(session.RoomLoaded{Attempt: 1, Room: room(), Patch: session.Patch{Timeout: time.Second}})
	if !k.m.Screen.RefreshAt.IsZero() {
		t.Error("a refresh without an address is planned")
	}
}

func TestRefresh(t *testing.T) {
	failed := func(n int, code string, retryable bool) session.What {
		return session.RefreshFailed{Number: n, Code: code, Retryable: retryable}
	}
	t.Run("once at a time", func(t *testing.T) {
		k := refreshed(t)
		if wake := session.Plan(k.m).Wake; !wake.Equal(start.Add(10 * time.Second)) {
			t.Errorf("it wakes at %v", wake)
		}
		k.after(9 * time.Second).wantEffects().after(time.Second).wantEffects("refresh-screen(1)")
		k.after(time.Minute).wantEffects()
		k.do(failed(7, "", true)).do(session.ScreenPatched{Number: 7, Patch: session.Patch{Timeout: time.Second}}).after(time.Minute).wantEffects() // of others
		k.do(session.ScreenPatched{Number: 1}).after(time.Hour).want("timeout", "state=timeout")
	})
	t.Run("tried again, seldom at last", func(t *testing.T) {
		long := session.Limits{Session: 10 * time.Hour}
		k := loading(t).do(session.RoomLoaded{Attempt: 1, Room: room(), Limits: long, Patch: session.Patch{Update: "u", Timeout: time.Second}},
			joined(1), peer(1), media(1)).after(time.Second).wantEffects("refresh-screen(1)")
		pause := 500 * time.Millisecond
		for n := 1; n < 14; n++ {
			k.do(failed(n, "backend_unavailable", true)).want("active").after(pause - time.Millisecond).wantEffects()
			k.after(time.Millisecond).want("active")
			if len(k.effects) != 1 || session.Plan(k.m).Refresh.Number != n+1 {
				t.Fatalf("after %v: %s", pause, effectWords(k.effects))
			}
			pause = min(2*pause, 5*time.Minute)
		}
	})
	t.Run("not to be tried again", func(t *testing.T) {
		k := refreshed(t).after(10 * time.Second).do(failed(1, "odd", false)).want("active").after(10 * time.Minute).wantEffects()
		if k.m.Unauthorized {
			t.Error("it says unauthorized")
		}
	})
	t.Run("unauthorized: the call goes on", func(t *testing.T) {
		k := refreshed(t).after(10 * time.Second).do(failed(1, session.CodeUnauthorized, true)).want("active").wantEffects()
		if !k.m.Unauthorized || session.Plan(k.m).Join == nil {
			t.Error("no condition, or the room is left")
		}
		k.after(10 * time.Minute).want("active").wantEffects()
		k.do(session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused}, loaded(2))
		if k.m.Unauthorized {
			t.Error("a room that is loaded does not take it back")
		}
	})
	t.Run("waits for the network", func(t *testing.T) {
		k := refreshed(t).do(down()).after(20 * time.Second).want("reconnecting").wantEffects()
		if wake := session.Plan(k.m).Wake; !wake.After(k.now) {
			t.Errorf("it wakes at %v, in the past", wake)
		}
		k.do(up()).want("active", "state=active").wantEffects("refresh-screen(1)")
	})
	t.Run("a restart asks again", func(t *testing.T) {
		k := refreshed(t).after(10 * time.Second).wantEffects("refresh-screen(1)")
		b, err := k.m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if k.m, err = session.Decode(b); err != nil {
			t.Fatal(err)
		}
		k.do(session.Restarted{}).do(up())
		if !slices.Contains(k.effects, session.Effect(session.RefreshScreen{Params: *session.Plan(k.m).Refresh})) {
			t.Errorf("effects %s", effectWords(k.effects))
		}
	})
	t.Run("a late result of a session that is over", func(t *testing.T) {
		k := refreshed(t).after(10*time.Second).do(session.EndCall{}, session.ScreenPatched{Number: 1, Patch: patch()}).want("ended")
		if k.m.Title != "" || k.m.Screen.Update != "" {
			t.Error("a finished session took a title")
		}
		k.do(open(), devices(), session.ScreenPatched{Number: 1, Patch: patch()})
		if k.m.Title != "" {
			t.Error("the next session took it")
		}
	})
}

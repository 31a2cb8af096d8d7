package session_test

import (
	"testing"
	"time"

	"kioskd/daemon/session"
)

// TestDesignTable plays each row of "what happens, what follows".
func TestDesignTable(t *testing.T) {
	asks := open()
	asks.AskConsent = true
	answer := func(a session.Answer) session.What { return session.Permissions{Camera: a, Microphone: a} }
	cameras := func(ids ...string) session.What {
		d := session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: ids}
		if len(ids) == 0 {
			d.Camera = session.DeviceMissing
		}
		return d
	}
	again := func(t *testing.T, k *kiosk, away time.Duration) *kiosk {
		t.Helper()
		b, err := k.m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		m, err := session.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		return (&kiosk{t: t, m: m, now: k.now.Add(away)}).do(session.Restarted{})
	}
	for row, play := range map[string]func(t *testing.T){
		"consent dismissed, then granted": func(t *testing.T) {
			k := newKiosk(t).do(up(), asks, answer(session.Dismissed)).want("waiting_permissions").wantEffects()
			k.do(answer(session.Granted), devices(), loaded(1)).want("waiting/joining", "session=started")
			k.do(joined(1), peer(1), media(1)).want("active", "state=active")
			denied := newKiosk(t).do(up(), asks, answer(session.Denied)).want("error:camera_permission_required", "error=camera_permission_required")
			if !denied.m.Error.Retryable || !denied.m.Running() {
				t.Error("the denial is final")
			}
			denied.do(answer(session.Granted)).want("waiting/loading", "state=waiting")
		},
		"clinician leaves, comes back": func(t *testing.T) {
			k := active(t).after(5*time.Minute).do(left(1, session.Bye)).want("waiting/participant", "state=waiting")
			if w, s := k.m.WaitDeadline(), k.m.SessionDeadline(); !w.Equal(k.now.Add(15*time.Minute)) || !s.Equal(start.Add(30*time.Minute)) {
				t.Errorf("waits until %v, lasts until %v", w, s)
			}
			k.do(peer(1), media(1)).want("active", "state=active") // no second started
			k.do(left(1, session.Lost)).want("reconnecting", "state=reconnecting")
		},
		"no network at open": func(t *testing.T) {
			k := newKiosk(t).do(down(), open(), devices()).want("error:network_unavailable", "error=network_unavailable").wantEffects()
			k.do(up()).want("waiting/loading", "state=waiting")
			if session.Plan(k.m).Load == nil {
				t.Error("the link does not retry it")
			}
		},
		"network gone past reconnect_seconds": func(t *testing.T) {
			k := active(t).do(down()).want("reconnecting", "state=reconnecting")
			k.after(2*time.Minute).want("error:network_unavailable", "error=network_unavailable")
			k.after(28*time.Minute).want("timeout", "state=timeout")
		},
		"backend 401 in a call": func(t *testing.T) {
			k := refreshed(t).after(10 * time.Second).do(session.RefreshFailed{Number: 1, Code: session.CodeUnauthorized}).want("active").wantEffects()
			if !k.m.Unauthorized {
				t.Error("no condition")
			}
			k = active(t).do(session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused, Retryable: true}).want("reconnecting", "state=reconnecting")
			for n := 2; n < 6; n++ { // no loop: once in 30 s
				k.do(failedAt(n, false)).want("reconnecting").after(30*time.Second - time.Millisecond).wantEffects()
				if !k.m.Unauthorized {
					t.Error("no condition")
				}
				k.after(time.Millisecond)
				if n == 5 {
					break
				}
				k.want("reconnecting").wantEffects("load-room(" + string(rune('1'+n)) + ")")
			}
			k.want("error:unauthorized!", "error=unauthorized")
			// The token is put right in between: all is well.
			k = active(t).do(session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused}, failedAt(2, false)).after(30 * time.Second)
			k.do(loaded(3), joined(3), peer(3), media(3)).want("active", "state=active")
			if k.m.Unauthorized {
				t.Error("the condition stays")
			}
			// The network goes too: that is what is told, and it is retryable.
			k = active(t).do(session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused}, failedAt(2, false), down())
			k.after(2*time.Minute).want("error:network_unavailable", "error=network_unavailable")
		},
		"backend 401 at open": func(t *testing.T) {
			loading(t).do(failedAt(1, false)).want("error:unauthorized!", "error=unauthorized")
			alone(t).do(session.JoinFailed{Attempt: 1, Code: session.CodeTokenRefused}, failedAt(2, false)).want("error:unauthorized!", "error=unauthorized")
		},
		"backend's screen without a room": func(t *testing.T) {
			k := loading(t).do(session.RoomFailed{Attempt: 1, Code: session.CodeRoom, Title: canaryTitle}).want("error:room_unavailable!", "error=room_unavailable")
			if k.m.Error.Title != canaryTitle {
				t.Error("its title is not shown")
			}
		},
		"camera unplugged while video is off": func(t *testing.T) {
			k := active(t).do(cameras("face"), session.DisableVideo{}, cameras()).want("active").wantEffects()
			k.do(session.DisableVideo{}).want("active").refused(session.CodeCameraMissing).wantEffects()
			k.do(session.DisableVideo{Set: no()}).refused(session.CodeCameraMissing)
			k.do(cameras("face")).want("active").wantEffects() // a plug does not turn it on
			if !k.m.VideoOff {
				t.Error("the video is on")
			}
			k.do(session.DisableVideo{}).want("active", "video=updated").wantEffects("set-video-off(false)", "open-camera(face)")
		},
		"camera unplugged in a call": func(t *testing.T) {
			k := active(t).do(cameras()).want("active", "camera=unsupported").wantEffects() // it stays wanted: slate, then live
			k.do(devices()).want("active").wantEffects()
			if w := session.Plan(k.m); !w.Camera || w.CameraID != "face" {
				t.Errorf("wanted is %t, %s", w.Camera, w.CameraID)
			}
		},
		"swap with fewer than two usable cameras": func(t *testing.T) {
			k := active(t).do(cameras("face")).want("active", "camera=unsupported")
			k.do(session.SwapCamera{}).want("active", "camera=unsupported").refused(session.CodeCameraUnsupported).wantEffects()
			if k.m.Camera.ID != "face" {
				t.Errorf("selected is %s", k.m.Camera.ID)
			}
			k.do(devices()).want("active").do(session.SwapCamera{}).want("active", "camera=updated").refused("").wantEffects("open-camera(document)")
		},
		"page reload": func(t *testing.T) {
			k := active(t).do(session.Chat{}).want("active", "chat=opened")
			k.do(session.Chat{}).want("active", "chat=opened").wantEffects() // the new page opens it again
		},
		"kill -9": func(t *testing.T) {
			k := active(t).do(session.Mute{}, session.DisableVideo{}, session.SwapCamera{}, say("m1"))
			k = again(t, k, 5*time.Second).want("reconnecting", "state=reconnecting").do(up(), devices())
			m := k.m
			if m.Appointment != canaryID || m.Peer != "peer-1" || !m.Muted || !m.VideoOff || m.Camera.ID != "document" || len(m.Messages) != 1 {
				t.Errorf("not as it was acknowledged: %v", m)
			}
			k.do(joined(2), peer(2), media(2)).want("active", "state=active")
			short := room()
			short.Expires = start.Add(time.Minute)
			k = loading(t).do(session.RoomLoaded{Attempt: 1, Room: short}, joined(1), peer(1), media(1))
			again(t, k, 2*time.Minute).do(up()).wantEffects("load-room(2)") // an expired token
			k = again(t, alone(t).after(10*time.Minute), time.Minute).want("waiting/joining")
			if got := k.m.WaitDeadline(); !got.Equal(start.Add(15 * time.Minute)) {
				t.Errorf("the wait limit was restarted: %v", got)
			}
			k = again(t, active(t), 30*time.Minute).want("timeout", "state=timeout").wantEffects()
			if k.m.Appointment != "" || k.m.Room != nil {
				t.Error("traces are left")
			}
		},
		"SIGTERM, upgrade": func(t *testing.T) {
			k := active(t).do(session.Shutdown{}).want("active").wantEffects("close-camera", "close-microphone", "leave-room(away)")
			again(t, k, time.Second).want("reconnecting", "state=reconnecting")
		},
		"end call while reconnecting": func(t *testing.T) {
			active(t).do(left(1, session.Lost), session.EndCall{}).want("ended", "state=ended").
				wantEffects("close-camera", "close-microphone", "leave-room(bye)")
			active(t).do(session.JoinFailed{Attempt: 1, Retryable: true}, session.EndCall{}).want("ended", "state=ended")
		},
		"second open, another appointment": func(t *testing.T) {
			k := active(t).do(session.Open{Appointment: "other", Peer: "p"}).want("active").refused(session.CodeSessionInProgress).wantEffects()
			k.do(open()).want("active").refused("").wantEffects()
		},
		"limit reached while reconnecting": func(t *testing.T) {
			k := active(t).after(28*time.Minute).do(down()).want("reconnecting", "state=reconnecting")
			k.after(2*time.Minute).want("timeout", "state=timeout") // both at the same moment
		},
		"hardware only takes away": func(t *testing.T) {
			closed := session.DeviceReport{Camera: session.DeviceShuttered, Microphone: session.DeviceShuttered}
			k := active(t).do(session.Mute{}, session.DisableVideo{}, closed).want("active", "camera=unsupported").wantEffects()
			k.do(devices()).want("active").wantEffects()
			if w := session.Plan(k.m); !w.Muted || !w.VideoOff || w.Camera {
				t.Errorf("a shutter that opens turned something on: muted %t, video off %t, camera %t", w.Muted, w.VideoOff, w.Camera)
			}
			active(t).do(closed).want("active", "camera=unsupported").wantEffects().do(devices()).want("active").wantEffects()
		},
	} {
		t.Run(row, play)
	}
}

package session_test

import (
	"testing"
	"time"

	"kioskd/daemon/session"
)

func TestOneCall(t *testing.T) {
	k := newKiosk(t).do(up())
	k.do(open()).want("waiting/loading", "state=waiting").wantEffects("check-devices(1)")
	k.do(devices()).want("waiting/loading").wantEffects("set-muted(false)", "load-room(1)", "open-microphone", "open-camera(face)")
	k.do(loaded(1)).want("waiting/joining", "session=started").wantEffects("set-muted(false)", "set-video-off(false)", "set-outbox(0)", "join-room(1)")
	k.do(joined(1)).want("waiting/participant").wantEffects()
	k.do(peer(1)).want("waiting/participant").wantEffects()
	k.do(media(1)).want("active", "state=active").wantEffects()
	k.do(session.Mute{}).want("active", "audio=updated").wantEffects("set-muted(true)")
	k.do(session.Mute{Set: yes()}).want("active").wantEffects()
	k.do(session.DisableVideo{}).want("active", "video=updated").wantEffects("close-camera", "set-video-off(true)")
	k.do(session.DisableVideo{Set: no()}).want("active", "video=updated").wantEffects("set-video-off(false)", "open-camera(face)")
	k.do(session.SwapCamera{}).want("active", "camera=updated").wantEffects("open-camera(document)")
	k.do(session.Chat{}).want("active", "chat=opened").do(session.Chat{}).want("active", "chat=opened")
	k.do(session.ReportIssue{}).want("active").refused("")
	k.do(session.EndCall{}).want("ended", "state=ended").wantEffects("close-camera", "close-microphone", "leave-room(bye)")
	k.after(session.ForgetAfter).want("none").wantEffects()
}

func TestConsent(t *testing.T) {
	asks := open()
	asks.AskConsent = true
	answer := func(camera, microphone session.Answer) session.What {
		return session.Permissions{Camera: camera, Microphone: microphone}
	}
	granted := answer(session.Granted, session.Granted)

	k := newKiosk(t).do(up())
	k.do(asks).want("waiting_permissions", "state=waiting_permissions").wantEffects()
	k.do(answer(session.Dismissed, session.Dismissed)).want("waiting_permissions").wantEffects()
	k.do(granted).want("waiting/loading", "state=waiting").wantEffects("check-devices(1)")
	k.do(devices(), loaded(1)).want("waiting/joining", "session=started")
	k.do(answer(session.Dismissed, session.Dismissed)).want("waiting/joining") // consent holds
	k.do(joined(1), peer(1), media(1)).want("active", "state=active")
	k.do(answer(session.Denied, session.Granted)).want("error:camera_permission_required", "error=camera_permission_required").
		wantEffects("close-camera", "close-microphone", "leave-room(away)")
	k.do(answer(session.Granted, session.Denied)).want("error:microphone_permission_required", "error=microphone_permission_required")
	k.do(granted).want("reconnecting", "state=reconnecting").
		wantEffects("set-muted(false)", "set-video-off(false)", "set-outbox(0)", "join-room(2)", "open-microphone", "open-camera(face)")
	k.do(answer("", session.Granted)).refused(session.CodeBadAnswer)

	newKiosk(t).do(up(), asks, answer(session.Denied, session.Denied)).
		want("error:camera_permission_required", "error=camera_permission_required")
}

func TestDevicePermission(t *testing.T) {
	for _, tc := range []struct {
		name               string
		camera, microphone session.DeviceState
		cameras            []string
		want               string
		outputs            []string
	}{
		{"all there", session.DeviceOK, session.DeviceOK, []string{"a", "b"}, "waiting/loading", nil},
		{"one camera", session.DeviceOK, session.DeviceOK, []string{"a"}, "waiting/loading", []string{"camera=unsupported"}},
		{"none at all", session.DeviceMissing, session.DeviceMissing, nil, "waiting/loading", []string{"camera=unsupported"}},
		{"unknown is missing", "odd", "odd", nil, "waiting/loading", []string{"camera=unsupported"}},
		{"camera EACCES", session.DeviceNoPermission, session.DeviceNoPermission, nil, "error:camera_permission_required", []string{"error=camera_permission_required"}},
		{"shutter closed", session.DeviceShuttered, session.DeviceOK, nil, "error:camera_permission_required", []string{"error=camera_permission_required"}},
		{"microphone EACCES", session.DeviceOK, session.DeviceNoPermission, []string{"a", "b"}, "error:microphone_permission_required", []string{"error=microphone_permission_required"}},
		{"hardware mute", session.DeviceMissing, session.DeviceShuttered, nil, "error:microphone_permission_required", []string{"error=microphone_permission_required"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			newKiosk(t).do(up(), open(), session.DeviceReport{Camera: tc.camera, Microphone: tc.microphone, Cameras: tc.cameras}).
				want(tc.want, tc.outputs...)
		})
	}
	t.Run("asked again until it is there", func(t *testing.T) {
		closed := session.DeviceReport{Camera: session.DeviceShuttered, Microphone: session.DeviceOK}
		k := newKiosk(t).do(up(), open(), closed)
		k.after(2 * time.Second).want("error:camera_permission_required").wantEffects("check-devices(2)")
		k.do(closed).want("error:camera_permission_required").wantEffects()
		k.do(devices()).want("waiting/loading", "state=waiting").
			wantEffects("set-muted(false)", "load-room(1)", "open-microphone", "open-camera(face)")
	})
	t.Run("looked at after the patient's yes", func(t *testing.T) {
		closed := session.DeviceReport{Camera: session.DeviceShuttered, Microphone: session.DeviceOK}
		k := newKiosk(t).do(up(), session.Open{Appointment: "a", AskConsent: true}, devices()).want("waiting_permissions")
		k.do(session.Permissions{Camera: session.Granted, Microphone: session.Granted}).wantEffects("check-devices(1)")
		k.do(closed).want("error:camera_permission_required", "error=camera_permission_required")
	})
	t.Run("in a call it only takes away", func(t *testing.T) {
		closed := session.DeviceReport{Camera: session.DeviceShuttered, Microphone: session.DeviceShuttered, Cameras: []string{"face", "document"}}
		active(t).do(closed).want("active").wantEffects()
	})
}

func TestNetwork(t *testing.T) {
	t.Run("none at open", func(t *testing.T) {
		k := newKiosk(t).do(down(), open(), devices()).want("error:network_unavailable", "error=network_unavailable").wantEffects()
		k.after(time.Minute).wantEffects() // no PUT
		k.do(up()).want("waiting/loading", "state=waiting").
			wantEffects("set-muted(false)", "load-room(1)", "open-microphone", "open-camera(face)")
	})
	t.Run("not known yet", func(t *testing.T) {
		k := newKiosk(t).do(open(), devices()).want("waiting/loading")
		k.do(up()).wantEffects("load-room(1)")
	})
	t.Run("a blip in a call", func(t *testing.T) {
		k := active(t).do(down()).want("reconnecting", "state=reconnecting").wantEffects()
		k.do(up()).want("active", "state=active").wantEffects() // the media never stopped
	})
	t.Run("while waiting", func(t *testing.T) {
		k := alone(t).after(time.Minute).do(down()).want("reconnecting", "state=reconnecting")
		k.do(up()).want("waiting/participant", "state=waiting")
		if got := k.m.WaitDeadline(); !got.Equal(start.Add(k.m.Limits.Wait)) {
			t.Errorf("wait deadline %v moved", got)
		}
	})
	t.Run("gone for long", func(t *testing.T) {
		k := active(t).do(down()).after(119 * time.Second).want("reconnecting")
		k.after(time.Second).want("error:network_unavailable", "error=network_unavailable").
			wantEffects("close-camera", "close-microphone", "leave-room(away)")
		k.after(time.Minute).do(up()).want("reconnecting", "state=reconnecting").
			wantEffects("set-muted(false)", "set-video-off(false)", "set-outbox(0)", "join-room(2)", "open-microphone", "open-camera(face)")
		k.do(joined(2)).want("reconnecting").do(peer(2)).want("reconnecting")
		k.do(media(2)).want("active", "state=active")
		if got := k.m.TimerSeconds(k.now); got != 180 {
			t.Errorf("timer %d, want 180: it runs through", got)
		}
	})
	t.Run("until the session's limit", func(t *testing.T) {
		k := active(t).do(down()).after(2*time.Minute).want("error:network_unavailable", "error=network_unavailable")
		k.after(28*time.Minute).want("timeout", "state=timeout")
	})
}

func TestPeer(t *testing.T) {
	t.Run("bye", func(t *testing.T) {
		k := active(t).after(10*time.Minute).do(left(1, session.Bye)).want("waiting/participant", "state=waiting")
		if got := k.m.WaitDeadline(); !got.Equal(k.now.Add(k.m.Limits.Wait)) {
			t.Errorf("wait deadline %v, want anew", got)
		}
		if got := k.m.SessionDeadline(); !got.Equal(start.Add(k.m.Limits.Session)) {
			t.Errorf("session deadline %v moved", got)
		}
		k.do(peer(1), media(1)).want("active", "state=active")
	})
	for _, how := range []session.Leaving{session.Lost, session.Away} {
		t.Run(string(how), func(t *testing.T) {
			k := active(t).do(left(1, how)).want("reconnecting", "state=reconnecting")
			k.do(peer(1)).want("reconnecting").do(media(1)).want("active", "state=active")
			k.do(left(1, how)).after(2*time.Minute).want("waiting/participant", "state=waiting")
			if len(k.m.Participants) != 0 {
				t.Error("the lost participant is still listed")
			}
		})
	}
	t.Run("media stops and comes back", func(t *testing.T) {
		lost, back := session.MediaLost{Attempt: 1, Participant: "c1"}, session.MediaBack{Attempt: 1, Participant: "c1"}
		k := active(t).do(lost).want("reconnecting", "state=reconnecting")
		k.do(peer(1)).want("reconnecting") // told twice
		k.do(back).want("active", "state=active")
		k.do(lost).after(2*time.Minute).want("waiting/participant", "state=waiting")
		// The far side slept longer than the reconnection lasts, and was in the room all the time.
		k.do(heard(1, "n1")).wantEffects("ack-message(c1 n1)")
		k.do(back).want("active", "state=active")
		if p := k.m.Participants; len(p) != 1 || p[0].Name != canaryName || !p[0].Live() {
			t.Error("who came back late has lost his name")
		}
		late := func() *kiosk { return active(t).do(lost).after(2 * time.Minute) }
		late().do(media(1)).want("active", "state=active").do(lost).want("reconnecting", "state=reconnecting")
		if k := late().do(left(1, session.Lost)).want("waiting/participant"); len(k.m.Participants) != 0 {
			t.Error("who was given up and left is still listed")
		}
		k = late().do(session.Restarted{}, up(), devices(), session.Joined{Attempt: 2})
		if k.want("waiting/participant"); len(k.m.Participants) != 0 {
			t.Error("a restart waits for who was given up")
		}
		k.do(peer(2), media(2)).want("active", "state=active")
	})
	t.Run("two of them", func(t *testing.T) {
		second := session.MediaArrived{Attempt: 1, Participant: "c2", Kind: session.Video}
		k := active(t).do(second).want("active")
		k.do(left(1, session.Lost)).want("active")
		if len(k.m.Participants) != 1 || k.m.Participants[0].ID != "c2" {
			t.Errorf("%d participants, want c2 alone", len(k.m.Participants))
		}
	})
	t.Run("another one after a loss", func(t *testing.T) {
		k := active(t).do(left(1, session.Lost))
		k.do(session.PeerJoined{Attempt: 1, Participant: session.Participant{ID: "c2"}}).want("reconnecting")
		k.do(session.MediaArrived{Attempt: 1, Participant: "c2", Kind: session.Video}).want("active", "state=active")
		k.do(session.PeerLeft{Attempt: 1, Participant: "c2", How: session.Bye}).want("waiting/participant", "state=waiting")
	})
	t.Run("left before any media", func(t *testing.T) {
		alone(t).do(peer(1), left(1, session.Lost)).want("waiting/participant")
	})
	t.Run("a hostile room", func(t *testing.T) {
		k := alone(t)
		long := make([]byte, 4096)
		for i := range 100 {
			id := string(rune('a'+i%26)) + string(rune('a'+i/26))
			k.do(session.PeerJoined{Attempt: 1, Participant: session.Participant{ID: id, Name: session.PatientText(long), Role: string(long)}})
		}
		k.do(session.PeerJoined{Attempt: 1}, session.PeerJoined{Attempt: 1, Participant: session.Participant{ID: string(long)}})
		if b, err := k.m.Encode(); err != nil || len(k.m.Participants) != session.MaxParticipants || len(b) > 32<<10 {
			t.Errorf("%d participants, %d bytes, %v", len(k.m.Participants), len(b), err)
		}
	})
	t.Run("events of another attempt", func(t *testing.T) {
		alone(t).do(peer(0), media(0), joined(9), session.JoinFailed{Attempt: 9}, loaded(9)).want("waiting/participant")
	})
}

func TestRoom(t *testing.T) {
	failed := func(attempt int, code string, retryable bool) session.What {
		return session.RoomFailed{Attempt: attempt, Code: code, Retryable: retryable, Title: canaryTitle}
	}
	t.Run("final failure of the PUT", func(t *testing.T) {
		k := loading(t).do(failed(1, "unauthorized", false)).want("error:unauthorized!", "error=unauthorized").
			wantEffects("close-camera", "close-microphone", "cancel-load")
		if k.m.Error.Title != canaryTitle {
			t.Error("the backend's own words are lost")
		}
	})
	t.Run("the PUT is tried again", func(t *testing.T) {
		k := loading(t).do(failed(1, "", true)).want("error:backend_unavailable", "error=backend_unavailable")
		pause := 500 * time.Millisecond
		for n := 2; n < 10; n++ {
			k.after(pause - time.Millisecond).wantEffects().after(time.Millisecond).
				want("error:backend_unavailable").wantEffects("load-room(" + string(rune('0'+n)) + ")")
			k.do(failed(n, "", true)).want("error:backend_unavailable")
			pause = min(2*pause, 30*time.Second)
		}
		k.do(down()).want("error:network_unavailable", "error=network_unavailable")
		k.do(up()).want("waiting/loading", "state=waiting").wantEffects("set-muted(false)", "load-room(10)", "open-microphone", "open-camera(face)")
		k.do(loaded(10)).want("waiting/joining", "session=started")
	})
	t.Run("joining fails", func(t *testing.T) {
		k := joining(t).do(session.JoinFailed{Attempt: 1, Retryable: true}).
			want("error:room_unavailable", "error=room_unavailable").
			wantEffects("close-camera", "close-microphone", "leave-room(away)")
		k.after(500*time.Millisecond).wantEffects("set-muted(false)", "set-video-off(false)", "set-outbox(0)", "join-room(2)")
		k.do(joined(2)).want("waiting/participant", "state=waiting")
		joining(t).do(session.JoinFailed{Attempt: 1, Code: "room_full"}).want("error:room_full!", "error=room_full")
	})
	t.Run("a refused token is fetched anew", func(t *testing.T) {
		refused := func(n int) session.What {
			return session.JoinFailed{Attempt: n, Code: session.CodeTokenRefused, Retryable: true}
		}
		k := joining(t).do(refused(1)).want("waiting/loading").wantEffects("leave-room(away)", "load-room(2)")
		k.do(loaded(2)).want("waiting/joining").do(refused(2)).want("waiting/loading").wantEffects("leave-room(away)")
		k.after(time.Second).wantEffects("load-room(3)")
	})
	t.Run("an expired token is fetched anew", func(t *testing.T) {
		short := room()
		short.Expires = start.Add(time.Minute)
		k := loading(t).do(session.RoomLoaded{Attempt: 1, Room: short}, joined(1), peer(1), media(1)).want("active", "state=active")
		k.after(2*time.Minute).do(session.JoinFailed{Attempt: 1, Retryable: true}).want("reconnecting", "state=reconnecting")
		k.after(500 * time.Millisecond).want("reconnecting").wantEffects("load-room(2)")
		k.do(failed(2, "backend_unavailable", true)).want("reconnecting").after(time.Second).wantEffects("load-room(3)")
	})
	t.Run("lost and back", func(t *testing.T) {
		lost, back := session.RoomLost{Attempt: 1}, session.RoomBack{Attempt: 1}
		active(t).do(lost).want("active") // media goes on without the signalling
		k := alone(t).do(lost).want("reconnecting", "state=reconnecting").do(back).want("waiting/participant", "state=waiting")
		k.do(lost).after(2*time.Minute).want("error:network_unavailable", "error=network_unavailable")
		k.do(back).want("waiting/participant", "state=waiting")
	})
}

func TestLimits(t *testing.T) {
	t.Run("nobody comes", func(t *testing.T) {
		k := alone(t).after(15*time.Minute - time.Second).want("waiting/participant")
		k.after(time.Second).want("timeout", "state=timeout").wantEffects("close-camera", "close-microphone", "leave-room(bye)")
	})
	t.Run("the session's time", func(t *testing.T) {
		k := alone(t).after(10*time.Minute).do(peer(1), media(1)).after(30*time.Minute - time.Second).want("active")
		k.after(time.Second).want("timeout", "state=timeout")
		if got := k.m.TimerSeconds(k.now.Add(time.Hour)); got != 1800 {
			t.Errorf("timer %d, want 1800", got)
		}
	})
	t.Run("timeout wins over what comes with it", func(t *testing.T) {
		k := active(t).do(session.MediaLost{Attempt: 1, Participant: "c1"})
		k.now = start.Add(30 * time.Minute)
		k.do(session.MediaBack{Attempt: 1, Participant: "c1"}).want("timeout", "state=timeout")
	})
	t.Run("timeout, then the next appointment, in one event", func(t *testing.T) {
		k := active(t)
		k.now = start.Add(30 * time.Minute)
		next := session.Open{Appointment: "other", Peer: "peer-2"}
		k.do(next).want("waiting/loading", "state=timeout", "state=waiting").
			wantEffects("close-camera", "close-microphone", "leave-room(bye)", "check-devices(2)")
	})
	t.Run("the backend's limits", func(t *testing.T) {
		k := loading(t).do(session.RoomLoaded{Attempt: 1, Room: room(), Limits: session.Limits{Session: time.Minute, Wait: 1000 * time.Hour}})
		if want := (session.Limits{Session: time.Minute, Wait: session.MaxLimit, Reconnect: 2 * time.Minute}); k.m.Limits != want {
			t.Errorf("limits %v, want %v", k.m.Limits, want)
		}
	})
	t.Run("every question has an end", func(t *testing.T) {
		asks := open()
		asks.AskConsent = true
		newKiosk(t).do(asks).after(30*time.Minute).want("timeout", "state=timeout")
	})
}

func TestOpenTwice(t *testing.T) {
	k := active(t).do(open()).want("active").refused("").wantEffects()
	k.do(session.Open{Appointment: "other", Peer: "p"}).want("active").refused(session.CodeSessionInProgress)
	k.do(session.EndCall{}, session.Open{Appointment: "other", Peer: "p"}).want("waiting/loading", "state=waiting").refused("")
	for _, id := range []session.PatientText{"", ".", "..", "a/b", "a b", "ä", session.PatientText(make([]byte, 129))} {
		newKiosk(t).do(session.Open{Appointment: id}).want("none").refused(session.CodeBadAppointment)
	}
}

func TestCommandsWithoutDevices(t *testing.T) {
	none := session.DeviceReport{Camera: session.DeviceMissing, Microphone: session.DeviceMissing}
	k := active(t).do(session.DisableVideo{}, session.Mute{}, none).want("active", "camera=unsupported").wantEffects()
	k.do(session.DisableVideo{Set: no()}).refused(session.CodeCameraMissing).wantEffects()
	k.do(session.Mute{Set: no()}).refused(session.CodeMicrophoneMissing).wantEffects()
	k.do(session.SwapCamera{}).want("active", "camera=unsupported").refused(session.CodeCameraUnsupported)
	k.do(devices()).want("active").wantEffects() // a plug turns nothing on
	k.do(session.SwapCamera{Camera: "gone"}).refused(session.CodeCameraUnknown)
	k.do(session.SwapCamera{Camera: "document"}).want("active", "camera=updated").wantEffects()
	other := session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: []string{"face"}}
	k.do(other, session.DisableVideo{Set: no()}).want("active", "video=updated", "camera=updated").
		wantEffects("set-video-off(false)", "open-camera(face)")
	bare := loading(t).do(session.Chat{}).refused(session.CodeChatUnsupported)
	bare.do(session.ReportIssue{}).refused(session.CodeIssueUnsupported)
}

func TestNoCameraThenOne(t *testing.T) {
	k := newKiosk(t).do(up(), open(), session.DeviceReport{})
	k.want("waiting/loading", "camera=unsupported").wantEffects("set-muted(false)", "load-room(1)", "open-microphone", "open-camera()")
	k.do(devices()).want("waiting/loading").wantEffects("open-camera(face)")
}

func TestStepWithoutContent(t *testing.T) {
	k := active(t)
	before := k.m.Clone()
	if _, _, _, err := session.Step(k.m, session.Event{At: k.now}); err == nil || before.State != k.m.State {
		t.Error("an event without a content was taken")
	}
}

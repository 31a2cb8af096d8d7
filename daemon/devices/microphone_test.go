package devices

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/capture/microphone"
	"kioskd/configs"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

func TestMicrophoneStates(t *testing.T) {
	for _, c := range []struct {
		err     error
		session session.DeviceState
		listed  string
		present bool
	}{
		{nil, session.DeviceOK, "ok", true},
		{microphone.ErrBusy, session.DeviceOK, "busy", true},
		{microphone.ErrPermission, session.DeviceNoPermission, "no_permission", true},
		{microphone.ErrNoDevice, session.DeviceMissing, "missing", false},
		{microphone.ErrStalled, session.DeviceMissing, "hung", true},
		{errSlow, session.DeviceMissing, "hung", true},
		{errors.New("odd"), session.DeviceMissing, "error", true},
	} {
		k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
		k.heardOf("other")
		k.mic.err = c.err
		if got := k.summary().Microphone; got != c.session {
			t.Errorf("%v: the session hears %s", c.err, got)
		}
		list := k.List()
		if len(list) != 3 || list[0].ID != "other" || list[0].Role != "" || list[0].State != "ok" {
			t.Fatalf("%v: listed as %+v", c.err, list)
		}
		if got := list[1]; got.ID != "mic-mic" || got.Path != "mic" || got.Role != "microphone" || got.State != c.listed || got.Present != c.present {
			t.Errorf("%v: listed as %+v", c.err, got)
		}
		if got := list[2]; got.ID != "out-speaker" || got.Kind != apitype.KindSpeaker || got.Role != "speaker" || got.State != "ok" {
			t.Errorf("the speaker is %+v", got)
		}
		k.kept.Roles = map[string]string{"microphone": "other"}
		if list := k.List(); list[0].Role != "microphone" || list[0].State != c.listed || list[1].Role != "" || list[1].State != "ok" {
			t.Errorf("%v: bound, it is %+v", c.err, list)
		}
	}
	for _, d := range newKiosk(t).List() {
		if d.Kind == apitype.KindMicrophone {
			t.Errorf("a switched-off microphone is listed: %+v", d)
		}
	}
}

// A configured microphone that is a listed one is not there twice.
func TestConfiguredMicrophoneIsListedOnce(t *testing.T) {
	for _, name := range []string{"a", "hw:a"} {
		k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled, cfg.Microphone.Device = true, name })
		k.heardOf("a", "b")
		list := k.List()
		if len(list) != 3 || list[0].ID != "a" || list[0].Role != "microphone" || list[1].Role != "" {
			t.Errorf("%s: listed as %+v", name, list)
		}
		if m, ok := k.wantedMicrophone(); !ok || m.device != "hw:a" {
			t.Errorf("%s: %+v is opened", name, m)
		}
	}
}

// Zeros are told while somebody waits to be heard, and not where the reason is known.
func TestSilentMicrophone(t *testing.T) {
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
	k.mic.keeper = microphone.NewKeeper(microphone.KeeperConfig{})
	silent := func(on bool) { k.heard(func(r *microphoneRun) { r.silent = on }) }
	button := func(on bool) { k.heard(func(r *microphoneRun) { r.shut = on }) }
	for i, c := range []struct {
		do   func()
		want string
		shut bool
	}{
		{func() { silent(true) }, "microphone_silent", false},
		{func() { k.Session(true, true) }, "", false}, // muted: nobody expects sound
		{func() { k.Session(true, false) }, "microphone_silent", false},
		{func() { button(true) }, "microphone_shuttered", true},
		{func() { k.Session(true, true) }, "microphone_shuttered", true},
		{func() { k.Session(true, false) }, "microphone_shuttered", true},
		{func() { button(false) }, "microphone_silent", false},
		{func() { silent(false) }, "", false},
		{func() { silent(true) }, "microphone_silent", false},
		{func() { k.microphoneChanged(microphone.State{Err: microphone.ErrGone}) }, "microphone_missing", false},
		{func() { k.microphoneChanged(microphone.State{}) }, "", false},
	} {
		c.do()
		if got := conditions(k); got != c.want || k.summary().MicrophoneShut != c.shut {
			t.Errorf("step %d: %q, muted by hardware %v; want %q", i, got, k.summary().MicrophoneShut, c.want)
		}
	}
	if got := k.health.List(); len(got) != 0 {
		t.Errorf("left: %+v", got)
	}
	silent(true)
	if got := k.health.List(); len(got) != 1 || got[0].Message != "The clinician can't hear you." {
		t.Errorf("the patient reads %+v", got)
	}
}

// A microphone that is switched off on purpose is no trouble.
func TestNoConditionOfASwitchedOffMicrophone(t *testing.T) {
	k := newKiosk(t)
	for err := range microphoneErrors() {
		if k.microphoneChanged(microphone.State{Err: err}); conditions(k) != "" {
			t.Errorf("%v: the conditions are %q", err, conditions(k))
		}
	}
}

func TestTryOfTheMicrophone(t *testing.T) {
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled, cfg.Microphone.Device = true, "no-such-pcm" })
	if r := k.Report(); r.Microphone != session.DeviceMissing || !errors.Is(k.mic.err, microphone.ErrNoDevice) || conditions(k) != "camera_missing microphone_missing" {
		t.Errorf("got %+v, %v, %q", r, k.mic.err, conditions(k))
	}
	const id = "no-such-pcm-mic"
	k.holds.take(id, bySession)
	k.mic.err = microphone.ErrPermission // what the call knows counts, it is not tried
	if r := k.Report(); r.Microphone != session.DeviceNoPermission {
		t.Errorf("while it is held: %+v", r)
	}
	k.holds.drop(id, bySession)
	k.tries.used = 2 // two other tries hang in the sound system
	if k.tryMicrophone(); !errors.Is(k.mic.err, errSlow) {
		t.Errorf("got %v", k.mic.err)
	}
	k.tries.used = 0
	if k.tryMicrophone(); !errors.Is(k.mic.err, microphone.ErrNoDevice) || k.tries.used != 0 || len(k.holds) != 0 && k.holds[id] != byCheck {
		t.Errorf("got %v, holds %v", k.mic.err, k.holds)
	}
	k.kept.Roles = map[string]string{"microphone": "gone"}
	if k.tryMicrophone(); !errors.Is(k.mic.err, microphone.ErrNoDevice) {
		t.Errorf("a bound one that is gone: %v", k.mic.err)
	}
}

// Two who look at a time both know what the one that tries finds.
func TestTryOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled, cfg.Microphone.Device = true, "no-such-pcm" })
		first := make(chan struct{})
		k.mu.Lock()
		k.holds.take("no-such-pcm-mic", byCheck)
		k.told = first
		k.mu.Unlock()
		second := make(chan struct{})
		go func() {
			defer close(second)
			k.tryMicrophone()
		}()
		synctest.Wait()
		select {
		case <-second:
			t.Error("it did not wait for what the other finds")
		default:
		}
		close(first)
		<-second
	})
}

func TestMissingMicrophoneGivesSilenceAndACondition(t *testing.T) {
	for _, enabled := range []bool{true, false} {
		k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled, cfg.Microphone.Device = enabled, "no-such-pcm" })
		during := ""
		run(t, func(ctx context.Context, put func()) {
			k.RunMicrophone(ctx, func(pcm []int16, _ time.Time) {
				if slices.ContainsFunc(pcm, func(v int16) bool { return v != 0 }) {
					t.Error("silence is not silent")
				}
				during = conditions(k)
				put()
			})
		}, 100)
		want := ""
		if enabled {
			want = "microphone_missing"
		}
		if during != want || conditions(k) != "" || len(k.holds) != 0 {
			t.Errorf("enabled %v: the condition was %q, after the call %q, held %v", enabled, during, conditions(k), k.holds)
		}
	}
}

// A microphone that is bound in a call is used at once.
func TestMicrophoneBoundInACall(t *testing.T) {
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled, cfg.Microphone.Device = true, "no-such-pcm" })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		k.RunMicrophone(ctx, func([]int16, time.Time) {})
	}()
	keeper := func() *microphone.Keeper {
		k.Devices.mu.Lock()
		defer k.Devices.mu.Unlock()
		return k.mic.keeper
	}
	k.eventually("it runs", wait, func() bool { return keeper() != nil && conditions(k) == "microphone_missing" })
	before := keeper()
	if err := k.SetRole("microphone", "no-such-pcm-mic", "somebody"); err != nil {
		t.Fatal(err)
	}
	k.eventually("another one runs", wait, func() bool { return keeper() != nil && keeper() != before })
	cancel()
	<-done
	if keeper() != nil || len(k.holds) != 0 {
		t.Errorf("held %v after the call", k.holds)
	}
}

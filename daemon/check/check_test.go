package check_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/configs/words"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
	"kioskd/daemon/check"
)

// texts is the catalogue of a language.
func texts(t *testing.T, lang string) *words.Catalogue {
	t.Helper()
	c, err := words.Load(lang)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// one runs a single check.
func one(t *testing.T, o check.Options, code string) apitype.Check {
	t.Helper()
	if o.Texts == nil {
		o.Texts = texts(t, "en")
	}
	got, err := check.New(o).Run(t.Context(), apitype.ChecksRequest{Only: code}, "")
	if err != nil || len(got.Checks) != 1 {
		t.Fatalf("%s: got %+v, %v", code, got, err)
	}
	whole(t, got.Checks[0])
	if got.OK != (got.Checks[0].Result != apitype.CheckFail) {
		t.Errorf("%+v is called ok: %v", got.Checks[0], got.OK)
	}
	return got.Checks[0]
}

var hole = regexp.MustCompile(`\{\w+\}|^(check|device)\.`)

// whole tells whether a check can be shown: words without holes, a fault exactly where
// it did not pass, and a command where something has to be mended.
func whole(t *testing.T, c apitype.Check) {
	t.Helper()
	if c.Message == "" || hole.MatchString(c.Message) || hole.MatchString(c.Hint) {
		t.Errorf("%s %s has a hole in its words: %q %q", c.Code, c.Fault, c.Message, c.Hint)
	}
	if (c.Fault == "") != (c.Result == apitype.CheckPass) {
		t.Errorf("%s: result %s with fault %q", c.Code, c.Result, c.Fault)
	}
	if bad := c.Result == apitype.CheckFail || c.Result == apitype.CheckWarn; bad != (c.Command != "") && c.Command != "sudo kioskctl doctor" {
		t.Errorf("%s %s: result %s with command %q", c.Code, c.Fault, c.Result, c.Command)
	}
}

func TestDevices(t *testing.T) {
	camera := func(state string) apitype.Device {
		return apitype.Device{ID: "c", Kind: apitype.KindCamera, Name: "Face", Path: "/dev/video0", State: state}
	}
	mic := func(state string) apitype.Device {
		return apitype.Device{ID: "m", Kind: apitype.KindMicrophone, Name: "Mic", Path: "hw:1", State: state, Role: apitype.RoleMicrophone}
	}
	other := apitype.Device{ID: "d", Kind: apitype.KindCamera, Name: "Document", State: apitype.DeviceOK}
	bound := camera(apitype.DeviceMissing)
	bound.Role = apitype.RoleFace
	for _, tt := range []struct {
		list                         []apitype.Device
		code, result, fault, command string
	}{
		{[]apitype.Device{camera(apitype.DeviceOK)}, "camera", "pass", "", ""},
		{[]apitype.Device{other, bound}, "camera", "fail", "camera_missing", "v4l2-ctl --list-devices"},
		{nil, "camera", "fail", "camera_missing", "v4l2-ctl --list-devices"},
		{[]apitype.Device{camera(apitype.DeviceNoPermission)}, "camera", "fail", "camera_no_permission", "chgrp video /dev/video0 && chmod 660 /dev/video0"},
		{[]apitype.Device{camera(apitype.DeviceBusy)}, "camera", "fail", "camera_busy", "fuser -v /dev/video0"},
		{[]apitype.Device{camera(apitype.DeviceShuttered)}, "camera", "warn", "camera_shuttered", "v4l2-ctl -d /dev/video0 -C privacy"},
		{[]apitype.Device{camera(apitype.DeviceHung)}, "camera", "fail", "camera_hung", "journalctl -u kioskd -n 50"},
		{[]apitype.Device{camera(apitype.DeviceNoBandwidth)}, "camera", "fail", "camera_no_bandwidth", "lsusb -t"},
		{[]apitype.Device{camera(apitype.DeviceError)}, "camera", "fail", "camera_error", "journalctl -u kioskd -n 50"},
		{[]apitype.Device{mic(apitype.DeviceOK)}, "microphone", "pass", "", ""},
		{[]apitype.Device{other}, "microphone", "fail", "microphone_missing", "arecord -l"},
		{[]apitype.Device{mic(apitype.DeviceNoPermission)}, "microphone", "fail", "microphone_no_permission", "usermod -aG audio kioskd && systemctl restart kioskd"},
		{[]apitype.Device{mic(apitype.DeviceBusy)}, "microphone", "fail", "microphone_busy", "fuser -v /dev/snd/*"},
		{[]apitype.Device{mic(apitype.DeviceShuttered)}, "microphone", "warn", "microphone_shuttered", "alsamixer -V capture"},
		{[]apitype.Device{mic(apitype.DeviceHung)}, "microphone", "fail", "microphone_hung", "journalctl -u kioskd -n 50"},
		{[]apitype.Device{mic(apitype.DeviceError)}, "microphone", "fail", "microphone_error", "journalctl -u kioskd -n 50"},
		{nil, "speaker", "warn", "speaker_missing", "aplay -l"},
	} {
		looked := 0
		o := check.Options{Devices: func() []apitype.Device { return tt.list }, Look: func() { looked++ }}
		got := one(t, o, tt.code)
		if got.Result != tt.result || got.Fault != tt.fault || got.Command != tt.command || looked != 1 {
			t.Errorf("%v: got %+v after %d looks", tt.list, got, looked)
		}
	}
}

// A device's path is no command, whatever it is called.
func TestCommandsAreQuoted(t *testing.T) {
	evil := apitype.Device{Kind: apitype.KindCamera, Path: "/dev/x; rm -rf '/'", State: apitype.DeviceBusy}
	got := one(t, check.Options{Devices: func() []apitype.Device { return []apitype.Device{evil} }}, "camera")
	if want := `fuser -v '/dev/x; rm -rf '\''/'\'''`; got.Command != want {
		t.Errorf("the command is %s, want %s", got.Command, want)
	}
	for text, want := range map[string]string{"": "''", "-rf": "'-rf'", "a b": "'a b'", "/dev/video0": "/dev/video0", "$(x)": "'$(x)'", "a\nb": "'a\nb'"} {
		if got := check.Quote(text); got != want {
			t.Errorf("%q is quoted %s, want %s", text, got, want)
		}
	}
}

func TestNetwork(t *testing.T) {
	for _, tt := range []struct {
		up            bool
		err           error
		result, fault string
	}{{true, nil, "pass", ""}, {false, nil, "fail", "network_down"}, {false, errors.New("netlink"), "skip", "network_unknown"}} {
		got := one(t, check.Options{Network: func() (bool, error) { return tt.up, tt.err }}, "network")
		if got.Result != tt.result || got.Fault != tt.fault {
			t.Errorf("up %v, %v: %+v", tt.up, tt.err, got)
		}
	}
}

func TestClock(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for _, tt := range []struct {
		off           time.Duration // of the kiosk's clock
		result, fault string
		skew          float64
	}{
		{0, "pass", "", 0},
		{9 * time.Second, "pass", "", 9},
		{-9 * time.Second, "pass", "", -9},
		{11 * time.Second, "warn", "clock_ahead", 11},
		{-11 * time.Second, "warn", "clock_behind", -11},
		{301 * time.Second, "fail", "clock_ahead", 301},
		{-24 * time.Hour, "fail", "clock_behind", -86400},
	} {
		p := backend.Probe{Status: 405, Date: now, Middle: now.Add(tt.off + time.Second/2)}
		got := one(t, check.Options{Backend: func(context.Context) backend.Probe { return p }}, "clock")
		if got.Result != tt.result || got.Fault != tt.fault || got.Figures["skew_seconds"] != tt.skew {
			t.Errorf("off by %v: %+v", tt.off, got)
		}
		if tt.fault != "" && got.Command != check.SetClock {
			t.Errorf("off by %v: the command is %q", tt.off, got.Command)
		}
	}
	for _, p := range []backend.Probe{{Err: errors.New("x"), Date: now}, {Status: 200}} {
		if got := one(t, check.Options{Backend: func(context.Context) backend.Probe { return p }}, "clock"); got.Fault != "clock_unknown" {
			t.Errorf("without a date: %+v", got)
		}
	}
}

func TestMedia(t *testing.T) {
	good := check.Media{Frames: 61, Live: 61, Lasts: 2 * time.Second, Packets: 300, Latency: 10 * time.Millisecond, Latency9: 20 * time.Millisecond, Sound: 100, RMS: 0.1, Peak: 0.2, Bytes: 250_000}
	change := func(f func(*check.Media)) check.Media { m := good; f(&m); return m }
	for _, tt := range []struct {
		media         check.Media
		result, fault string
	}{
		{good, "pass", ""},
		{check.Media{}, "fail", "media_none"},
		{change(func(m *check.Media) { m.Sound = 0 }), "fail", "media_no_sound"},
		{change(func(m *check.Media) { m.Live = 0 }), "warn", "media_slate"},
		{change(func(m *check.Media) { m.Live, m.Trouble = 0, "missing" }), "warn", "media_slate"},
		{change(func(m *check.Media) { m.Live, m.Trouble = 0, "busy" }), "fail", "camera_busy"},
		{change(func(m *check.Media) { m.Trouble = "hung" }), "pass", ""}, // it gave pictures
		{change(func(m *check.Media) { m.Lost = 1 }), "warn", "media_lost"},
		{change(func(m *check.Media) { m.Frames = 7 }), "warn", "media_slow"},
		{change(func(m *check.Media) { m.Latency9 = time.Second }), "warn", "media_late"},
		{change(func(m *check.Media) { m.Peak = 0 }), "warn", "media_silent"},
	} {
		o := check.Options{Media: func(context.Context, time.Duration, string) (check.Media, error) { return tt.media, nil }}
		if got := one(t, o, "media"); got.Result != tt.result || got.Fault != tt.fault {
			t.Errorf("%+v: %+v", tt.media, got)
		}
	}
	got := one(t, check.Options{Media: func(context.Context, time.Duration, string) (check.Media, error) { return good, nil }}, "media")
	if f := got.Figures; f["frames_per_second"] != 30 || f["video_kbps"] != 1000 || f["latency_p95_ms"] != 20 || f["frames"] != 61 {
		t.Errorf("the figures are %v", f)
	}
	got = one(t, check.Options{Media: func(context.Context, time.Duration, string) (check.Media, error) { return good, errors.New("secret") }}, "media")
	if got.Fault != "media_failed" || strings.Contains(got.Message+got.Hint, "secret") {
		t.Errorf("a failure: %+v", got)
	}
}

// A check of the media lasts as long as was asked, and says for whom.
func TestMediaLastsAsAsked(t *testing.T) {
	var lasted []time.Duration
	c := check.New(check.Options{Texts: texts(t, "en"), Media: func(_ context.Context, d time.Duration, by string) (check.Media, error) {
		if by != "uid=7" {
			t.Errorf("it runs for %q", by)
		}
		lasted = append(lasted, d)
		return check.Media{}, nil
	}})
	for _, seconds := range []int{0, 7} {
		if _, err := c.Run(t.Context(), apitype.ChecksRequest{Seconds: seconds}, "uid=7"); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(lasted, []time.Duration{3 * time.Second, 7 * time.Second}) {
		t.Errorf("it lasted %v", lasted)
	}
}

// Beside a session there is no loopback call, and the other checks go on.
func TestSessionKeepsTheMedia(t *testing.T) {
	c := check.New(check.Options{
		Texts: texts(t, "en"), Busy: func() bool { return true }, Network: func() (bool, error) { return true, nil },
		Media: func(context.Context, time.Duration, string) (check.Media, error) {
			t.Error("it ran")
			return check.Media{}, nil
		},
	})
	got, err := c.Run(t.Context(), apitype.ChecksRequest{}, "")
	if err != nil || len(got.Checks) != 2 || got.Checks[1].Fault != "media_session" || !got.OK {
		t.Errorf("in a session: %+v, %v", got, err)
	}
	_, err = c.Run(t.Context(), apitype.ChecksRequest{Only: "media"}, "")
	var p *apitype.Problem
	if !errors.As(err, &p) || p.Code != apitype.CodeSessionActive || p.Status != http.StatusConflict {
		t.Errorf("the media alone: %v", err)
	}
	// One that opens meanwhile ends the loopback call with a problem.
	ended := apitype.NewProblem(http.StatusConflict, apitype.CodeSessionActive, "cannot go on", "")
	c = check.New(check.Options{Texts: texts(t, "en"), Media: func(context.Context, time.Duration, string) (check.Media, error) { return check.Media{}, ended }})
	if got, err := c.Run(t.Context(), apitype.ChecksRequest{}, ""); err != nil || got.Checks[0].Fault != "media_session" {
		t.Errorf("ended in all checks: %+v, %v", got, err)
	}
	if _, err := c.Run(t.Context(), apitype.ChecksRequest{Only: "media"}, ""); !errors.Is(err, ended) {
		t.Errorf("ended alone: %v", err)
	}
	ended.Code = apitype.CodeDeviceInUse
	if got, err := c.Run(t.Context(), apitype.ChecksRequest{}, ""); err != nil || got.Checks[0].Fault != "media_in_use" {
		t.Errorf("a device in use: %+v, %v", got, err)
	}
}

func TestOneRunAtATime(t *testing.T) {
	begun, hold := make(chan struct{}), make(chan struct{})
	c := check.New(check.Options{Texts: texts(t, "en"), Network: func() (bool, error) {
		close(begun)
		<-hold
		return true, nil
	}})
	done := make(chan error)
	go func() {
		_, err := c.Run(t.Context(), apitype.ChecksRequest{}, "")
		done <- err
	}()
	<-begun
	_, err := c.Run(t.Context(), apitype.ChecksRequest{}, "")
	var p *apitype.Problem
	if !errors.As(err, &p) || p.Code != apitype.CodeCheckRunning || p.Status != http.StatusConflict {
		t.Errorf("the second run: %v", err)
	}
	close(hold)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Every fault has its words in every language; what no test brings about stands here.
func TestEveryFaultHasWords(t *testing.T) {
	for _, lang := range words.Languages() {
		c := texts(t, lang)
		for _, code := range apitype.CheckCodes() {
			if !c.Has("check." + code + "_ok.title") {
				t.Errorf("%s lacks the words of a good %s", lang, code)
			}
		}
		for _, kind := range []string{"camera", "microphone"} {
			for _, state := range []string{"missing", "no_permission", "busy", "shuttered", "hung", "error"} {
				if !c.Has("device." + kind + "_" + state + ".title") {
					t.Errorf("%s lacks device.%s_%s", lang, kind, state)
				}
			}
		}
	}
}

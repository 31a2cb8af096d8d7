package check

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"kioskd/daemon/api/apitype"
)

// Media is how a loopback call went: from the camera and the microphone through the
// encoders, SRTP and UDP on loopback to a receiver in this process.
type Media struct {
	Frames   int           // whole pictures that came
	Live     int           // of them, those that a camera took; the others were slates
	Lasts    time.Duration // from the first picture to the last
	Packets  int           // of picture and sound
	Lost     int           // packets that are missing by their numbers
	Latency  time.Duration // from capture to the arrival of a picture's first packet, median
	Latency9 time.Duration // 95th percentile
	Bytes    int           // of pictures
	Sound    int           // packets of sound
	RMS      float64       // of the sound that came, 0 to 1
	Peak     float64
	Codec    string // "video/H264"
	Trouble  string // how the camera was at the end, a state of apitype.Device; "": well
}

// Bounds of a good loopback call.
const (
	fpsLow      = 5 // pictures a second, the lowest rate that can be configured
	latencyHigh = 250 * time.Millisecond
)

// checkMedia runs the loopback call.
func (c *Checker) checkMedia(ctx context.Context, req apitype.ChecksRequest, by string) (finding, error) {
	if c.o.Busy() {
		if req.Only == apitype.CheckMedia {
			return finding{}, sessionActive()
		}
		return skip(apitype.CheckMedia, "media_session"), nil
	}
	seconds := req.Seconds
	if seconds == 0 {
		seconds = defaultSeconds
	}
	m, err := c.o.Media(ctx, time.Duration(seconds)*time.Second, by)
	var problem *apitype.Problem
	if errors.As(err, &problem) {
		switch {
		case req.Only != "":
			return finding{}, err
		case problem.Code == apitype.CodeSessionActive:
			return skip(apitype.CheckMedia, "media_session"), nil
		case problem.Code == apitype.CodeDeviceInUse:
			return skip(apitype.CheckMedia, "media_in_use"), nil
		}
		return finding{}, err
	}
	if err != nil {
		return fail(apitype.CheckMedia, "media_failed", "journalctl -u kioskd -n 50"), nil
	}
	return judgeMedia(m), nil
}

func sessionActive() error {
	return apitype.NewProblem(http.StatusConflict, apitype.CodeSessionActive,
		"cannot check the media: there is a session", "end the call first, or wait for its end")
}

// judgeMedia judges a loopback call.
func judgeMedia(m Media) finding {
	const code = apitype.CheckMedia
	seconds := max(m.Lasts.Seconds(), 0.001)
	fps := float64(max(m.Frames-1, 0)) / seconds
	rate := strconv.FormatFloat(fps, 'f', 0, 64)
	var f finding
	switch {
	case m.Frames == 0:
		f = fail(code, "media_none", "journalctl -u kioskd -n 50")
	case m.Sound == 0:
		f = fail(code, "media_no_sound", "journalctl -u kioskd -n 50")
	case m.Live == 0 && m.Trouble != "" && m.Trouble != apitype.DeviceMissing:
		// What a look does not see: a camera lets everybody look while one program streams.
		f = fail(code, "camera_"+m.Trouble, deviceCommand(apitype.KindCamera, apitype.Device{State: m.Trouble, Path: anyCamera}))
		f.words = "device." + f.fault
	case m.Live == 0:
		f = warn(code, "media_slate", "kioskctl devices")
	case m.Lost > 0:
		f = warn(code, "media_lost", "uptime", "lost", strconv.Itoa(m.Lost), "packets", strconv.Itoa(m.Packets+m.Lost))
	case fps < fpsLow:
		f = warn(code, "media_slow", "uptime", "rate", rate)
	case m.Latency9 > latencyHigh:
		f = warn(code, "media_late", "uptime", "milliseconds", strconv.FormatInt(m.Latency9.Milliseconds(), 10))
	case m.Peak == 0:
		f = warn(code, "media_silent", "kioskctl meter")
	default:
		f = pass(code, "rate", rate)
	}
	f.figures = map[string]float64{
		"frames": float64(m.Frames), "frames_live": float64(m.Live), "frames_per_second": fps, "seconds": m.Lasts.Seconds(),
		"packets": float64(m.Packets), "packets_lost": float64(m.Lost), "audio_packets": float64(m.Sound),
		"latency_p50_ms": float64(m.Latency.Microseconds()) / 1000, "latency_p95_ms": float64(m.Latency9.Microseconds()) / 1000,
		"video_kbps": float64(m.Bytes) * 8 / seconds / 1000, "audio_rms": m.RMS, "audio_peak": m.Peak,
	}
	return f
}

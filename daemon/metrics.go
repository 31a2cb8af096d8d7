package daemon

import (
	"slices"
	"strings"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/metrics"
	"kioskd/daemon/session"
)

// sessionStates are all there are, and "none".
func sessionStates() []string {
	return []string{
		"none", apitype.StateWaitingPermissions, apitype.StateWaiting, apitype.StateActive, apitype.StateReconnecting,
		apitype.StateEnded, apitype.StateTimeout, apitype.StateError,
	}
}

// stateCounts counts how often the session entered each state.
type stateCounts struct {
	mu      sync.Mutex
	now     string
	entered map[string]uint64
}

func stateOf(m session.Model) string {
	if !m.Exists() {
		return "none"
	}
	return string(m.State)
}

func (s *stateCounts) note(m session.Model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entered == nil {
		s.entered, s.now = map[string]uint64{}, "none"
	}
	if state := stateOf(m); state != s.now {
		s.now = state
		s.entered[state]++
	}
}

func (s *stateCounts) families() []metrics.Family {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := metrics.Family{Name: "kioskd_session_state", Type: metrics.Gauge, Help: "1 for the state that the session is in, none where there is no session."}
	entered := metrics.Family{Name: "kioskd_session_entered_total", Type: metrics.Counter, Help: "How often the session entered a state."}
	for _, state := range sessionStates() {
		on := 0.0
		if state == s.now || state == "none" && s.now == "" {
			on = 1
		}
		is.Samples = append(is.Samples, metrics.Sample{Labels: []string{"state", state}, Value: on})
		entered.Samples = append(entered.Samples, metrics.Sample{Labels: []string{"state", state}, Value: float64(s.entered[state])})
	}
	return []metrics.Family{is, entered}
}

// metrics answers GET /v1/metrics. No label holds a name, an appointment, a participant
// or a device's id: what there are of them is not bounded, or is the patient's.
func (k *kiosk) metrics(version string, started time.Time) ([]byte, error) {
	list := metrics.Process(started)
	list = append(list, metrics.One("kioskd_build_info", metrics.Gauge, "1, with the release as a label.", 1, "version", version))
	list = append(list, k.entered.families()...)
	list = append(list, k.api.Metrics()...)
	list = append(list, conditionFamily(k.health.List()), deviceFamily(k.devices.List()))
	list = append(list, callFamilies(k.call.Figures())...)
	if waiting, err := k.store.Reports(); err == nil {
		list = append(list, metrics.One("kioskd_reports_waiting", metrics.Gauge, "Issue reports that the backend has not got yet.", float64(len(waiting))))
	}
	return metrics.Write(list)
}

func conditionFamily(list []apitype.Condition) metrics.Family {
	f := metrics.Family{Name: "kioskd_condition", Type: metrics.Gauge, Help: "1 for each condition that holds, as GET /v1/health lists them."}
	for _, c := range list {
		f.Samples = append(f.Samples, metrics.Sample{Labels: []string{"code", c.Code, "severity", c.Severity}, Value: 1})
	}
	return f
}

// deviceFamily counts devices by what they are and how.
func deviceFamily(list []apitype.Device) metrics.Family {
	type key struct{ kind, state string }
	count := map[key]int{}
	for _, d := range list {
		count[key{d.Kind, d.State}]++
	}
	f := metrics.Family{Name: "kioskd_devices", Type: metrics.Gauge, Help: "Devices, by kind and state."}
	for k, n := range count {
		f.Samples = append(f.Samples, metrics.Sample{Labels: []string{"kind", k.kind, "state", k.state}, Value: float64(n)})
	}
	slices.SortFunc(f.Samples, func(a, b metrics.Sample) int {
		return strings.Compare(strings.Join(a.Labels, " "), strings.Join(b.Labels, " "))
	})
	return f
}

// callFamilies are those of call.Figures by their names here. What is sent is counted
// from the daemon's start; what is received are gauges, for they are those of the
// participants who are there.
func callFamilies(f map[string]float64) []metrics.Family {
	var out []metrics.Family
	for _, c := range []struct{ from, name, help string }{
		{"frames_encoded", "kioskd_video_frames_encoded_total", "Pictures that were encoded and sent."},
		{"key_frames_encoded", "kioskd_video_keyframes_encoded_total", "Pictures of these that stand alone."},
		{"key_frames_asked", "kioskd_video_keyframes_asked_total", "Keyframes that receivers or the kiosk itself asked for."},
		{"frames_skipped", "kioskd_video_frames_skipped_total", "Pictures that the processor limit left out."},
		{"frames_dropped", "kioskd_video_frames_dropped_total", "Pictures that a newer one displaced before the encoder took them."},
		{"video_encode_errors", "kioskd_video_encode_errors_total", "Pictures that could not be encoded."},
		{"audio_chunks_lost", "kioskd_audio_chunks_dropped_total", "10 ms of sound each that the encoder did not take in time."},
	} {
		out = append(out, metrics.One(c.name, metrics.Counter, c.help, f[c.from]))
	}
	for _, g := range []struct {
		from, name, help string
		unit             float64
	}{
		{"frame_width", "kioskd_video_width_pixels", "Width of the picture that was sent last.", 1},
		{"frame_height", "kioskd_video_height_pixels", "Height of the picture that was sent last.", 1},
		{"views", "kioskd_views", "Views of the touchscreen page.", 1},
		{"round_trip_ms", "kioskd_call_round_trip_seconds", "Longest round trip that a participant reports, 0 where none does.", 1000},
		{"fraction_lost", "kioskd_call_lost_ratio", "Largest share of packets that a participant reports lost, 0 to 1.", 1},
	} {
		out = append(out, metrics.One(g.name, metrics.Gauge, g.help, f[g.from]/g.unit))
	}
	out = append(out,
		metrics.One("kioskd_video_encode_seconds_total", metrics.Counter, "Time spent in the video encoders.", f["encode_ms_per_frame"]*f["frames_encoded"]/1000),
		kinds("kioskd_rtp_sent_packets_total", metrics.Counter, "RTP packets that were sent, each once for however many it goes to.", f, "_packets_sent"),
		kinds("kioskd_rtp_sent_bytes_total", metrics.Counter, "Encoded bytes that were sent, each once for however many they go to.", f, "_bytes_sent"),
		kinds("kioskd_rtp_received_packets", metrics.Gauge, "RTP packets from the participants who are there.", f, "_packets_received"),
		kinds("kioskd_rtp_received_bytes", metrics.Gauge, "Bytes in RTP packets from the participants who are there.", f, "_bytes_received"))
	return out
}

// kinds is a family of sound and picture.
func kinds(name, kind, help string, f map[string]float64, suffix string) metrics.Family {
	out := metrics.Family{Name: name, Type: kind, Help: help}
	for _, k := range []string{"audio", "video"} {
		out.Samples = append(out.Samples, metrics.Sample{Labels: []string{"kind", k}, Value: f[k+suffix]})
	}
	return out
}

package daemon_test

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
)

// TestMetrics: a real daemon's figures are the listed families and no other, and what
// reads them finds nothing to say (promtool, where it is installed; make promtool
// installs it and insists).
func TestMetrics(t *testing.T) {
	k := start(t, settings(t, folder(t), nowhere))
	watch(t, k.cfg.API.Socket).see("a kiosk without a camera", func(s apitype.Status) bool { return hasCondition(s, "camera_missing") })
	if _, err := k.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := k.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var families []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
			families = append(families, strings.TrimSpace(name))
		}
	}
	want := []string{
		"go_goroutines gauge", "kioskd_api_connections gauge", "kioskd_api_connections_refused_total counter", "kioskd_api_event_streams gauge",
		"kioskd_api_request_duration_seconds histogram", "kioskd_api_requests_total counter", "kioskd_audio_chunks_dropped_total counter",
		"kioskd_build_info gauge", "kioskd_call_lost_ratio gauge", "kioskd_call_round_trip_seconds gauge", "kioskd_condition gauge", "kioskd_devices gauge",
		"kioskd_reports_waiting gauge", "kioskd_rtp_received_bytes gauge", "kioskd_rtp_received_packets gauge", "kioskd_rtp_sent_bytes_total counter",
		"kioskd_rtp_sent_packets_total counter", "kioskd_session_entered_total counter", "kioskd_session_state gauge", "kioskd_video_encode_errors_total counter",
		"kioskd_video_encode_seconds_total counter", "kioskd_video_frames_dropped_total counter", "kioskd_video_frames_encoded_total counter",
		"kioskd_video_frames_skipped_total counter", "kioskd_video_height_pixels gauge", "kioskd_video_keyframes_asked_total counter",
		"kioskd_video_keyframes_encoded_total counter", "kioskd_video_width_pixels gauge", "kioskd_views gauge", "process_cpu_seconds_total counter",
		"process_max_fds gauge", "process_open_fds gauge", "process_resident_memory_bytes gauge", "process_start_time_seconds gauge",
	}
	if !slices.Equal(families, want) {
		t.Errorf("the families are\n%s\nwant\n%s", strings.Join(families, "\n"), strings.Join(want, "\n"))
	}
	for _, line := range []string{
		`kioskd_session_state{state="none"} 1`, `kioskd_session_state{state="active"} 0`, `kioskd_build_info{version="test"} 1`,
		`kioskd_condition{code="camera_missing",severity="warning"} 1`, `kioskd_reports_waiting 0`,
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("it lacks %s", line)
		}
	}
	if !regexp.MustCompile(`kioskd_api_requests_total\{method="GET",route="/v1/status",class="2xx"\} [1-9]`).Match(text) {
		t.Error("it does not count requests")
	}
	promtool(t, text)
}

// promtool asks Prometheus's own reader and linter.
func promtool(t *testing.T, text []byte) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("KIOSKD_PROMTOOL") != "" {
			t.Error("promtool is not installed")
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), path, "check", "metrics")
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

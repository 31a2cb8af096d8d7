package denial_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/denial"
	"kioskd/daemon/api/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var somebody = peer.Peer{UID: 1000, GID: 100, PID: 42, Role: peer.Screen}

// A thousand a second leave one entry a second, and every one is counted.
func TestFloodIsSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var audit []string
		var log bytes.Buffer
		d := denial.New(slog.New(slog.NewTextHandler(&log, nil)), func(text string) { audit = append(audit, text) })
		for range 3000 {
			d.Request(somebody, "forbidden", "POST", "/v1/session/mute")
			time.Sleep(time.Millisecond)
		}
		d.Flush(time.Now())
		time.Sleep(time.Second)
		d.Flush(time.Now())
		d.Flush(time.Now())
		const entry = "denied method=POST route=/v1/session/mute code=forbidden by: uid=1000 gid=100 pid=42 role=screen"
		want := []string{entry, entry + " suppressed=999", entry + " suppressed=999", entry + " suppressed=998"}
		if strings.Join(audit, "\n") != strings.Join(want, "\n") { // 1 + 999 + 1 + 999 + 1 + 998 + 1
			t.Errorf("the audit has\n%s\nwant\n%s", strings.Join(audit, "\n"), strings.Join(want, "\n"))
		}
		if lines := strings.Count(log.String(), "\n"); lines != 3 {
			t.Errorf("the log has %d lines, want 3", lines)
		}
	})
}

// Who only looks is logged and fills no audit; a method that is any text is
// repeated nowhere.
func TestOnlyChangesAreAudited(t *testing.T) {
	for _, c := range []struct {
		method, want string
	}{
		{"GET", ""},
		{"HEAD", ""},
		{"OPTIONS", ""},
		{"TRACE", ""},
		{"POST", "method=POST"},
		{"PUT", "method=PUT"},
		{"PATCH", "method=PATCH"},
		{"DELETE", "method=DELETE"},
		{"CONNECT", "method=CONNECT"},
		{"CANARY", "method=other"},
	} {
		var audit string
		var log bytes.Buffer
		d := denial.New(slog.New(slog.NewTextHandler(&log, nil)), func(text string) { audit = text })
		d.Request(somebody, "forbidden", c.method, "none")
		if (audit != "") != (c.want != "") || !strings.Contains(audit, c.want) || denial.Changes(c.method) != (c.want != "") {
			t.Errorf("%s: the audit has %q", c.method, audit)
		}
		if !strings.Contains(log.String(), "code=forbidden") || strings.Contains(log.String()+audit, "CANARY") {
			t.Errorf("%s: the log has %q", c.method, log.String())
		}
	}
}

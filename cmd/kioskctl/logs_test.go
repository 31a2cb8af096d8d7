package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdjournal "github.com/coreos/go-systemd/v22/journal"

	"kioskd/systemd"
)

func TestEntries(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	stamp := func(rest string) string {
		return fmt.Sprintf(`{"__REALTIME_TIMESTAMP":"%d",%s}`, at.UnixMicro(), rest)
	}
	for _, tt := range []struct{ name, line, want string }{
		{"slog", stamp(`"PRIORITY":"6","MESSAGE":"{\"time\":\"x\",\"level\":\"WARN\",\"msg\":\"backend not reached\",\"part\":\"backend\",\"took\":5,\"reason\":\"no way\"}"`), `WARN  backend   backend not reached reason="no way" took=5`},
		{"plain", stamp(`"PRIORITY":"3","MESSAGE":"panic: oh"`), "ERROR -         panic: oh"},
		{"fields", stamp(`"PRIORITY":"4","MESSAGE":"hello","KIOSKD_PART":"api","STATUS":"200","_PID":"7","SYSLOG_IDENTIFIER":"kioskd","CODE_LINE":"3"`), "WARN  api       hello status=200"},
		{"bytes", stamp(`"MESSAGE":[104,27,91,50,74]`), "INFO  -         h\ufffd[2J"},
		{"nothing", stamp(`"MESSAGE":null`), "INFO  -         "},
		{"other JSON", stamp(`"PRIORITY":"7","MESSAGE":"{\"a\":1}"`), `DEBUG -         {"a":1}`},
	} {
		e, ok := parseEntry([]byte(tt.line))
		if want := "2026-01-02 03:04:05 " + tt.want; !ok || e.line() != want {
			t.Errorf("%s: got %q, want %q", tt.name, e.line(), want)
		}
	}
	if _, ok := parseEntry([]byte("no JSON")); ok {
		t.Error("a line that is no entry was taken")
	}
}

// journalled is an entry as journalctl prints it, written by the daemon's own handler.
func journalled(t *testing.T, level slog.Level, text string, attrs ...any) string {
	t.Helper()
	var line []byte
	log := slog.New(systemd.NewEntryHandler(slog.LevelDebug, nil, func(text string, p sdjournal.Priority, fields map[string]string) (err error) {
		fields["MESSAGE"], fields["PRIORITY"] = text, strconv.Itoa(int(p))
		line, err = json.Marshal(fields)
		return err
	}))
	log.Log(t.Context(), level, text, attrs...)
	return string(line)
}

// What the daemon's own handler writes is found by its part, and each attribute shown once.
func TestEntriesOfTheDaemon(t *testing.T) {
	journal := journalled(t, slog.LevelWarn, "cannot join", "part", "call", "reason", "no way", "took", 5) + "\n" +
		journalled(t, slog.LevelInfo, "heard", "part", "api") + "\n"
	for _, tt := range []struct {
		cmd  logsCmd
		want string
	}{
		{logsCmd{Level: "debug", Part: "call"}, "WARN  call      cannot join reason=\"no way\" took=5\n"},
		{logsCmd{Level: "debug", Part: "api"}, "INFO  api       heard\n"},
		{logsCmd{Level: "warn"}, "WARN  call      cannot join reason=\"no way\" took=5\n"},
	} {
		var out bytes.Buffer
		came, err := tt.cmd.copy(&env{out: &out}, strings.NewReader(journal))
		if _, got, _ := strings.Cut(out.String(), ":"); err != nil || came != 2 || len(got) < 6 || got[6:] != tt.want {
			t.Errorf("%+v: got %q of %d, %v; want %q", tt.cmd, out.String(), came, err, tt.want)
		}
	}
}

// journalctl counts lines after it has filtered: it has to know the filters.
func TestLogArguments(t *testing.T) {
	got := strings.Join((&logsCmd{Lines: 5, Level: "error", Part: "call", Since: "today"}).arguments(), " ")
	if want := "--unit=kioskd.service --output=json --no-pager --all --lines=5 --since=today --priority=err KIOSKD_PART=call"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = strings.Join((&logsCmd{Lines: 5, Level: "debug"}).arguments(), " ")
	if want := "--unit=kioskd.service --output=json --no-pager --all --lines=5"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Filters are of level and part; what is no entry is shown as it is.
func TestLogFilters(t *testing.T) {
	const journal = `{"MESSAGE":"{\"level\":\"INFO\",\"msg\":\"one\",\"part\":\"api\"}"}
{"MESSAGE":"{\"level\":\"ERROR\",\"msg\":\"two\",\"part\":\"call\"}"}

{"MESSAGE":"three","PRIORITY":"4"}
broken
`
	for _, tt := range []struct {
		name string
		cmd  logsCmd
		want []string
	}{
		{"all", logsCmd{Level: "debug"}, []string{"one", "two", "three", "broken"}},
		{"warnings", logsCmd{Level: "warn"}, []string{"two", "three", "broken"}},
		{"a part", logsCmd{Level: "debug", Part: "api"}, []string{"one", "broken"}},
	} {
		var out bytes.Buffer
		came, err := tt.cmd.copy(&env{out: &out}, strings.NewReader(journal))
		var got []string
		for _, w := range []string{"one", "two", "three", "broken"} {
			if strings.Contains(out.String(), w) {
				got = append(got, w)
			}
		}
		if err != nil || came != 4 || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v of %d, %v", tt.name, got, came, err)
		}
	}
	if _, err := (&logsCmd{Level: "debug"}).copy(&env{out: failing{}}, strings.NewReader(journal)); err == nil {
		t.Error("printing that fails is no error")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("closed") }

func TestBounded(t *testing.T) {
	b := &bounded{most: 10}
	for range 5 {
		if n, err := b.Write([]byte("a\x1bbc \n")); n != 6 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if got := b.String(); got != "a\ufffdbc a\ufffdbc" {
		t.Errorf("kept %q", got)
	}
}

// FuzzEntry: whatever stands in a journal, no line breaks out of its line, and nothing
// panics.
func FuzzEntry(f *testing.F) {
	f.Add(`{"MESSAGE":"{\"msg\":\"a\\nb\",\"level\":\"INFO\",\"x\":[1,null,{}]}","PRIORITY":"9","__REALTIME_TIMESTAMP":"1"}`)
	f.Add(`{"MESSAGE":[1,2,300,-1],"A":null,"":""}`)
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseEntry([]byte(line))
		if got := e.line(); ok && strings.ContainsAny(got, "\n\r\x1b") {
			t.Errorf("%q prints as %q", line, got)
		}
	})
}

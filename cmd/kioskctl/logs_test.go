package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEntries(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	stamp := func(rest string) string {
		return fmt.Sprintf(`{"__REALTIME_TIMESTAMP":"%d",%s}`, at.UnixMicro(), rest)
	}
	for _, tt := range []struct{ name, line, want string }{
		{"slog", stamp(`"PRIORITY":"6","MESSAGE":"{\"time\":\"x\",\"level\":\"WARN\",\"msg\":\"backend not reached\",\"part\":\"backend\",\"took\":5,\"reason\":\"no way\"}"`), `WARN  backend   backend not reached reason="no way" took=5`},
		{"plain", stamp(`"PRIORITY":"3","MESSAGE":"panic: oh"`), "ERROR -         panic: oh"},
		{"fields", stamp(`"PRIORITY":"4","MESSAGE":"hello","PART":"api","STATUS":"200","_PID":"7","SYSLOG_IDENTIFIER":"kioskd","CODE_LINE":"3"`), "WARN  api       hello status=200"},
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

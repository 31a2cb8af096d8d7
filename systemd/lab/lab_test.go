package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFlags(t *testing.T) {
	var problems bytes.Buffer
	o, err := parse([]string{"-deb", "x.deb", "-short", "-within", "1m"}, &problems)
	if err != nil || !o.Short || o.Within != time.Minute || o.Root != "/" {
		t.Errorf("got %+v, %v", o, err)
	}
	for _, args := range [][]string{{}, {"-deb", "x", "more"}, {"-no-such-flag"}} {
		if _, err := parse(args, &problems); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	if code := run([]string{"-deb", filepath.Join(t.TempDir(), "none.deb")}, io.Discard, &problems); code != 1 || !strings.Contains(problems.String(), "make deb") {
		t.Errorf("a package that is not there: code %d, %s", code, problems.String())
	}
}

func TestFollow(t *testing.T) {
	var out bytes.Buffer
	code, err := follow(strings.NewReader("PASS a\nFAIL b\n"+endMark+"1\nlater\n"), &out)
	if code != 1 || err != nil || out.String() != "PASS a\nFAIL b\n" {
		t.Errorf("got %d, %v, %q", code, err, out.String())
	}
	if code, err := follow(strings.NewReader("PASS a\n"), &out); code != 1 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a driver that vanished: %d, %v", code, err)
	}
}

func TestPercentile(t *testing.T) {
	times := make([]time.Duration, 0, 100)
	for i := range 100 {
		times = append(times, time.Duration(100-i))
	}
	for p, want := range map[int]time.Duration{50: 50, 99: 99, 100: 100, 0: 1} {
		if got := percentile(times, p); got != want {
			t.Errorf("the %d-th percentile is %d, want %d", p, got, want)
		}
	}
	if percentile(nil, 99) != 0 || percentile([]time.Duration{7}, 99) != 7 {
		t.Error("few times are read wrongly")
	}
}

func TestTally(t *testing.T) {
	refused, allowed := tally("refused mount: operation not permitted\nALLOWED reboot: <nil>\nsystemd says more\n\nrefused a: b\n")
	if len(refused) != 2 || !slices.Equal(allowed, []string{"reboot: <nil>"}) {
		t.Errorf("got %q and %q", refused, allowed)
	}
}

// The helper's service is the real one's sandbox, line by line.
func TestAsHelperKeepsTheSandbox(t *testing.T) {
	text, err := os.ReadFile("../units/kioskd.service")
	if err != nil {
		t.Fatal(err)
	}
	helper := asHelper(string(text))
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, "=")
		changes := []string{"ExecStart", "Type", "Restart", "WatchdogSec", "Requires", "Wants", "ExecReload", "RuntimeDirectory", "StateDirectory", "After"}
		if !strings.HasPrefix(line, "#") && !slices.Contains(changes, name) && !strings.Contains(helper, line) {
			t.Errorf("the helper runs without %q", line)
		}
	}
	if strings.Count(helper, "ExecStart=") != 1 || !strings.Contains(helper, "ExecStart="+insideBin+"/forbidden\n") || strings.Contains(helper, "Restart=") {
		t.Errorf("the helper's service is\n%s", helper)
	}
}

func TestReasonIn(t *testing.T) {
	log := "SIGABRT: abort\nwatchdog not fed reason=\"the store does not answer: context deadline exceeded\" interval=5s\n"
	if got := reasonIn(log); got != `"the store does not answer: context deadline exceeded"` {
		t.Errorf("got %q", got)
	}
	if got := reasonIn("nothing"); got != "none given" {
		t.Errorf("got %q", got)
	}
}

func TestMicroseconds(t *testing.T) {
	p := map[string]string{"A": "1500000", "B": "", "C": "soon"}
	if d, err := microseconds(p, "A"); err != nil || d != 1500*time.Millisecond {
		t.Errorf("got %v, %v", d, err)
	}
	for _, name := range []string{"B", "C", "D"} {
		if _, err := microseconds(p, name); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// Rows are found by their names, which journals of failed ones are named after.
func TestRowsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if r.name == "" || seen[r.name] || r.play == nil || strings.ContainsAny(r.name, "/\\") {
			t.Errorf("the row %q", r.name)
		}
		seen[r.name] = true
	}
	states := map[string]bool{}
	for _, s := range situations() {
		states[s.state] = true
	}
	if len(states) != 8 {
		t.Errorf("there are %d states, the contract has 7 and none", len(states))
	}
}

func TestUsageOfThisProcess(t *testing.T) {
	resident, cpu, err := usage(os.Getpid())
	if err != nil || resident < mib || resident > 4096*mib || cpu < 0 || cpu > time.Hour {
		t.Errorf("got %d bytes, %v, %v", resident, cpu, err)
	}
	if _, _, err := usage(1 << 30); err == nil {
		t.Error("a process that is not there has figures")
	}
}

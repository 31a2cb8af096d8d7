package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 20 * time.Second

// launch runs the program until the test's end and gives its standard output
// up to and with the line `ready`.
func launch(t *testing.T, args ...string) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, args, in, &stderr)
		_ = in.Close() // a pipe in memory: no error possible
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case code := <-ended:
			if code != 0 {
				t.Errorf("exit code %d: %s", code, stderr.String())
			}
		case <-time.After(wait):
			t.Error("did not stop in time")
		}
	})
	var lines []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		lines = append(lines, scan.Text())
		if scan.Text() == "ready" {
			return lines
		}
	}
	t.Fatal("ended before it was ready")
	return nil
}

func TestAddressesOnStdout(t *testing.T) {
	lines := launch(t, "-token", filepath.Join(t.TempDir(), "token"), "-quiet")
	want := []string{"backend     http://127.0.0.1:", "clinician   http://127.0.0.1:", "second      http://127.0.0.1:", "interpreter http://127.0.0.1:", "control     ", "ready"}
	if len(lines) != len(want) {
		t.Fatalf("it printed %q", lines)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want[i])
		}
	}
}

func TestAddressesInLaunchFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "launch")
	lines := launch(t, "-token", filepath.Join(dir, "token"), "-launch", file)
	if len(lines) != 1 {
		t.Errorf("with a launch file it printed %q", lines)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var a struct{ Backend, Clinician string }
	if err := json.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.Backend+"/sim/room", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // read or not, the test is over
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestWrongUse(t *testing.T) {
	cases := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-what"}, 2, "-what"},
		{[]string{"-token", "x", "more"}, 2, "cannot use"},
		{[]string{"-token", "x", "-session-seconds", "0"}, 2, "cannot use"},
		{[]string{"-token", "x", "-wait-seconds", "-1"}, 2, "cannot use"},
		{nil, 1, "cannot start without a token file"},
		{[]string{"-token", "x", "-listen", "0.0.0.0:80"}, 1, "loopback"},
	}
	for _, c := range cases {
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), c.args, &stdout, &stderr); code != c.code || !strings.Contains(stderr.String(), c.says) {
			t.Errorf("%q: exit code %d, %s", c.args, code, stderr.String())
		}
		if stdout.Len() != 0 {
			t.Errorf("%q printed %s", c.args, stdout.String())
		}
	}
}

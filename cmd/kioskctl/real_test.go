package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdjournal "github.com/coreos/go-systemd/v22/journal"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"kioskd/capture/microphone/pulsetest"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/cmd/fakecam/camns"
	"kioskd/daemon/e2e/stage"
	"kioskd/systemd"
)

// binEnv names the folder of the built programs; without it they are built here.
const binEnv = "KIOSKD_BIN"

// TestRootReal plays testdata/real/*.txtar with the real daemon, two V4L2 cameras
// and a sound server that hums, each script on a stage of its own. It runs once
// more inside private namespaces, where cameras can be plugged.
func TestRootReal(t *testing.T) {
	if !stage.Inside() {
		outside(t, "TestRootReal")
		return
	}
	if err := stage.Settle(true); err != nil {
		t.Fatal(err)
	}
	scripts, err := filepath.Glob("testdata/real/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	for _, script := range scripts { // one after the other: there is one /dev
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) { playReal(t, script) })
	}
}

// outside runs a test once more, inside private namespaces.
func outside(t *testing.T, name string) {
	if os.Getenv(binEnv) == "" {
		dir := t.TempDir()
		for _, p := range []string{"kioskd", "kioskctl", "kioskscreen", "clinicsim", "fakecam"} {
			cmd := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, p), "kioskd/cmd/"+p)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("cannot build %s: %v\n%s", p, err, out)
			}
		}
		t.Setenv(binEnv, dir)
	}
	code, err := stage.Enter([]string{"-test.run=^" + name + "$", "-test.v=" + strconv.FormatBool(testing.Verbose()), "-test.timeout=3m"}, true)
	if err != nil || code != 0 {
		t.Fatalf("inside it ended with code %d, %v", code, err)
	}
}

type stageKey struct{}

func realStage(dir string) (*stage.Stage, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return stage.Start(ctx, stage.Options{
		Bin: os.Getenv(binEnv), Dir: dir, FakeCamera: true,
		CameraArgs: []string{
			"-n", "2", "-scene", "webcam", "-product", "HD Pro Webcam C920,Document camera", "-vendor", "Logitech,Clinic",
			"-usb-id", "046d:0892,1209:ca01", "-serial", "8C5DAC1F,", "-port", "1-2.4,1-3",
		},
		Config: fmt.Sprintf("[speaker]\ndevice = %q\n", pulsetest.Speaker),
	})
}

// playReal plays one script. Its commands: camera VERB N ... (a command of fakecam),
// until SECONDS PROGRAM ARG ... TEXT (it is tried again until it prints the
// text), restart (kioskd is killed and started), source muted|on (the microphone's own
// button), journal (a journald of the script's own has what kioskd has written so far).
func playReal(t *testing.T, script string) {
	testscript.Run(t, testscript.Params{
		Files:               []string{script},
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s, err := realStage(filepath.Join("/dev/shm", "kioskctl"))
			if err != nil {
				return err
			}
			env.Defer(func() {
				if err := s.Stop(); err != nil {
					env.T().Log(err)
				}
			})
			env.Values[stageKey{}] = s
			env.Setenv("STAGE", filepath.Dir(s.Socket))
			env.Setenv("KIOSKD_SOCKET", s.Socket)
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"camera": func(ts *testscript.TestScript, _ bool, args []string) {
				_, err := camctl.Client(camns.Control).Do(strings.Join(args, " "))
				ts.Check(err)
			},
			"source": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(onStage(ts).Sound.MuteSource(args[0] == "muted"))
			},
			"restart": func(ts *testscript.TestScript, _ bool, _ []string) {
				ts.Check(errors.Join(onStage(ts).KillKioskd(), onStage(ts).StartKioskd(deadline(t))))
			},
			"until":   until,
			"journal": func(ts *testscript.TestScript, _ bool, _ []string) { journal(ts) },
		},
	})
}

// journal starts systemd's own journald, whose files and sockets are private to the
// namespaces, and hands it kioskd's lines as its unit's, by the handler that kioskd has
// under systemd.
func journal(ts *testscript.TestScript) {
	for _, dir := range []string{"/run/log", "/run/systemd/journal"} {
		ts.Check(errors.Join(os.MkdirAll(dir, 0o755), unix.Mount("journal", dir, "tmpfs", 0, "")))
	}
	cmd := exec.CommandContext(context.Background(), "/lib/systemd/systemd-journald")
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill() // its files go with the namespace
		_ = cmd.Wait()
	})
	const socket = "/run/systemd/journal/socket"
	var conn net.Conn
	for end := time.Now().Add(20 * time.Second); ; <-time.After(20 * time.Millisecond) {
		var err error
		if conn, err = (&net.Dialer{}).DialContext(context.Background(), "unixgram", socket); err == nil {
			break
		}
		if time.Now().After(end) {
			ts.Fatalf("journald never listens: %v", err)
		}
	}
	ts.Check(conn.Close())
	text, err := os.ReadFile(filepath.Join(filepath.Dir(onStage(ts).Socket), "logs", "kioskd.log"))
	ts.Check(err)
	h := systemd.NewEntryHandler(slog.LevelDebug, nil, func(text string, p sdjournal.Priority, fields map[string]string) error {
		fields["OBJECT_SYSTEMD_UNIT"] = "kioskd.service"
		return sdjournal.Send(text, p, fields)
	})
	for line := range strings.Lines(string(text)) {
		ts.Check(again(h, line))
	}
	until(ts, false, []string{"20", "kioskctl", "logs", "ready"})
}

// again logs a line of log/slog's JSON once more, with another handler; other lines are
// an encoder's.
func again(h slog.Handler, line string) error {
	var attrs map[string]any
	if json.Unmarshal([]byte(line), &attrs) != nil {
		return h.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelInfo, strings.TrimSpace(line), 0))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(attrs["level"].(string))); err != nil {
		return err
	}
	r := slog.NewRecord(time.Now(), level, attrs["msg"].(string), 0)
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if !slices.Contains([]string{"level", "msg", "time"}, name) {
			r.Add(name, attrs[name])
		}
	}
	return h.Handle(context.Background(), r)
}

func onStage(ts *testscript.TestScript) *stage.Stage { return ts.Value(stageKey{}).(*stage.Stage) }

func until(ts *testscript.TestScript, _ bool, args []string) {
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	wanted := args[len(args)-1]
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	for {
		err := ts.Exec(args[1], args[2:len(args)-1]...)
		if out := ts.ReadFile("stdout"); err == nil && strings.Contains(out, wanted) {
			return
		} else if time.Now().After(end) {
			ts.Fatalf("%v never prints %q, but %s %v", args[1:len(args)-1], wanted, out, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

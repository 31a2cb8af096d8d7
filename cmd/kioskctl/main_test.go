package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// TestMain lets the scripts call kioskctl as a program of its own, and looks
// for leaks as goleak.VerifyTestMain does, which does not go together with it.
func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"kioskctl": main})
}

type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// kiosk is the script's daemon; it can be stopped and started again.
type kiosk struct {
	socket string
	now    *apitest.Kiosk
}

func (k *kiosk) stop() error {
	if k.now == nil {
		return nil
	}
	err := k.now.Close()
	k.now = nil
	return err
}

func (k *kiosk) start() (err error) {
	k.now, err = apitest.StartAt(k.socket)
	return err
}

type kioskKey struct{}

// TestRootScripts runs testdata/script/*.txtar, each against a kiosk of its own.
// Beside testscript's commands there are: arrive (the clinician comes), watched
// N (N event streams are open), await FILE TEXT (it has been written), disk
// full|ok, condition CODE [SEVERITY], daemon stop|start|ask (for consent), safemode on|off, plug (a
// second camera), say ID TEXT (the clinician in the chat), messages N delivered N,
// usedby ID (a technician uses it), sent ID (the clinic has the report), tamper (with the journal).
func TestRootScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			k := &kiosk{socket: filepath.Join(env.WorkDir, "s")}
			env.Values[kioskKey{}] = k
			env.Setenv("KIOSKD_SOCKET", k.socket)
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector's second at each exit
			env.Defer(func() {
				if err := k.stop(); err != nil {
					env.T().Fatal(err)
				}
			})
			return k.start()
		},
		Cmds: commands(t),
	})
}

// commands are the scripts' own.
func commands(t *testing.T) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"arrive": func(ts *testscript.TestScript, _ bool, _ []string) {
			k := of(ts)
			ts.Check(k.Await(deadline(t), "waiting", "participant"))
			k.Arrive()
			ts.Check(k.Await(deadline(t), "active", ""))
		},
		"watched": func(ts *testscript.TestScript, _ bool, args []string) {
			waitFor(t, ts, func() (bool, string) {
				n := fmt.Sprint(of(ts).API.Watchers())
				return n == args[0], n + " streams are open, want " + args[0]
			})
		},
		"await": func(ts *testscript.TestScript, _ bool, args []string) {
			waitFor(t, ts, func() (bool, string) {
				text := ts.ReadFile(args[0])
				return strings.Contains(text, args[1]), fmt.Sprintf("%s never had %q, it is: %s", args[0], args[1], text)
			})
		},
		"disk": func(ts *testscript.TestScript, _ bool, args []string) {
			var err error
			if args[0] == "full" {
				err = errors.New("no space left on device")
			}
			of(ts).Store.Fail(err)
		},
		"condition": func(ts *testscript.TestScript, _ bool, args []string) {
			severity := apitype.SeverityWarning
			if len(args) > 1 {
				severity = args[1]
			}
			of(ts).Health.Set(args[0], severity, "Something is wrong.", "Do something.")
		},
		"daemon": func(ts *testscript.TestScript, _ bool, args []string) {
			k := ts.Value(kioskKey{}).(*kiosk)
			switch args[0] {
			case "stop":
				ts.Check(k.stop())
			case "start":
				ts.Check(k.start())
			case "ask":
				ts.Check(k.stop())
				var err error
				k.now, err = apitest.StartAsking(k.socket)
				ts.Check(err)
			}
		},
		"usedby": func(ts *testscript.TestScript, _ bool, args []string) {
			waitFor(t, ts, func() (bool, string) {
				u := of(ts).Tools.Technician()
				return u != nil && u.Device == args[0], "nobody uses " + args[0]
			})
		},
		"safemode": func(ts *testscript.TestScript, _ bool, args []string) { of(ts).Safe.Store(args[0] == "on") },
		"plug":     func(ts *testscript.TestScript, _ bool, _ []string) { of(ts).Plug() },
		"say":      func(ts *testscript.TestScript, _ bool, args []string) { of(ts).Say(args[0], args[1]) },
		"sent": func(ts *testscript.TestScript, _ bool, args []string) {
			of(ts).Runner.Post(session.ReportSent{ID: args[0]})
		},
		"tamper": func(ts *testscript.TestScript, _ bool, _ []string) { of(ts).Audit.Tamper() },
		"messages": func(ts *testscript.TestScript, _ bool, args []string) {
			waitFor(t, ts, func() (bool, string) {
				all, delivered := of(ts).Runner.Model().Messages, 0
				for _, c := range all {
					if c.Delivered {
						delivered++
					}
				}
				return fmt.Sprint(len(all)) == args[0] && fmt.Sprint(delivered) == args[2],
					fmt.Sprintf("there are %d messages, %d delivered", len(all), delivered)
			})
		},
	}
}

// waitFor asks until it is so; otherwise says what is instead.
func waitFor(t *testing.T, ts *testscript.TestScript, so func() (is bool, otherwise string)) {
	for ctx := deadline(t); ; {
		is, otherwise := so()
		if is {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s", otherwise)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func of(ts *testscript.TestScript) *apitest.Kiosk { return ts.Value(kioskKey{}).(*kiosk).now }

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// A pipe that is closed at the far end is an error that is told, not a success.
func TestPrintingThatFails(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	defer w.Close()
	var stderr bytes.Buffer
	e := &env{out: w, err: &stderr}
	if err := e.say("words"); err == nil || !strings.HasPrefix(err.Error(), "cannot print") {
		t.Errorf("got %v", err)
	}
}

func TestStateWords(t *testing.T) {
	for _, c := range []struct {
		session *apitype.Session
		want    string
	}{
		{nil, "no session"},
		{&apitype.Session{State: "waiting", Step: "loading"}, "state = waiting, step = loading"},
		{&apitype.Session{State: "active"}, "state = active"},
		{&apitype.Session{State: "error", Error: &apitype.Error{Code: "network_unavailable", Retryable: true}}, "state = error, error = network_unavailable, it tries again by itself"},
		{&apitype.Session{State: "error", Error: &apitype.Error{Code: "unauthorized"}}, "state = error, error = unauthorized"},
	} {
		if got := stateWords(c.session); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// What others wrote cannot steer the terminal.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"Grüße, 你好": "Grüße, 你好", "a\x1b[2Jb": "a\ufffd[2Jb", "a\nb": "a\ufffdb", "\u202eabc": "\ufffdabc", "\u0085": "\ufffd",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q prints as %q, want %q", text, got, want)
		}
	}
}

func TestMessageLine(t *testing.T) {
	m := apitype.Message{From: "participant", Name: "Dr \x1b[1mA", Text: "one\ntwo", Delivered: true}
	if got := messageLine(m); !strings.HasSuffix(got, " Dr \ufffd[1mA: one / two") {
		t.Errorf("got %q", got)
	}
	if got := messageLine(apitype.Message{From: "patient", Text: "hello"}); !strings.HasSuffix(got, " patient: hello (not delivered yet)") {
		t.Errorf("got %q", got)
	}
}

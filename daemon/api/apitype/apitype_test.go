package apitype_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitype"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFinal(t *testing.T) {
	retryable, final := &apitype.Error{Retryable: true}, &apitype.Error{}
	for _, c := range []struct {
		name    string
		session *apitype.Session
		want    bool
	}{
		{"none", nil, false},
		{"waiting_permissions", &apitype.Session{State: apitype.StateWaitingPermissions}, false},
		{"waiting", &apitype.Session{State: apitype.StateWaiting}, false},
		{"active", &apitype.Session{State: apitype.StateActive}, false},
		{"reconnecting", &apitype.Session{State: apitype.StateReconnecting}, false},
		{"ended", &apitype.Session{State: apitype.StateEnded}, true},
		{"timeout", &apitype.Session{State: apitype.StateTimeout}, true},
		{"error that retries", &apitype.Session{State: apitype.StateError, Error: retryable}, false},
		{"error that does not", &apitype.Session{State: apitype.StateError, Error: final}, true},
	} {
		if got := c.session.Final(); got != c.want {
			t.Errorf("%s: final is %v, want %v", c.name, got, c.want)
		}
	}
}

func TestStatesAreTheContract(t *testing.T) {
	got := strings.Join([]string{
		apitype.StateWaiting, apitype.StateActive, apitype.StateReconnecting, apitype.StateEnded,
		apitype.StateError, apitype.StateWaitingPermissions, apitype.StateTimeout,
	}, " ")
	if want := "waiting active reconnecting ended error waiting_permissions timeout"; got != want {
		t.Errorf("states are %q, want %q", got, want)
	}
}

func TestEventStatus(t *testing.T) {
	for _, c := range []struct {
		name, data string
		ok         bool
	}{
		{apitype.EventSnapshot, `{"session":{"state":"active"}}`, true},
		{apitype.EventChange, `{"session":{"state":"active"}}`, true},
		{apitype.EventOutput, `{"session":"started"}`, false},
		{apitype.EventLagging, `{}`, false},
		{apitype.EventChange, `[]`, false},
		{"", `{}`, false},
	} {
		s, err := apitype.Event{Name: c.name, Data: json.RawMessage(c.data)}.Status()
		if (err == nil) != c.ok || c.ok && s.Session.State != apitype.StateActive {
			t.Errorf("%s %s: got %+v, %v", c.name, c.data, s, err)
		}
	}
}

func TestEventOutput(t *testing.T) {
	for _, c := range []struct {
		name, data, want string
	}{
		{apitype.EventOutput, `{"audio":"updated"}`, "audio=updated"},
		{apitype.EventOutput, `{}`, ""},
		{apitype.EventOutput, `{"a":"b","c":"d"}`, ""},
		{apitype.EventOutput, `{"a":1}`, ""},
		{apitype.EventOutput, `null`, ""},
		{apitype.EventChange, `{"audio":"updated"}`, ""},
	} {
		name, value, err := apitype.Event{Name: c.name, Data: json.RawMessage(c.data)}.Output()
		if c.want == "" && err == nil || c.want != "" && name+"="+value != c.want {
			t.Errorf("%s %s: got %s=%s, %v", c.name, c.data, name, value, err)
		}
	}
}

func TestProblemIsAnError(t *testing.T) {
	p := apitype.NewProblem(409, "no_session", "cannot do this", "open one")
	var got *apitype.Problem
	if err := fmt.Errorf("wrapped: %w", p); !errors.As(err, &got) || got != p {
		t.Error("a wrapped problem is not found")
	}
	for _, c := range []struct {
		problem apitype.Problem
		want    string
	}{
		{*p, "cannot do this: open one"},
		{apitype.Problem{Detail: "cannot"}, "cannot"},
		{apitype.Problem{Title: "Conflict", Hint: "open one"}, "Conflict: open one"},
	} {
		if got := c.problem.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	b, err := json.Marshal(p)
	if want := `{"type":"urn:kioskd:problem:no_session","title":"Conflict","status":409,"code":"no_session","detail":"cannot do this","hint":"open one"}`; err != nil || string(b) != want {
		t.Errorf("as JSON it is %s, %v", b, err)
	}
}

// Lists are never null, so that a page can walk them without asking.
func TestOptionalFieldsAreLeftOutAndOthersAreThere(t *testing.T) {
	b, err := json.Marshal(apitype.Session{State: apitype.StateWaiting})
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []string{`"state"`, `"timer_seconds":0`, `"participants"`, `"audio":{"muted":false}`, `"video":{"disabled":false}`, `"camera"`, `"chat"`, `"quality"`, `"controls"`, `"limits"`} {
		if !strings.Contains(string(b), there) {
			t.Errorf("%s is not in %s", there, b)
		}
	}
	for _, absent := range []string{"appointment_id", "step", "error", "opened_at", "started_at", "ended_at"} {
		if strings.Contains(string(b), `"`+absent+`"`) {
			t.Errorf("%s is in %s", absent, b)
		}
	}
}

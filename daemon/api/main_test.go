package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// self connects as whoever runs the test: root, or a user without a role.
var self = apitest.User{}

// start gives a running kiosk that is torn down with the test.
func start(t *testing.T) *apitest.Kiosk {
	t.Helper()
	k, err := apitest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// deadline ends what should have happened long ago.
func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) String() string { return http.StatusText(r.status) + " " + string(r.body) }

// problem reads an error answer and checks that it is one.
func (r reply) problem(t *testing.T) apitype.Problem {
	t.Helper()
	var p apitype.Problem
	if got := r.header.Get("Content-Type"); got != apitype.TypeProblem {
		t.Fatalf("answer is of type %q, no problem: %s", got, r)
	}
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("cannot read the problem %s: %v", r, err)
	}
	if p.Status != r.status || p.Code == "" || p.Type != "urn:kioskd:problem:"+p.Code || !strings.HasPrefix(p.Detail, "cannot ") {
		t.Errorf("the problem is not whole: status %d, %s", r.status, r)
	}
	return p
}

// into decodes a good answer.
func (r reply) into(t *testing.T, v any) {
	t.Helper()
	if r.status != http.StatusOK || r.header.Get("Content-Type") != apitype.TypeJSON {
		t.Fatalf("no good answer: %d %s", r.status, r)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatal(err)
	}
}

// ask is one request: method, path, body and headers in pairs.
func ask(t *testing.T, c *http.Client, method, path, body string, headers ...string) reply {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(deadline(t), method, "http://kioskd"+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, bytes.TrimSpace(b)}
}

// clientOf gives a client as a user, closed with the test.
func clientOf(t *testing.T, k *apitest.Kiosk, u apitest.User) *http.Client {
	c := u.Client(k.Socket)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

const jsonType, sdpType, fragmentType = apitype.TypeJSON, apitype.TypeSDP, apitype.TypeSDPFragment

// open opens the test's appointment and waits until it waits for somebody.
func open(t *testing.T, k *apitest.Kiosk, c *http.Client) apitype.CommandAnswer {
	t.Helper()
	var a apitype.CommandAnswer
	ask(t, c, "PUT", "/v1/session", `{"appointment_id":"`+apitest.Canary+`"}`, "Content-Type", jsonType).into(t, &a)
	if err := k.Await(deadline(t), "waiting", "participant"); err != nil {
		t.Fatal(err)
	}
	return a
}

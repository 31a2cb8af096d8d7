package api_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

const checks = "/v1/checks"

func TestRootChecks(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, apitest.User{UID: 61011, GID: apitest.ScreenGID})
	var got apitype.Checks
	ask(t, c, "POST", checks, "").into(t, &got)
	var codes []string
	for _, v := range got.Checks {
		codes = append(codes, v.Code)
		if v.Message == "" {
			t.Errorf("%+v says nothing", v)
		}
	}
	want := apitype.CheckCodes()
	if len(codes) != len(want) || !got.OK {
		t.Fatalf("ok %v, the checks are %v, want %v", got.OK, codes, want)
	}
	for i := range want {
		if codes[i] != want[i] {
			t.Errorf("check %d is %s, want %s", i, codes[i], want[i])
		}
	}
	ask(t, c, "POST", checks, `{"only":"media","seconds":1}`, "Content-Type", jsonType).into(t, &got)
	if len(got.Checks) != 1 || got.Checks[0].Figures["frames"] != 91 {
		t.Errorf("the media alone: %+v", got)
	}

	open(t, k, c)
	ask(t, c, "POST", checks, "").into(t, &got)
	if last := got.Checks[len(got.Checks)-1]; last.Fault != "media_session" || last.Result != apitype.CheckSkip {
		t.Errorf("in a session: %+v", last)
	}
	if p := ask(t, c, "POST", checks, `{"only":"media"}`, "Content-Type", jsonType).problem(t); p.Code != apitype.CodeSessionActive || p.Status != http.StatusConflict {
		t.Errorf("the media in a session: %+v", p)
	}
}

// A second run is told that one is under way; who hangs up ends theirs.
func TestRootOneCheckAtATime(t *testing.T) {
	k := start(t)
	hold := make(chan struct{})
	k.Rehearsal.Store(&hold)
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	first := clientOf(t, k, self)
	gone := make(chan error, 1)
	go func() {
		for { // it may come while the second one's is under way
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://kioskd"+checks, nil)
			if err != nil {
				gone <- err
				return
			}
			resp, err := first.Do(req)
			if err == nil {
				err = resp.Body.Close()
			}
			if err != nil || resp.StatusCode != http.StatusConflict {
				gone <- err
				return
			}
		}
	}()
	c := clientOf(t, k, apitest.User{UID: 61011, GID: apitest.ScreenGID})
	until(t, func() bool {
		r := ask(t, c, "POST", checks, `{"only":"network"}`, "Content-Type", jsonType)
		return r.status == http.StatusConflict && r.problem(t).Code == apitype.CodeCheckRunning
	}, "the second run was never refused")
	hangUp()
	if err := <-gone; err == nil {
		t.Error("the first run was answered")
	}
	until(t, func() bool {
		return ask(t, c, "POST", checks, `{"only":"network"}`, "Content-Type", jsonType).status == http.StatusOK
	}, "no run came through when the first had hung up")
	close(hold)
}

// until asks again until it is so.
func until(t *testing.T, so func() bool, otherwise string) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ctx := deadline(t); !so(); {
		select {
		case <-ctx.Done():
			t.Fatal(otherwise)
		case <-tick.C:
		}
	}
}

package client_test

import (
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
)

func TestRootChecks(t *testing.T) {
	_, c := start(t)
	ctx := deadline(t)
	for _, tt := range []struct {
		req  apitype.ChecksRequest
		many int
	}{
		{apitype.ChecksRequest{}, len(apitype.CheckCodes())},
		{apitype.ChecksRequest{Without: apitype.CheckMedia}, len(apitype.CheckCodes()) - 1},
		{apitype.ChecksRequest{Only: apitype.CheckMedia, Seconds: 1}, 1},
	} {
		got, err := c.Checks(ctx, tt.req)
		if err != nil || len(got.Checks) != tt.many || !got.OK {
			t.Errorf("%+v: %+v, %v", tt.req, got, err)
		}
	}
	if _, err := c.Checks(ctx, apitype.ChecksRequest{Only: "shoes"}); codeOf(err) != apitype.CodeBadJSON {
		t.Errorf("an unknown check: %v", err)
	}
	// What is counted is how a run ended, not its 102.
	text, err := c.Metrics(ctx)
	for _, want := range []string{`class="2xx"} 3`, `class="4xx"} 1`} {
		if err != nil || !strings.Contains(string(text), `kioskd_api_requests_total{method="POST",route="/v1/checks",`+want+"\n") {
			t.Errorf("no %s in %s, %v", want, text, err)
		}
	}
}

func TestRootMetrics(t *testing.T) {
	_, c := start(t)
	ctx := deadline(t)
	if _, err := c.Status(ctx); err != nil {
		t.Fatal(err)
	}
	text, err := c.Metrics(ctx)
	if err != nil || !strings.Contains(string(text), `kioskd_api_requests_total{method="GET",route="/v1/status",class="2xx"} 1`) {
		t.Errorf("%s, %v", text, err)
	}
}

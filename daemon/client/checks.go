package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"time"

	"kioskd/daemon/api/apitype"
)

// checksTimeout is longer than the daemon's own bound of a run. That it has begun at all
// is told by its 102 within requestTimeout: where nobody accepts, a connection waits in
// the socket's queue as if somebody did.
const checksTimeout = 80 * time.Second

// Checks has the daemon check what a call needs; the zero request asks for all of it. A
// check that fails is no error; a run that is refused is a *apitype.Problem of code
// check_running or session_active.
func (c *Client) Checks(ctx context.Context, r apitype.ChecksRequest) (apitype.Checks, error) {
	body := map[string]any{} // a field that is zero is left out
	if r.Only != "" {
		body["only"] = r.Only
	}
	if r.Without != "" {
		body["without"] = r.Without
	}
	if r.Seconds != 0 {
		body["seconds"] = r.Seconds
	}
	ctx, cancel := context.WithTimeout(ctx, checksTimeout)
	defer cancel()
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	silent := time.AfterFunc(c.begins, func() { lose(context.DeadlineExceeded) })
	defer silent.Stop()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(int, textproto.MIMEHeader) error { silent.Stop(); return nil },
	})
	req, err := newRequest(ctx, http.MethodPost, apitype.RouteChecks, body)
	if err != nil {
		return apitype.Checks{}, err
	}
	resp, err := c.begin(req)
	if err != nil {
		return apitype.Checks{}, err
	}
	silent.Stop()
	defer resp.Body.Close()
	var out apitype.Checks
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return apitype.Checks{}, fmt.Errorf("cannot understand the checks of kioskd at %s, is it another version? %w", c.socket, err)
	}
	return out, nil
}

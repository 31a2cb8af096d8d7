package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"kioskd/daemon/api/apitype"
)

// checksTimeout is longer than the daemon's own bound of a run.
const checksTimeout = 80 * time.Second

// Checks has the daemon check what a call needs: all of it, or the one check that only
// names, its media for so many seconds (0: as many as the daemon thinks right). A
// check that fails is no error; a run that is refused is a *apitype.Problem of code
// check_running or session_active.
func (c *Client) Checks(ctx context.Context, only string, seconds int) (apitype.Checks, error) {
	body := map[string]any{} // a field that is zero is left out
	if only != "" {
		body["only"] = only
	}
	if seconds != 0 {
		body["seconds"] = seconds
	}
	ctx, cancel := context.WithTimeout(ctx, checksTimeout)
	defer cancel()
	req, err := newRequest(ctx, http.MethodPost, apitype.RouteChecks, body)
	if err != nil {
		return apitype.Checks{}, err
	}
	resp, err := c.begin(req)
	if err != nil {
		return apitype.Checks{}, err
	}
	defer resp.Body.Close()
	var out apitype.Checks
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&out); err != nil {
		return apitype.Checks{}, fmt.Errorf("cannot understand the checks of kioskd at %s, is it another version? %w", c.socket, err)
	}
	return out, nil
}

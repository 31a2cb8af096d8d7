package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"kioskd/daemon/api/apitype"
)

// Status asks for everything at once.
func (c *Client) Status(ctx context.Context) (apitype.Status, error) {
	var out apitype.Status
	return out, c.do(ctx, http.MethodGet, apitype.RouteStatus, nil, &out)
}

// Session asks for the session; nil where there is none.
func (c *Client) Session(ctx context.Context) (*apitype.Session, error) {
	var out *apitype.Session
	err := c.do(ctx, http.MethodGet, apitype.RouteSession, nil, &out)
	return out, err
}

// Messages asks for the chat, oldest first.
func (c *Client) Messages(ctx context.Context) ([]apitype.Message, error) {
	var out apitype.Messages
	err := c.do(ctx, http.MethodGet, apitype.RouteMessages, nil, &out)
	return out.Messages, err
}

// Devices asks for the devices.
func (c *Client) Devices(ctx context.Context) ([]apitype.Device, error) {
	var out apitype.Devices
	err := c.do(ctx, http.MethodGet, apitype.RouteDevices, nil, &out)
	return out.Devices, err
}

// Health asks for the conditions.
func (c *Client) Health(ctx context.Context) (apitype.Health, error) {
	var out apitype.Health
	return out, c.do(ctx, http.MethodGet, apitype.RouteHealth, nil, &out)
}

// Reports lists the issue reports that wait to be sent, oldest first. It takes
// a technician, as do Report, Audit and Config.
func (c *Client) Reports(ctx context.Context) ([]apitype.ReportInfo, error) {
	var out apitype.Reports
	err := c.do(ctx, http.MethodGet, apitype.RouteReports, nil, &out)
	return out.Reports, err
}

// Report gives the bundle of a report, JSON. The id of Reports is 1 to 128 of
// A-Z a-z 0-9 . _ -; any other is a problem of code not_found.
func (c *Client) Report(ctx context.Context, id string) (json.RawMessage, error) {
	if !identifier(id) {
		return nil, apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound,
			"cannot find this report: that is no report's id", "GET "+apitype.RouteReports+" lists those that wait")
	}
	var out json.RawMessage
	err := c.do(ctx, http.MethodGet, apitype.RouteReport+id, nil, &out)
	return out, err
}

// Audit asks for the newest entries of the journal, oldest first: at most limit
// (1 to 1000), or with 0 as many as the daemon thinks right.
func (c *Client) Audit(ctx context.Context, limit int) (apitype.Audit, error) {
	path := apitype.RouteAudit
	if limit != 0 {
		path += "?limit=" + strconv.Itoa(limit)
	}
	var out apitype.Audit
	return out, c.do(ctx, http.MethodGet, path, nil, &out)
}

// Config asks for the settings in force, JSON.
func (c *Client) Config(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.do(ctx, http.MethodGet, apitype.RouteConfig, nil, &out)
	return out, err
}

// Reload has the settings read anew. It takes a technician.
func (c *Client) Reload(ctx context.Context) (apitype.ReloadAnswer, error) {
	var out apitype.ReloadAnswer
	return out, c.do(ctx, http.MethodPost, apitype.RouteReload, nil, &out)
}

// OpenAPI asks for the description of the API, an OpenAPI 3.1 document.
func (c *Client) OpenAPI(ctx context.Context) (json.RawMessage, error) {
	var out json.RawMessage
	err := c.do(ctx, http.MethodGet, apitype.RouteOpenAPI, nil, &out)
	return out, err
}

// identifier keeps what is no id out of the path, where it could lead elsewhere.
func identifier(id string) bool {
	dots := true
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
			dots = false
		case c == '.':
		default:
			return false
		}
	}
	return !dots && len(id) <= 128
}

// Metrics asks for the daemon's figures, as Prometheus reads them.
func (c *Client) Metrics(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := newRequest(ctx, http.MethodGet, apitype.RouteMetrics, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.begin(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("cannot read the figures of kioskd at %s: %w", c.socket, err)
	}
	return text, nil
}

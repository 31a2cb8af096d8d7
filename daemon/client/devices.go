package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"kioskd/daemon/api/apitype"
)

// Bounds of a technician's tools: a camera may have to wake up for a snapshot, a tone
// lasts up to 10 s.
const (
	toolTimeout = 20 * time.Second
	maxPicture  = 8 << 20
)

// SetRole binds a device to a role (apitype.RoleFace and so on), or with an empty id
// takes the binding away, and gives all devices as they are then. It takes a
// technician, as do the others below.
func (c *Client) SetRole(ctx context.Context, role, device string) ([]apitype.Device, error) {
	if !identifier(role) {
		return nil, apitype.NewProblem(http.StatusNotFound, apitype.CodeRoleUnknown,
			"cannot find this role", "the roles are face, document, exam, microphone, speaker")
	}
	var out apitype.Devices
	err := c.do(ctx, http.MethodPut, apitype.RouteRole+role, apitype.RoleRequest{Device: device}, &out)
	return out.Devices, err
}

// SetControls sets a camera's controls by name, all or none, and gives all of them as
// they are then. What is set is kept for that camera.
func (c *Client) SetControls(ctx context.Context, id string, values map[string]int32) ([]apitype.DeviceControl, error) {
	path, err := devicePath(id, "/controls")
	if err != nil {
		return nil, err
	}
	var out apitype.DeviceControls
	err = c.do(ctx, http.MethodPut, path, apitype.ControlsRequest{Controls: values}, &out)
	return out.Controls, err
}

// Snapshot takes one picture with a camera, JPEG. While there is a session it is
// refused with a *apitype.Problem of code session_active, as are Levels and Tone.
func (c *Client) Snapshot(ctx context.Context, id string) ([]byte, error) {
	var picture []byte
	err := c.tool(ctx, http.MethodGet, id, "/snapshot", nil, func(resp *http.Response) error {
		var err error
		picture, err = io.ReadAll(io.LimitReader(resp.Body, maxPicture+1))
		switch {
		case err != nil:
			return fmt.Errorf("cannot read the picture from kioskd at %s: %w", c.socket, err)
		case len(picture) > maxPicture:
			return fmt.Errorf("cannot take the picture from kioskd at %s: it is larger than %d bytes", c.socket, maxPicture)
		case resp.Header.Get("Content-Type") != apitype.TypeJPEG:
			return fmt.Errorf("cannot understand the answer of kioskd at %s, is it another version? it is %q, no picture", c.socket, resp.Header.Get("Content-Type"))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return picture, nil
}

// Tone plays a tone on a speaker and comes back when it is over.
func (c *Client) Tone(ctx context.Context, id string, tone apitype.ToneRequest) error {
	var body any
	switch { // a field that is zero is left out
	case tone.Hertz != 0 && tone.Seconds != 0:
		body = tone
	case tone.Hertz != 0:
		body = map[string]int{"hertz": tone.Hertz}
	case tone.Seconds != 0:
		body = map[string]int{"seconds": tone.Seconds}
	}
	return c.tool(ctx, http.MethodPost, id, "/tone", body, func(*http.Response) error { return nil })
}

// tool asks for something that takes its time, and has read take the answer.
func (c *Client) tool(ctx context.Context, method, id, what string, in any, read func(*http.Response) error) error {
	path, err := devicePath(id, what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	req, err := newRequest(ctx, method, path, in)
	if err != nil {
		return err
	}
	resp, err := c.begin(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return read(resp)
}

// begin sends a request and gives an answer whose body is still to be read; one that
// is no success comes back as its problem.
func (c *Client) begin(req *http.Request) (*http.Response, error) {
	resp, err := c.ask(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	c.met.Store(true)
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusNoContent {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came is enough
	return nil, problemFrom(resp, body)
}

// Levels calls fn with a microphone's level, ten times a second, until ctx ends or the
// daemon ends it: then the error is a *apitype.Problem, of code session_active where
// a session was opened.
func (c *Client) Levels(ctx context.Context, id string, fn func(apitype.Level)) error {
	path, err := devicePath(id, "/level")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := newRequest(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	resp, err := c.begin(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	err = readEvents(resp.Body, func() { quiet.Reset(silence) }, func(e apitype.Event) error { return levelEvent(e, fn) })
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot go on listening: kioskd at %s ended the stream without a word", c.socket)
	}
	return err
}

// levelEvent takes one event of a level's stream; its end is an error.
func levelEvent(e apitype.Event, fn func(apitype.Level)) error {
	switch e.Name {
	case apitype.EventLevel:
		var l apitype.Level
		if err := json.Unmarshal(e.Data, &l); err != nil {
			return fmt.Errorf("cannot understand a level, is kioskd another version? %w", err)
		}
		fn(l)
	case apitype.EventEnded:
		p := new(apitype.Problem)
		if err := json.Unmarshal(e.Data, p); err != nil || p.Code == "" {
			return errors.New("cannot go on listening: kioskd ended it and gave no reason")
		}
		return p
	}
	return nil
}

// devicePath keeps what is no device's id out of the path, where it could lead
// elsewhere.
func devicePath(id, what string) (string, error) {
	if !identifier(id) || id == "" {
		return "", apitype.NewProblem(http.StatusNotFound, apitype.CodeDeviceUnknown,
			"cannot find this device: that is no device's id", "GET "+apitype.RouteDevices+" lists them")
	}
	return apitype.RouteDevice + url.PathEscape(id) + what, nil
}

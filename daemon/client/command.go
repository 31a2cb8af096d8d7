package client

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/http"
	"syscall"
	"time"

	"kioskd/daemon/api/apitype"
)

// Bounds of a second try: a daemon that is restarted is back within this, or
// somebody has to look at it.
const (
	comeBack   = 4 * time.Second
	comeBackIn = 10 * time.Millisecond
)

// errBroken marks an answer that broke off.
var errBroken = errors.New("the connection broke")

// Open opens an appointment. While another one is running it is refused with a
// *apitype.Problem of code session_in_progress.
func (c *Client) Open(ctx context.Context, appointmentID string) (apitype.CommandAnswer, error) {
	return c.command(ctx, http.MethodPut, apitype.RouteSession, apitype.OpenRequest{AppointmentID: appointmentID})
}

// Permissions gives the patient's answers: "granted", "denied" or "dismissed".
func (c *Client) Permissions(ctx context.Context, camera, microphone string) (apitype.CommandAnswer, error) {
	return c.command(ctx, http.MethodPut, apitype.RoutePermissions, apitype.PermissionsRequest{Camera: camera, Microphone: microphone})
}

// Mute sets the mute, or toggles it where set is nil.
func (c *Client) Mute(ctx context.Context, set *bool) (apitype.CommandAnswer, error) {
	if set == nil {
		return c.command(ctx, http.MethodPost, apitype.RouteMute, nil)
	}
	return c.command(ctx, http.MethodPost, apitype.RouteMute, apitype.MuteRequest{Muted: set})
}

// DisableVideo takes the video away (true) or brings it back (false), or
// toggles it where set is nil.
func (c *Client) DisableVideo(ctx context.Context, set *bool) (apitype.CommandAnswer, error) {
	if set == nil {
		return c.command(ctx, http.MethodPost, apitype.RouteDisableVideo, nil)
	}
	return c.command(ctx, http.MethodPost, apitype.RouteDisableVideo, apitype.DisableVideoRequest{Disabled: set})
}

// SwapCamera takes the camera with this id, or with an empty one the next usable.
func (c *Client) SwapCamera(ctx context.Context, camera string) (apitype.CommandAnswer, error) {
	if camera == "" {
		return c.command(ctx, http.MethodPost, apitype.RouteSwapCamera, nil)
	}
	return c.command(ctx, http.MethodPost, apitype.RouteSwapCamera, apitype.SwapCameraRequest{Camera: camera})
}

// Chat opens the chat, or closes it.
func (c *Client) Chat(ctx context.Context, open bool) (apitype.CommandAnswer, error) {
	return c.command(ctx, http.MethodPost, apitype.RouteChat, apitype.ChatRequest{Open: &open})
}

// SendMessage says something in the chat: 1 to 2000 bytes.
func (c *Client) SendMessage(ctx context.Context, text string) (apitype.MessageAnswer, error) {
	var out apitype.MessageAnswer
	return out, c.once(ctx, http.MethodPost, apitype.RouteMessages, apitype.MessageRequest{Text: text}, &out)
}

// ReportIssue opens the issue reporting flow, or closes it.
func (c *Client) ReportIssue(ctx context.Context, open bool) (apitype.CommandAnswer, error) {
	if open {
		return c.command(ctx, http.MethodPost, apitype.RouteReportIssue, nil)
	}
	return c.command(ctx, http.MethodPost, apitype.RouteReportIssue, struct {
		Open bool `json:"open"`
	}{false})
}

// SubmitReport hands an issue report in: 1 to 2000 bytes. Its id is in
// Session.Report.Submitted of the answer.
func (c *Client) SubmitReport(ctx context.Context, text string) (apitype.CommandAnswer, error) {
	return c.command(ctx, http.MethodPost, apitype.RouteReportIssue, struct {
		Text string `json:"text"`
	}{text})
}

// EndCall ends the session.
func (c *Client) EndCall(ctx context.Context) (apitype.CommandAnswer, error) {
	return c.command(ctx, http.MethodPost, apitype.RouteEndCall, nil)
}

func (c *Client) command(ctx context.Context, method, path string, body any) (apitype.CommandAnswer, error) {
	var out apitype.CommandAnswer
	return out, c.once(ctx, method, path, body, &out)
}

// once gives a command and makes sure that it acts once: it carries an
// Idempotency-Key of its own, and where the connection breaks before the answer
// is here, because the daemon is restarted or killed, it is asked again with the
// same key as soon as a daemon is there. A daemon that was not there to begin
// with is not waited for.
func (c *Client) once(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	key := rand.Text()
	err := c.keyed(ctx, method, path, key, in, out)
	if !broke(err) && (!absent(err) || !c.met.Load()) { // a kept connection that was dead is redialled by net/http itself
		return err
	}
	back, stop := context.WithTimeout(ctx, comeBack)
	defer stop()
	tick := time.NewTicker(comeBackIn)
	defer tick.Stop()
	for {
		again := c.keyed(ctx, method, path, key, in, out)
		if !away(again) {
			return again
		}
		select {
		case <-back.Done():
			return again
		case <-tick.C:
		}
	}
}

// keyed asks once, with a key.
func (c *Client) keyed(ctx context.Context, method, path, key string, in, out any) error {
	req, err := newRequest(ctx, method, path, in)
	if err != nil {
		return err
	}
	req.Header.Set(apitype.IdempotencyHeader, key)
	return c.send(req, out)
}

// broke tells whether a daemon was there and went away: the command may be done
// or not.
func broke(err error) bool {
	if errors.Is(err, errBroken) || stopping(err) {
		return true
	}
	return errors.Is(err, ErrUnreachable) && !absent(err) &&
		!errors.Is(err, fs.ErrPermission) && !errors.Is(err, context.DeadlineExceeded)
}

// away tells whether no daemon is there yet.
func away(err error) bool {
	return absent(err) || stopping(err)
}

// absent tells whether nobody listens: no socket, or a dead one.
func absent(err error) bool {
	return errors.Is(err, ErrUnreachable) && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED))
}

// stopping tells whether the daemon said that it goes down.
func stopping(err error) bool {
	p := (*apitype.Problem)(nil)
	return errors.As(err, &p) && p.Code == apitype.CodeStopping
}

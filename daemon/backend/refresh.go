package backend

import (
	"context"
	"net/http"

	"kioskd/daemon/backend/screen"
)

// Refresh tells the backend that the screen's timer ran out (PATCH, a urlencoded
// body update=timeout) and gives what changes. Its errors are *Error or
// *StateError, whose Patch is to be applied all the same; see Code and Retryable.
// A 302 is CodePrerequisiteMissing and is not followed: OpenRoom follows it. When
// ctx ends first, the error also matches ctx.Err().
func (c *Client) Refresh(ctx context.Context, req RefreshRequest) (Patch, error) {
	// The address was checked when it came, but it may have been kept over a
	// change of the configuration.
	target, problem := c.hosts.Resolve(c.base, req.URL)
	if problem != "" {
		return Patch{}, &Error{Code: CodeBackendUnavailable, text: "cannot refresh the screen: its update names " + problem}
	}
	header, err := c.header(taskRefresh)
	if err != nil {
		return Patch{}, err
	}
	grants(header, req.Camera, req.Microphone)
	header.Set("Content-Type", "application/x-www-form-urlencoded")

	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var got Patch
	patch := request{task: taskRefresh, method: http.MethodPatch, target: target, header: header, body: [][]byte{[]byte("update=timeout")}, limit: c.timeout}
	err = c.exchange(limited, patch, func(a answer) (err error) {
		got, err = a.refreshed()
		return err
	})
	return got, callersEnd(ctx, err)
}

// refreshed judges the answer of a PATCH by its status.
func (a answer) refreshed() (Patch, error) {
	switch a.StatusCode {
	case http.StatusOK:
		data, problem := a.json()
		if problem != nil {
			return Patch{}, problem
		}
		got, err := screen.ParsePatch(data, a.target, a.client.hosts)
		if err != nil {
			return Patch{}, a.fail(CodeBackendUnavailable, false, err.Error())
		}
		got.Date = a.date
		return got, nil
	case http.StatusFound:
		return Patch{}, a.fail(CodePrerequisiteMissing, false, "the backend wants another screen first; open the video room again")
	case http.StatusUnauthorized:
		return Patch{}, a.refused()
	case http.StatusNotFound, http.StatusGone:
		return Patch{}, a.fail(CodeAppointmentUnknown, false, "the backend does not know the appointment any more")
	case http.StatusMethodNotAllowed:
		return Patch{}, a.stateError()
	default:
		return Patch{}, a.unexpected()
	}
}

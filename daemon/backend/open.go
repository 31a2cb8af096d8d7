package backend

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"kioskd/daemon/backend/screen"
)

const maxRedirects = 3

// OpenRoom asks for the appointment's room (PUT
// /api/v3/appointments/{id}/video-room) and follows up to three 302 with PUT.
// Its errors are *Error or *StateError; see Code, Retryable and Title. When ctx
// ends first, the error also matches ctx.Err().
func (c *Client) OpenRoom(ctx context.Context, req OpenRequest) (Screen, error) {
	target, err := c.room(taskOpen, req.AppointmentID)
	if err != nil {
		return Screen{}, err
	}
	header, err := c.header(taskOpen)
	if err != nil {
		return Screen{}, err
	}
	grants(header, req.Camera, req.Microphone)

	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for range maxRedirects + 1 {
		var got Screen
		var next *url.URL
		put := request{task: taskOpen, method: http.MethodPut, target: target, header: header, limit: c.timeout}
		err := c.exchange(limited, put, func(a answer) (err error) {
			got, next, err = a.opened()
			return err
		})
		if next == nil {
			return got, callersEnd(ctx, err)
		}
		target = next
	}
	return Screen{}, &Error{Code: CodeBackendUnavailable, text: fmt.Sprintf("cannot open the video room: the backend redirected more than %d times", maxRedirects)}
}

// opened judges the answer of a PUT by its status. It gives a screen, an error,
// or where to go next.
func (a answer) opened() (Screen, *url.URL, error) {
	switch a.StatusCode {
	case http.StatusOK:
		got, err := a.screen()
		return got, nil, err
	case http.StatusFound:
		next, problem := a.client.hosts.Resolve(a.target, a.Header.Get("Location"))
		if problem != "" {
			return Screen{}, nil, a.fail(CodeBackendUnavailable, false, "the backend redirected to "+problem)
		}
		return Screen{}, next, nil
	case http.StatusUnauthorized:
		return Screen{}, nil, a.refused()
	case http.StatusNotFound:
		return Screen{}, nil, a.fail(CodeAppointmentUnknown, false, "the backend does not know the appointment; check its number")
	case http.StatusMethodNotAllowed:
		return Screen{}, nil, a.stateError()
	default:
		return Screen{}, nil, a.unexpected()
	}
}

// screen reads a 200.
func (a answer) screen() (Screen, error) {
	data, problem := a.json()
	if problem != nil {
		return Screen{}, problem
	}
	got, err := screen.Parse(data, a.target, a.client.hosts)
	if err != nil {
		return Screen{}, a.fail(CodeBackendUnavailable, false, err.Error())
	}
	got.Date = a.date
	if got.Room == nil {
		failed := a.fail(CodeRoomUnavailable, false, "the backend's screen has no room")
		failed.Title = got.Title
		return Screen{}, failed
	}
	if !a.date.IsZero() && !got.Room.Expires.After(a.date) {
		// Both times are the backend's, so the kiosk's clock has no say in it.
		return Screen{}, a.fail(CodeBackendUnavailable, true, "the room's token had expired when it was sent; it is asked again")
	}
	return got, nil
}

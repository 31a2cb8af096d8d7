package backend

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
)

// QualityPost is how a call went: figures, and nobody's name.
type QualityPost struct {
	// AppointmentID is as in OpenRequest.
	AppointmentID string
	// ID is the post's own, random id, 1 to 64 of [A-Za-z0-9._-].
	ID string
	// Figures are flat, as the published conventions have it: one value a name.
	Figures map[string]string
}

// String shows the id and how many figures there are.
func (q QualityPost) String() string {
	return fmt.Sprintf("QualityPost{ID:%q Figures:%d}", q.ID, len(q.Figures))
}

// GoString hides the same from %#v.
func (q QualityPost) GoString() string { return q.String() }

// LogValue hides the same from log/slog.
func (q QualityPost) LogValue() slog.Value { return slog.StringValue(q.String()) }

// maxFigures bounds a quality post's body, in bytes.
const maxFigures = 8 << 10

// PostQuality hands the figures of an ended call over (POST
// /api/v3/appointments/{id}/video-room/video-quality, urlencoded, with the id as
// Idempotency-Key and as key). nil means that the backend has it. Its errors are those
// of PostReport; a Permanent one means that this backend wants none.
func (c *Client) PostQuality(ctx context.Context, post QualityPost) error {
	target, err := c.room(taskQuality, post.AppointmentID, "video-quality")
	if err != nil {
		return err
	}
	form := url.Values{"key": {post.ID}}
	for name, value := range post.Figures {
		form.Set(name, value)
	}
	body := form.Encode()
	if !reportID.MatchString(post.ID) || len(body) > maxFigures {
		return &Error{Code: CodeReportRefused, text: fmt.Sprintf("cannot send the call's figures: their id, or their %d bytes, are out of bounds", len(body))}
	}
	header, err := c.header(taskQuality)
	if err != nil {
		return err
	}
	header.Set("Content-Type", "application/x-www-form-urlencoded")
	header.Set("Idempotency-Key", post.ID)
	request := request{task: taskQuality, method: http.MethodPost, target: target, header: header, body: [][]byte{[]byte(body)}, limit: c.timeout}
	limited, cancel := context.WithTimeout(ctx, request.limit)
	defer cancel()
	return callersEnd(ctx, c.exchange(limited, request, answer.posted))
}

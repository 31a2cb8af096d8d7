package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// clinicWithin bounds one request to clinicsim.
const clinicWithin = 5 * time.Second

// clinic asks clinicsim's control for something and decodes the answer into
// into, unless that is nil.
func (s *Stage) clinic(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, clinicWithin)
	defer cancel()
	token, err := os.ReadFile(s.abs("backend-token"))
	if err != nil {
		return fmt.Errorf("cannot read the clinic's token: %w", err)
	}
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("cannot ask the clinic: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.local+path, bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("cannot ask the clinic: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	for _, h := range [][2]string{{"X-Camera", "Granted"}, {"X-Microphone", "Granted"}, {"X-Device", "Desktop"}} {
		req.Header.Set(h[0], h[1])
	}
	req.Close = true
	asks := http.DefaultClient
	if s.apart != nil {
		asks = s.apart.client()
	}
	resp, err := asks.Do(req)
	if err != nil {
		return fmt.Errorf("cannot ask the clinic: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("cannot read the clinic's answer: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("cannot have the clinic do %s: status %d, %s", path, resp.StatusCode, bytes.TrimSpace(answer))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("cannot read the clinic's answer to %s: %w", path, err)
	}
	return nil
}

// Behave tells clinicsim how to behave from now on; see its POST /sim/behave.
func (s *Stage) Behave(ctx context.Context, order map[string]any) error {
	return s.clinic(ctx, http.MethodPost, "/sim/behave", order, nil)
}

// BehaveWell undoes all that Behave asked for.
func (s *Stage) BehaveWell(ctx context.Context) error {
	return s.clinic(ctx, http.MethodPost, "/sim/reset", map[string]any{}, nil)
}

// ExpireTokens makes the room tokens that were handed out worth nothing.
func (s *Stage) ExpireTokens(ctx context.Context) error {
	return s.clinic(ctx, http.MethodPost, "/sim/expire", map[string]any{}, nil)
}

// Room is what somebody needs to join an appointment's room.
type Room struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// Room asks the backend for an appointment's room, as a kiosk does.
func (s *Stage) Room(ctx context.Context, appointment string) (Room, error) {
	var screen struct{ Room Room }
	err := s.clinic(ctx, http.MethodPut, "/api/v3/appointments/"+appointment+"/video-room", nil, &screen)
	return screen.Room, err
}

// Invite gives a fresh one-use address of a page: as is clinician, second or interpreter.
func (s *Stage) Invite(ctx context.Context, as string) (string, error) {
	var a struct{ URL string }
	err := s.clinic(ctx, http.MethodPost, "/sim/invite", map[string]string{"as": as}, &a)
	return a.URL, err
}

// OpenClinic shows another of the clinic's pages in a browser of its own. Its
// window is small: a clinician's computer is not the kiosk, and what drawing its
// page costs would be taken from the kiosk's here.
func (s *Stage) OpenClinic(ctx context.Context, as string) (*Browser, error) {
	url, err := s.Invite(ctx, as)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, as, url, 640, 400, s.apart)
}

// Member is somebody whom the signalling server counts as present.
type Member struct {
	Peer string `json:"peer"`
	Role string `json:"role"`
}

// Members lists who is in the rooms, in the order of joining.
func (s *Stage) Members(ctx context.Context) ([]Member, error) {
	var room struct{ Peers []Member }
	err := s.clinic(ctx, http.MethodGet, "/sim/room", nil, &room)
	return room.Peers, err
}

// Request is one request that the backend got.
type Request struct {
	Method     string `json:"method"`
	Path       string `json:"path"`
	Status     int    `json:"status"`
	Camera     string `json:"x_camera"`
	Microphone string `json:"x_microphone"`
}

// Requests lists what the backend was asked, oldest first.
func (s *Stage) Requests(ctx context.Context) ([]Request, error) {
	var list []Request
	err := s.clinic(ctx, http.MethodGet, "/sim/log", nil, &list)
	return list, err
}

// Report is one issue report that the backend has.
type Report struct {
	Key    string          `json:"key"`
	Issue  string          `json:"issue"`
	Bundle json.RawMessage `json:"bundle"`
}

// Reports lists the issue reports that the backend has.
func (s *Stage) Reports(ctx context.Context) ([]Report, error) {
	var list []Report
	err := s.clinic(ctx, http.MethodGet, "/sim/reports", nil, &list)
	return list, err
}

// Document asks the backend for an appointment's whole screen, as a kiosk does.
func (s *Stage) Document(ctx context.Context, appointment string) (map[string]any, error) {
	var screen map[string]any
	err := s.clinic(ctx, http.MethodPut, "/api/v3/appointments/"+appointment+"/video-room", nil, &screen)
	return screen, err
}

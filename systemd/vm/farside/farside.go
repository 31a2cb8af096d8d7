// Package farside is the other side of the call without a browser: it joins the room
// as a clinician, answers the kiosk's offers, hums, and judges the pictures and the
// sound that come: live or slate, tone or quiet.
//
// It owns one WebSocket, one peer connection at a time and their goroutines; Close
// waits for all of them. Imported by the program that runs the virtual machine.
package farside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/direct/signal"
)

// Options say which call to join.
type Options struct {
	// Backend is clinicsim's address, Token the kiosk's bearer token.
	Backend, Token string
	Appointment    string
	// Address is what the kiosk calls the machine that this runs on. We listen on
	// 127.0.0.1, which QEMU's user network shows it as.
	Address string
}

// askWithin bounds a request and the writing of a message.
const askWithin = 10 * time.Second

// Side is one far side.
type Side struct {
	Seen

	opts Options
	conn *websocket.Conn
	life context.Context //nolint:containedctx // the side's own life, ended by Close
	end  context.CancelFunc
	wg   sync.WaitGroup // the reader

	mu   sync.Mutex
	line *line // the connection there is
	err  error // why reading ended
}

// Join joins the room of an appointment.
func Join(ctx context.Context, o Options) (*Side, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	url, token, err := room(ctx, o)
	if err != nil {
		return nil, err
	}
	conn, _, err := websocket.Dial(ctx, url, nil) //nolint:bodyclose // websocket: the body needs no Close
	if err != nil {
		return nil, fmt.Errorf("cannot reach the room: %w", err)
	}
	conn.SetReadLimit(signal.MaxMessage)
	s := &Side{opts: o, conn: conn}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	hello := signal.Message{Type: signal.Hello, Token: token, Peer: "clinician-vm", Name: "Dr. Headless", Role: signal.Clinician}
	err = s.send(hello)
	if err == nil {
		err = s.welcomed(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.wg.Go(s.read)
	return s, nil
}

// room asks the backend for the appointment's room, as a kiosk does.
func room(ctx context.Context, o Options) (url, token string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, o.Backend+"/api/v3/appointments/"+o.Appointment+"/video-room", http.NoBody)
	if err != nil {
		return "", "", fmt.Errorf("cannot ask for the room: %w", err)
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+o.Token)
	for _, h := range [][2]string{{"X-Camera", "Granted"}, {"X-Microphone", "Granted"}, {"X-Device", "Desktop"}} {
		req.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", "", fmt.Errorf("cannot ask for the room: %w", err)
	}
	defer resp.Body.Close()
	var screen struct {
		Room struct{ URL, Token string }
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, signal.MaxMessage)).Decode(&screen)
	if resp.StatusCode != http.StatusOK || err != nil || screen.Room.URL == "" {
		return "", "", errors.Join(fmt.Errorf("cannot find the room in the backend's answer, status %d", resp.StatusCode), err)
	}
	return screen.Room.URL, screen.Room.Token, nil
}

// Close leaves the room and waits for every goroutine. It gives the error that had
// ended the side before.
func (s *Side) Close() error {
	s.end()
	_ = s.conn.CloseNow() // closed already where the far end went first
	s.wg.Wait()           // then nothing makes another line
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == nil {
		return s.err
	}
	err := s.line.close()
	s.line = nil
	return errors.Join(err, s.err)
}

func (s *Side) send(m signal.Message) error {
	b, err := signal.Marshal(m)
	if err == nil {
		ctx, cancel := context.WithTimeout(s.life, askWithin)
		defer cancel()
		err = s.conn.Write(ctx, websocket.MessageText, b)
	}
	if err != nil {
		return fmt.Errorf("cannot say %s in the room: %w", m.Type, err)
	}
	return nil
}

// welcomed waits for the room's first word.
func (s *Side) welcomed(ctx context.Context) error {
	_, b, err := s.conn.Read(ctx)
	if err != nil {
		return fmt.Errorf("cannot hear the room's welcome: %w", err)
	}
	m, err := signal.Parse(b)
	if err == nil && m.Type != signal.Welcome {
		err = fmt.Errorf("it says %s %s", m.Type, m.Code)
	}
	if err != nil {
		return fmt.Errorf("cannot enter the room: %w", err)
	}
	return nil
}

// read takes what the room says until Close.
func (s *Side) read() {
	for {
		_, b, err := s.conn.Read(s.life)
		if err == nil {
			var m signal.Message
			if m, err = signal.Parse(b); err == nil {
				err = s.hear(m)
			}
		}
		if err != nil {
			if s.life.Err() == nil {
				s.mu.Lock()
				s.err = fmt.Errorf("cannot stay in the room: %w", err)
				s.mu.Unlock()
			}
			return
		}
	}
}

// hear acts upon offers; the kiosk's candidates lead to addresses that only it can
// reach, and it finds us by ours.
func (s *Side) hear(m signal.Message) error {
	switch m.Type {
	case signal.Offer:
		return s.offered(m)
	case signal.Error:
		return fmt.Errorf("the room says %s: %s", m.Code, m.Detail)
	default:
		return nil
	}
}

// offered answers an offer: a restart keeps the connection, any other replaces it.
func (s *Side) offered(m signal.Message) error {
	s.mu.Lock()
	old := s.line
	s.mu.Unlock()
	l := old
	if l == nil || !m.Restart {
		fresh, err := s.newLine()
		if err != nil {
			return err
		}
		l = fresh
		s.mu.Lock()
		s.line = l
		s.mu.Unlock()
		if old != nil {
			if err := old.close(); err != nil {
				return err
			}
		}
	}
	answer, err := l.answer(s.life, withoutCandidates(m.SDP))
	if err != nil {
		return err
	}
	return s.send(signal.Message{Type: signal.Answer, To: m.From, SDP: readdressed(answer, s.opts.Address)})
}

// withoutCandidates drops the candidates of a description (RFC 8839, section 5.1).
func withoutCandidates(sdp string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		if !strings.HasPrefix(line, "a=candidate:") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// readdressed puts another address into the candidates at 127.0.0.1.
func readdressed(sdp, address string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		if strings.HasPrefix(line, "a=candidate:") {
			line = strings.Replace(line, " 127.0.0.1 ", " "+address+" ", 1)
		}
		b.WriteString(line)
	}
	return b.String()
}

// Connected says how the media's path is, in pion's words.
func (s *Side) Connected() webrtc.PeerConnectionState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == nil {
		return webrtc.PeerConnectionStateUnknown
	}
	return s.line.pc.ConnectionState()
}

// Package loopback is a room with nobody in it but a receiver of our own: the kiosk's
// tracks go through a real peer connection (ICE, DTLS, SRTP) over UDP on the loopback
// interface to a second one in this process, which counts what arrives.
//
// It owns the two connections and the figures. Imports: pion, room and peer, and
// capture/encode to hear the sound. Who may import it: daemon, for the check of the
// media.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
	"kioskd/daemon/room/peer"
)

// Provider joins the room of a Receiver. It is for one Join.
type Provider struct{ Receiver *Receiver }

// loop is a joined room.
type loop struct {
	kiosk, far *webrtc.PeerConnection
	readers    sync.WaitGroup
}

// Join connects the two ends and returns when they are: a loopback call that finds no
// path fails here. Every error wraps room.ErrUnreachable.
func (p *Provider) Join(ctx context.Context, params room.Params) (room.Room, error) {
	l := &loop{}
	err := l.connect(ctx, p.Receiver, params)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", room.ErrUnreachable, err), l.close())
	}
	return l, nil
}

func (l *loop) connect(ctx context.Context, r *Receiver, params room.Params) error {
	options := peer.Options{LoopbackOnly: true, Video: params.Path.Video}
	var err error
	if l.kiosk, err = peer.New(options); err != nil {
		return err
	}
	if l.far, err = peer.New(options); err != nil {
		return err
	}
	for _, t := range params.Tracks {
		sender, err := l.kiosk.AddTrack(t)
		if err != nil {
			return fmt.Errorf("cannot send a track: %w", err)
		}
		l.readers.Go(func() { drain(sender) })
	}
	l.far.OnTrack(func(t *webrtc.TrackRemote, via *webrtc.RTPReceiver) {
		id := captureID(via)
		l.readers.Go(func() { r.receive(t, id) })
	})
	up := make(chan struct{})
	var once sync.Once
	l.far.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(up) })
		}
	})
	if err := l.negotiate(ctx); err != nil {
		return err
	}
	select {
	case <-up:
		params.Events(room.KeyframeWanted{})
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot connect over loopback: %w", ctx.Err())
	}
}

// negotiate exchanges whole descriptions: there is no server in between to trickle
// candidates over.
func (l *loop) negotiate(ctx context.Context) error {
	offer, err := l.kiosk.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("cannot make an offer: %w", err)
	}
	if err := gathered(ctx, l.kiosk, offer); err != nil {
		return err
	}
	if err := l.far.SetRemoteDescription(*l.kiosk.LocalDescription()); err != nil {
		return fmt.Errorf("cannot take the offer: %w", err)
	}
	answer, err := l.far.CreateAnswer(nil)
	if err != nil {
		return fmt.Errorf("cannot answer: %w", err)
	}
	if err := gathered(ctx, l.far, answer); err != nil {
		return err
	}
	if err := l.kiosk.SetRemoteDescription(*l.far.LocalDescription()); err != nil {
		return fmt.Errorf("cannot take the answer: %w", err)
	}
	return nil
}

// gathered sets a description and waits until it has all its candidates.
func gathered(ctx context.Context, pc *webrtc.PeerConnection, d webrtc.SessionDescription) error {
	done := webrtc.GatheringCompletePromise(pc)
	if err := pc.SetLocalDescription(d); err != nil {
		return fmt.Errorf("cannot set a description: %w", err)
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot gather candidates on loopback: %w", ctx.Err())
	}
}

// drain reads what the far side reports, so that the interceptors see it; it ends with
// the connection.
func drain(s *webrtc.RTPSender) {
	for {
		if _, _, err := s.ReadRTCP(); err != nil {
			return
		}
	}
}

// Leave closes both ends.
func (l *loop) Leave(context.Context, room.Reason) error { return l.close() }

// SetOutbox has nobody to deliver to.
func (l *loop) SetOutbox([]room.Message) {}

// Acknowledge has nobody to tell.
func (l *loop) Acknowledge(string, string) {}

// Repair implements room.Room: nothing breaks on loopback that a new try would not find.
func (*loop) Repair(room.Repair) {}

func (l *loop) close() error {
	var errs []error
	for _, pc := range []*webrtc.PeerConnection{l.kiosk, l.far} {
		if pc != nil {
			errs = append(errs, pc.GracefulClose())
		}
	}
	l.readers.Wait()
	return errors.Join(errs...)
}

// captureID is the id of the header extension with the instant of capture; 0: it was
// not agreed.
func captureID(via *webrtc.RTPReceiver) uint8 {
	for _, h := range via.GetParameters().HeaderExtensions {
		if h.URI == peer.CaptureTime {
			return uint8(h.ID)
		}
	}
	return 0
}

package call

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/peer"
)

// Errors of views that the control API turns into problems.
var (
	ErrNoView      = errors.New("cannot find that view: it has ended, make a new one")
	ErrNoStream    = errors.New("cannot show that stream: nobody of that name is in the call")
	ErrBadOffer    = errors.New("cannot use that SDP offer")
	ErrTooManyView = errors.New("cannot open another view: too many are open, close one")
)

// maxViews bounds what a confused page can cost: a self-view and three
// participants, twice over for a reload whose old views have not expired yet.
const maxViews = 16

// gatherTimeout bounds the gathering of candidates on loopback, which asks no server.
const gatherTimeout = 2 * time.Second

// view is one WHEP session of the touchscreen page: one stream over loopback
// (draft-ietf-wish-whep). It ends when the page deletes it or falls silent.
type view struct {
	id string
	pc *webrtc.PeerConnection
	wg sync.WaitGroup // the RTCP readers
}

// views holds the open ones.
type views struct {
	mu     sync.Mutex
	open   map[string]*view
	closed bool
	wg     sync.WaitGroup // views that are closing
}

// source is what a view shows: tracks, and how to ask for a keyframe of them.
type source struct {
	tracks   []webrtc.TrackLocal
	keyframe func()
	begin    func() // somebody is there who has seen nothing
}

// create answers a WHEP offer. It returns the view's id and the SDP answer with
// all candidates in it.
func (v *views) create(ctx context.Context, src source, offer string) (id, answer string, err error) {
	pc, err := peer.New(peer.Options{LoopbackOnly: true})
	if err != nil {
		return "", "", err
	}
	w := &view{id: rand.Text(), pc: pc}
	if err := v.add(w); err != nil {
		return "", "", errors.Join(err, pc.GracefulClose())
	}
	if answer, err = w.negotiate(ctx, src, offer); err != nil {
		_ = v.remove(w.id) // why there is no view says more than how it closed
		return "", "", err
	}
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			src.begin()
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			v.expire(w.id)
		default: // on its way, or disconnected, which may pass
		}
	})
	return w.id, answer, nil
}

func (w *view) negotiate(ctx context.Context, src source, offer string) (string, error) {
	if err := w.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadOffer, err)
	}
	for _, t := range src.tracks {
		if !wants(w.pc, t.Kind()) {
			continue
		}
		sender, err := w.pc.AddTrack(t)
		if err != nil {
			return "", fmt.Errorf("%w: cannot add the %s track: %w", ErrBadOffer, t.Kind(), err)
		}
		w.wg.Go(func() { readRTCP(sender, src.keyframe) })
	}
	gathered := webrtc.GatheringCompletePromise(w.pc)
	a, err := w.pc.CreateAnswer(nil)
	if err == nil {
		err = w.pc.SetLocalDescription(a)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadOffer, err)
	}
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout)
	defer cancel()
	select {
	case <-gathered:
		return w.pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", fmt.Errorf("cannot gather candidates on loopback: %w", context.Cause(ctx))
	}
}

// wants reports whether the offer has a place for this kind.
func wants(pc *webrtc.PeerConnection, kind webrtc.RTPCodecType) bool {
	for _, t := range pc.GetTransceivers() {
		if t.Kind() == kind && t.Sender() == nil || t.Kind() == kind && t.Sender().Track() == nil {
			return true
		}
	}
	return false
}

// readRTCP passes on the keyframe requests of whoever receives from sender,
// until the sender stops.
func readRTCP(sender *webrtc.RTPSender, keyframe func()) {
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				keyframe()
			}
		}
	}
}

// patch adds trickled candidates (RFC 8840 SDP fragment) to a view.
func (v *views) patch(id, fragment string) error {
	v.mu.Lock()
	w := v.open[id]
	v.mu.Unlock()
	if w == nil {
		return ErrNoView
	}
	for line := range strings.Lines(fragment) {
		c, ok := strings.CutPrefix(strings.TrimSpace(line), "a=candidate:")
		if !ok {
			continue
		}
		mid := "0" // one bundle: every candidate belongs to its first section
		if err := w.pc.AddICECandidate(webrtc.ICECandidateInit{Candidate: "candidate:" + c, SDPMid: &mid}); err != nil {
			return fmt.Errorf("cannot use that candidate: %w", err)
		}
	}
	return nil
}

func (v *views) add(w *view) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed || len(v.open) >= maxViews {
		return ErrTooManyView
	}
	if v.open == nil {
		v.open = map[string]*view{}
	}
	v.open[w.id] = w
	return nil
}

// take removes a view from the table; the caller closes it and calls wg.Done.
func (v *views) take(id string) *view {
	v.mu.Lock()
	defer v.mu.Unlock()
	w := v.open[id]
	if w != nil {
		delete(v.open, id)
		v.wg.Add(1)
	}
	return w
}

// remove closes a view and waits for its goroutines.
func (v *views) remove(id string) error {
	w := v.take(id)
	if w == nil {
		return ErrNoView
	}
	defer v.wg.Done()
	err := w.pc.GracefulClose()
	w.wg.Wait()
	if err != nil {
		return fmt.Errorf("cannot close the view cleanly: %w", err)
	}
	return nil
}

// expire closes a view from one of its own callbacks, which must not wait for themselves.
func (v *views) expire(id string) {
	w := v.take(id)
	if w == nil {
		return
	}
	go func() {
		defer v.wg.Done()
		_ = w.pc.GracefulClose() // it has failed already, there is nobody to tell
		w.wg.Wait()
	}()
}

// closeAll ends every view; none can be opened afterwards.
func (v *views) closeAll() {
	v.mu.Lock()
	v.closed = true
	ids := make([]string, 0, len(v.open))
	for id := range v.open {
		ids = append(ids, id)
	}
	v.mu.Unlock()
	for _, id := range ids {
		_ = v.remove(id) // a race with expire is fine, wg counts both
	}
	v.wg.Wait()
}

// count is the number of open views.
func (v *views) count() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.open)
}

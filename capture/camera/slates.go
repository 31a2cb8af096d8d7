package camera

import (
	"context"
	"time"

	"kioskd/capture"
)

// showSlates puts a slate every slateEvery while no live picture comes, the first
// one slateAfter the last picture.
func (k *Keeper) showSlates(ctx context.Context) {
	var s slate
	t := time.NewTimer(slateAfter)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			t.Reset(k.showSlate(&s))
		}
	}
}

// showSlate puts a slate where it is time for one and tells when to look again.
func (k *Keeper) showSlate(s *slate) time.Duration {
	k.mu.Lock()
	w, h := k.w, k.h
	k.mu.Unlock()
	f := s.copy(w, h, k.cfg.Slate) // not under the lock: it may have to be drawn

	k.mu.Lock()
	defer k.mu.Unlock()
	if left := slateAfter - time.Since(k.last); left > 0 {
		f.Release()
		return left
	}
	f.Time = time.Now()
	k.hand(f)
	return slateEvery
}

// slate is the drawn picture and the pool for its copies.
type slate struct {
	picture *capture.Frame
	pool    *capture.Pool
}

// copy gives a frame with the slate, drawn anew when the size is another.
// Consumers may still hold the one before, with its own time, so each is a copy.
func (s *slate) copy(w, h int, lines []string) *capture.Frame {
	if s.picture == nil || s.picture.Rect.Dx() != w || s.picture.Rect.Dy() != h {
		s.picture, s.pool = capture.Slate(w, h, lines), capture.NewPool(w, h)
	}
	f := s.pool.Get()
	copy(f.Y, s.picture.Y)
	copy(f.Cb, s.picture.Cb)
	copy(f.Cr, s.picture.Cr)
	return f
}

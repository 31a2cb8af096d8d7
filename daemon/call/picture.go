package call

import (
	"context"
	"time"

	"kioskd/capture"
)

// picture is what the video track shows.
type picture struct {
	kind pictureKind
	id   string
}

type pictureKind int

const (
	pictureNone pictureKind = iota
	pictureCamera
	pictureOff
)

func (m Media) picture() picture {
	switch {
	case m.VideoOff && m.Microphone:
		return picture{kind: pictureOff}
	case m.VideoOff || !m.Camera:
		return picture{}
	default:
		return picture{kind: pictureCamera, id: m.CameraID}
	}
}

func (c *Call) startPicture(want picture) {
	p, ctx := newPart()
	c.source = p
	c.video.keyframe() // a new scene
	if want.kind == pictureOff {
		p.wg.Go(func() { c.showOff(ctx) })
		return
	}
	p.wg.Go(func() { c.opts.Camera(ctx, want.id, c.cameraPut()) })
}

// cameraPut takes the frames of one run of Options.Camera. The first of another
// camera becomes a keyframe: nothing of its picture is like the one before.
func (c *Call) cameraPut() func(*capture.Frame) {
	var last uint64
	return func(f *capture.Frame) {
		f.Patient = true
		if f.Scene || f.Seq < last {
			c.video.newScene()
		}
		last = f.Seq
		c.video.box.Put(f)
	}
}

// offEvery is the pace of the picture that stands for "video off": enough for a
// late joiner, next to nothing in CPU.
const offEvery = 500 * time.Millisecond

// showOff sends the words that tell the others why there is no picture. Without
// it their screens would keep the last frame of the patient.
func (c *Call) showOff(ctx context.Context) {
	w, h := c.opts.Video.Width, c.opts.Video.Height
	pool, slate := capture.NewPool(w, h), capture.Slate(w, h, c.opts.OffWords)
	defer slate.Release()
	tick := time.NewTicker(offEvery)
	defer tick.Stop()
	for seq := uint64(0); ; seq++ {
		f := pool.Get()
		copy(f.Y, slate.Y)
		copy(f.Cb, slate.Cb)
		copy(f.Cr, slate.Cr)
		f.Seq, f.Time = seq, time.Now()
		c.video.box.Put(f)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

package call

import (
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"golang.org/x/sys/unix"

	"kioskd/capture"
	"kioskd/capture/encode"
)

// naluSTAP is the type of a packet with SPS and PPS (RFC 6184, section 5.7.1): an H.264
// keyframe begins with one.
const naluSTAP = 24

// sender is a video sender whose loop the test is.
func sender(t *testing.T, o VideoOptions) *videoSender {
	t.Helper()
	if o.Width == 0 {
		o.Width, o.Height, o.FPS = 320, 240, 30
	}
	v, err := newVideoSender(o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v.begin()
	t.Cleanup(v.closeLanes)
	return v
}

// show gives it one picture of the patient, of the n-th shade.
func show(t *testing.T, v *videoSender, n int, patient bool) {
	t.Helper()
	f := capture.NewPool(v.opts.Width, v.opts.Height).Get()
	defer f.Release()
	for i := range f.Y {
		f.Y[i] = byte(n*5) + byte(i%13)
	}
	for i := range f.Cb {
		f.Cb[i], f.Cr[i] = 128, 128
	}
	f.Time, f.Patient = time.Now(), patient
	if err := v.take(f); err != nil {
		t.Fatal(err)
	}
}

func bound(t *testing.T, v *videoSender, c *connected) *connected {
	t.Helper()
	if _, err := v.track.Bind(c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Who is left with another codec because somebody went sees a keyframe of it at once.
func TestChangeOfCodecBeginsWithAKeyframe(t *testing.T) {
	v := sender(t, VideoOptions{})
	page := bound(t, v, &connected{id: "page", codecs: []string{webrtc.MimeTypeH264, webrtc.MimeTypeVP8}})
	old := bound(t, v, &connected{id: "old", codecs: []string{webrtc.MimeTypeVP8}, resends: true})
	bound(t, v, &connected{id: "new", codecs: []string{webrtc.MimeTypeH264}, resends: true})
	for n := range 5 {
		show(t, v, n, true)
	}
	if pt := page.got[len(page.got)-1].PayloadType; pt != 102 {
		t.Fatalf("the page gets payload type %d, not VP8", pt)
	}
	if err := v.track.Unbind(old); err != nil {
		t.Fatal(err)
	}
	before := len(page.got)
	show(t, v, 5, true)
	if len(page.got) == before || page.got[before].PayloadType != 100 || page.bodies[before][0]&0x1f != naluSTAP {
		t.Errorf("the page goes on in H.264 with a packet of type %d", page.bodies[before][0]&0x1f)
	}
	asked := v.stats.asked.Load()
	show(t, v, 6, true)
	if v.stats.asked.Load() != asked {
		t.Error("every picture is a keyframe from then on")
	}
}

// interrupted has something happen while the encoder works.
type interrupted struct {
	encode.VideoEncoder
	meanwhile func()
}

func (i interrupted) Encode(f *capture.Frame) ([]byte, bool, error) {
	defer i.meanwhile()
	return i.VideoEncoder.Encode(f)
}

// What is encoded when the video is switched off goes to nobody, whatever the codec, and
// the picture that stands for it does not lean on it, however new the last keyframe is.
func TestSwitchedOffWhileEncoding(t *testing.T) {
	v := sender(t, VideoOptions{})
	room := bound(t, v, &connected{id: "room", codecs: []string{webrtc.MimeTypeH264}, resends: true})
	old := bound(t, v, &connected{id: "old", codecs: []string{webrtc.MimeTypeVP8}, resends: true})
	show(t, v, 0, true)
	first := v.lanes[v.work[0]]
	enc := first.enc
	first.enc = interrupted{enc, func() { v.private.Store(true) }}
	h, p := len(room.got), len(old.got)
	show(t, v, 1, true)
	if len(room.got) != h || len(old.got) != p {
		t.Errorf("%d packets in H.264 and %d in VP8 of the patient went out", len(room.got)-h, len(old.got)-p)
	}
	first.enc = enc
	show(t, v, 2, true)
	show(t, v, 20, false)
	if len(room.got) == h || room.bodies[h][0]&0x1f != naluSTAP {
		t.Errorf("%d packets of the picture for video off, want a keyframe", len(room.got)-h)
	}
	if frame, err := new(codecs.VP8Packet).Unmarshal(old.bodies[p]); err != nil || frame[0]&1 != 0 { // RFC 6386, section 9.1
		t.Errorf("the picture for video off is no keyframe in VP8 (%v)", err)
	}
}

// Pictures are counted once a second of them, not once a codec: the page would be shown
// half of what comes slowly already.
func TestRateIsThatOfPictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := sender(t, VideoOptions{})
		bound(t, v, &connected{id: "old", codecs: []string{webrtc.MimeTypeVP8}, resends: true})
		bound(t, v, &connected{id: "new", codecs: []string{webrtc.MimeTypeH264}, resends: true})
		for n := range 45 {
			show(t, v, n, true)
			<-time.After(time.Second / 15)
		}
		if got := v.stats.rate.Load(); got < 14_000 || got > 16_000 {
			t.Errorf("%d mHz, want 15 000", got)
		}
	})
}

// A governor's step to 20 pictures a second is below what a page is shown half of, for
// good: a rate around the limit would make it flap.
func TestLightIsBetweenTheSteps(t *testing.T) {
	g := encode.NewGovernor(encode.GovernorConfig{Budget: 0.01, Prefer: encode.MaintainResolution, Width: 1280, Height: 720, FPS: 30})
	for at := time.Unix(1000, 0); g.FPS() == 30; at = at.Add(time.Second / 30) {
		g.Spent(at, 20*time.Millisecond)
	}
	if slow := g.FPS() * 1000; slow*1.05 > lightFrom || lightFrom > 25_000*0.95 {
		t.Errorf("the limit of %d mHz is not between the governor's %.0f and the 25 000 of a slow camera", lightFrom, slow)
	}
}

// An encoder's helpers work for the picture, too: openh264 leaves them nearly all of it.
func TestTheBudgetKnowsHelpers(t *testing.T) {
	for _, threads := range []int{1, 2} {
		v := sender(t, VideoOptions{Width: 1280, Height: 720, FPS: 30, Params: encode.VideoParams{Threads: threads}})
		bound(t, v, &connected{id: "room", codecs: []string{webrtc.MimeTypeH264}, resends: true})
		runtime.LockOSThread()
		all, began := clock(unix.CLOCK_PROCESS_CPUTIME_ID), v.cpuTime()
		for n := range 60 {
			show(t, v, n, true)
		}
		spent, total := v.cpuTime()-began, clock(unix.CLOCK_PROCESS_CPUTIME_ID)-all
		runtime.UnlockOSThread()
		if spent < total/2 || spent > total {
			t.Errorf("%d threads: %v of %v count", threads, spent, total)
		}
	}
}

// Two codecs that need other sizes take no new memory for each picture.
func TestTwoSizesTwoPools(t *testing.T) {
	v := sender(t, VideoOptions{Width: 1280, Height: 720, FPS: 30, Params: encode.VideoParams{BitRate: 300_000}})
	bound(t, v, &connected{id: "old", codecs: []string{webrtc.MimeTypeVP8}, resends: true})
	bound(t, v, &connected{id: "new", codecs: []string{webrtc.MimeTypeH264}, resends: true})
	show(t, v, 0, true)
	pools := map[*capture.Pool]bool{}
	for n := range 5 {
		show(t, v, n, true)
		for _, l := range v.lanes {
			pools[l.pool] = true
		}
	}
	if len(pools) != 2 {
		t.Errorf("%d pools for two sizes", len(pools))
	}
}

// Where no encoder runs the statistics name none.
func TestNoEncoderIsToldAfterTheEnd(t *testing.T) {
	v := sender(t, VideoOptions{})
	bound(t, v, &connected{id: "room", codecs: []string{webrtc.MimeTypeH264}, resends: true})
	show(t, v, 0, true)
	if got := v.stats.codecs; len(got) != 1 || got[0] != "video/H264" {
		t.Errorf("codecs %v", got)
	}
	v.closeLanes()
	if got := v.stats.codecs; len(got) != 0 {
		t.Errorf("codecs %v after the end", got)
	}
}

package encode_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/encode"
)

// gridEnv asks for every cell of the bit rate grid; else a few stand for it.
const gridEnv = "KIOSKD_BITRATE"

// pictures give picture n; the caller releases it.
type pictures interface {
	frame(n int, at time.Time) *capture.Frame
}

// outcome is what a stream became.
type outcome struct {
	kbps           float64
	most, key      float64 // largest picture that is no keyframe, largest keyframe, in mean pictures
	keys, pictures int
}

// run encodes seconds of the scene at fps, scaled to what the rate carries, and measures from
// the second second on. jitter moves each capture instant by up to that much.
func runStream(t *testing.T, s pictures, e encode.VideoEncoder, fps float64, seconds int, jitter time.Duration, each func(n int)) outcome {
	t.Helper()
	var o outcome
	rng := rand.New(rand.NewPCG(7, 7))
	bits, n := 0.0, int(fps*float64(seconds))
	var sizes []float64
	var isKey []bool
	for i := range n {
		if each != nil {
			each(i)
		}
		at := start().Add(time.Duration(float64(i) / fps * float64(time.Second)))
		if jitter > 0 {
			at = at.Add(time.Duration(rng.Int64N(int64(2*jitter))) - jitter)
		}
		f := s.frame(i, at)
		data, key, err := e.Encode(f)
		f.Release()
		if err != nil {
			t.Fatal(err)
		}
		sizes, isKey = append(sizes, float64(8*len(data))), append(isKey, key)
		bits += float64(8 * len(data))
	}
	mean := bits / float64(n)
	for i, b := range sizes {
		if isKey[i] {
			o.keys++
			o.key = max(o.key, b/mean)
		} else {
			o.most = max(o.most, b/mean)
		}
	}
	o.kbps, o.pictures = bits/float64(seconds)/1000, n
	return o
}

func newVideo(t testing.TB, c encode.Codec, p encode.VideoParams) encode.VideoEncoder {
	t.Helper()
	e, err := encode.NewVideo(c, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func codecs() []encode.Codec { return []encode.Codec{encode.CodecVP8, encode.CodecH264} }

// TestBitRateIsMet: within 5 % of the target over 10 s, keyframes included.
func TestBitRateIsMet(t *testing.T) {
	rates, seconds := []int{200, 1500}, 10
	if os.Getenv(gridEnv) != "" {
		rates = []int{200, 500, 1000, 1500, 3000}
	}
	scenes := map[[3]int]pictures{}
	for _, c := range codecs() {
		for _, fps := range []float64{5, 15, 30} {
			for _, kbps := range rates {
				t.Run(fmt.Sprintf("%s/%vfps/%d", c, fps, kbps), func(t *testing.T) {
					w, h := encode.Fit(c, 1280, 720, fps, kbps*1000)
					cell := [3]int{w, h, max(kbps, 1500)}
					if scenes[cell] == nil {
						scenes[cell] = newWebcam(t, w, h, 60)
						if fps == 5 && kbps > 1500 { // a quiet scene has no more to tell: both quantisers are at their finest
							scenes[cell] = newScene(w, h, 4)
						}
					}
					e := newVideo(t, c, encode.VideoParams{BitRate: kbps * 1000, FrameRate: fps, Threads: 1})
					o := runStream(t, scenes[cell], e, fps, seconds, 0, nil)
					off := 100 * (o.kbps/float64(kbps) - 1)
					t.Logf("%dx%d: %.0f kbit/s, %+.1f %%, keyframe %.1f, largest other %.1f mean pictures", w, h, o.kbps, off, o.key, o.most)
					if off > 5 || off < -5 || o.key > 4 || o.most > 5 {
						t.Errorf("off by %+.1f %%, keyframe %.1f, largest other %.1f mean pictures", off, o.key, o.most)
					}
				})
			}
		}
	}
}

// swaying is a rate of its own, for a scene of its own.
const swaying = 2000

// TestFramesAreBounded: no frame above 5 mean ones under 20 ms of capture jitter,
// and no keyframe above 4.
func TestFramesAreBounded(t *testing.T) {
	calm := newWebcam(t, 1280, 720, 60)
	for _, c := range codecs() {
		for _, kbps := range []int{500, 1500, 3000, swaying} {
			t.Run(fmt.Sprintf("%s/%d", c, kbps), func(t *testing.T) {
				var s pictures = calm
				if kbps == swaying { // everything moves, so that each picture is new
					s = newScene(1280, 720, 4)
				}
				e := newVideo(t, c, encode.VideoParams{BitRate: kbps * 1000, Threads: 1})
				o := runStream(t, s, e, 30, 10, 20*time.Millisecond, func(n int) {
					if n%75 == 70 {
						_ = e.ForceKeyFrame()
					}
				})
				t.Logf("%.0f kbit/s, %d keyframes up to %.1f, others up to %.1f mean pictures", o.kbps, o.keys, o.key, o.most)
				if o.keys < 5 || o.key > 4 || o.most > 5 {
					t.Errorf("%d keyframes up to %.1f, others up to %.1f mean pictures", o.keys, o.key, o.most)
				}
			})
		}
	}
}

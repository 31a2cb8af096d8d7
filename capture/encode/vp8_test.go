package encode_test

import (
	"fmt"
	"image"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/cmd/fakecam/blocks"
)

func newVP8(t testing.TB, p encode.VP8Params) *encode.VP8 {
	t.Helper()
	v, err := encode.NewVP8(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func newDecoder(t testing.TB) *encode.VP8Decoder {
	t.Helper()
	d, err := encode.NewVP8Decoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// run encodes the frames taken at the given instants and returns their sizes in
// bytes and the numbers of the keyframes.
func run(t *testing.T, v *encode.VP8, s *scene, from int, times []time.Time) (sizes []int, keys []int) {
	t.Helper()
	for i, at := range times {
		f := s.frame(from+i, at)
		data, key, err := v.Encode(f)
		f.Release()
		if err != nil {
			t.Fatalf("frame %d: %v", from+i, err)
		}
		if key != encode.IsKeyframe(data) {
			t.Errorf("frame %d: key is %v, its header says %v", from+i, key, encode.IsKeyframe(data))
		}
		if key {
			keys = append(keys, from+i)
		}
		sizes = append(sizes, len(data))
	}
	return sizes, keys
}

// steady gives n instants, one every 1/fps s, each moved by up to jitter.
func steady(from time.Time, n int, fps float64, jitter time.Duration) []time.Time {
	rng := rand.New(rand.NewPCG(3, 4))
	times := make([]time.Time, n)
	for i := range times {
		at := from.Add(time.Duration(float64(i) / fps * float64(time.Second)))
		if jitter > 0 {
			at = at.Add(time.Duration(rng.Int64N(int64(2*jitter))) - jitter)
		}
		if i > 0 && !at.After(times[i-1]) {
			at = times[i-1].Add(time.Millisecond)
		}
		times[i] = at
	}
	return times
}

func total(sizes []int) (sum int) {
	for _, n := range sizes {
		sum += n
	}
	return sum
}

// peak is the largest picture after skip of them, in mean pictures.
func peak(sizes []int, skip int) float64 {
	var largest int
	for _, n := range sizes[skip:] {
		largest = max(largest, n)
	}
	return float64(largest) * float64(len(sizes)) / float64(total(sizes))
}

func TestVP8Decodes(t *testing.T) {
	s := newScene(640, 360, 3)
	v, d := newVP8(t, encode.VP8Params{BitRate: 1_000_000}), newDecoder(t)
	for i, at := range steady(start(), 45, 30, 0) {
		f := s.frame(i, at)
		data, key, err := v.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if key != (i == 0) {
			t.Errorf("frame %d: key %v", i, key)
		}
		got, err := d.Decode(data)
		if err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
		if db := psnr(&f.YCbCr, got); db < 28 {
			t.Errorf("frame %d: PSNR %.1f dB", i, db)
		}
		code, err := blocks.Read(got.Y, got.YStride, 640, 360)
		if err != nil || code.Counter != uint32(i) || !code.Time().Equal(at.Truncate(100*time.Microsecond)) {
			t.Errorf("frame %d: block code %+v, %v", i, code, err)
		}
		f.Release()
	}
}

// A size that is no multiple of 16, from planes that end exactly with the picture.
func TestVP8OddSizes(t *testing.T) {
	for _, size := range []image.Point{{16, 16}, {322, 242}, {177, 99}, {641, 361}} {
		v, d := newVP8(t, encode.VP8Params{}), newDecoder(t)
		img := chequer(image.Rect(0, 0, size.X, size.Y))
		for range 3 {
			data, _, err := v.Encode(&capture.Frame{YCbCr: *img, Time: start()})
			if err != nil {
				t.Fatalf("%v: %v", size, err)
			}
			got, err := d.Decode(data)
			if err != nil {
				t.Fatalf("%v: %v", size, err)
			}
			if got.Rect.Size() != size || psnr(img, got) < 25 {
				t.Errorf("%v: decoded as %v, PSNR %.1f dB", size, got.Rect.Size(), psnr(img, got))
			}
		}
	}
}

// CBR means: what was asked for is what is sent, whatever the camera's rate.
func TestVP8BitRate(t *testing.T) {
	for _, c := range []struct {
		w, h  int
		fps   float64
		bps   int
		noise int
	}{
		{320, 240, 30, 200_000, 3},
		{320, 240, 15, 200_000, 3},
		{320, 240, 5, 200_000, 8},
		{640, 360, 30, 1_000_000, 3},
		{640, 360, 15, 1_000_000, 6},
		{640, 360, 5, 800_000, 8},
		{1280, 720, 30, 1_500_000, 3},
		{1280, 720, 30, 3_000_000, 5},
		{1280, 720, 15, 3_000_000, 8},
		{1280, 720, 5, 3_000_000, 12},
	} {
		t.Run(fmt.Sprintf("%dp%v_%dk", c.h, c.fps, c.bps/1000), func(t *testing.T) {
			// The encoder is told 30 and has to find the true rate out.
			v := newVP8(t, encode.VP8Params{BitRate: c.bps})
			sizes, keys := run(t, v, newScene(c.w, c.h, c.noise), 0, steady(start(), int(10*c.fps), c.fps, 0))
			got := float64(total(sizes)) * 8 / 10
			off := 100 * (got/float64(c.bps) - 1)
			t.Logf("%.0f kbit/s, %+.1f %%, largest %.1f means", got/1000, off, peak(sizes, 0))
			if math.Abs(off) > 5 {
				t.Errorf("%.0f bit/s for %d asked: %+.1f %%", got, c.bps, off)
			}
			if p := peak(sizes, 0); p > 5 {
				t.Errorf("largest picture is %.1f means", p)
			}
			if len(keys) != 1 {
				t.Errorf("keyframes %v, want only the first", keys)
			}
		})
	}
}

// Late frames are what makes a naive use of timestamps burst.
func TestVP8Jitter(t *testing.T) {
	for _, fps := range []float64{15, 30} {
		v := newVP8(t, encode.VP8Params{BitRate: 1_000_000})
		times := steady(start(), int(10*fps), fps, 20*time.Millisecond)
		sizes, _ := run(t, v, newScene(640, 360, 5), 0, times)
		off := 100 * (float64(total(sizes))*8/10/1_000_000 - 1)
		t.Logf("%v fps: %+.1f %%, largest %.1f means, after the first %.1f", fps, off, peak(sizes, 0), peak(sizes, 1))
		if peak(sizes, 0) > 5 || math.Abs(off) > 5 {
			t.Errorf("%v fps: largest %.1f means, rate off by %+.1f %%", fps, peak(sizes, 0), off)
		}
	}
}

// Video was off for a while, then comes back: no picture earns the pause's bits.
func TestVP8Pause(t *testing.T) {
	v := newVP8(t, encode.VP8Params{BitRate: 1_000_000})
	s := newScene(640, 360, 5)
	times := steady(start(), 90, 30, 0)
	times = append(times, steady(start().Add(33*time.Second), 90, 30, 0)...)
	sizes, _ := run(t, v, s, 0, times)
	if p := peak(sizes, 1); p > 3 {
		t.Errorf("largest picture after the start is %.1f means", p)
	}
}

func TestVP8ForceKeyFrame(t *testing.T) {
	v := newVP8(t, encode.VP8Params{BitRate: 1_000_000})
	s := newScene(640, 360, 4)
	sizes, _ := run(t, v, s, 0, steady(start(), 60, 30, 0))
	if err := v.ForceKeyFrame(); err != nil {
		t.Fatal(err)
	}
	more, keys := run(t, v, s, 60, steady(start().Add(2*time.Second), 60, 30, 0))
	if len(keys) != 1 || keys[0] != 60 {
		t.Errorf("keyframes %v, want only 60", keys)
	}
	if p := peak(append(sizes, more...), 60); p > 5 {
		t.Errorf("the keyframe is %.1f means", p)
	}
	// It must be enough to start with.
	d := newDecoder(t)
	if err := v.ForceKeyFrame(); err != nil {
		t.Fatal(err)
	}
	f := s.frame(120, start().Add(4*time.Second))
	defer f.Release()
	data, _, err := v.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decode(data); err != nil {
		t.Error(err)
	}
}

func TestVP8KeyFrameInterval(t *testing.T) {
	v := newVP8(t, encode.VP8Params{KeyFrameInterval: 20})
	_, keys := run(t, v, newScene(320, 240, 3), 0, steady(start(), 61, 30, 0))
	if fmt.Sprint(keys) != "[0 20 40 60]" {
		t.Errorf("keyframes %v", keys)
	}
}

func TestVP8RatesAtRuntime(t *testing.T) {
	v := newVP8(t, encode.VP8Params{BitRate: 1_000_000})
	s := newScene(640, 360, 5)
	at, n := start(), 0
	for _, step := range []struct {
		bps int
		fps float64
	}{{1_000_000, 30}, {400_000, 30}, {1_500_000, 30}, {800_000, 10}, {800_000, 30}} {
		if err := v.SetBitRate(step.bps); err != nil {
			t.Fatal(err)
		}
		if err := v.SetFrameRate(step.fps); err != nil {
			t.Fatal(err)
		}
		count := int(6 * step.fps)
		sizes, keys := run(t, v, s, n, steady(at, count, step.fps, 0))
		at, n = at.Add(6*time.Second), n+count
		// The first second is the buffer's, to settle.
		settled := sizes[int(step.fps):]
		got := float64(total(settled)) * 8 / 5
		t.Logf("%d bit/s at %v fps: %.0f", step.bps, step.fps, got)
		if math.Abs(got/float64(step.bps)-1) > 0.10 {
			t.Errorf("%d bit/s at %v fps: got %.0f", step.bps, step.fps, got)
		}
		if n > count && len(keys) > 0 {
			t.Errorf("a change of rates made keyframes %v", keys)
		}
	}
}

func TestVP8SizeChanges(t *testing.T) {
	v, d := newVP8(t, encode.VP8Params{}), newDecoder(t)
	at := start()
	for _, size := range []image.Point{{640, 360}, {320, 240}, {1280, 720}, {640, 480}} {
		s := newScene(size.X, size.Y, 2)
		for i := range 3 {
			f := s.frame(i, at)
			data, key, err := v.Encode(f)
			f.Release()
			if err != nil {
				t.Fatalf("%v: %v", size, err)
			}
			if key != (i == 0) {
				t.Errorf("%v: frame %d has key %v", size, i, key)
			}
			w, h, ok := encode.KeyframeSize(data)
			if ok != key || (key && (w != size.X || h != size.Y)) {
				t.Errorf("%v: the header says %dx%d, %v", size, w, h, ok)
			}
			if img, err := d.Decode(data); err != nil || img.Rect.Size() != size {
				t.Fatalf("%v: decoded %v, %v", size, img, err)
			}
			at = at.Add(33 * time.Millisecond)
		}
	}
}

// A window of a larger picture is read in place.
func TestVP8SubImage(t *testing.T) {
	big := chequer(image.Rect(0, 0, 400, 300))
	sub := big.SubImage(image.Rect(32, 20, 352, 260)).(*image.YCbCr)
	v, d := newVP8(t, encode.VP8Params{}), newDecoder(t)
	data, _, err := v.Encode(&capture.Frame{YCbCr: *sub, Time: start()})
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	want := chequer(image.Rect(0, 0, 320, 240))
	for y := range 240 {
		copy(want.Y[y*want.YStride:][:320], sub.Y[y*sub.YStride:])
	}
	if db := psnr(want, got); db < 25 {
		t.Errorf("PSNR %.1f dB", db)
	}
}

func TestVP8DoesNotAllocate(t *testing.T) {
	v := newVP8(t, encode.VP8Params{})
	s := newScene(320, 240, 4)
	at, f := start(), s.frame(0, start())
	defer f.Release()
	for range 30 { // the output slice grows to the keyframe's size
		f.Time = f.Time.Add(33 * time.Millisecond)
		if _, _, err := v.Encode(f); err != nil {
			t.Fatal(err)
		}
	}
	bps := 500_000
	allocs := testing.AllocsPerRun(50, func() {
		at = at.Add(33 * time.Millisecond)
		f.Time = at
		bps += 1000
		if err := v.SetBitRate(bps); err != nil {
			t.Error(err)
		}
		if _, _, err := v.Encode(f); err != nil {
			t.Error(err)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a frame", allocs)
	}
}

package encode_test

import (
	"errors"
	"image"
	"sync"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/encode"
)

func h264(t testing.TB, p encode.H264Params) *encode.H264 {
	t.Helper()
	e, err := encode.NewH264(p)
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

// TestH264Pictures: what a far side needs to begin stands in front of every
// keyframe: SPS of Constrained Baseline at most level 3.1 (RFC 6184, 42e01f), PPS, IDR.
func TestH264Pictures(t *testing.T) {
	s, e := newWebcam(t, 1280, 720, 30), h264(t, encode.H264Params{Threads: 1})
	for i := range 30 {
		if i == 20 {
			if err := e.ForceKeyFrame(); err != nil {
				t.Fatal(err)
			}
		}
		f := s.frame(i, start().Add(time.Duration(i)*time.Second/30))
		data, key, err := e.Encode(f)
		f.Release()
		if err != nil {
			t.Fatal(err)
		}
		if key != (i == 0 || i == 20) {
			t.Errorf("picture %d: keyframe %v", i, key)
		}
		var types []byte
		encode.EachNAL(data, func(nal []byte) bool {
			kind := nal[0] & 0x1f
			types = append(types, kind)
			if kind == 7 && (nal[1] != 66 || nal[2]&0xc0 != 0xc0 || nal[3] > 31) {
				t.Errorf("SPS of profile %d, constraints %x, level %d", nal[1], nal[2], nal[3])
			}
			return true
		})
		want := []byte{1}
		if key {
			want = []byte{7, 8, 5}
		}
		if string(types) != string(want) {
			t.Errorf("picture %d has NAL units %v, want %v", i, types, want)
		}
	}
}

// TestH264Sizes: a picture of another size goes on with a keyframe, cuts of a larger
// picture work, odd ones are refused and nothing is lost by that.
func TestH264Sizes(t *testing.T) {
	e := h264(t, encode.H264Params{})
	for i, size := range []image.Point{{640, 480}, {320, 240}, {320, 240}, {64, 48}} {
		pool := newWebcam(t, size.X, size.Y, i+1)
		f := pool.frame(i, start().Add(time.Duration(i)*time.Second/30))
		_, key, err := e.Encode(f)
		f.Release()
		if err != nil || key != (i != 2) {
			t.Errorf("%v: keyframe %v, %v", size, key, err)
		}
	}
	s := newScene(640, 480, 0)
	f := s.frame(0, start().Add(time.Second))
	defer f.Release()
	sub := f.SubImage(image.Rect(64, 48, 64+320, 48+240)).(*image.YCbCr)
	cut := &capture.Frame{YCbCr: *sub, Time: f.Time}
	if data, _, err := e.Encode(cut); err != nil || len(data) == 0 {
		t.Errorf("a cut: %d bytes, %v", len(data), err)
	}
	cut.YCbCr = *chequer(image.Rect(0, 0, 101, 99))
	if _, _, err := e.Encode(cut); err == nil {
		t.Error("an odd size was taken")
	}
	if _, _, err := e.Encode(nil); err == nil {
		t.Error("nil was taken")
	}
	if _, _, err := e.Encode(f); err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}

// TestH264FewPictures: the picture for "video off" comes twice a second, also where a
// camera of 60 and the highest rate were told. openh264 counts pictures and would be told
// more than it takes.
func TestH264FewPictures(t *testing.T) {
	s := newWebcam(t, 320, 240, 8)
	for _, c := range []struct {
		bps int
		fps float64
		gap time.Duration
	}{
		{8_000_000, 60, time.Second / 2},
		{50_000_000, 120, time.Second},
		{30_000, 1, time.Second / 120},
		{30_000, 120, time.Second / 120},
	} {
		e, at := h264(t, encode.H264Params{BitRate: c.bps, FrameRate: c.fps}), start()
		for i := range 20 {
			if at = at.Add(time.Second / 30); i > 5 {
				at = at.Add(c.gap)
			}
			if i == 15 {
				_ = e.ForceKeyFrame()
			}
			f := s.frame(i, at)
			_, key, err := e.Encode(f)
			f.Release()
			if err != nil || key != (i == 0 || i == 15) {
				t.Errorf("%+v: picture %d: keyframe %v, %v", c, i, key, err)
			}
		}
	}
}

func TestH264Refuses(t *testing.T) {
	for _, p := range []encode.H264Params{{BitRate: 9}, {FrameRate: -1}, {Threads: 9}} {
		if _, err := encode.NewH264(p); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if _, err := encode.NewVideo("VP7", encode.VideoParams{}); err == nil {
		t.Error("VP7 was taken")
	}
	e := h264(t, encode.H264Params{})
	if e.SetBitRate(1) == nil || e.SetFrameRate(0) == nil {
		t.Error("wrong rates were taken")
	}
}

// TestControlsAgainstClose: what the libraries under them do not promise, controls and
// Close may come from anywhere at any time.
func TestControlsAgainstClose(t *testing.T) {
	s := newWebcam(t, 320, 240, 8)
	for _, c := range codecs() {
		t.Run(string(c), func(t *testing.T) {
			e := newVideo(t, c, encode.VideoParams{BitRate: 300_000})
			var wg sync.WaitGroup
			begun, stop := make(chan struct{}), make(chan struct{})
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					if err := errors.Join(e.SetBitRate(100_000+i%900_000), e.ForceKeyFrame(), e.SetFrameRate(float64(5+i%25))); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for i := 0; ; i++ {
					f := s.frame(i, start().Add(time.Duration(i)*time.Second/30))
					_, _, err := e.Encode(f)
					f.Release()
					if i == 20 {
						close(begun)
					}
					if err != nil {
						if !errors.Is(err, encode.ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			})
			<-begun
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			close(stop)
			wg.Wait()
			if err := e.Close(); err != nil {
				t.Errorf("closed again: %v", err)
			}
		})
	}
}

// In a steady state nothing is taken from Go's heap.
func TestH264AllocatesNothing(t *testing.T) {
	s, e := newWebcam(t, 320, 240, 8), h264(t, encode.H264Params{Threads: 1})
	n := 0
	one := func() {
		f := s.frame(n, start().Add(time.Duration(n)*time.Second/30))
		n++
		_, _, err := e.Encode(f)
		f.Release()
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		one()
	}
	if got := testing.AllocsPerRun(100, one); got != 0 {
		t.Errorf("%v allocations a picture", got)
	}
}

func FuzzNAL(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0x67, 66, 0xc0, 31, 0, 0, 1, 0x68, 0, 0, 1, 0x65, 1})
	f.Add([]byte{0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		total := 0
		encode.EachNAL(data, func(nal []byte) bool {
			total += len(nal)
			return true
		})
		if total > len(data) {
			t.Errorf("%d bytes of units in %d", total, len(data))
		}
	})
}

package encode_test

import (
	"errors"
	"image"
	"math"
	"strings"
	"testing"

	"kioskd/capture"
	"kioskd/capture/encode"
)

func TestVP8RefusesPictures(t *testing.T) {
	v := newVP8(t, encode.VP8Params{})
	good := func() *image.YCbCr { return chequer(image.Rect(0, 0, 64, 48)) }
	for name, spoil := range map[string]func(*image.YCbCr){
		"planes are too short": func(m *image.YCbCr) { m.Y = m.Y[:len(m.Y)-1] },
		"too short":            func(m *image.YCbCr) { m.Cb = m.Cb[:len(m.Cb)-1] },
		"short":                func(m *image.YCbCr) { m.Cr = nil },
		"planes":               func(m *image.YCbCr) { m.YStride = 63 },
		"its planes":           func(m *image.YCbCr) { m.CStride = -32 },
		"4:2:0":                func(m *image.YCbCr) { m.SubsampleRatio = image.YCbCrSubsampleRatio422 },
		"sides must be":        func(m *image.YCbCr) { m.Rect = image.Rect(0, 0, 8, 8) },
		"16 to 4096":           func(m *image.YCbCr) { m.Rect.Max.X = 5000 },
		"odd point":            func(m *image.YCbCr) { m.Rect = image.Rect(1, 0, 33, 32) },
	} {
		img := good()
		spoil(img)
		_, _, err := v.Encode(&capture.Frame{YCbCr: *img, Time: start()})
		if err == nil || !strings.HasPrefix(err.Error(), "cannot encode") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := v.Encode(nil); err == nil {
		t.Error("nil was encoded")
	}
	// And goes on with the next good one.
	if _, key, err := v.Encode(&capture.Frame{YCbCr: *good(), Time: start()}); err != nil || !key {
		t.Errorf("key %v, %v", key, err)
	}
}

func TestVP8RefusesParams(t *testing.T) {
	for want, p := range map[string]encode.VP8Params{
		"bit rate of 1000":  {BitRate: 1000},
		"bit rate of 9":     {BitRate: 90_000_000},
		"frame rate":        {FrameRate: math.NaN()},
		"frame rate of 500": {FrameRate: 500},
		"CPUUsed of 8":      {CPUUsed: 8},
		"CPUUsed of -17":    {CPUUsed: -17},
		"thread count":      {Threads: 5},
		"keyframe interval": {KeyFrameInterval: -1},
		"noise sensitivity": {NoiseSensitivity: 7},
		"static threshold":  {StaticThreshold: -1},
	} {
		if _, err := encode.NewVP8(p); err == nil || !strings.HasPrefix(err.Error(), "cannot use a ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	v := newVP8(t, encode.VP8Params{})
	for _, err := range []error{v.SetBitRate(0), v.SetBitRate(1 << 40), v.SetFrameRate(0), v.SetFrameRate(math.Inf(1)), v.SetFrameRate(math.NaN())} {
		if err == nil {
			t.Error("a rate out of range was taken")
		}
	}
}

// Every setting that is offered makes a stream that decodes.
func TestVP8Settings(t *testing.T) {
	s := newScene(320, 240, 4)
	for _, p := range []encode.VP8Params{
		{CPUUsed: -4}, {CPUUsed: -16}, {Threads: 2}, {Threads: 4}, {NoiseSensitivity: 1}, {NoiseSensitivity: 6}, {StaticThreshold: 100},
	} {
		v, d := newVP8(t, p), newDecoder(t)
		for i, at := range steady(start(), 10, 30, 0) {
			f := s.frame(i, at)
			data, _, err := v.Encode(f)
			if err != nil {
				t.Fatalf("%+v: %v", p, err)
			}
			img, err := d.Decode(data)
			if err != nil || psnr(&f.YCbCr, img) < 25 {
				t.Errorf("%+v: frame %d: %v", p, i, err)
			}
			f.Release()
		}
	}
}

func TestVP8Close(t *testing.T) {
	v := newVP8(t, encode.VP8Params{})
	img := chequer(image.Rect(0, 0, 64, 48))
	if _, _, err := v.Encode(&capture.Frame{YCbCr: *img, Time: start()}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(v.Close(), v.Close(), v.SetBitRate(500_000), v.ForceKeyFrame()); err != nil {
		t.Error(err)
	}
	if _, _, err := v.Encode(&capture.Frame{YCbCr: *img, Time: start()}); !errors.Is(err, encode.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

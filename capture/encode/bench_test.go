package encode_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"kioskd/capture/encode"
	"kioskd/cmd/fakecam/blocks"
)

// BenchmarkVP8 encodes 720p at 1.5 Mbit/s; ns/op is one picture. "noisy" is
// like a webcam's, "bars" is still but for the block code.
func BenchmarkVP8(b *testing.B) {
	for _, c := range []struct {
		name string
		p    encode.VP8Params
	}{
		{"default", encode.VP8Params{Threads: 1}},
		{"threads2", encode.VP8Params{Threads: 2}},
		{"cpu-4", encode.VP8Params{Threads: 1, CPUUsed: -4}},
		{"cpu-12", encode.VP8Params{Threads: 1, CPUUsed: -12}},
		{"cpu-16", encode.VP8Params{Threads: 1, CPUUsed: -16}},
		{"denoise1", encode.VP8Params{Threads: 1, NoiseSensitivity: 1}},
	} {
		for _, kind := range []string{"noisy", "bars"} {
			b.Run(fmt.Sprintf("%s/%s", c.name, kind), func(b *testing.B) { benchmarkVP8(b, c.p, kind) })
		}
	}
}

func benchmarkVP8(b *testing.B, p encode.VP8Params, kind string) {
	s := newScene(1280, 720, 3)
	v, at := newVP8(b, p), start()
	d := newDecoder(b)
	for n := range 48 { // draws the loop, settles the rate
		f := s.frame(n, at)
		if _, _, err := v.Encode(f); err != nil {
			b.Fatal(err)
		}
		f.Release()
		at = at.Add(time.Second / 30)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var last []byte
	n := 48
	for b.Loop() {
		b.StopTimer()
		f := s.loop[0]
		if kind == "noisy" {
			f = s.frame(n, at)
		} else {
			f.Retain()
			blocks.Paint(f.Y, f.YStride, 1280, 720, blocks.New(uint32(n), at))
		}
		f.Time = at
		b.StartTimer()
		data, _, err := v.Encode(f)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		f.Release()
		last = data
		at, n = at.Add(time.Second/30), n+1
		b.StartTimer()
	}
	b.StopTimer()
	// The quality that was bought, on a fresh keyframe's worth of stream.
	if err := v.ForceKeyFrame(); err != nil {
		b.Fatal(err)
	}
	var db float64
	for i := range 48 {
		f := s.frame(n+i, at)
		data, _, err := v.Encode(f)
		if err != nil {
			b.Fatal(err)
		}
		img, err := d.Decode(data)
		if err != nil {
			b.Fatal(err)
		}
		db += psnr(&f.YCbCr, img) / 48
		f.Release()
		at = at.Add(time.Second / 30)
	}
	b.ReportMetric(db, "dB")
	if len(last) == 0 {
		b.Error("nothing was encoded")
	}
}

// BenchmarkOpus encodes 20 ms of sound.
func BenchmarkOpus(b *testing.B) {
	o, err := encode.NewOpus(encode.OpusParams{})
	if err != nil {
		b.Fatal(err)
	}
	pcm := make([]int16, 50*encode.OpusSamples)
	for i := range pcm {
		t := float64(i) / encode.OpusRate
		pcm[i] = int16(6000*math.Sin(2*math.Pi*180*t)*(1+math.Sin(2*math.Pi*4*t)) + 1500*math.Sin(2*math.Pi*1234*t))
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if _, err := o.Encode(pcm[n*encode.OpusSamples:][:encode.OpusSamples]); err != nil {
			b.Fatal(err)
		}
		n = (n + 1) % 50
	}
}

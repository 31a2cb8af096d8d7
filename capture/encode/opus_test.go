package encode_test

import (
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/hraban/opus"
	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/io/audio"
	"github.com/pion/mediadevices/pkg/prop"
	"github.com/pion/mediadevices/pkg/wave"

	"kioskd/capture/encode"
)

// tone fills pcm with a sine of hz, whose sample 0 is number from.
func tone(pcm []int16, hz, amplitude float64, from int) []int16 {
	for i := range pcm {
		pcm[i] = int16(amplitude * math.Sin(2*math.Pi*hz*float64(from+i)/encode.OpusRate))
	}
	return pcm
}

// share is the part of pcm's energy that is at hz (Goertzel), 0 to 1.
func share(pcm []int16, hz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hz/encode.OpusRate)
	var s1, s2, energy float64
	for _, v := range pcm {
		x := float64(v)
		s1, s2 = x+k*s1-s2, s1
		energy += x * x
	}
	if energy == 0 {
		return 0
	}
	return 2 * (s1*s1 + s2*s2 - k*s1*s2) / (float64(len(pcm)) * energy)
}

func newOpus(t testing.TB, p encode.OpusParams) *encode.Opus {
	t.Helper()
	o, err := encode.NewOpus(p)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func opusDecoder(t testing.TB) *opus.Decoder {
	t.Helper()
	d, err := opus.NewDecoder(encode.OpusRate, 1)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpusCarriesATone(t *testing.T) {
	o, d := newOpus(t, encode.OpusParams{}), opusDecoder(t)
	pcm, out := make([]int16, encode.OpusSamples), make([]int16, encode.OpusSamples)
	var heard []int16
	bytes := 0
	for i := range 100 {
		packet, err := o.Encode(tone(pcm, 440, 8000, i*len(pcm)))
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(packet)
		n, err := d.Decode(packet, out)
		if err != nil || n != encode.OpusSamples {
			t.Fatalf("decoded %d samples, %v", n, err)
		}
		heard = append(heard, out...)
	}
	if s := share(heard[4800:], 440); s < 0.95 {
		t.Errorf("440 Hz is %.2f of what comes out", s)
	}
	if kbps := float64(bytes) * 8 / 2 / 1000; kbps < 16 || kbps > 40 {
		t.Errorf("%.1f kbit/s for 32 asked", kbps)
	}
}

// babble is sound like speech's: FEC is only spent on what is voiced.
func babble(pcm []int16, from int) []int16 {
	for i := range pcm {
		t := float64(from+i) / encode.OpusRate
		f0 := 140 + 20*math.Sin(2*math.Pi*2.1*t)
		var v float64
		for h := 1.0; h < 20; h++ {
			v += math.Sin(2*math.Pi*f0*h*t) / h
		}
		pcm[i] = int16(5000 * v * (0.6 + 0.4*math.Sin(2*math.Pi*3*t)))
	}
	return pcm
}

// The packet after a lost one carries what was lost.
func TestOpusFEC(t *testing.T) {
	differ := func(p encode.OpusParams) float64 {
		o, d := newOpus(t, p), opusDecoder(t)
		if err := o.SetPacketLoss(20); err != nil {
			t.Fatal(err)
		}
		whole := opusDecoder(t)
		pcm, want, got := make([]int16, encode.OpusSamples), make([]int16, encode.OpusSamples), make([]int16, encode.OpusSamples)
		var off, energy float64
		var held []int16
		for i := range 200 {
			packet, err := o.Encode(babble(pcm, i*len(pcm)))
			if err != nil {
				t.Fatal(err)
			}
			if held != nil { // the one before was lost: recover it from this one
				if err := d.DecodeFEC(packet, got); err != nil {
					t.Fatal(err)
				}
				for k := range got {
					off += math.Pow(float64(got[k])-float64(held[k]), 2)
					energy += math.Pow(float64(held[k]), 2)
				}
				held = nil
			}
			if _, err := whole.Decode(packet, want); err != nil {
				t.Fatal(err)
			}
			if i > 50 && i%10 == 0 {
				held = append([]int16(nil), want...)
				continue
			}
			if _, err := d.Decode(packet, got); err != nil {
				t.Fatal(err)
			}
		}
		return off / energy
	}
	with, without := differ(encode.OpusParams{}), differ(encode.OpusParams{NoFEC: true})
	t.Logf("error of a recovered packet: %.3f with FEC, %.3f without", with, without)
	if with > 0.5*without {
		t.Errorf("error of a recovered packet: %.3f with FEC, %.3f without: FEC is not in the packets", with, without)
	}
}

func TestOpusDTX(t *testing.T) {
	for _, dtx := range []bool{false, true} {
		o := newOpus(t, encode.OpusParams{DTX: dtx})
		silence, small := make([]int16, encode.OpusSamples), 0
		for range 100 {
			packet, err := o.Encode(silence)
			if err != nil {
				t.Fatal(err)
			}
			if len(packet) <= 2 {
				small++
			}
		}
		if dtx != (small > 50) {
			t.Errorf("DTX %v: %d of 100 packets of silence are empty", dtx, small)
		}
	}
}

func TestOpusBitRate(t *testing.T) {
	o := newOpus(t, encode.OpusParams{BitRate: 64_000})
	pcm, from := make([]int16, encode.OpusSamples), 0
	rate := func() float64 {
		bytes := 0
		for range 100 {
			packet, err := o.Encode(babble(pcm, from))
			if err != nil {
				t.Fatal(err)
			}
			bytes, from = bytes+len(packet), from+len(pcm)
		}
		return float64(bytes) * 8 / 2
	}
	high := rate()
	if err := o.SetBitRate(16_000); err != nil {
		t.Fatal(err)
	}
	if low := rate(); high < 40_000 || low > 24_000 {
		t.Errorf("64 kbit/s gave %.0f, 16 kbit/s gave %.0f bit/s", high, low)
	}
}

func TestOpusRefuses(t *testing.T) {
	for _, p := range []encode.OpusParams{{BitRate: 5}, {BitRate: 1 << 40}, {PacketLoss: -1}, {PacketLoss: 101}, {Complexity: 11}} {
		if _, err := encode.NewOpus(p); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%+v: %v", p, err)
		}
	}
	o := newOpus(t, encode.OpusParams{})
	for _, n := range []int{0, 480, 961} {
		if _, err := o.Encode(make([]int16, n)); err == nil {
			t.Errorf("%d samples were encoded", n)
		}
	}
	if o.SetBitRate(0) == nil || o.SetPacketLoss(200) == nil {
		t.Error("a rate or a loss out of range was taken")
	}
	if err := errors.Join(o.Close(), o.Close()); err != nil {
		t.Error(err)
	}
	if _, err := o.Encode(make([]int16, encode.OpusSamples)); !errors.Is(err, encode.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestOpusDoesNotAllocate(t *testing.T) {
	o := newOpus(t, encode.OpusParams{})
	pcm := babble(make([]int16, encode.OpusSamples), 0)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := o.Encode(pcm); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// The reader makes 20 ms packets of whatever chunks come, and mixes stereo down.
func TestOpusReader(t *testing.T) {
	for _, c := range []struct{ samples, channels int }{{480, 1}, {960, 1}, {441, 1}, {4800, 1}, {480, 2}, {1000, 2}} {
		from, released := 0, 0
		source := audio.ReaderFunc(func() (wave.Audio, func(), error) {
			chunk := wave.NewInt16Interleaved(wave.ChunkInfo{Len: c.samples, Channels: c.channels, SamplingRate: encode.OpusRate})
			for i, v := range tone(make([]int16, c.samples), 700, 8000, from) {
				for ch := range c.channels {
					chunk.Data[i*c.channels+ch] = v
				}
			}
			from += c.samples
			return chunk, func() { released++ }, nil
		})
		enc, err := encode.OpusParams{}.BuildAudioEncoder(source, prop.Media{Audio: prop.Audio{SampleRate: 48000, ChannelCount: c.channels}})
		if err != nil {
			t.Fatal(err)
		}
		d, out := opusDecoder(t), make([]int16, encode.OpusSamples)
		var heard []int16
		for range 60 {
			packet, release, err := enc.Read()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.Decode(packet, out); err != nil {
				t.Fatal(err)
			}
			release()
			heard = append(heard, out...)
		}
		if s := share(heard[4800:], 700); s < 0.95 {
			t.Errorf("%+v: 700 Hz is %.2f of what comes out", c, s)
		}
		if released != from/c.samples || from-60*encode.OpusSamples >= c.samples {
			t.Errorf("%+v: %d chunks released, %d samples pulled for %d", c, released, from, 60*encode.OpusSamples)
		}
		if err := enc.Controller().(codec.BitRateController).SetBitRate(20_000); err != nil {
			t.Error(err)
		}
		if err := enc.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := enc.Read(); !errors.Is(err, io.EOF) {
			t.Errorf("after Close: %v, want io.EOF", err)
		}
	}
}

func TestOpusReaderRefuses(t *testing.T) {
	gone := errors.New("gone")
	for name, c := range map[string]struct {
		chunk wave.Audio
		err   error
	}{
		"float":         {wave.NewFloat32Interleaved(wave.ChunkInfo{Len: 480, Channels: 1, SamplingRate: 48000}), nil},
		"another rate":  {wave.NewInt16Interleaved(wave.ChunkInfo{Len: 480, Channels: 1, SamplingRate: 44100}), nil},
		"six channels":  {wave.NewInt16Interleaved(wave.ChunkInfo{Len: 480, Channels: 6, SamplingRate: 48000}), nil},
		"a second":      {wave.NewInt16Interleaved(wave.ChunkInfo{Len: 48000, Channels: 1, SamplingRate: 48000}), nil},
		"short data":    {&wave.Int16Interleaved{Size: wave.ChunkInfo{Len: 480, Channels: 1}}, nil},
		"source's gone": {nil, gone},
	} {
		enc, err := encode.OpusParams{}.BuildAudioEncoder(audio.ReaderFunc(func() (wave.Audio, func(), error) { return c.chunk, nil, c.err }), prop.Media{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := enc.Read(); err == nil || (c.err != nil && !errors.Is(err, c.err)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (encode.OpusParams{}).BuildAudioEncoder(nil, prop.Media{}); err == nil {
		t.Error("built without a reader")
	}
	if _, err := (encode.OpusParams{}).BuildAudioEncoder(audio.ReaderFunc(nil), prop.Media{Audio: prop.Audio{SampleRate: 44100}}); err == nil {
		t.Error("built for 44.1 kHz")
	}
	if _, err := (encode.OpusParams{BitRate: 1}).BuildAudioEncoder(audio.ReaderFunc(nil), prop.Media{}); err == nil {
		t.Error("built with a bad rate")
	}
}

// What is decoded sounds like what was encoded, and what is no packet is an error.
func TestOpusDecoder(t *testing.T) {
	enc, err := encode.NewOpus(encode.OpusParams{})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := encode.NewOpusDecoder()
	if err != nil {
		t.Fatal(err)
	}
	var squares float64
	samples := 0
	for n := range 25 {
		pcm := make([]int16, encode.OpusSamples)
		for i := range pcm {
			pcm[i] = int16(16000 * math.Sin(2*math.Pi*440*float64(n*len(pcm)+i)/encode.OpusRate))
		}
		packet, err := enc.Encode(pcm)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dec.Decode(packet)
		if err != nil || len(got) != encode.OpusSamples {
			t.Fatalf("%d samples, %v", len(got), err)
		}
		if n < 5 {
			continue // it settles
		}
		for _, s := range got {
			squares += float64(s) * float64(s)
		}
		samples += len(got)
	}
	if rms := math.Sqrt(squares / float64(samples)); rms < 9000 || rms > 13000 { // 16000 over the root of 2 is 11314
		t.Errorf("the level is %.0f", rms)
	}
	if _, err := dec.Decode([]byte{0xff, 0xff, 0xff}); err == nil {
		t.Error("noise was decoded")
	}
}

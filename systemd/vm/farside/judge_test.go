package farside

import (
	"image"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/hraban/opus"

	"kioskd/capture"
	"kioskd/capture/encode"
)

// bars are eight grey bars, the slate's own ground among them.
func bars(w, h int) *image.YCbCr {
	p := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	for y := range h {
		for x := range w {
			p.Y[y*p.YStride+x] = byte(16 + (x*8/w)*32)
		}
	}
	return p
}

func TestJudgePicture(t *testing.T) {
	for name, c := range map[string]struct {
		picture *image.YCbCr
		want    Kind
	}{
		"one line":        {&capture.Slate(320, 240, []string{"No camera found."}).YCbCr, Slate},
		"many lines":      {&capture.Slate(320, 240, []string{"The camera is off.", "Nobody can see you.", "The clinician can hear you."}).YCbCr, Slate},
		"a small picture": {&capture.Slate(160, 120, []string{"The camera is off."}).YCbCr, Slate},
		"bars":            {bars(320, 240), Live},
		"black":           {image.NewYCbCr(image.Rect(0, 0, 320, 240), image.YCbCrSubsampleRatio420), Live},
		"nothing":         {image.NewYCbCr(image.Rectangle{}, image.YCbCrSubsampleRatio420), Live},
	} {
		if got := judgePicture(c.picture); got != c.want {
			t.Errorf("%s is a %s", name, got)
		}
	}
}

func TestJudgeSound(t *testing.T) {
	tone := func(hz, n int) []int16 {
		pcm := make([]int16, n)
		sine(pcm, hz, 0)
		return pcm
	}
	noise := make([]int16, 960)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = int16(r.IntN(20000) - 10000)
	}
	faint := tone(ToneHz, 960)
	for i := range faint {
		faint[i] /= 1000
	}
	for name, c := range map[string]struct {
		pcm  []int16
		want Kind
	}{
		"the tone":           {tone(ToneHz, 960), Tone},
		"a long packet":      {tone(ToneHz, 5760), Tone},
		"the far side's hum": {tone(humHz, 960), Quiet},
		"an octave above":    {tone(2*ToneHz, 960), Quiet},
		"noise":              {noise, Quiet},
		"silence":            {make([]int16, 960), Quiet},
		"too faint":          {faint, Quiet},
		"too short":          {tone(ToneHz, 50), Quiet},
		"nothing":            {nil, Quiet},
	} {
		if got := judgeSound(c.pcm); got != c.want {
			t.Errorf("%s is %s", name, got)
		}
	}
}

// The tone goes through Opus as the kiosk's does.
func TestToneThroughOpus(t *testing.T) {
	enc, err := encode.NewOpus(encode.OpusParams{BitRate: 32000})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	dec, err := opus.NewDecoder(toneRate, 1)
	if err != nil {
		t.Fatal(err)
	}
	heard := map[Kind]int{}
	pcm, out := make([]int16, encode.OpusSamples), make([]int16, maxPacket)
	for n := range 50 {
		sine(pcm, ToneHz, n*len(pcm))
		data, err := enc.Encode(pcm)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dec.Decode(data, out)
		if err != nil {
			t.Fatal(err)
		}
		heard[judgeSound(out[:got])]++
	}
	if heard[Tone] < 45 {
		t.Errorf("heard %v", heard)
	}
}

// A tone in pieces is one tone: also where its second is full.
func TestSineGoesOn(t *testing.T) {
	whole, pieces := make([]int16, toneRate+960), make([]int16, 0, toneRate+960)
	sine(whole, humHz, 0)
	for n := 0; n < len(whole); n += 960 {
		part := make([]int16, 960)
		sine(part, humHz, n)
		pieces = append(pieces, part...)
	}
	if !slices.Equal(whole, pieces) {
		t.Error("the pieces do not fit")
	}
}

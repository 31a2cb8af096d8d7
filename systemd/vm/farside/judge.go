package farside

import (
	"image"
	"math"
)

// Luma of the slate's ground (capture.Slate), how far an encoder may take it off,
// and the least share of a picture that it fills.
const (
	slateGround = 48
	slateOff    = 8
	slateShare  = 0.6
)

// judgePicture tells a slate from what a camera sees, by its luma.
func judgePicture(p *image.YCbCr) Kind {
	ground, all := 0, 0
	for y := range p.Rect.Dy() {
		row := p.Y[y*p.YStride:][:p.Rect.Dx()]
		for _, v := range row {
			if v >= slateGround-slateOff && v <= slateGround+slateOff {
				ground++
			}
		}
		all += len(row)
	}
	if all > 0 && float64(ground) >= slateShare*float64(all) {
		return Slate
	}
	return Live
}

// The tone that is played into the machine's microphone.
const (
	ToneHz    = 440
	toneRate  = 48000
	leastRMS  = 0.01 // of full scale: below is quiet
	toneShare = 0.5  // least share of the energy that is at ToneHz
)

// judgeSound tells the tone from anything else, by Goertzel's algorithm, in one
// packet's samples at 48 kHz, mono. Too few for a period are quiet.
func judgeSound(pcm []int16) Kind {
	if len(pcm) < toneRate/ToneHz {
		return Quiet
	}
	w := 2 * math.Pi * ToneHz / toneRate
	c := 2 * math.Cos(w)
	var energy, s1, s2 float64
	for _, v := range pcm {
		x := float64(v) / math.MaxInt16
		energy += x * x
		s1, s2 = x+c*s1-s2, s1
	}
	n := float64(len(pcm))
	if math.Sqrt(energy/n) < leastRMS {
		return Quiet
	}
	// The energy of a sine of amplitude A is n*A^2/2, its Goertzel power (n*A/2)^2.
	power := s1*s1 + s2*s2 - c*s1*s2
	if 2*power/n < toneShare*energy {
		return Quiet
	}
	return Tone
}

// sine fills pcm with a tone at half of full scale, whose first sample is the n-th.
func sine(pcm []int16, hz, n int) {
	for i := range pcm {
		pcm[i] = int16(math.MaxInt16 / 2 * math.Sin(2*math.Pi*float64(hz)*float64((n+i)%toneRate)/toneRate))
	}
}

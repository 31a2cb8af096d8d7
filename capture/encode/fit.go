package encode

import "math"

const (
	// leastBits is what a pixel of a moving webcam picture needs, in bits, before
	// both encoders are at the end of their quantisers (TestBitRateIsMet at 200
	// kbit/s): below it a smaller picture is the better one.
	leastVP8  = 0.012
	leastH264 = 0.018 // openh264's ends at 42 of 51 and cannot be told otherwise
	leastW    = 320
	leastH    = 180
)

// Fit is the size, its width a multiple of 16 and its height even, that a picture of w x h in the codec at fps pictures a
// second has to be scaled to so that bps bit/s carry it: the same size where they
// do, never below 320x180 for a picture that is larger, aspect ratio kept.
func Fit(c Codec, w, h int, fps float64, bps int) (int, int) {
	if w < 1 || h < 1 || fps <= 0 || bps <= 0 {
		return w, h
	}
	leastBits := leastVP8
	if c == CodecH264 {
		leastBits = leastH264
	}
	have := float64(bps) / (float64(w) * float64(h) * fps)
	if have >= leastBits {
		return w, h
	}
	f := max(math.Sqrt(have/leastBits), math.Sqrt(float64(leastW*leastH)/(float64(w)*float64(h))))
	if f >= 1 {
		return w, h
	}
	// Whole macroblocks across: both codecs pad to 16.
	sw := min(max(16*int(math.Round(float64(w)*f/16)), 16), w)
	return sw, max(2*int(math.Round(float64(h)*float64(sw)/float64(w)/2)), 16)
}

package encode

const (
	purseReach = 1.0 // seconds of the rate that saved or overspent bits are remembered for
	pursePull  = 1.0 // how hard they pull: 1 gives a second's worth back within about a second
	purseMost  = 0.5 // the rate is never off by more than this share

	// keyAim is the size a keyframe is steered to, in mean pictures; the promise
	// is maxIntraPercent.
	keyAim   = 3.0
	keyMost  = 1.0
	keyLeast = 0.15
	keyFirst = 0.45 // of what openh264 would take for its first picture
)

// purse keeps an encoder that knows pictures but no time to its bit rate: it earns
// bits by the time that passes and is told what each picture cost. What was saved
// or overspent in the last second is given back over the next one. Keyframes are
// held to their bound by asking for a smaller one, as much as the last ones were
// too large.
type purse struct {
	saved float64 // bits, within ±purseReach of the rate
	mean  float64 // bits of a picture, as earned lately
	key   float64 // what a keyframe's wish is multiplied with
}

func newPurse() purse { return purse{key: keyFirst} }

// earn takes the time that a picture stands for, in seconds at rate bit/s, and
// gives the rate to encode it at.
func (p *purse) earn(rate, seconds float64) float64 {
	p.mean = rate * seconds
	pull := min(max(p.saved*pursePull/rate, -purseMost), purseMost)
	p.saved = min(max(p.saved+p.mean, -purseReach*rate), purseReach*rate)
	return rate * (1 + pull)
}

// wish is the rate to encode a keyframe at, where earn said rate.
func (p *purse) wish(rate, target float64) float64 { return min(rate, target) * p.key }

// spend takes what the picture became.
func (p *purse) spend(bits float64) { p.saved -= bits }

// learn takes what a keyframe became, for the next one's wish. It reports false
// where a smaller one cannot be wished for.
func (p *purse) learn(bits float64) bool {
	before := p.key
	if bits > 0 {
		p.key = min(max(p.key*keyAim*p.mean/bits, keyLeast), keyMost)
	}
	return p.key < before
}

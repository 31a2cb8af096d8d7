package microphone

import (
	"math"
	"sync/atomic"
)

// levelChunks is how many chunks a Level looks back: 100 ms.
const levelChunks = 10

// Level is how loud the last 100 ms were. Full scale is 1.
type Level struct {
	Peak float64 // the largest sample, 0 to 1
	RMS  float64 // 0 to 1; a full-scale sine has 0.707
}

// meter keeps the Level of what passes: add is for one goroutine, level for any.
type meter struct {
	peaks  [levelChunks]int32
	powers [levelChunks]int64
	next   int
	packed atomic.Uint64 // Peak and RMS as two float32, so that they fit together
}

// add takes one chunk into account: one pass over it, no allocation. It returns the
// chunk's largest sample; 0 is digital silence.
func (m *meter) add(pcm []int16) (loudest int32) {
	var peak int32
	var power int64
	for _, v := range pcm {
		x := int32(v)
		power += int64(x) * int64(x)
		peak = max(peak, x, -x)
	}
	m.peaks[m.next], m.powers[m.next] = peak, power/int64(max(len(pcm), 1))
	m.next = (m.next + 1) % levelChunks
	loudest, peak, power = peak, 0, 0
	for i, p := range m.peaks {
		peak, power = max(peak, p), power+m.powers[i]
	}
	rms := math.Sqrt(float64(power)/levelChunks) / 32768
	m.packed.Store(uint64(math.Float32bits(float32(peak)/32768))<<32 | uint64(math.Float32bits(float32(rms))))
	return loudest
}

func (m *meter) level() Level {
	v := m.packed.Load()
	return Level{Peak: float64(math.Float32frombits(uint32(v >> 32))), RMS: float64(math.Float32frombits(uint32(v)))}
}

package metrics

import (
	"strconv"
	"sync/atomic"
	"time"
)

// buckets are the upper bounds of a Duration, in seconds: from a read that is served
// from memory to the longest command.
var buckets = [...]float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10}

// Duration counts how long something took. The zero value is ready; it may be used by
// many goroutines and never waits.
type Duration struct {
	counts [len(buckets) + 1]atomic.Uint64
	nanos  atomic.Int64
}

// Observe counts one.
func (d *Duration) Observe(took time.Duration) {
	seconds, i := took.Seconds(), 0
	for i < len(buckets) && seconds > buckets[i] {
		i++
	}
	d.counts[i].Add(1)
	d.nanos.Add(int64(took))
}

// Samples gives the lines of a histogram, whose labels these are. Its count is that of
// the highest bucket, so that they agree also while others count.
func (d *Duration) Samples(labels ...string) []Sample {
	var out []Sample
	total := uint64(0)
	for i := range d.counts {
		total += d.counts[i].Load()
		bound := "+Inf"
		if i < len(buckets) {
			bound = strconv.FormatFloat(buckets[i], 'g', -1, 64)
		}
		out = append(out, Sample{Suffix: "_bucket", Labels: append(labels[:len(labels):len(labels)], "le", bound), Value: float64(total)})
	}
	if total == 0 {
		return nil
	}
	return append(out,
		Sample{Suffix: "_sum", Labels: labels, Value: time.Duration(d.nanos.Load()).Seconds()},
		Sample{Suffix: "_count", Labels: labels, Value: float64(total)})
}

package main

import (
	"slices"
	"time"
)

// percentile is the p-th of a hundred of the times, which it sorts.
func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[max(0, (len(times)*p+99)/100-1)]
}

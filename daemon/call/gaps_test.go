package call

import (
	"testing"
	"time"
)

func TestGaps(t *testing.T) {
	var g gaps
	at := time.Unix(1000, 0)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{
		{time.Hour, false}, // the first packet ends nothing
		{20 * time.Millisecond, false},
		{gapLeast - time.Millisecond, false},
		{gapLeast, true},
		{gapLeast, false}, // one a second
		{gapTold, true},
		{5 * time.Second, true},
	} {
		at = at.Add(c.after)
		if got := g.ends(at); got != c.want {
			t.Errorf("after %v: %v", c.after, got)
		}
	}
}

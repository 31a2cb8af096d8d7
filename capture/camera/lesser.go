package camera

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxRungs bounds how many formats are tried on a USB bus that is full: each try
// opens the camera anew.
const maxRungs = 10

// lesser lists what needs less of the USB bus than used, which found no room, in the
// order in which it is worth a try: compressed before raw, then smaller, then
// slower. Of a size and a rate the camera reserves what it likes, and only the
// driver knows how much: so each is to be tried. Raw formats need what they
// weigh; what compressed ones need is the camera's guess, and falls with size and rate.
func lesser(offered []Format, used choice) []choice {
	type rung struct {
		choice
		slower int
		raw    bool
		weight float64 // bytes a second; of compressed ones pixels a second
	}
	weigh := func(c choice) (float64, bool) {
		w, _ := wayOf(c.fourCC)
		pixels := float64(c.width*c.height) * c.fps
		if w.stride == 0 {
			return pixels, false
		}
		return pixels * float64(w.bytes(64, 64)) / (64 * 64), true
	}
	var all []rung
	for _, f := range offered {
		w, ok := wayOf(f.FourCC)
		for _, s := range f.Sizes {
			if !ok || !w.takes(s.Width, s.Height) || s.Width*s.Height > used.width*used.height || w.grey && f.FourCC != used.fourCC {
				continue // also what would take the colours
			}
			fps := used.fps
			if s.FPS > 0 {
				fps = min(fps, s.FPS)
			}
			for slower, rate := range []float64{fps, fps / 2} {
				c := choice{f.FourCC, s.Width, s.Height, rate}
				weight, raw := weigh(c)
				all = append(all, rung{c, slower, raw, weight})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b rung) int {
		return cmp.Or(a.slower-b.slower, cmp.Compare(rank(a.raw), rank(b.raw)), cmp.Compare(b.weight, a.weight))
	})
	// Each must need less than what failed before it, as far as two can be compared.
	usedWeight, usedRaw := weigh(used)
	least := map[bool]float64{}
	least[usedRaw] = usedWeight
	var out []choice
	for _, r := range all {
		limit, failed := least[r.raw]
		if failed && r.weight >= limit || len(out) == maxRungs {
			continue
		}
		least[r.raw] = r.weight
		out = append(out, r.choice)
	}
	return out
}

func rank(raw bool) int {
	if raw {
		return 1
	}
	return 0
}

// fits spells a format for State.Fits: "MJPG 640x480@30".
func fits(s Stats, asked choice) string {
	fps := s.FPS
	if fps == 0 {
		fps = asked.fps
	}
	rate := strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", fps), "0"), ".")
	return fmt.Sprintf("%s %dx%d@%s", s.Format, s.Width, s.Height, rate)
}

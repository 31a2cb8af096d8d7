package camera

import (
	"cmp"
	"errors"
	"slices"

	"github.com/blackjack/webcam"

	"kioskd/capture"
)

// Format is one pixel format that a camera offers.
type Format struct {
	// FourCC is its V4L2 name of four letters.
	FourCC string
	// Sizes are the picture sizes, largest first.
	Sizes []Size
}

// Size is a picture size that a camera offers in a format.
type Size struct {
	Width, Height int     // pixels
	FPS           float64 // highest frame rate, frames a second; 0 where the driver does not say
}

// usualSizes stand for the sizes of a driver that takes any size in a range.
func usualSizes() []Size {
	return []Size{{1920, 1080, 0}, {1280, 720, 0}, {640, 480, 0}, {320, 240, 0}}
}

// formatsOf asks a camera what it offers. Formats this package cannot convert
// are listed, too: a node with none at all takes no pictures.
func formatsOf(cam *webcam.Webcam) []Format {
	var out []Format
	for pix := range cam.GetSupportedFormats() {
		f := Format{FourCC: fourCC(pix)}
		for _, s := range cam.GetSupportedFrameSizes(pix) {
			for _, z := range expand(s) {
				z.FPS = fastest(cam.GetSupportedFramerates(pix, uint32(z.Width), uint32(z.Height)))
				f.Sizes = append(f.Sizes, z)
			}
		}
		slices.SortFunc(f.Sizes, func(a, b Size) int {
			return cmp.Or(cmp.Compare(b.Width*b.Height, a.Width*a.Height), cmp.Compare(b.Width, a.Width))
		})
		f.Sizes = slices.Compact(f.Sizes)
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Format) int { return cmp.Compare(a.FourCC, b.FourCC) })
	return out
}

// expand turns one answer of VIDIOC_ENUM_FRAMESIZES into sizes: itself, or for a
// range the usual sizes inside it and its largest.
func expand(s webcam.FrameSize) []Size {
	if s.MaxWidth < 1 || s.MaxHeight < 1 || s.MaxWidth > capture.MaxSide || s.MaxHeight > capture.MaxSide {
		return nil
	}
	largest := Size{Width: int(s.MaxWidth), Height: int(s.MaxHeight)}
	if s.MinWidth == s.MaxWidth && s.MinHeight == s.MaxHeight {
		return []Size{largest}
	}
	fits := func(v int, lo, hi, step uint32) bool {
		return v >= int(lo) && v <= int(hi) && (v-int(lo))%int(max(step, 1)) == 0
	}
	out := []Size{largest}
	for _, z := range usualSizes() {
		if z != largest && fits(z.Width, s.MinWidth, s.MaxWidth, s.StepWidth) && fits(z.Height, s.MinHeight, s.MaxHeight, s.StepHeight) {
			out = append(out, z)
		}
	}
	return out
}

// fastest is the highest of the frame rates, in frames a second, 0 for none. A
// range's shortest interval stands in the Min fields.
func fastest(rates []webcam.FrameRate) float64 {
	best := 0.0
	for _, r := range rates {
		if r.MinNumerator > 0 {
			best = max(best, float64(r.MinDenominator)/float64(r.MinNumerator))
		}
	}
	return best
}

// choice is a format, size and rate to ask the driver for.
type choice struct {
	fourCC        string
	width, height int
	fps           float64
}

// choose finds what fits the wish best: first colour, then the nearest size, then the
// rate, then the format that costs least to convert. So a camera on USB 2, whose raw 720p
// comes at 10 frames a second, gives MJPEG.
func choose(offered []Format, want Config) (choice, error) {
	type ranked struct {
		choice
		distance int
		missing  float64
		way      way
	}
	var all []ranked
	for _, f := range offered {
		w, ok := wayOf(f.FourCC)
		if !ok || want.Format != "" && f.FourCC != want.Format {
			continue
		}
		for _, s := range f.Sizes {
			if !w.takes(s.Width, s.Height) {
				continue
			}
			r := ranked{choice: choice{f.FourCC, s.Width, s.Height, float64(want.FPS)}, way: w}
			dw, dh := s.Width-want.Width, s.Height-want.Height
			r.distance = dw*dw + dh*dh
			// 29.97 is as good as 30; an unknown rate gets the benefit of the doubt.
			if s.FPS > 0 && s.FPS < 0.99*float64(want.FPS) {
				r.missing, r.fps = float64(want.FPS)-s.FPS, s.FPS
			}
			all = append(all, r)
		}
	}
	if len(all) == 0 {
		return choice{}, errors.New("it offers none of the formats MJPG, YUYV, NV12, YU12 and GREY")
	}
	best := slices.MinFunc(all, func(a, b ranked) int {
		return cmp.Or(colourFirst(a.way, b.way), cmp.Compare(a.distance, b.distance), cmp.Compare(a.missing, b.missing), cmp.Compare(a.way.cost, b.way.cost))
	})
	return best.choice, nil
}

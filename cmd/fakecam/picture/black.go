package picture

import (
	"image"

	"kioskd/cmd/fakecam/blocks"
)

const blackLuma = 16 // of limited range; in a JPEG, which is full range, it is a very dark grey

// blackYUYV fills dst, whose length is a multiple of 4.
func blackYUYV(dst []byte) {
	copy(dst, []byte{blackLuma, blocks.Chroma, blackLuma, blocks.Chroma})
	for n := 4; n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}

// blackMJPEG encodes the picture that strips has begun: one strip, repeated.
func (p *Painter) blackMJPEG(dst []byte, w int) (int, error) {
	img := image.NewYCbCr(image.Rect(0, 0, w, strip), image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = blackLuma
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = blocks.Chroma, blocks.Chroma
	}
	if err := p.strips.encode(img); err != nil {
		return 0, err
	}
	for p.strips.missing() > 0 {
		p.strips.repeat()
	}
	return p.strips.finish(dst)
}

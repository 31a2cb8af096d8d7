package encode_test

import (
	"testing"

	"kioskd/capture/encode"
)

func TestKeyframeSize(t *testing.T) {
	head := func(b ...byte) []byte { return b }
	for name, c := range map[string]struct {
		data []byte
		w, h int
		ok   bool
	}{
		"640x360":         {head(0x10, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x02, 0x68, 0x01), 640, 360, true},
		"scaling bits":    {head(0x10, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x42, 0x68, 0xc1), 640, 360, true},
		"an inter-frame":  {head(0x11, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x02, 0x68, 0x01), 0, 0, false},
		"a wrong start":   {head(0x10, 0, 0, 0x9d, 1, 0x2b, 0x80, 0x02, 0x68, 0x01), 0, 0, false},
		"no width":        {head(0x10, 0, 0, 0x9d, 1, 0x2a, 0, 0x40, 0x68, 0x01), 0, 0x168, false},
		"one byte short":  {head(0x10, 0, 0, 0x9d, 1, 0x2a, 0x80, 0x02, 0x68), 0, 0, false},
		"nothing":         {nil, 0, 0, false},
		"a single zero":   {head(0), 0, 0, false},
		"the largest VP8": {head(0x10, 0, 0, 0x9d, 1, 0x2a, 0xff, 0xff, 0xff, 0xff), 16383, 16383, true},
	} {
		w, h, ok := encode.KeyframeSize(c.data)
		if w != c.w || h != c.h || ok != c.ok || encode.IsKeyframe(c.data) != c.ok {
			t.Errorf("%s: %d x %d, %v", name, w, h, ok)
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	d := newDecoder(t)
	for name, data := range map[string][]byte{
		"nothing":    nil,
		"garbage":    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
		"a huge one": {0x10, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0},
	} {
		if _, err := d.Decode(data); err == nil {
			t.Errorf("%s was decoded", name)
		}
	}
	d.Close()
	if _, err := d.Decode([]byte{0}); err == nil {
		t.Error("decoded after Close")
	}
}

// FuzzKeyframeSize: the header's reader and libvpx's decoder take any bytes,
// and agree on the size of what decodes.
func FuzzKeyframeSize(f *testing.F) {
	f.Add([]byte{0x10, 0, 0, 0x9d, 1, 0x2a, 0x10, 0, 0x10, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		w, h, ok := encode.KeyframeSize(data)
		if ok && w*h > 1<<16 {
			return // keep a run quick
		}
		d := newDecoder(t)
		defer d.Close()
		img, err := d.Decode(data)
		if err == nil && (!ok || img.Rect.Dx() != w || img.Rect.Dy() != h) {
			t.Errorf("decoded %v, the header said %dx%d, %v", img.Rect, w, h, ok)
		}
	})
}

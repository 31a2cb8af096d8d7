package blocks_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/cmd/fakecam/blocks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The check value of CRC-16/CCITT-FALSE (now CRC-16/IBM-3740) in the catalogue of CRCs.
func TestCRC(t *testing.T) {
	if got := blocks.CRC([]byte("123456789")); got != 0x29B1 {
		t.Errorf("CRC of the check string is %#x, want 0x29b1", got)
	}
}

func TestPack(t *testing.T) {
	c := blocks.Code{Counter: 0x04030201, Ticks: 0x0a0908070605}
	got := c.Pack()
	for i := range 10 {
		if got[i] != byte(i+1) {
			t.Errorf("byte %d is %#x, want %#x", i, got[i], i+1)
		}
	}
	sum := blocks.CRC([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	if got[10] != byte(sum) || got[11] != byte(sum>>8) {
		t.Errorf("checksum bytes %#x %#x, want %#04x LSB first", got[10], got[11], sum)
	}
	if back, err := blocks.Unpack(got); err != nil || back != c {
		t.Errorf("unpacked %+v, %v; want %+v", back, err, c)
	}
	for bit := range blocks.Bits { // one wrong bit anywhere is seen
		bad := got
		bad[bit/8] ^= 1 << (bit % 8)
		if _, err := blocks.Unpack(bad); !errors.Is(err, blocks.ErrCRC) {
			t.Errorf("bit %d wrong: %v, want ErrCRC", bit, err)
		}
	}
}

func TestTime(t *testing.T) {
	at := time.Date(2031, 5, 6, 7, 8, 9, 123_456_789, time.UTC)
	if got, want := blocks.New(7, at).Time(), at.Truncate(100*time.Microsecond); !got.Equal(want) {
		t.Errorf("time %v, want %v", got, want)
	}
}

func TestRowHeight(t *testing.T) {
	for h, want := range map[int]int{240: 16, 480: 16, 719: 16, 720: 32, 1079: 32, 1080: 48, 2160: 96} {
		if got := blocks.RowHeight(h); got != want {
			t.Errorf("%d lines: rows of %d, want %d", h, got, want)
		}
	}
}

// Every pixel of the code is where the layout says, worked out pixel by pixel.
func TestLayout(t *testing.T) {
	for _, s := range [][2]int{{320, 240}, {640, 480}, {1280, 720}, {1920, 1080}, {1000, 500}} {
		w, h := s[0], s[1]
		c := blocks.New(0x9badcafe, time.Now())
		bits, luma := c.Pack(), make([]byte, w*h)
		blocks.Paint(luma, w, w, h, c)
		yuyv := make([]byte, 2*w*h)
		blocks.PaintYUYV(yuyv, 2*w, w, h, c)
		r := 16 * max(1, h/360)
		for y := range h {
			for x := range w {
				want, chroma := byte(0), byte(0)
				if y < 3*r {
					col := 0
					for (col+1)*w/32 <= x {
						col++
					}
					k := y/r*32 + col
					want, chroma = 16, 128
					if bits[k/8]>>(k%8)&1 == 1 {
						want = 235
					}
				}
				if got := luma[y*w+x]; got != want {
					t.Fatalf("%dx%d: luma at %d,%d is %d, want %d", w, h, x, y, got, want)
				}
				if i := 2 * (y*w + x); yuyv[i] != want || yuyv[i+1] != chroma {
					t.Fatalf("%dx%d: YUYV at %d,%d is %d %d, want %d %d", w, h, x, y, yuyv[i], yuyv[i+1], want, chroma)
				}
			}
		}
	}
}

func TestReadNoisy(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 0))
	for _, s := range [][3]int{{320, 240, 320}, {640, 480, 704}, {1280, 720, 1280}, {1920, 1080, 2048}} {
		w, h, stride := s[0], s[1], s[2]
		luma := make([]byte, stride*h)
		c := blocks.New(rnd.Uint32(), time.Now())
		blocks.Paint(luma, stride, w, h, c)
		for i, v := range luma {
			luma[i] = byte(min(max(int(v)+rnd.IntN(121)-60, 0), 255))
		}
		if got, err := blocks.Read(luma, stride, w, h); err != nil || got != c {
			t.Errorf("%dx%d: read %+v, %v; want %+v", w, h, got, err, c)
		}
	}
}

func TestReadScaled(t *testing.T) {
	for _, s := range []struct{ w, h, to int }{{1280, 720, 360}, {1280, 720, 540}, {1280, 720, 1080}, {1920, 1080, 720}, {640, 480, 240}} {
		c := blocks.New(12345, time.Now())
		src := make([]byte, s.w*s.h)
		blocks.Paint(src, s.w, s.w, s.h, c)
		w := s.w * s.to / s.h
		dst := make([]byte, w*s.to)
		for y := range s.to { // nearest neighbour
			for x := range w {
				dst[y*w+x] = src[y*s.h/s.to*s.w+x*s.w/w]
			}
		}
		if got, err := blocks.ReadScaled(dst, w, w, s.to, s.h); err != nil || got != c {
			t.Errorf("%d lines scaled to %d: read %+v, %v; want %+v", s.h, s.to, got, err, c)
		}
	}
}

func TestReadErrors(t *testing.T) {
	plain := make([]byte, 640*480)
	white := make([]byte, 640*480)
	for i := range white {
		white[i] = 235
	}
	for name, c := range map[string]struct {
		luma         []byte
		stride, w, h int
		want         error
	}{
		"black":        {plain, 640, 640, 480, blocks.ErrCRC},
		"white":        {white, 640, 640, 480, blocks.ErrCRC},
		"empty":        {nil, 640, 640, 480, blocks.ErrSize},
		"too short":    {plain[:47*640+639], 640, 640, 480, blocks.ErrSize},
		"narrow":       {plain, 640, 31, 480, blocks.ErrSize},
		"flat":         {plain, 640, 640, 47, blocks.ErrSize},
		"stride small": {plain, 639, 640, 480, blocks.ErrSize},
		"no lines":     {plain, 640, 640, 0, blocks.ErrSize},
	} {
		if _, err := blocks.Read(c.luma, c.stride, c.w, c.h); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

// A buffer that ends early is painted as far as it goes.
func TestPaintShort(t *testing.T) {
	c := blocks.New(1, time.Unix(1, 0))
	whole, part := make([]byte, 640*480), make([]byte, 640*20+5)
	blocks.Paint(whole, 640, 640, 480, c)
	blocks.Paint(part, 640, 640, 480, c)
	if string(part[:640*20]) != string(whole[:640*20]) {
		t.Error("lines that fit differ")
	}
	blocks.Paint(nil, 640, 640, 480, c)
	blocks.PaintYUYV(make([]byte, 3), 1280, 640, 480, c)
}

func FuzzRead(f *testing.F) {
	luma := make([]byte, 64*48)
	blocks.Paint(luma, 64, 64, 48, blocks.New(99, time.Unix(1700000000, 0)))
	f.Add(luma, 64, 64, 48, 48)
	f.Add([]byte{}, 0, 0, 0, 0)
	f.Add(make([]byte, 100), 1, 1<<40, 1<<40, 3)
	f.Fuzz(func(t *testing.T, luma []byte, stride, w, h, source int) {
		if w > 1<<20 || h > 1<<20 || source > 1<<20 || stride > 1<<20 {
			return // no picture is that large
		}
		_, err := blocks.ReadScaled(luma, stride, w, h, source)
		if err != nil && !errors.Is(err, blocks.ErrCRC) && !errors.Is(err, blocks.ErrSize) {
			t.Errorf("unknown error %v", err)
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(uint32(0), uint64(0), uint16(1280), uint16(720))
	f.Fuzz(func(t *testing.T, counter uint32, ticks uint64, w, h uint16) {
		c := blocks.Code{Counter: counter, Ticks: ticks & (1<<48 - 1)}
		wi, hi := 32+int(w)%2000, 48+int(h)%1100
		luma := make([]byte, wi*hi)
		blocks.Paint(luma, wi, wi, hi, c)
		if got, err := blocks.Read(luma, wi, wi, hi); err != nil || got != c {
			t.Errorf("%dx%d: read %+v, %v; want %+v", wi, hi, got, err, c)
		}
	})
}

func BenchmarkRead720(b *testing.B) {
	luma := make([]byte, 1280*720)
	blocks.Paint(luma, 1280, 1280, 720, blocks.New(1, time.Unix(1, 0)))
	for b.Loop() {
		if _, err := blocks.Read(luma, 1280, 1280, 720); err != nil {
			b.Fatal(err)
		}
	}
}

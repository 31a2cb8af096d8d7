package v4l2

import "golang.org/x/sys/unix"

// Only narrows what a camera offers.
type Only string

// What a camera can offer.
const (
	OnlyAll   Only = ""      // YUYV to 720p, MJPEG to 1080p
	OnlyMJPEG Only = "mjpeg" // YUYV stops at VGA, as in a USB 2 webcam
	OnlyYUYV  Only = "yuyv"  // no MJPEG
)

// format is a pixel format with its frame sizes, in the order they are listed.
type format struct {
	pix   uint32
	name  string
	flags uint32
	sizes [][2]uint32
}

// formats gives what a camera offers.
func formats(only Only) []format {
	yuyv := format{PixYUYV, "YUYV 4:2:2", 0, [][2]uint32{{320, 240}, {640, 480}, {1280, 720}}}
	mjpg := format{PixMJPG, "Motion-JPEG", 1 /* compressed */, [][2]uint32{{640, 480}, {1280, 720}, {1920, 1080}}}
	switch only {
	case OnlyMJPEG:
		yuyv.sizes = yuyv.sizes[:2]
	case OnlyYUYV:
		return []format{yuyv}
	case OnlyAll:
	}
	return []format{yuyv, mjpg}
}

// rates are the frame rates of every size, the first is the default.
func rates() []uint32 { return []uint32{30, 15} }

func (f *format) has(w, h uint32) bool {
	for _, s := range f.sizes {
		if s == [2]uint32{w, h} {
			return true
		}
	}
	return false
}

// nearest is the size closest to the one asked for.
func (f *format) nearest(w, h uint32) (uint32, uint32) {
	best, least := f.sizes[0], int64(-1)
	for _, s := range f.sizes {
		dw, dh := int64(s[0])-int64(w), int64(s[1])-int64(h)
		if e := abs(dw) + abs(dh); least < 0 || e < least {
			best, least = s, e
		}
	}
	return best[0], best[1]
}

func abs(x int64) int64 { return max(x, -x) }

// sizeimage is how many bytes a buffer needs; a JPEG is given a byte a pixel.
func sizeimage(pix, w, h uint32) uint32 {
	if pix == PixMJPG {
		return w * h
	}
	return w * h * 2
}

func (d *Device) format(pix uint32) *format {
	for i := range d.formats {
		if d.formats[i].pix == pix {
			return &d.formats[i]
		}
	}
	return nil
}

func (d *Device) enumFmt(a []byte) unix.Errno {
	i := u32(a, 0)
	if u32(a, 4) != typeCapture || int64(i) >= int64(len(d.formats)) {
		return unix.EINVAL
	}
	f := d.formats[i]
	clear(a)
	put(a, i, typeCapture, f.flags)
	copy(a[12:43], f.name)
	put(a[44:], f.pix)
	return 0
}

func (d *Device) enumFramesizes(a []byte) unix.Errno {
	i, pix := u32(a, 0), u32(a, 4)
	f := d.format(pix)
	if f == nil || int64(i) >= int64(len(f.sizes)) {
		return unix.EINVAL
	}
	clear(a)
	put(a, i, pix, 1 /* discrete */, f.sizes[i][0], f.sizes[i][1])
	return 0
}

func (d *Device) enumFrameivals(a []byte) unix.Errno {
	i, pix, w, h := u32(a, 0), u32(a, 4), u32(a, 8), u32(a, 12)
	f := d.format(pix)
	if f == nil || int64(i) >= int64(len(rates())) || !f.has(w, h) {
		return unix.EINVAL
	}
	clear(a)
	put(a, i, pix, w, h, 1 /* discrete */, 1, rates()[i])
	return 0
}

// fmt answers G_FMT, S_FMT and TRY_FMT. An unknown format or size becomes the
// nearest that is there (Documentation/userspace-api/media/v4l/vidioc-g-fmt.rst).
func (d *Device) fmt(cmd uint32, a []byte) unix.Errno {
	if u32(a, 0) != typeCapture {
		return unix.EINVAL
	}
	pix, w, h := d.pix, d.w, d.h
	if cmd != vidiocGFmt {
		w, h, pix = u32(a, 8), u32(a, 12), u32(a, 16)
		f := d.format(pix)
		if f == nil {
			f = &d.formats[0]
		}
		pix = f.pix
		w, h = f.nearest(w, h)
	}
	if cmd == vidiocSFmt {
		if len(d.bufs) > 0 {
			return unix.EBUSY
		}
		d.pix, d.w, d.h = pix, w, h
	}
	stride, space := uint32(0), uint32(colorspaceJPEG)
	if pix == PixYUYV {
		stride, space = w*2, colorspaceSRGB
	}
	clear(a)
	// type, padding, then v4l2_pix_format with encoding 601, limited or full range, sRGB transfer
	put(a, typeCapture, 0, w, h, pix, fieldNone, stride, sizeimage(pix, w, h), space, pixPrivMagic, 0, 1, quantization(pix), 1)
	return 0
}

// quantization: JPEG is full range, YUYV is limited range.
func quantization(pix uint32) uint32 {
	if pix == PixMJPG {
		return 1
	}
	return 2
}

// parm answers G_PARM and S_PARM: the rate nearest to the one asked for.
func (d *Device) parm(cmd uint32, a []byte) unix.Errno {
	if u32(a, 0) != typeCapture {
		return unix.EINVAL
	}
	if cmd == vidiocSParm {
		num, den := int64(u32(a, 12)), int64(u32(a, 16))
		best, least := rates()[0], int64(-1)
		for _, r := range rates() {
			if num == 0 || den == 0 {
				break
			}
			if e := abs(den - int64(r)*num); least < 0 || e < least {
				best, least = r, e
			}
		}
		d.fps = best
	}
	clear(a)
	put(a, typeCapture, capTimeFrame, 0, 1, d.fps)
	return 0
}

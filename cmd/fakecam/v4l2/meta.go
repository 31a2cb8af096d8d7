package v4l2

import "golang.org/x/sys/unix"

// Meta is the second node that uvcvideo makes for a camera, for the headers of its
// USB payloads (Documentation/userspace-api/media/v4l/metafmt-uvc.rst). It has no
// pictures; who looks for cameras has to see that by its capabilities. Unlike a
// real one it cannot be streamed from.
type Meta struct{ d *Device }

// Meta gives the camera's metadata node. It comes and goes with the camera.
func (d *Device) Meta() Meta { return Meta{d} }

const (
	capMeta  = 0x00800000 // V4L2_CAP_META_CAPTURE
	typeMeta = 13         // V4L2_BUF_TYPE_META_CAPTURE
	pixUVCH  = 'U' | 'V'<<8 | 'C'<<16 | 'H'<<24
	metaSize = 10240 // UVC_METADATA_BUF_SIZE
)

// Open gives a handle or an errno, by the rules of the camera itself; a hang does
// not hold it up.
func (m Meta) Open(uid uint32) (*MetaHandle, unix.Errno) {
	d := m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.admit(uid); e != 0 {
		return nil, e
	}
	return &MetaHandle{d, d.life}, 0
}

// MetaHandle is an open file of a Meta.
type MetaHandle struct {
	d    *Device
	life uint64
}

// Ioctl answers one request at once.
func (h *MetaHandle) Ioctl(c Call) {
	d := h.d
	d.mu.Lock()
	defer d.mu.Unlock()
	a := c.Arg()
	switch {
	case d.gone || h.life != d.life:
		c.Reply(-int32(unix.ENODEV))
	case len(a) < size(c.Cmd()):
		c.Reply(-int32(unix.ENOTTY))
	default:
		c.Reply(-int32(d.meta(c.Cmd(), a)))
	}
}

// meta answers the requests of the metadata node.
func (d *Device) meta(cmd uint32, a []byte) unix.Errno {
	switch cmd {
	case vidiocQuerycap:
		d.describeDevice(a)
		put(a[84:], capCapture|capMeta|capStreaming|capExtPix|capDevice, capMeta|capExtPix)
		return 0
	case vidiocEnumFmt:
		if u32(a, 0) != 0 || u32(a, 4) != typeMeta {
			return unix.EINVAL
		}
		clear(a)
		put(a, 0, typeMeta)
		copy(a[12:43], "UVC Payload Header Metadata")
		put(a[44:], pixUVCH)
		return 0
	case vidiocGFmt, vidiocSFmt, vidiocTryFmt:
		if u32(a, 0) != typeMeta {
			return unix.EINVAL
		}
		clear(a)
		put(a, typeMeta, 0, pixUVCH, metaSize)
		return 0
	}
	return unix.ENOTTY
}

// Poll gives an error: nothing streams.
func (h *MetaHandle) Poll(uint64, uint32, bool) uint32 { return unix.POLLERR }

// Release ends the handle; there is nothing to give back.
func (h *MetaHandle) Release() {}

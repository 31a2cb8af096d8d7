package v4l2

import "encoding/binary"

// Request codes of videodev2.h: direction, size of the argument, 'V', number
// (include/uapi/asm-generic/ioctl.h). Sizes are those of 64-bit machines.
const (
	dirW, dirR, dirRW = 1 << 30, 2 << 30, 3 << 30
	typeV             = 'V' << 8

	vidiocQuerycap         = dirR | 104<<16 | typeV // number 0
	vidiocEnumFmt          = dirRW | 64<<16 | typeV | 2
	vidiocGFmt             = dirRW | 208<<16 | typeV | 4
	vidiocSFmt             = dirRW | 208<<16 | typeV | 5
	vidiocReqbufs          = dirRW | 20<<16 | typeV | 8
	vidiocQuerybuf         = dirRW | 88<<16 | typeV | 9
	vidiocQbuf             = dirRW | 88<<16 | typeV | 15
	vidiocDqbuf            = dirRW | 88<<16 | typeV | 17
	vidiocStreamon         = dirW | 4<<16 | typeV | 18
	vidiocStreamoff        = dirW | 4<<16 | typeV | 19
	vidiocGParm            = dirRW | 204<<16 | typeV | 21
	vidiocSParm            = dirRW | 204<<16 | typeV | 22
	vidiocEnumInput        = dirRW | 80<<16 | typeV | 26
	vidiocGCtrl            = dirRW | 8<<16 | typeV | 27
	vidiocSCtrl            = dirRW | 8<<16 | typeV | 28
	vidiocQueryctrl        = dirRW | 68<<16 | typeV | 36
	vidiocQuerymenu        = dirRW | 44<<16 | typeV | 37
	vidiocGInput           = dirR | 4<<16 | typeV | 38
	vidiocSInput           = dirRW | 4<<16 | typeV | 39
	vidiocTryFmt           = dirRW | 208<<16 | typeV | 64
	vidiocGPriority        = dirR | 4<<16 | typeV | 67
	vidiocSPriority        = dirW | 4<<16 | typeV | 68
	vidiocGExtCtrls        = dirRW | 32<<16 | typeV | 71
	vidiocSExtCtrls        = dirRW | 32<<16 | typeV | 72
	vidiocTryExtCtrls      = dirRW | 32<<16 | typeV | 73
	vidiocDqevent          = dirR | 136<<16 | typeV | 89
	vidiocSubscribeEvent   = dirW | 32<<16 | typeV | 90
	vidiocUnsubscribeEvent = dirW | 32<<16 | typeV | 91
	vidiocEnumFramesizes   = dirRW | 44<<16 | typeV | 74
	vidiocEnumFrameivals   = dirRW | 52<<16 | typeV | 75
	vidiocQueryExtCtrl     = dirRW | 232<<16 | typeV | 103
)

// Values of videodev2.h that answers are made of.
const (
	typeCapture = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE
	memoryMMAP  = 1 // V4L2_MEMORY_MMAP
	fieldNone   = 1 // V4L2_FIELD_NONE

	capCapture   = 0x00000001
	capExtPix    = 0x00200000
	capStreaming = 0x04000000
	capDevice    = 0x80000000 // V4L2_CAP_DEVICE_CAPS
	capTimeFrame = 0x1000     // V4L2_CAP_TIMEPERFRAME

	bufQueued    = 0x0002
	bufDone      = 0x0004
	bufTSMono    = 0x2000
	bufRequestFD = 0x800000 // V4L2_BUF_FLAG_REQUEST_FD

	bufcapMMAP     = 0x01
	bufcapOrphaned = 0x10

	colorspaceJPEG, colorspaceSRGB = 7, 8
	pixPrivMagic                   = 0xfeedcafe

	priorityInteractive = 2 // V4L2_PRIORITY_INTERACTIVE, the default

	pollRdNorm = 0x40
)

// Pixel formats as four characters (V4L2_PIX_FMT_*).
const (
	PixYUYV = 'Y' | 'U'<<8 | 'Y'<<16 | 'V'<<24
	PixMJPG = 'M' | 'J'<<8 | 'P'<<16 | 'G'<<24
)

// put writes 32-bit words one after the other, in this machine's order.
func put(b []byte, v ...uint32) {
	for i, x := range v {
		binary.NativeEndian.PutUint32(b[4*i:], x)
	}
}

func put64(b []byte, v uint64) { binary.NativeEndian.PutUint64(b, v) }

func u32(b []byte, off int) uint32 { return binary.NativeEndian.Uint32(b[off:]) }
func u64(b []byte, off int) uint64 { return binary.NativeEndian.Uint64(b[off:]) }

// size is how many bytes the argument of a request has.
func size(cmd uint32) int { return int(cmd >> 16 & 0x3fff) }

package encode

// Types of NAL units (H.264 table 7-1).
const (
	nalIDR = 5
	nalSPS = 7
	nalPPS = 8
)

// eachNAL calls f with every NAL unit of an access unit in the byte stream format
// (H.264 annex B), without its start code, until f says false.
func eachNAL(data []byte, f func(nal []byte) bool) {
	start := -1 // of the unit in work
	for i := 0; i+2 < len(data); i++ {
		if data[i+2] > 1 { // no start code in reach
			i += 2
			continue
		}
		if data[i] != 0 || data[i+1] != 0 || data[i+2] != 1 {
			continue
		}
		if start >= 0 && !f(trimZero(data[start:i])) {
			return
		}
		start = i + 3
		i += 2
	}
	if start >= 0 && start < len(data) {
		f(data[start:])
	}
}

// trimZero takes the zero that makes the next start code four bytes long away.
func trimZero(nal []byte) []byte {
	for len(nal) > 0 && nal[len(nal)-1] == 0 {
		nal = nal[:len(nal)-1]
	}
	return nal
}

// Disposable tells whether no other picture refers to this one, so that a receiver can
// do without it: nal_ref_idc 0 (H.264 section 7.4.1). VP8 says no such thing.
func Disposable(c Codec, data []byte) bool {
	spare := false
	if c == CodecH264 {
		eachNAL(data, func(nal []byte) bool {
			if len(nal) == 0 || nal[0]&0x1f > nalIDR { // no slice
				return true
			}
			spare = nal[0]&0x60 == 0
			return false
		})
	}
	return spare
}

// isIDR tells whether an access unit holds a keyframe. It looks no further than
// the first slice.
func isIDR(data []byte) bool {
	key := false
	eachNAL(data, func(nal []byte) bool {
		if len(nal) == 0 { // two start codes in a row
			return true
		}
		switch nal[0] & 0x1f {
		case nalIDR:
			key = true
			return false
		case 1: // a slice of another picture
			return false
		}
		return true
	})
	return key
}

package paced

import (
	"strings"

	"github.com/pion/rtp"
)

// keyframe is where the newest keyframe of a stream begins. What was sent before it
// nobody has to have any more: a far end that lost some of it begins there.
type keyframe struct {
	known     bool
	seq       uint16
	timestamp uint32
}

// note looks at a packet of the stream, and says whether a keyframe begins with it.
func (k *keyframe) note(mime string, h *rtp.Header, payload []byte) bool {
	if k.known && k.timestamp == h.Timestamp || !begins(mime, payload) {
		return false
	}
	*k = keyframe{known: true, seq: h.SequenceNumber, timestamp: h.Timestamp}
	return true
}

// covers says whether a packet is of before the keyframe.
func (k *keyframe) covers(seq uint16) bool { return k.known && int16(seq-k.seq) < 0 }

// begins says whether a payload is the first of a keyframe.
func begins(mime string, b []byte) bool {
	switch strings.ToLower(mime) {
	case "video/vp8":
		return beginsVP8(b)
	case "video/h264":
		return beginsH264(b)
	}
	return false
}

// beginsVP8 reads the payload descriptor (RFC 7741, section 4.2) and the P bit of the
// frame's header (section 4.3).
func beginsVP8(b []byte) bool {
	const first = 0x17 // S, and the number of the partition
	if len(b) < 2 || b[0]&first != 0x10 {
		return false
	}
	at := 1
	if b[0]&0x80 != 0 {
		more := b[1]
		at++
		if more&0x80 != 0 { // the picture's number, of 7 or 15 bits
			if at >= len(b) {
				return false
			}
			at += 1 + int(b[at]>>7)
		}
		if more&0x40 != 0 {
			at++
		}
		if more&0x30 != 0 {
			at++
		}
	}
	return at < len(b) && b[at]&1 == 0
}

// Types of NAL units (RFC 6184, section 5.2), and FU-A's mark of the first fragment.
const (
	nalMask, nalIDR, nalSPS = 0x1f, 5, 7
	nalSTAPA, nalFUA        = 24, 28
	fuStart                 = 0x80
)

func beginsH264(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	switch b[0] & nalMask {
	case nalIDR, nalSPS:
		return true
	case nalSTAPA: // its first unit, behind two bytes of length
		return len(b) > 3 && (b[3]&nalMask == nalSPS || b[3]&nalMask == nalIDR)
	case nalFUA:
		return b[1]&fuStart != 0 && b[1]&nalMask == nalIDR
	}
	return false
}

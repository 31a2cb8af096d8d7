package call

// Sound that is sent twice: where a path loses packets, each one carries those before
// it as well (RED, RFC 2198). Opus' own forward error correction works for speech
// only, and covers one packet; this covers whatever the microphone hears.

const (
	mimeRED = "audio/red"
	// redFrom is the loss, in percent, from which sound is sent twice, redTwice the one
	// from which it is sent three times.
	redFrom  = 2
	redTwice = 8
	redMost  = 2                // earlier packets that one carries
	redNeeds = 150_000          // bit/s that the pictures get beside each of them
	redBytes = 1<<10 - 1        // the longest that fits a block's header (section 3)
	redAge   = 1<<14 - 1        // and the oldest, in units of the clock
	redRoom  = payloadBound / 2 // more than that and a packet would be too large
)

// earlier is a packet that went out before.
type earlier struct {
	ts      uint32
	payload []byte
}

// redundancy keeps the last packets of sound.
type redundancy struct {
	last [redMost]earlier // newest first
	buf  []byte
}

// wrap gives a payload with up to n earlier ones in front; all are of payload type pt.
// nil: there is nothing to add. It is valid until the next wrap.
func (r *redundancy) wrap(n int, pt uint8, ts uint32, payload []byte) []byte {
	r.buf = r.buf[:0]
	size, blocks := len(payload), 0
	for blocks < n {
		e := r.last[blocks]
		if len(e.payload) == 0 || len(e.payload) > redBytes || ts-e.ts > redAge || size+len(e.payload) > redRoom {
			break
		}
		size += len(e.payload)
		blocks++
	}
	if blocks == 0 {
		return nil
	}
	for i := blocks - 1; i >= 0; i-- {
		e := r.last[i]
		head := (ts-e.ts)<<10 | uint32(len(e.payload))
		r.buf = append(r.buf, 0x80|pt, byte(head>>16), byte(head>>8), byte(head))
	}
	r.buf = append(r.buf, pt)
	for i := blocks - 1; i >= 0; i-- {
		r.buf = append(r.buf, r.last[i].payload...)
	}
	r.buf = append(r.buf, payload...)
	return r.buf
}

// keep notes what went out.
func (r *redundancy) keep(ts uint32, payload []byte) {
	oldest := r.last[redMost-1].payload
	copy(r.last[1:], r.last[:redMost-1])
	r.last[0] = earlier{ts, append(oldest[:0], payload...)}
}

// unwrapRED gives the newest block of a RED payload and its payload type.
func unwrapRED(b []byte) (payload []byte, pt uint8, ok bool) {
	skip := 0
	for {
		switch {
		case len(b) < 1:
			return nil, 0, false
		case b[0]&0x80 == 0:
			pt, b = b[0]&0x7f, b[1:]
			if skip > len(b) {
				return nil, 0, false
			}
			return b[skip:], pt, true
		case len(b) < 4:
			return nil, 0, false
		}
		skip += int(b[2]&0x03)<<8 | int(b[3])
		b = b[4:]
	}
}

package encode

// IsKeyframe reports whether data, one whole VP8 frame, is a keyframe: bit 0 of
// the frame tag is 0 and the start code follows (RFC 6386 section 9.1, RFC 7741
// section 4.3). Anything too short or malformed is not one.
func IsKeyframe(data []byte) bool {
	_, _, ok := KeyframeSize(data)
	return ok
}

// KeyframeSize gives the picture size, in pixels, that a VP8 keyframe's header
// carries (RFC 6386 section 9.1); ok is false for anything but a keyframe.
func KeyframeSize(data []byte) (w, h int, ok bool) {
	if len(data) < 10 || data[0]&1 != 0 || data[3] != 0x9d || data[4] != 0x01 || data[5] != 0x2a {
		return 0, 0, false
	}
	// The upper two bits of each are a scaling hint for the viewer.
	w = int(data[6]) | int(data[7]&0x3f)<<8
	h = int(data[8]) | int(data[9]&0x3f)<<8
	return w, h, w > 0 && h > 0
}

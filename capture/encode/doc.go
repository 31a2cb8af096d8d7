// Package encode turns pictures and sound into what a room accepts: VP8 (RFC
// 6386) through a libvpx binding of its own and Opus (RFC 6716) through
// hraban/opus.
//
// It owns the codecs' memory and their rate control. It owns no device, no
// goroutine and no clock: every call returns in the time one picture takes, and
// whoever calls it decides when. It stands behind the codec interfaces of
// pion/mediadevices (VP8Params and OpusParams are builders), and offers the
// simpler VP8 and Opus types to a caller that pushes instead of pulls.
//
// May be imported by daemon/call and daemon (to build the parts), by programs
// under cmd that make media, and by tests. It imports capture for Frame and
// nothing else of the project.
package encode

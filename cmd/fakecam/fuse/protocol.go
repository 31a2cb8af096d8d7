package fuse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Numbers of the FUSE protocol (include/uapi/linux/fuse.h, version 7.45).
const (
	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opSetattr     = 4
	opOpen        = 14
	opRead        = 15
	opWrite       = 16
	opStatfs      = 17
	opRelease     = 18
	opFlush       = 25
	opInit        = 26
	opOpendir     = 27
	opReaddir     = 28
	opReleasedir  = 29
	opAccess      = 34
	opInterrupt   = 36
	opDestroy     = 38
	opIoctl       = 39
	opPoll        = 40
	opBatchForget = 42

	notifyPoll  = 1
	notifyStore = 4

	fopenDirectIO    = 1 << 0
	fopenKeepCache   = 1 << 1
	fopenNoFlush     = 1 << 5
	fopenPassthrough = 1 << 7

	initBigWrites   = 1 << 5
	initMaxPages    = 1 << 22
	initExt         = 1 << 30
	init2Passthru   = 1 << (37 - 32)
	pollSchedule    = 1 // FUSE_POLL_SCHEDULE_NOTIFY
	protocolMajor   = 7
	protocolMinor   = 45
	headerSize      = 40
	maxWrite        = 1 << 20
	requestSize     = maxWrite + 4096
	maxIoctl        = 1 << 14 // what an ioctl code can say
	rootNode        = 1
	firstNode       = 16
	backingOpenCode = 1<<30 | 16<<16 | 229<<8 | 1 // _IOW(229, 1, struct fuse_backing_map)
)

// header is struct fuse_in_header. Tid is the caller's thread.
type header struct {
	Opcode uint32
	Unique uint64
	Node   uint64
	UID    uint32
	Tid    uint32
}

// request is what is in a request after the header, by its opcode; the fields
// that an opcode does not have are zero.
type request struct {
	header
	Name   string // LOOKUP
	Major  uint32 // INIT: version
	Minor  uint32
	Ahead  uint32 // INIT: max_readahead
	Flags  uint32 // INIT, OPEN, POLL: flags; ACCESS: mask
	Flags2 uint32 // INIT
	Fh     uint64 // handle
	Off    uint64 // READ, READDIR
	Size   uint32 // READ, READDIR, WRITE; IOCTL: bytes to answer
	Cmd    uint32 // IOCTL: request code
	Data   []byte // IOCTL: bytes of the argument, not copied
	Events uint32 // POLL: what is waited for
	Key    uint64 // POLL: whom to wake; INTERRUPT: unique of the request
}

var errShort = errors.New("shorter than its kind")

// parse reads one request from /dev/fuse. A request of a kind that is not known
// has only its header.
func parse(b []byte) (request, error) {
	var r request
	le := binary.NativeEndian
	if len(b) < headerSize || uint64(le.Uint32(b)) > uint64(len(b)) || le.Uint32(b) < headerSize {
		return r, fmt.Errorf("cannot read a FUSE request of %d bytes: %w", len(b), errShort)
	}
	b = b[:le.Uint32(b)]
	r.header = header{le.Uint32(b[4:]), le.Uint64(b[8:]), le.Uint64(b[16:]), le.Uint32(b[24:]), le.Uint32(b[32:])}
	p := b[headerSize:]
	if len(p) < bodySize(r.Opcode) {
		return r, fmt.Errorf("cannot read FUSE request %d of %d bytes: %w", r.Opcode, len(b), errShort)
	}
	switch r.Opcode {
	case opLookup:
		name, _, _ := strings.Cut(string(p), "\x00")
		r.Name = name
	case opInit:
		r.Major, r.Minor, r.Ahead, r.Flags = le.Uint32(p), le.Uint32(p[4:]), le.Uint32(p[8:]), le.Uint32(p[12:])
		if r.Flags&initExt != 0 && len(p) >= 20 {
			r.Flags2 = le.Uint32(p[16:])
		}
	case opOpen, opAccess:
		r.Flags = le.Uint32(p)
	case opRead, opReaddir, opWrite:
		r.Fh, r.Off, r.Size = le.Uint64(p), le.Uint64(p[8:]), le.Uint32(p[16:])
	case opRelease:
		r.Fh = le.Uint64(p)
	case opInterrupt:
		r.Key = le.Uint64(p)
	case opPoll:
		r.Fh, r.Key, r.Flags, r.Events = le.Uint64(p), le.Uint64(p[8:]), le.Uint32(p[16:]), le.Uint32(p[20:])
	case opIoctl:
		in, out := le.Uint32(p[24:]), le.Uint32(p[28:])
		if uint64(in) > uint64(len(p)-32) || out > maxIoctl {
			return r, fmt.Errorf("cannot read FUSE ioctl with %d bytes in and %d out: %w", in, out, errShort)
		}
		r.Fh, r.Cmd, r.Size, r.Data = le.Uint64(p), le.Uint32(p[12:]), out, p[32:32+in]
	}
	return r, nil
}

// bodySize is the least size of a request's body.
func bodySize(op uint32) int {
	switch op {
	case opLookup:
		return 1
	case opInit:
		return 16
	case opOpen, opRelease, opInterrupt, opAccess:
		return 8
	case opPoll:
		return 24
	case opIoctl, opRead, opReaddir:
		return 32
	case opWrite:
		return 24
	}
	return 0
}

package fuse

import (
	"encoding/binary"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// askAs is ask of a process of user uid.
func (p *pipe) askAs(uid, op uint32, node uint64, body []byte) int32 {
	p.t.Helper()
	m := message(op, body)
	binary.NativeEndian.PutUint64(m[16:], node)
	binary.NativeEndian.PutUint32(m[24:], uid)
	r, err := parse(m)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.handle(r); err != nil {
		p.t.Fatal(err)
	}
	st, _ := p.answer(77)
	return st
}

// A file learns who opens it, and answers access(2) by the user; to be there is
// no matter of rights.
func TestUsers(t *testing.T) {
	f := &toy{here: true} // it refuses user 1234
	p := newPipe(t, Store, f)
	defer p.close()
	p.hello()
	for _, uid := range []uint32{0, 7, 65534} {
		if st := p.askAs(uid, opOpen, 16, words(unix.O_RDWR, 0)); st != 0 {
			t.Errorf("OPEN by %d: %d", uid, st)
		}
	}
	if !slices.Equal(f.uids, []uint32{0, 7, 65534}) {
		t.Errorf("opened by %v", f.uids)
	}
	for _, c := range []struct {
		uid, mask uint32
		node      uint64
		want      unix.Errno
	}{
		{7, unix.R_OK | unix.W_OK, 16, 0},
		{1234, unix.R_OK, 16, unix.EACCES},
		{1234, unix.W_OK, 17, unix.EACCES},
		{1234, unix.F_OK, 16, 0},
		{1234, unix.R_OK, rootNode, 0},
		{1234, unix.R_OK, 99, 0},
	} {
		if st := p.askAs(c.uid, opAccess, c.node, words(c.mask, 0)); st != -int32(c.want) {
			t.Errorf("ACCESS %+v: %d", c, st)
		}
	}
}

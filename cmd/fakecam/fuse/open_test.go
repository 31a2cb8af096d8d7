package fuse

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// begin gives the server a request and does not wait for its answer.
func (p *pipe) begin(op uint32, node uint64, body []byte) {
	p.t.Helper()
	m := message(op, body)
	binary.NativeEndian.PutUint64(m[16:], node)
	r, err := parse(m)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.handle(r); err != nil {
		p.t.Fatal(err)
	}
}

// A file may answer open(2) later: other requests are served meanwhile, and its
// handle works from then on.
func TestOpenLater(t *testing.T) {
	f := &toy{here: true, late: true}
	p := newPipe(t, Store, f)
	defer p.close()
	p.hello()
	p.begin(opOpen, 16, words(unix.O_RDWR, 0))
	if st, _ := p.ask(opGetattr, 16, make([]byte, 16)); st != 0 {
		t.Errorf("GETATTR while an open waits: %d", st)
	}
	if c := f.waiting[0]; c.ID() != 77 || !c.Reply(f, 0) {
		t.Errorf("open %d was not delivered", f.waiting[0].ID())
	}
	st, b := p.answer(77)
	fh := binary.NativeEndian.Uint32(b)
	if st != 0 || fh == 0 {
		t.Fatalf("OPEN: %d, handle %d", st, fh)
	}
	if st, _ := p.ask(opIoctl, 16, words(fh, 0, 0, 0, 0, 0, 0, 0)); st != 0 {
		t.Errorf("IOCTL: %d", st)
	}
	p.begin(opOpen, 16, words(unix.O_RDWR, 0))
	if f.waiting[1].Reply(nil, unix.EINTR) {
		t.Error("a refused open was delivered")
	}
	if st, _ := p.answer(77); st != -int32(unix.EINTR) {
		t.Errorf("refused OPEN: %d", st)
	}
}

// An answer that the kernel does not take leaves no handle behind.
func TestOpenLost(t *testing.T) {
	f := &toy{here: true, late: true}
	p := newPipe(t, Store, f)
	p.hello()
	p.begin(opOpen, 16, words(unix.O_RDWR, 0))
	_ = unix.Close(p.kernel)
	if f.waiting[0].Reply(f, 0) || len(p.handles) != 0 {
		t.Errorf("delivered to nobody; %d handles are left", len(p.handles))
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A file may get another name and number while the folder is mounted.
func TestRenamed(t *testing.T) {
	f := &toy{here: true}
	p := newPipe(t, Store, f)
	defer p.close()
	p.hello()
	f.name, f.minor = "video7", 7
	if st, _ := p.ask(opLookup, rootNode, []byte("video0\x00")); st != -int32(unix.ENOENT) {
		t.Errorf("the old name: %d", st)
	}
	if st, _ := p.ask(opLookup, rootNode, []byte("video7\x00")); st != 0 {
		t.Errorf("the new name: %d", st)
	}
	if _, b := p.ask(opGetattr, 17, make([]byte, 16)); binary.NativeEndian.Uint32(b[16+76:]) != 81<<8|7 {
		t.Errorf("number %#x", binary.NativeEndian.Uint32(b[16+76:]))
	}
	if _, b := p.ask(opReaddir, rootNode, words(0, 0, 0, 0, 4096, 0, 0, 0)); string(b[24:30]) != "video7" {
		t.Errorf("READDIR: %q", b)
	}
}

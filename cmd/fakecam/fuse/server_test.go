package fuse

import (
	"encoding/binary"
	"log/slog"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// pipe is a Server whose kernel is the test: a socket pair keeps the messages'
// ends, as /dev/fuse does. With the kernel itself it is tested by cmd/fakecam.
type pipe struct {
	*Server
	t      *testing.T
	kernel int
}

// toy is a file; it echoes an ioctl with every byte one higher.
type toy struct {
	name        string
	minor       int
	here        bool
	late        bool // open(2) waits
	waiting     []*OpenCall
	openErr     unix.Errno
	uids        []uint32 // who opened it
	released    int
	interrupted []uint64
	polled      []uint64
}

func (f *toy) Node() (string, int, bool) { return f.name, f.minor, f.here }
func (f *toy) Allowed(uid uint32) bool   { return uid != 1234 }
func (f *toy) Interrupt(id uint64)       { f.interrupted = append(f.interrupted, id) }
func (f *toy) Release()                  { f.released++ }

func (f *toy) Poll(key uint64, asked uint32, _ bool) uint32 {
	f.polled = append(f.polled, key)
	return unix.POLLIN & asked
}

func (f *toy) Open(c *OpenCall) {
	f.uids = append(f.uids, c.UID())
	if f.late {
		f.waiting = append(f.waiting, c)
		return
	}
	c.Reply(f, f.openErr)
}

func (f *toy) Ioctl(c *Call) {
	for i := range c.Arg() {
		c.Arg()[i]++
	}
	c.Reply(-int32(c.Cmd()))
}

func newPipe(t *testing.T, mode Mode, files ...*toy) *pipe {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	tv := unix.Timeval{Sec: 5}
	if err := unix.SetsockoptTimeval(fds[1], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	procs, err := newCallers()
	if err != nil {
		t.Fatalf("run this test as root: %v", err)
	}
	s := &Server{log: slog.New(slog.DiscardHandler), fd: fds[0], dir: "test", procs: procs, asked: mode, ready: make(chan struct{}), handles: map[uint64]open{}}
	s.mode.Store(mode)
	for i, f := range files {
		f.name, f.minor = "video"+string(rune('0'+i)), i
		s.entries = append(s.entries, Entry{Memory: []byte("memory of a camera"), FD: -1, File: f})
	}
	return &pipe{Server: s, t: t, kernel: fds[1]}
}

func (p *pipe) close() {
	if err := p.Close(); err != nil {
		p.t.Error(err)
	}
	_ = unix.Close(p.kernel)
}

// ask handles a request and returns status and body of the answer.
func (p *pipe) ask(op uint32, node uint64, body []byte) (int32, []byte) {
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
	return p.answer(77)
}

func (p *pipe) answer(unique uint64) (int32, []byte) {
	p.t.Helper()
	b := make([]byte, 1<<16)
	n, err := unix.Read(p.kernel, b)
	if err != nil || n < 16 || int(binary.NativeEndian.Uint32(b)) != n || binary.NativeEndian.Uint64(b[8:]) != unique {
		p.t.Fatalf("answer of %d bytes, %v: % x", n, err, b[:16])
	}
	return int32(binary.NativeEndian.Uint32(b[4:])), b[16:n]
}

// hello does the first exchange.
func (p *pipe) hello() {
	p.t.Helper()
	if st, b := p.ask(opInit, 0, words(7, 45, 1<<17, 0xffffffff, 0)); st != 0 || len(b) != 64 || binary.NativeEndian.Uint32(b) != 7 {
		p.t.Fatalf("INIT: %d, %d bytes", st, len(b))
	}
	<-p.Ready()
}

func TestInit(t *testing.T) {
	for _, mode := range []Mode{Auto, Store} { // a kernel without passthrough
		p := newPipe(t, mode, &toy{here: true})
		p.hello()
		if p.Mode() != Store {
			t.Errorf("%s became %s", mode, p.Mode())
		}
		p.close()
	}
	// The kernel has it but BACKING_OPEN fails (this is no /dev/fuse): auto copies.
	p := newPipe(t, Auto, &toy{here: true})
	if st, b := p.ask(opInit, 0, words(7, 45, 1<<17, 0xffffffff, 0xffffffff)); st != 0 || binary.NativeEndian.Uint32(b[32:]) != init2Passthru || p.Mode() != Store {
		t.Errorf("INIT: %d, mode %s", st, p.Mode())
	}
	p.close()
	for _, flags2 := range []uint32{0, 0xffffffff} { // asked for, it is an error
		p := newPipe(t, Passthrough, &toy{here: true})
		r, err := parse(message(opInit, words(7, 45, 1<<17, 0xffffffff, flags2)))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.handle(r); err == nil || !strings.HasPrefix(err.Error(), "cannot use passthrough") {
			t.Errorf("flags %#x: %v", flags2, err)
		}
		p.close()
	}
}

func TestFolder(t *testing.T) {
	in, out := &toy{here: true}, &toy{}
	p := newPipe(t, Store, in, out)
	defer p.close()
	p.hello()
	if st, b := p.ask(opLookup, rootNode, []byte("video0\x00")); st != 0 || binary.NativeEndian.Uint64(b) != 16 || len(b) != 40+88 {
		t.Errorf("LOOKUP: %d, % x", st, b)
	}
	for _, name := range []string{"video1", "video2", "video", ""} { // unplugged, not there
		if st, _ := p.ask(opLookup, rootNode, []byte(name+"\x00")); st != -int32(unix.ENOENT) {
			t.Errorf("LOOKUP %q: %d", name, st)
		}
	}
	if st, _ := p.ask(opLookup, 16, []byte("video0\x00")); st != -int32(unix.ENOENT) {
		t.Errorf("LOOKUP in a file: %d", st)
	}
	for node, want := range map[uint64]uint32{1: unix.S_IFDIR | 0o755, 16: unix.S_IFREG | 0o660, 17: unix.S_IFCHR | 0o660, 19: unix.S_IFCHR | 0o660} {
		st, b := p.ask(opGetattr, node, make([]byte, 16))
		if st != 0 || binary.NativeEndian.Uint32(b[16+60:]) != want || node == 19 && binary.NativeEndian.Uint32(b[16+76:]) != 81<<8|1 {
			t.Errorf("GETATTR %d: %d, mode %o", node, st, binary.NativeEndian.Uint32(b[16+60:]))
		}
	}
	if st, b := p.ask(opReaddir, rootNode, words(0, 0, 0, 0, 4096, 0, 0, 0)); st != 0 || len(b) != 32 || string(b[24:30]) != "video0" {
		t.Errorf("READDIR: %d, %q", st, b)
	}
	out.here = true
	if _, b := p.ask(opReaddir, rootNode, words(0, 0, 1, 0, 4096, 0, 0, 0)); len(b) != 32 || string(b[24:30]) != "video1" {
		t.Errorf("READDIR from 1: %q", b)
	}
	if _, b := p.ask(opReaddir, rootNode, words(0, 0, 0, 0, 40, 0, 0, 0)); len(b) != 32 {
		t.Errorf("READDIR of 40 bytes: %d", len(b))
	}
	for _, op := range []uint32{opStatfs, opOpendir, opReleasedir, opAccess, opDestroy, opFlush} {
		if st, _ := p.ask(op, rootNode, make([]byte, 64)); st != 0 {
			t.Errorf("request %d: %d", op, st)
		}
	}
	if st, _ := p.ask(4242, rootNode, nil); st != -int32(unix.ENOSYS) {
		t.Errorf("unknown request: %d", st)
	}
}

func TestFile(t *testing.T) {
	f := &toy{here: true}
	p := newPipe(t, Store, f)
	defer p.close()
	p.hello()
	st, b := p.ask(opOpen, 16, words(unix.O_RDWR, 0))
	fh := binary.NativeEndian.Uint32(b)
	if st != 0 || binary.NativeEndian.Uint32(b[8:]) != fopenNoFlush|fopenKeepCache {
		t.Fatalf("OPEN: %d, % x", st, b)
	}
	for _, node := range []uint64{1, 17, 18, 99} { // folder, the face for stat(2), not there
		if st, _ := p.ask(opOpen, node, words(0, 0)); st != -int32(unix.EIO) {
			t.Errorf("OPEN %d: %d", node, st)
		}
	}
	f.openErr = unix.ENODEV
	if st, _ := p.ask(opOpen, 16, words(0, 0)); st != -int32(unix.ENODEV) {
		t.Errorf("OPEN of a file that says no: %d", st)
	}
	if st, b := p.ask(opIoctl, 16, append(words(fh, 0, 0, 25, 0, 0, 3, 4), 1, 2, 3)); st != 0 || int32(binary.NativeEndian.Uint32(b)) != -25 || string(b[16:]) != "\x02\x03\x04\x01" {
		t.Errorf("IOCTL: %d, % x", st, b)
	}
	if st, b := p.ask(opPoll, 16, words(fh, 0, 9, 0, 1, unix.POLLIN)); st != 0 || binary.NativeEndian.Uint32(b) != unix.POLLIN || len(f.polled) != 1 || f.polled[0] != 9 {
		t.Errorf("POLL: %d, % x, %v", st, b, f.polled)
	}
	if _, b := p.ask(opRead, 16, words(fh, 0, 7, 0, 100, 0, 0, 0)); string(b) != "of a camera" {
		t.Errorf("READ: %q", b)
	}
	if st, b := p.ask(opRead, 16, words(fh, 0, 7, 9, 100, 0, 0, 0)); st != 0 || len(b) != 0 {
		t.Errorf("READ past the end: %d %q", st, b)
	}
	if st, b := p.ask(opWrite, 16, words(fh, 0, 0, 0, 55, 0, 0, 0, 0, 0)); st != 0 || binary.NativeEndian.Uint32(b) != 55 {
		t.Errorf("WRITE: %d, % x", st, b)
	}
	if st, _ := p.ask(opRelease, 16, words(fh, 0, 0, 0, 0, 0)); st != 0 || f.released != 1 {
		t.Errorf("RELEASE: %d, %d released", st, f.released)
	}
	if st, _ := p.ask(opRelease, 16, words(fh, 0)); st != 0 || f.released != 1 {
		t.Errorf("RELEASE twice: %d, %d released", st, f.released)
	}
	for op, body := range map[uint32][]byte{opIoctl: words(fh, 0, 0, 25, 0, 0, 0, 0), opPoll: words(fh, 0, 9, 0, 1, 0)} {
		if st, _ := p.ask(op, 16, body); st != -int32(unix.EBADF) {
			t.Errorf("request %d on a released handle: %d", op, st)
		}
	}
}

func TestNotify(t *testing.T) {
	f := &toy{here: true}
	p := newPipe(t, Store, f)
	defer p.close()
	p.StoreData(0, 4096, []byte("early")) // auto or store, but nobody has it open: still right
	if st, b := p.answer(0); st != notifyStore || string(b[24:]) != "early" {
		t.Errorf("before INIT: %d %q", st, b)
	}
	p.hello()
	p.Wake(1234)
	if st, b := p.answer(0); st != notifyPoll || binary.NativeEndian.Uint64(b) != 1234 {
		t.Errorf("Wake: %d, % x", st, b)
	}
	p.StoreData(0, 8192, []byte("frame"))
	if st, b := p.answer(0); st != notifyStore || binary.NativeEndian.Uint64(b) != 16 || binary.NativeEndian.Uint64(b[8:]) != 8192 || string(b[24:]) != "frame" {
		t.Errorf("StoreData: %d, % x", st, b)
	}
	r, err := parse(message(opInterrupt, words(5, 0)))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.handle(r); err != nil || len(f.interrupted) != 1 || f.interrupted[0] != 5 {
		t.Errorf("INTERRUPT: %v, %v", f.interrupted, err)
	}
	p.mode.Store(Passthrough)
	p.StoreData(0, 0, []byte("frame")) // says nothing
	if st, _ := p.ask(opRead, 16, words(1, 0, 0, 0, 100, 0, 0, 0)); st != -int32(unix.EINVAL) {
		t.Errorf("read(2) in passthrough: %d", st)
	}
}

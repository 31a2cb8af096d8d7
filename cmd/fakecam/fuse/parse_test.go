package fuse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// message builds a request as the kernel does.
func message(op uint32, body []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(body))
	le := binary.NativeEndian
	le.PutUint32(b, uint32(headerSize+len(body)))
	le.PutUint32(b[4:], op)
	le.PutUint64(b[8:], 77)
	le.PutUint64(b[16:], 16)
	le.PutUint32(b[24:], 1000)
	le.PutUint32(b[32:], 4321)
	return append(b, body...)
}

// words is a body of 32-bit words.
func words(v ...uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.NativeEndian.AppendUint32(b, x)
	}
	return b
}

func TestParse(t *testing.T) {
	head := func(op uint32) header { return header{Opcode: op, Unique: 77, Node: 16, UID: 1000, Tid: 4321} }
	for name, c := range map[string]struct {
		op   uint32
		body []byte
		want request
	}{
		"lookup":     {opLookup, []byte("video0\x00"), request{Name: "video0"}},
		"init":       {opInit, words(7, 44, 4096, 0x40000001, 0x20), request{Major: 7, Minor: 44, Ahead: 4096, Flags: 0x40000001, Flags2: 0x20}},
		"old init":   {opInit, words(7, 31, 4096, 1), request{Major: 7, Minor: 31, Ahead: 4096, Flags: 1}},
		"open":       {opOpen, words(unix.O_RDWR|unix.O_NONBLOCK, 0), request{Flags: unix.O_RDWR | unix.O_NONBLOCK}},
		"read":       {opRead, words(5, 0, 8192, 1, 4096, 0, 0, 0, 0, 0), request{Fh: 5, Off: 1<<32 | 8192, Size: 4096}},
		"release":    {opRelease, words(5, 0, 0, 0, 0, 0), request{Fh: 5}},
		"interrupt":  {opInterrupt, words(76, 0), request{Key: 76}},
		"poll":       {opPoll, words(5, 0, 9, 0, 1, 0), request{Fh: 5, Key: 9, Flags: 1}},
		"ioctl":      {opIoctl, append(words(5, 0, 0, 0xc0585611, 0, 0, 4, 88), 1, 2, 3, 4), request{Fh: 5, Cmd: 0xc0585611, Size: 88, Data: []byte{1, 2, 3, 4}}},
		"no body":    {opDestroy, nil, request{}},
		"not known":  {4242, []byte("anything"), request{}},
		"ioctl none": {opIoctl, words(5, 0, 0, 1, 0, 0, 0, 0), request{Fh: 5, Cmd: 1, Data: []byte{}}},
	} {
		c.want.header = head(c.op)
		got, err := parse(message(c.op, c.body))
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	long := message(opDestroy, nil)
	binary.NativeEndian.PutUint32(long, 4096)
	tiny := message(opDestroy, nil)
	binary.NativeEndian.PutUint32(tiny, 8)
	for name, b := range map[string][]byte{
		"empty": nil, "half a header": make([]byte, 20), "longer than read": long, "length 8": tiny,
		"short ioctl": message(opIoctl, words(1, 2, 3)), "short poll": message(opPoll, words(1)), "short lookup": message(opLookup, nil),
		"ioctl lies":         message(opIoctl, words(5, 0, 0, 1, 0, 0, 400, 0)),
		"ioctl answers huge": message(opIoctl, words(5, 0, 0, 1, 0, 0, 0, 1<<30)),
	} {
		if _, err := parse(b); !errors.Is(err, errShort) {
			t.Errorf("%s: %v, want errShort", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message(opIoctl, append(words(5, 0, 0, 0xc0585611, 0, 0, 4, 88), 1, 2, 3, 4)))
	f.Add(message(opInit, words(7, 45, 1<<17, 0xffffffff, 0xffffffff)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		if err == nil && (len(r.Data) > len(b) || r.Opcode == opIoctl && r.Size > maxIoctl) {
			t.Errorf("%d bytes of data, %d to answer from %d", len(r.Data), r.Size, len(b))
		}
	})
}

func TestParseSyscall(t *testing.T) {
	for s, want := range map[string]struct {
		nr  int
		arg uint64
		ok  bool
	}{
		"16 0x5 0xc0585611 0x7ffd 0x0 0x0 0x0 0x7ffc 0x7f\n": {16, 5, true},
		"-1 0x7ffc 0x7f\n":              {-1, 0x7ffc, true},
		"running\n":                     {},
		"":                              {},
		"16":                            {},
		"x 0x5":                         {},
		"16 zz":                         {},
		"99999999999999999999999 0x5\n": {},
	} {
		nr, arg, err := parseSyscall(s)
		if (err == nil) != want.ok || want.ok && (nr != want.nr || arg != want.arg) {
			t.Errorf("%q: %d %#x %v, want %+v", s, nr, arg, err, want)
		}
		if (s == "running\n") != errors.Is(err, errRunning) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestParseFdinfo(t *testing.T) {
	got, err := parseFdinfo("pos:\t0\nflags:\t02104002\nmnt_id:\t29\n")
	if err != nil || got&unix.O_NONBLOCK == 0 {
		t.Errorf("%o, %v; want O_NONBLOCK", got, err)
	}
	for _, s := range []string{"", "pos:\t0\n", "flags:\t9\n", "flags:"} {
		if v, err := parseFdinfo(s); err == nil {
			t.Errorf("%q: %o, want an error", s, v)
		}
	}
}

func FuzzParseProc(f *testing.F) {
	f.Add("16 0x5 0xc0585611")
	f.Add("flags:\t02104002\n")
	f.Fuzz(func(t *testing.T, s string) {
		if nr, arg, err := parseSyscall(s); err == nil {
			again, same, err := parseSyscall(fmt.Sprintf("%d %#x", nr, arg))
			if err != nil || again != nr || same != arg {
				t.Errorf("%q: %d %#x, then %d %#x %v", s, nr, arg, again, same, err)
			}
		}
		if v, err := parseFdinfo(s); err == nil && !strings.Contains(s, strconv.FormatUint(v, 8)) {
			t.Errorf("%q has no flags %o", s, v)
		}
	})
}

// The process's own procfs shows this very process, whatever is on /proc.
func TestCallers(t *testing.T) {
	c, err := newCallers()
	if err != nil {
		t.Fatalf("run this test as root: %v", err)
	}
	defer func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := c.read("self/stat"); err != nil {
		t.Error(err)
	}
	if _, _, ok := c.syscallOf(1 << 30); ok {
		t.Error("a thread that is not there has a system call")
	}
	// This thread is not in ioctl(2): the first answer stays.
	for _, before := range []bool{true, false} {
		if c.nonblock(uint32(unix.Gettid()), before) != before || c.nonblock(1<<30, before) != before {
			t.Errorf("nonblock changed from %v", before)
		}
	}
	if c.statting(1 << 30) {
		t.Error("a thread that is not there is in stat(2)")
	}
}

func TestMemory(t *testing.T) {
	c, tid := []byte("written by the caller"), uint32(os.Getpid())
	addr, got := address(c), make([]byte, len(c))
	if !memory(tid, addr, got, false) || !bytes.Equal(got, c) {
		t.Errorf("read %q", got)
	}
	if !memory(tid, addr, []byte("WRITTEN"), true) || string(c[:7]) != "WRITTEN" {
		t.Errorf("wrote %q", c)
	}
	if memory(tid, 8, got, false) || memory(tid, 8, got, true) {
		t.Error("a bad address is no error")
	}
	if !memory(tid, 8, nil, false) {
		t.Error("nothing cannot be read")
	}
}

func TestParseMode(t *testing.T) {
	for _, m := range []Mode{Auto, Passthrough, Store} {
		if got, err := ParseMode(string(m)); err != nil || got != m {
			t.Errorf("%s: %v %v", m, got, err)
		}
	}
	if _, err := ParseMode("dio"); err == nil {
		t.Error("unknown mode accepted")
	}
}

func TestIsStat(t *testing.T) {
	if !isStat(unix.SYS_STATX) || isStat(unix.SYS_OPENAT) || isStat(unix.SYS_IOCTL) || isStat(unix.SYS_READ+1<<20) {
		t.Error("wrong system calls are of the stat family")
	}
}

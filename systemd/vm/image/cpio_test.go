package image

import (
	"bytes"
	"errors"
	"strconv"
	"testing"
)

// member is one entry of an archive.
type member struct {
	name          string
	mode          int
	links, ino    int
	content       string
	uid, gid, chk int
}

// list reads an archive by the kernel's description of it, padding checked.
func list(t *testing.T, b []byte) []member {
	t.Helper()
	var out []member
	at := 0
	skip := func() {
		for ; at%4 != 0; at++ {
			if b[at] != 0 {
				t.Fatalf("byte %d of the padding is %d", at, b[at])
			}
		}
	}
	for at < len(b) {
		if string(b[at:at+6]) != "070701" {
			t.Fatalf("no header at %d", at)
		}
		var f [13]int
		for i := range f {
			v, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			f[i] = int(v)
		}
		at += 110
		name := string(b[at : at+f[11]-1])
		if b[at+f[11]-1] != 0 {
			t.Fatalf("the name %q does not end", name)
		}
		at += f[11]
		skip()
		m := member{name: name, ino: f[0], mode: f[1], uid: f[2], gid: f[3], links: f[4], content: string(b[at : at+f[6]]), chk: f[12]}
		at += f[6]
		skip()
		out = append(out, m)
	}
	return out
}

func TestArchive(t *testing.T) {
	var b bytes.Buffer
	a := NewArchive(&b)
	a.File("init", 0o755, []byte("12345"))
	a.File("/payload/etc/../etc/token", 0o600, nil)
	a.Link("payload/etc/link", "../x")
	a.Dir("new/root")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	want := []member{
		{name: "init", mode: 0o100755, links: 1, ino: 1, content: "12345"},
		{name: "payload", mode: 0o040755, links: 2, ino: 2},
		{name: "payload/etc", mode: 0o040755, links: 2, ino: 3},
		{name: "payload/etc/token", mode: 0o100600, links: 1, ino: 4},
		{name: "payload/etc/link", mode: 0o120777, links: 1, ino: 5, content: "../x"},
		{name: "new", mode: 0o040755, links: 2, ino: 6},
		{name: "new/root", mode: 0o040755, links: 2, ino: 7},
		{name: "TRAILER!!!", mode: 0, links: 1, ino: 8},
	}
	got := list(t, b.Bytes())
	if len(got) != len(want) {
		t.Fatalf("%d entries: %+v", len(got), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("entry %d is %+v, want %+v", i, got[i], want[i])
		}
	}
	if b.Len()%4 != 0 {
		t.Errorf("the archive has %d bytes", b.Len())
	}
}

// full takes some bytes and no more.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, errors.New("no room")
	}
	f.left -= len(p)
	return len(p), nil
}

func TestArchiveThatCannotBeWritten(t *testing.T) {
	a := NewArchive(&full{left: 200})
	a.File("a", 0o644, make([]byte, 150))
	a.File("b", 0o644, nil)
	if err := a.Close(); err == nil {
		t.Error("a write was lost without a word")
	}
}

package ivf

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestStream(t *testing.T) {
	var b bytes.Buffer
	w, err := New(&b, 1280, 720)
	if err != nil {
		t.Fatal(err)
	}
	for _, frame := range []string{"first", "2nd"} {
		if err := w.Write([]byte(frame)); err != nil {
			t.Fatal(err)
		}
	}
	want := "DKIF\x00\x00\x20\x00VP80\x00\x05\xd0\x02\x1e\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00first" +
		"\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x002nd"
	if b.String() != want {
		t.Errorf("got  %q\nwant %q", b.String(), want)
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	w, err := New(io.Discard, 1280, 720)
	if err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 6000)
	if n := testing.AllocsPerRun(100, func() { _ = w.Write(frame) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestFullDisk(t *testing.T) {
	if _, err := New(full{}, 1, 1); err == nil {
		t.Error("a header that cannot be written is no error")
	}
	w := &Writer{w: full{}}
	if err := w.Write(nil); err == nil {
		t.Error("a frame that cannot be written is no error")
	}
}

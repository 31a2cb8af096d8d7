package call

import (
	"bytes"
	"testing"
)

// TestRED wraps packets as RFC 2198, section 3, draws them and takes the newest out again.
func TestRED(t *testing.T) {
	var r redundancy
	if b := r.wrap(2, 111, 960, []byte("one")); b != nil {
		t.Fatalf("nothing went before, and it gives %x", b)
	}
	r.keep(960, []byte("one"))
	r.keep(1920, []byte("three"))
	got := r.wrap(2, 111, 2880, []byte("5"))
	want := append([]byte{0x80 | 111, 0x1e, 0, 3, 0x80 | 111, 0x0f, 0, 5, 111}, "onethree5"...)
	if !bytes.Equal(got, want) {
		t.Errorf("it is\n%x, want\n%x", got, want)
	}
	if newest, pt, ok := unwrapRED(got); !ok || pt != 111 || string(newest) != "5" {
		t.Errorf("the newest is %q of %d, %v", newest, pt, ok)
	}
	if b := r.wrap(1, 111, 2880+redAge, []byte("late")); b != nil {
		t.Errorf("what is too old is in %x", b)
	}
	r.keep(2880, make([]byte, redRoom))
	if b := r.wrap(2, 111, 3840, []byte("large")); b != nil {
		t.Errorf("what is too large makes %d bytes", len(b))
	}
}

// FuzzUnwrapRED: a payload of a stranger's is read or refused, and nothing else.
func FuzzUnwrapRED(f *testing.F) {
	f.Add([]byte{0x80 | 111, 0, 0, 2, 111, 'a', 'b', 'c'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if newest, _, ok := unwrapRED(b); ok && len(newest) >= len(b) {
			t.Errorf("%d bytes of %d", len(newest), len(b))
		}
	})
}

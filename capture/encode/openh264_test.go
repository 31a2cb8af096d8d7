package encode

import (
	"errors"
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"golang.org/x/sys/unix"

	"kioskd/capture"
)

// other is an encoder of a library whose fields are others.
type other struct {
	codec.ReadCloser
	engine *struct{ params struct{ quality int } }
}

func TestOpenH264KeepsItsFields(t *testing.T) {
	for _, enc := range []codec.ReadCloser{nil, other{}, &other{}, &other{engine: &struct{ params struct{ quality int } }{}}} {
		if _, err := grasp(enc); !errors.Is(err, errOpenH264) {
			t.Errorf("%#v: %v", enc, err)
		}
	}
	e, err := NewH264(H264Params{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	if _, key, err := e.Encode(grey(t, 90, 0)); err != nil || !key { // it opens openh264 and grasps it
		t.Fatalf("keyframe %t, %v", key, err)
	}
}

// grey is a 320x240 picture of one brightness, the n-th of a stream.
func grey(t *testing.T, level byte, n int) *capture.Frame {
	t.Helper()
	f := capture.NewPool(320, 240).Get()
	for i := range f.Y {
		f.Y[i] = level + byte(i%13)
	}
	for i := range f.Cb {
		f.Cb[i], f.Cr[i] = 128, 128
	}
	f.Rect = image.Rect(0, 0, 320, 240)
	f.Time = time.Unix(1_700_000_000, 0).Add(time.Duration(n) * time.Second / 30)
	return f
}

// What openh264 has to say in a call would stand in the journal thirty times a second.
func TestOpenH264IsSilent(t *testing.T) {
	e, err := NewH264(H264Params{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	if _, _, err := e.Encode(grey(t, 90, 0)); err != nil {
		t.Fatal(err)
	}
	said := filepath.Join(t.TempDir(), "stderr")
	file, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := unix.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	back := func() {
		if err := errors.Join(unix.Dup2(kept, 2), unix.Close(kept), file.Close()); err != nil {
			t.Error(err)
		}
	}
	if err := unix.Dup2(int(file.Fd()), 2); err != nil {
		t.Fatal(err)
	}
	err = talk(t, e)
	back()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(said); err != nil || len(b) > 0 {
		t.Errorf("it said %q (%v)", b, err)
	}
}

func talk(t *testing.T, e *H264) error {
	for n := range 20 {
		if err := e.SetBitRate(300_000 + 50_000*(n%7)); err != nil {
			return err
		}
		if n == 10 {
			if err := e.ForceKeyFrame(); err != nil {
				return err
			}
		}
		if _, _, err := e.Encode(grey(t, byte(90+n), n+1)); err != nil {
			return err
		}
	}
	return nil
}

// A change of scene is no reason for a keyframe: nobody lost anything, and it is the
// dearest picture there is.
func TestNoKeyframeThatNobodyAskedFor(t *testing.T) {
	e, err := NewH264(H264Params{BitRate: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	for n := range 60 {
		level := byte(40)
		if n/15%2 == 1 {
			level = 200
		}
		_, key, err := e.Encode(grey(t, level, n))
		if err != nil {
			t.Fatal(err)
		}
		if key != (n == 0) {
			t.Errorf("picture %d: keyframe %t", n, key)
		}
	}
}

// Every second picture can be left out, a keyframe never.
func TestSparePictures(t *testing.T) {
	e, err := NewH264(H264Params{BitRate: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	spare, before := 0, false
	for n := range 60 {
		if n == 31 {
			_ = e.ForceKeyFrame()
		}
		data, key, err := e.Encode(grey(t, byte(90+n), n))
		if err != nil {
			t.Fatal(err)
		}
		now := Disposable(CodecH264, data)
		if now && (key || before) {
			t.Errorf("picture %d can be left out: keyframe %t, the one before too %t", n, key, before)
		}
		if before = now; now {
			spare++
		}
		if Disposable(CodecVP8, data) {
			t.Errorf("picture %d as VP8 can be left out", n)
		}
	}
	if spare < 28 || spare > 31 {
		t.Errorf("%d of 60 pictures can be left out", spare)
	}
}

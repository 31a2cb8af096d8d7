package encode_test

import (
	"errors"
	"image"
	"io"
	"testing"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"

	"kioskd/capture/encode"
)

func build(t *testing.T, r video.Reader) codec.ReadCloser {
	t.Helper()
	enc, err := encode.VP8Params{BitRate: 800_000}.BuildVideoEncoder(r, prop.Media{Video: prop.Video{FrameRate: 15}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { enc.Close() })
	return enc
}

func TestVP8ReaderPullsFramesAndPlainPictures(t *testing.T) {
	s := newScene(320, 240, 2)
	released, n := 0, 0
	enc := build(t, video.ReaderFunc(func() (image.Image, func(), error) {
		n++
		if n%2 == 0 {
			return chequer(image.Rect(0, 0, 320, 240)), nil, nil
		}
		f := s.frame(n, start().Add(time.Duration(n)*66*time.Millisecond))
		return f, func() { released++; f.Release() }, nil
	}))
	d := newDecoder(t)
	for i := range 6 {
		if i == 4 {
			if err := enc.Controller().(codec.KeyFrameController).ForceKeyFrame(); err != nil {
				t.Fatal(err)
			}
			if err := enc.Controller().(codec.BitRateController).SetBitRate(300_000); err != nil {
				t.Fatal(err)
			}
		}
		data, release, err := enc.Read()
		if err != nil {
			t.Fatal(err)
		}
		if encode.IsKeyframe(data) != (i == 0 || i == 4) {
			t.Errorf("picture %d: keyframe %v", i, encode.IsKeyframe(data))
		}
		if _, err := d.Decode(data); err != nil {
			t.Error(err)
		}
		release()
	}
	if released != 3 {
		t.Errorf("%d of 3 frames were released", released)
	}
}

func TestVP8ReaderErrors(t *testing.T) {
	gone := errors.New("source gone")
	var img image.Image
	var err error
	enc := build(t, video.ReaderFunc(func() (image.Image, func(), error) { return img, nil, err }))
	read := func() error {
		_, release, err := enc.Read()
		release()
		return err
	}
	img = image.NewRGBA(image.Rect(0, 0, 32, 32))
	if err := read(); err == nil {
		t.Error("an RGBA picture was taken")
	}
	err = gone
	if e := read(); !errors.Is(e, gone) {
		t.Errorf("%v, want the source's error", e)
	}
	img, err = chequer(image.Rect(0, 0, 32, 32)), nil
	if e := read(); e != nil {
		t.Error(e)
	}
	if e := enc.Close(); e != nil {
		t.Error(e)
	}
	if e := read(); !errors.Is(e, io.EOF) {
		t.Errorf("after Close: %v, want io.EOF", e)
	}
	if _, e := (encode.VP8Params{}).BuildVideoEncoder(nil, prop.Media{}); e == nil {
		t.Error("built without a reader")
	}
	if _, e := (encode.VP8Params{CPUUsed: 3}).BuildVideoEncoder(video.ReaderFunc(nil), prop.Media{}); e == nil {
		t.Error("built with a bad speed")
	}
}

// While a camera stalls nothing else may: the rate, a keyframe and the end of
// the call pass by the Read that waits.
func TestVP8ReaderIsNotHeldByAStalledSource(t *testing.T) {
	waiting, picture := make(chan struct{}), make(chan image.Image)
	enc := build(t, video.ReaderFunc(func() (image.Image, func(), error) {
		close(waiting)
		return <-picture, nil, nil
	}))
	read := make(chan error, 1)
	go func() {
		_, _, err := enc.Read()
		read <- err
	}()
	<-waiting
	done := make(chan error, 1)
	go func() {
		done <- errors.Join(
			enc.Controller().(codec.BitRateController).SetBitRate(300_000),
			enc.Controller().(codec.KeyFrameController).ForceKeyFrame(),
			enc.Close())
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("control and Close wait for the stalled source")
	}
	picture <- chequer(image.Rect(0, 0, 64, 64))
	if err := <-read; !errors.Is(err, io.EOF) {
		t.Errorf("the Read that waited: %v, want io.EOF", err)
	}
}

func TestRTPCodecs(t *testing.T) {
	v, o := encode.VP8Params{}.RTPCodec(), encode.OpusParams{}.RTPCodec()
	if v.MimeType != "video/VP8" || v.ClockRate != 90000 {
		t.Errorf("%+v", v.RTPCodecParameters)
	}
	if o.MimeType != "audio/opus" || o.ClockRate != 48000 || o.Latency != 20*time.Millisecond {
		t.Errorf("%+v", o)
	}
}

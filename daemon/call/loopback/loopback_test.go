package loopback_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/pion/mediadevices/pkg/prop"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/daemon/call"
	"kioskd/daemon/call/loopback"
	"kioskd/daemon/room"
)

const wait = 20 * time.Second

// newCall is a call with a picture that moves, 20 a second, and a tone of 440 Hz with
// half the full scale.
func newCall(t *testing.T, r *loopback.Receiver) *call.Call {
	t.Helper()
	c, err := call.New(call.Options{
		Providers:    room.Providers{"loopback": &loopback.Provider{Receiver: r}},
		Video:        call.VideoOptions{Params: encode.VideoParams{BitRate: 300_000}, Width: 320, Height: 240, FPS: 20},
		AudioEncoder: encode.OpusParams{BitRate: 32_000},
		Audio:        prop.Audio{SampleRate: 48000, ChannelCount: 1, Latency: 20 * time.Millisecond},
		Camera:       pictures, Microphone: tone,
		Events: func(call.Event) {}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		c.Close(ctx)
	})
	return c
}

func pictures(ctx context.Context, _ string, put func(*capture.Frame)) {
	pool := capture.NewPool(320, 240)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for n := uint64(0); ; n++ {
		f := pool.Get()
		for i := range f.Y {
			f.Y[i] = byte(i) + byte(n*7)
		}
		f.Seq, f.Time = n, time.Now()
		put(f)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func tone(ctx context.Context, put func([]int16, time.Time)) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; {
		pcm := make([]int16, 480)
		for i := range pcm {
			pcm[i] = int16(16384 * math.Sin(2*math.Pi*440*float64(n)/48000))
			n++
		}
		put(pcm, time.Now())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// TestLoopback: what the call sends comes through a real connection, and is measured.
func TestLoopback(t *testing.T) {
	r := &loopback.Receiver{}
	c := newCall(t, r)
	c.Apply(call.Media{Camera: true, Microphone: true})
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if err := c.Join(ctx, call.JoinParams{Provider: "loopback", Peer: "check"}); err != nil {
		t.Fatal(err)
	}
	var f loopback.Figures
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for f.Frames < 20 || f.Sound < 50 {
		select {
		case <-ctx.Done():
			t.Fatalf("there came %+v", f)
		case <-tick.C:
			f = r.Figures()
		}
	}
	c.Leave(ctx, room.ReasonBye)
	if f.Lost != 0 || f.Packets < f.Frames+f.Sound || f.Bytes == 0 || f.Video != "video/H264" {
		t.Errorf("the figures are %+v", f)
	}
	if f.RMS < 0.25 || f.RMS > 0.45 || f.Peak < 0.4 || f.Peak > 0.7 { // a sine of 0.5 has an RMS of 0.354
		t.Errorf("the sound's level is %.3f, its peak %.3f", f.RMS, f.Peak)
	}
	if n := len(f.Latencies); n < 20 || f.Latencies[0] <= 0 || f.Latencies[n/2] > time.Second {
		t.Errorf("%d latencies: %v", n, f.Latencies)
	}
	if between := f.Last.Sub(f.First); between <= 0 || between > wait {
		t.Errorf("pictures came for %v", between)
	}
	after := r.Figures()
	if later := r.Figures(); later.Packets != after.Packets {
		t.Error("packets come after the end")
	}
}

// A join that is given up is an error of its own kind, and leaves nothing.
func TestJoinIsGivenUp(t *testing.T) {
	c := newCall(t, &loopback.Receiver{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Join(ctx, call.JoinParams{Provider: "loopback", Peer: "check"}); !errors.Is(err, room.ErrUnreachable) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

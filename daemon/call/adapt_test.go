package call

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/pion/mediadevices/pkg/codec"

	"kioskd/capture/encode"
	"kioskd/daemon/call/ladder"
	"kioskd/daemon/room"
)

func limitedSender(t *testing.T) *videoSender {
	t.Helper()
	v, err := newVideoSender(VideoOptions{Width: 1280, Height: 720, FPS: 30, Params: encode.VideoParams{BitRate: 1_000_000}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	v.begin()
	return v
}

// TestSizeFollowsTheRate: to less than half at once, else after a while, up later still,
// and not at every wobble: each change of size is a keyframe.
func TestSizeFollowsTheRate(t *testing.T) {
	v, now := limitedSender(t), time.Unix(1000, 0)
	for _, step := range []struct {
		after  time.Duration
		target int
		want   int
	}{
		{0, 1_000_000, 1_000_000},
		{time.Second, 900_000, 1_000_000},          // a wobble
		{time.Second, 400_000, 400_000},            // at once
		{100 * time.Millisecond, 260_000, 400_000}, // a queue that empties
		{sizeLow / 2, 380_000, 400_000},            // and is over
		{sizeLow, 300_000, 400_000},                // another
		{sizeLow, 300_000, 300_000},                // which is none
		{100 * time.Millisecond, 140_000, 140_000}, // at once
		{100 * time.Millisecond, 300_000, 140_000}, // not yet
		{sizeLow, 200_000, 140_000},                // nor by now
		{sizeAfter - sizeLow, 200_000, 200_000},    // but now
		{100 * time.Millisecond, 230_000, 200_000}, // a wobble
		{100 * time.Millisecond, 300_000, 200_000}, // not yet
		{sizeAfter, 300_000, 300_000},              // by now
		{sizeAfter / 2, 1_000_000, 300_000},        // not yet
		{sizeAfter, 1_000_000, 1_000_000},          // all of it
		{10 * sizeAfter, 1_000_000, 1_000_000},     // and there it stays
	} {
		now = now.Add(step.after)
		if v.size(step.target, now); v.sizedFor != step.want {
			t.Errorf("with %d it is sized for %d, want %d", step.target, v.sizedFor, step.want)
		}
	}
}

// TestAim: small changes are not told to the encoders, the full rate is; a limit is told.
func TestAim(t *testing.T) {
	v := limitedSender(t)
	for _, step := range []struct {
		target, want int
		reason       string
	}{
		{1_000_000, 1_000_000, encode.LimitNone},
		{500_000, 500_000, limitBandwidth},
		{505_000, 500_000, limitBandwidth},
		{990_000, 990_000, encode.LimitNone},
		{1_000_000, 1_000_000, encode.LimitNone},
	} {
		if v.aim(step.target); v.bitRate() != step.want || v.reason() != step.reason {
			t.Errorf("aimed at %d: %d because of %s, want %d, %s", step.target, v.bitRate(), v.reason(), step.want, step.reason)
		}
	}
}

// TestSoundLoss: the worst of those who are there, quick to rise and slow to sink.
func TestSoundLoss(t *testing.T) {
	var p participants
	for _, id := range []string{"a", "b"} {
		if _, err := p.add(id); err != nil {
			t.Fatal(err)
		}
	}
	p.soundLoss("a", "audio", 0.1)
	if got := p.soundLoss("b", "audio", 0.02); got != 10 {
		t.Errorf("two with 10 and 2 %% give %d", got)
	}
	if got := p.soundLoss("a", "audio", 0); got < 5 || got >= 10 {
		t.Errorf("a report without loss after 10 %% gives %d", got)
	}
	p.get("a").gone.Store(true)
	if got := p.soundLoss("b", "audio", 0.02); got != 2 {
		t.Errorf("with the worse one gone it is %d", got)
	}
	// Pictures go the same way, and are reported of five times as often.
	if got := p.soundLoss("b", "video", 0.07); got != 7 {
		t.Errorf("7 %% of the pictures' packets lost give %d", got)
	}
	for range 10 {
		p.soundLoss("b", "video", 0)
	}
	if got := p.soundLoss("b", "audio", 0.02); got != 2 {
		t.Errorf("10 s after it they give %d", got)
	}
	if got := p.soundLoss("b", "audio", 1); got != soundLossMost {
		t.Errorf("everything lost gives %d", got)
	}
}

// TestSoundLeavesRoom: repetitions do not fill a path that is narrow, and do not come and
// go with every wobble of it.
func TestSoundLeavesRoom(t *testing.T) {
	a := newAudioSender(slog.New(slog.DiscardHandler))
	room := 0
	a.room = func() int { return room }
	a.expect(redTwice)
	for _, step := range []struct{ room, want int }{
		{90_000, 0},
		{149_000, 0},
		{150_000, 1},
		{100_000, 1},
		{99_000, 0},
		{149_000, 0},
		{299_000, 1},
		{300_000, 2},
		{200_000, 2},
		{199_000, 1},
		{250_000, 1},
		{math.MaxInt, 2},
	} {
		if room = step.room; a.again() != step.want {
			t.Errorf("with %d for pictures: %d repetitions, want %d", step.room, a.copies, step.want)
		}
	}
	if a.expect(redFrom); a.again() != 1 {
		t.Errorf("with less loss %d repetitions", a.copies)
	}
	v := limitedSender(t)
	if v.room() != math.MaxInt {
		t.Errorf("a path that carries all leaves room for %d", v.room())
	}
	if v.aim(200_000); v.room() != 200_000 {
		t.Errorf("one that carries 200000 leaves room for %d", v.room())
	}
}

// expecting is an audio encoder that notes the loss it is told.
type expecting struct {
	codec.ReadCloser
	told []int
}

func (e *expecting) Controller() codec.EncoderController { return e }
func (e *expecting) SetPacketLoss(percent int) error     { e.told = append(e.told, percent); return nil }

// TestSoundFollowsTheLoss: Opus and the number of repetitions follow what is reported.
func TestSoundFollowsTheLoss(t *testing.T) {
	c := &Call{audio: newAudioSender(slog.New(slog.DiscardHandler)), opts: Options{Events: func(Event) {}}}
	if _, err := c.peers.add("a"); err != nil {
		t.Fatal(err)
	}
	var e expecting
	told := c.audio.follow(&e, 0)
	if len(e.told) != 0 || c.audio.again() != 0 {
		t.Errorf("before any report: %v, %d repetitions", e.told, c.audio.again())
	}
	for _, step := range []struct {
		lost        float64
		again, opus int
	}{{0.03, 1, lossExpected}, {0.2, 2, 20}} {
		c.roomEvent(1, &ladder.Ladder{}, room.PathMeasured{ID: "a", Kind: "audio", Lost: step.lost})
		told = c.audio.follow(&e, told)
		if c.audio.again() != step.again || e.told[len(e.told)-1] != step.opus {
			t.Errorf("%.0f %% lost: %d repetitions, Opus is told %v", 100*step.lost, c.audio.again(), e.told)
		}
	}
}

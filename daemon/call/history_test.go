package call

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/capture"
	"kioskd/daemon/room"
)

func TestHistoryIsBounded(t *testing.T) {
	var c Call
	for n := range historyMost + 30 {
		c.history.add(Sample{Frames: uint64(n)})
	}
	got := c.History()
	if len(got) != historyMost || got[0].Frames != 30 || got[historyMost-1].Frames != historyMost+29 {
		t.Errorf("%d samples, from %d to %d", len(got), got[0].Frames, got[len(got)-1].Frames)
	}
	got[0].Frames = 7
	if c.History()[0].Frames == 7 {
		t.Error("a reader changes the history")
	}
}

func TestSampleBetween(t *testing.T) {
	before := map[string]float64{"video_bytes_sent": 1000, "audio_bytes_received": 9000, "frames_encoded": 10, "frames_dropped": 1}
	now := map[string]float64{
		"video_bytes_sent": 200_000, "audio_bytes_sent": 1000, "audio_bytes_received": 10, "video_bytes_received": 50_000,
		"frames_encoded": 70, "frames_dropped": 2, "round_trip_ms": 35, "fraction_lost": 0.25,
	}
	at := time.Unix(77, 0)
	want := Sample{At: at, RTTms: 35, Lost: 0.25, SentKbps: 800, ReceivedKbps: 200, Frames: 60, Dropped: 1}
	if got := between(before, now, at, 2*time.Second); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestReportsOfAPathGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p path
		check := func(when string, rtt time.Duration, lost float64) {
			t.Helper()
			if r, l := p.worst(); r != rtt || l != lost {
				t.Errorf("%s: %v and %v, want %v and %v", when, r, l, rtt, lost)
			}
		}
		check("nothing was said", 0, 0)
		p.note(room.PathMeasured{Kind: "audio", RTT: 80 * time.Millisecond, Lost: 0.1})
		<-time.After(reportedWithin / 2)
		p.note(room.PathMeasured{Kind: "video", RTT: 40 * time.Millisecond, Lost: 0.5})
		check("both", 80*time.Millisecond, 0.5)
		<-time.After(reportedWithin / 2)
		check("sound's is old", 40*time.Millisecond, 0.5)
		<-time.After(reportedWithin / 2)
		check("both are old", 0, 0)
	})
}

// Receivers wait for half a second, a new scene does not.
func TestKeyframesDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := newVideoSender(VideoOptions{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		last := time.Now()
		check := func(what string, want bool) {
			t.Helper()
			if v.due(last) != want {
				t.Errorf("%s: due is %v", what, !want)
			}
		}
		check("nobody asks", false)
		v.keyframe()
		check("asked too soon", false)
		<-time.After(keyframeEvery)
		check("asked before, and now it is time", true)
		check("once is enough", false)
		last = time.Now()
		v.keyframe()
		v.newScene()
		check("a new scene", true)
		<-time.After(keyframeEvery)
		check("that served the receiver too", false)
	})
}

// The first frame of another camera is a new scene, by its mark or by a counter
// that goes back; a counter that stays or jumps is none.
func TestNewScene(t *testing.T) {
	v, err := newVideoSender(VideoOptions{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &Call{video: v}
	defer v.box.Close()
	put, pool := c.cameraPut(), capture.NewPool(16, 16)
	for _, f := range []struct {
		seq  uint64
		mark bool
		want bool
	}{{5, false, false}, {6, false, false}, {9, false, false}, {9, false, false}, {0, false, true}, {1, false, false}, {2, true, true}, {3, false, false}} {
		frame := pool.Get()
		frame.Seq, frame.Scene = f.seq, f.mark
		put(frame)
		if got := v.scene.Swap(false); got != f.want {
			t.Errorf("counter %d: a new scene is %v", f.seq, got)
		}
		if !frame.Patient {
			t.Error("a camera's frame does not count as the patient's")
		}
	}
}

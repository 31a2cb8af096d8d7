package e2e_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/e2e/badlink"
	"kioskd/daemon/e2e/stage"
)

// The promise of a bad link.
const (
	soundGaps    = 0.01 // of the time
	stallMost    = 2 * time.Second
	bottleneck   = 300_000 // bit/s
	nearAfter    = 10 * time.Second
	nearShare    = 0.2 // of the bottleneck
	neverAfter   = 3 * time.Second
	neverAbove   = 1.5 // of what gets through
	backWithin   = 15 * time.Second
	videoWanted  = 1_500_000.0
	bottleneckMS = 300
)

// badCall is a call through a line, looked at from both ends. No touchscreen takes part.
type badCall struct {
	*stage.Stage
	line   *badlink.Line
	api    *client.Client
	clinic *stage.Browser
}

func newBadCall(t *testing.T) *badCall {
	t.Helper()
	line, err := badlink.New(11)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // after the stage's own
		if err := line.Close(); err != nil {
			t.Error(err)
		}
	})
	b := &badCall{line: line, Stage: theStage(t, stage.Options{Line: line})}
	b.api = client.New(b.Socket)
	t.Cleanup(b.api.Close)
	if b.clinic, err = b.OpenClinic(t.Context(), "clinician"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.clinic.Close(); err != nil {
			t.Error(err)
		}
	})
	pageSees(t, b.clinic, "window.sim")
	if _, err := b.api.Open(t.Context(), "bad-link"); err != nil {
		t.Fatal(err)
	}
	if err := stage.WaitState(t.Context(), b.api, apitype.StateActive); err != nil {
		t.Fatal(err)
	}
	pageSees(t, b.clinic, "sim.coded > 30")
	return b
}

// heard is what the clinician's browser says of the sound and the pictures it got.
type heard struct {
	Concealed, Samples, Decoded, Freezes, Keys, Nacks float64
}

func (b *badCall) hears(t *testing.T) heard {
	t.Helper()
	const script = `(async () => {
		const out = {};
		for (const s of (await sim.pc.getStats()).values()) {
			if (s.type !== 'inbound-rtp') continue;
			if (s.kind === 'audio') Object.assign(out, { concealed: s.concealedSamples, samples: s.totalSamplesReceived });
			else Object.assign(out, { decoded: s.framesDecoded, freezes: s.totalFreezesDuration, keys: s.keyFramesDecoded, nacks: s.nackCount });
		}
		return JSON.stringify(out);
	})()`
	text, err := stage.Eval[string](t.Context(), b.clinic, script)
	if err != nil {
		t.Fatal(err)
	}
	var h heard
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// path is what kioskd says of the way to the clinician, and what it sends.
func (b *badCall) path(t *testing.T) (apitype.PathStatistics, apitype.OutboundRTP) {
	t.Helper()
	s, err := b.api.Session(t.Context())
	if err != nil || s == nil || s.Statistics == nil || len(s.Statistics.Participants) != 1 || s.Statistics.Participants[0].Path == nil {
		t.Fatalf("no figures of the path: %s (%v)", line(s), err)
	}
	for _, o := range s.Statistics.Outbound {
		if o.Kind == "video" {
			return *s.Statistics.Participants[0].Path, o
		}
	}
	t.Fatal("no figures of the video")
	return apitype.PathStatistics{}, apitype.OutboundRTP{}
}

// judged is a spell on a bad link.
type judged struct {
	gaps      float64 // share of the time without the real sound
	stall     time.Duration
	fps       float64
	keyframes float64
	estimates []float64       // every 100 ms, unless the machine is busy
	at        []time.Duration // of each
	throughs  []float64       // of the second that ended with it
	resent    uint64
	last      apitype.OutboundRTP
}

// looks watches the call for a while. each, nil for none, is asked every 100 ms whether to end.
func (b *badCall) looks(t *testing.T, d time.Duration, each func(past time.Duration, p apitype.PathStatistics, o apitype.OutboundRTP) bool) judged {
	t.Helper()
	var j judged
	before, first := b.hears(t), time.Now()
	pageDoes(t, b.clinic, "sim.resetGap()")
	w, _ := b.path(t)
	passed, seen := []uint64{b.line.Passed()}, []time.Time{time.Now()}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for time.Since(first) < d {
		<-tick.C
		p, o := b.path(t)
		passed, seen = append(passed, b.line.Passed()), append(seen, time.Now())
		from := max(len(passed)-11, 0)
		through := float64(8*(passed[len(passed)-1]-passed[from])) / seen[len(seen)-1].Sub(seen[from]).Seconds()
		j.estimates, j.throughs, j.at = append(j.estimates, p.AvailableOutgoingBitrate), append(j.throughs, through), append(j.at, time.Since(first))
		j.last, j.resent = o, p.RetransmittedPacketsSent-w.RetransmittedPacketsSent
		if each != nil && each(time.Since(first), p, o) {
			break
		}
	}
	took := time.Since(first).Seconds()
	after := b.hears(t)
	j.gaps = (after.Concealed - before.Concealed) / (after.Samples - before.Samples)
	j.fps, j.keyframes = (after.Decoded-before.Decoded)/took, after.Keys-before.Keys
	stall, err := stage.Eval[float64](t.Context(), b.clinic, "Math.max(sim.gap.largest, sim.gap.open)")
	if err != nil {
		t.Fatal(err)
	}
	j.stall = time.Duration(stall * float64(time.Millisecond))
	return j
}

// callHolds judges what every bad link has to leave of a call.
func (j judged) callHolds(t *testing.T, margin float64) {
	t.Helper()
	t.Logf("sound: gaps %.2f %%; video: %.1f pictures/s, longest stall %v, %.0f keyframes, %dx%d at last, %d packets resent",
		100*j.gaps, j.fps, j.stall.Round(time.Millisecond), j.keyframes, j.last.FrameWidth, j.last.FrameHeight, j.resent)
	if j.gaps > margin*soundGaps {
		t.Errorf("the sound has gaps for %.2f %% of the time, promised are %.0f %%", 100*j.gaps, 100*soundGaps)
	}
	if j.stall > stallMost {
		t.Errorf("the picture stood still for %v, promised are %v", j.stall, stallMost)
	}
}

// TestBadLinks plays the promise C5 through a relay and a bottleneck.
func TestBadLinks(t *testing.T) {
	// The first report of sound comes after up to 5 s, and until then nothing is repeated: a
	// shorter look than this would see little else. A busy machine makes gaps of its own.
	lossFor, narrowFor, margin := 10*time.Second, 13*time.Second, 2.0
	if full() {
		lossFor, narrowFor, margin = 30*time.Second, 30*time.Second, 1
	}
	b := newBadCall(t)
	t.Run("loss", func(t *testing.T) {
		b.line.Impair(badlink.Impairment{Loss: 0.05, Delay: 100 * time.Millisecond, Jitter: 20 * time.Millisecond})
		defer b.line.Impair(badlink.Impairment{})
		b.looks(t, 2*time.Second, nil) // the jitter buffers get to know it
		j := b.looks(t, lossFor, nil)
		j.callHolds(t, margin)
		t.Logf("estimate %.0f to %.0f kbit/s", slices.Min(j.estimates)/1000, slices.Max(j.estimates)/1000)
		if j.resent == 0 {
			t.Error("nothing was resent")
		}
	})
	b.recovers(t, 20*time.Second)
	t.Run("bottleneck", func(t *testing.T) {
		if err := b.line.Bottleneck(bottleneck, bottleneckMS); err != nil {
			t.Fatal(err)
		}
		followed := time.Duration(0)
		j := b.looks(t, narrowFor, func(past time.Duration, _ apitype.PathStatistics, o apitype.OutboundRTP) bool {
			if followed == 0 && o.TargetBitrate < bottleneck {
				followed = past
			}
			return false
		})
		j.callHolds(t, margin)
		b.judgeEstimate(t, j)
		t.Logf("the encoder aims below it after %.1f s", followed.Seconds())
		if err := b.line.Bottleneck(0, 0); err != nil {
			t.Fatal(err)
		}
		t.Logf("full rate %.1f s after it went", b.recovers(t, backWithin).Seconds())
	})
}

// judgeEstimate holds the estimate against the bottleneck and what got through.
func (b *badCall) judgeEstimate(t *testing.T, j judged) {
	t.Helper()
	var late []float64
	worst := 0.0
	for i, e := range j.estimates {
		if j.at[i] > neverAfter {
			worst = max(worst, e/j.throughs[i])
		}
		if j.at[i] > nearAfter {
			late = append(late, e)
		}
	}
	if len(late) < 10 {
		t.Fatalf("only %d looks after %v", len(late), nearAfter)
	}
	slices.Sort(late)
	median := late[len(late)/2]
	t.Logf("bottleneck %d kbit/s: estimate after 10 s %.0f to %.0f, median %.0f; at most %.2f times what gets through", bottleneck/1000,
		late[0]/1000, late[len(late)-1]/1000, median/1000, worst)
	if worst > neverAbove {
		t.Errorf("the estimate was %.2f times what gets through, promised are %.1f", worst, neverAbove)
	}
	if median < (1-nearShare)*bottleneck || median > (1+nearShare)*bottleneck {
		t.Errorf("the estimate is %.0f of %d", median, bottleneck)
	}
}

// recovers waits for the full rate and gives how long it took.
func (b *badCall) recovers(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	until(t, "the full rate is back", within, func() (bool, string) {
		p, o := b.path(t)
		return o.TargetBitrate >= videoWanted, line([]any{p, o})
	})
	return time.Since(began)
}

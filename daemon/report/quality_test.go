package report

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// second is what a call's statistics say after n seconds with a participant who sends
// 15 frames and 100 packets a second, two of which are lost.
func second(n int, frozen bool) apitype.Statistics {
	frames := uint64(15 * n)
	if frozen {
		frames = 15
	}
	return apitype.Statistics{
		Outbound: []apitype.OutboundRTP{{Kind: "audio"}, {Kind: "video", FramesEncoded: uint64(1000 + 30*n), FrameWidth: 640, FrameHeight: 360}},
		Participants: []apitype.ParticipantStatistics{{
			ID:      canaryName,
			Remote:  []apitype.RemoteInboundRTP{{Kind: "video", RoundTripTime: 0.010 * float64(n), FractionLost: 0.1 * float64(n)}},
			Inbound: []apitype.InboundRTP{{Kind: "video", PacketsReceived: uint64(50 + 98*n), PacketsLost: int64(7 + 2*n), FramesReceived: frames}},
		}},
	}
}

func call(peer string) session.Model {
	return session.Model{State: session.Active, Peer: peer, ActiveSince: time.Now(), Appointment: canaryAppointment}
}

func TestMeter(t *testing.T) {
	var meter Meter
	if q := meter.Quality("a", 3*time.Second, "ended"); q != (Quality{DurationSeconds: 3, End: "ended"}) {
		t.Errorf("a call that nobody measured was %+v", q)
	}
	for n := 1; n <= 4; n++ { // four looks, three seconds
		meter.Look(call("a"), second(n, false))
	}
	meter.Look(session.Model{State: session.Waiting, Peer: "a"}, second(9, false))                        // never active
	meter.Look(session.Model{State: session.Ended, Peer: "a", ActiveSince: time.Now()}, second(9, false)) // over
	q := meter.Quality("a", time.Minute, "ended")
	want := Quality{
		DurationSeconds: 60, End: "ended", MeasuredSeconds: 3, RoundTripMS: 25, RoundTripMaxMS: 40, Loss: 0.25, LossMax: 0.4,
		ReceivedLoss: 0.02, Width: 640, Height: 360, FPS: 30,
	}
	for _, f := range []*float64{&q.RoundTripMS, &q.RoundTripMaxMS, &q.Loss, &q.LossMax, &q.ReceivedLoss, &q.FPS} {
		*f = round(*f)
	}
	if q != want {
		t.Errorf("it was\n%+v, want\n%+v", q, want)
	}
	meter.Look(call("b"), second(1, false))
	meter.Look(call("b"), second(2, true))
	meter.Look(call("b"), second(3, true))
	meter.Look(call("b"), second(4, false))
	if q := meter.Quality("b", time.Minute, "timeout"); q.MeasuredSeconds != 3 || q.FrozenSeconds != 2 || round(q.FrozenShare) != 0.667 || q.End != "timeout" {
		t.Errorf("the next call was %+v", q)
	}
	if q := meter.Quality("a", time.Minute, "ended"); q.MeasuredSeconds != 0 {
		t.Errorf("one call has another's figures: %+v", q)
	}
}

// Counters that begin anew, as those of somebody who came back, give no nonsense.
func TestMeterOfCountersThatGoBack(t *testing.T) {
	var meter Meter
	for _, n := range []int{9, 8, 0, 1} {
		meter.Look(call("a"), second(n, false))
	}
	q := meter.Quality("a", time.Minute, "ended")
	if q.ReceivedLoss < 0 || q.ReceivedLoss > 1 || q.FPS < 0 || q.FPS > 100 {
		t.Errorf("it was %+v", q)
	}
}

// What is kept of a call names nobody but the appointment that it is posted to, and
// comes back as it was.
func TestQualityRecord(t *testing.T) {
	var meter Meter
	meter.Look(call("a"), second(1, false))
	meter.Look(call("a"), second(2, false))
	q := meter.Quality("a", 2*time.Second, "ended")
	id, record, err := NewQuality(canaryAppointment, q)
	if err != nil || !IsQuality(id) || IsQuality("R"+id) || len(id) > 64 {
		t.Fatalf("id %q, %v", id, err)
	}
	r, err := Decode(record)
	if err != nil || r.Kind != KindQuality || r.Appointment != canaryAppointment || r.Text != "" {
		t.Fatalf("kind %q, %v", r.Kind, err)
	}
	if got, err := DecodeQuality(r); err != nil || got != q {
		t.Errorf("it came back as %+v, %v", got, err)
	}
	figures, err := json.Marshal(q.Figures())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(r.Bundle), string(figures)} {
		if strings.Contains(text, "anary") || strings.Contains(text, "4711") {
			t.Errorf("it names somebody: %s", text)
		}
	}
	for _, name := range []string{"duration_seconds", "end", "round_trip_ms", "loss", "frozen_seconds", "width", "height"} {
		if q.Figures()[name] == "" {
			t.Errorf("%s is missing in %s", name, figures)
		}
	}
	if _, err := DecodeQuality(Record{Bundle: []byte(`[]`)}); err == nil {
		t.Error("a list was taken for figures")
	}
	if _, err := Decode([]byte(`{"kind":"other","appointment":"a","bundle":{}}`)); err == nil {
		t.Error("an unknown kind was taken")
	}
}

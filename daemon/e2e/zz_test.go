package e2e_test

import (
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/badlink"
	"kioskd/daemon/e2e/stage"
)

func TestZZ(t *testing.T) {
	b := newBadCall(t)
	show := func(d time.Duration) {
		n := 0
		b.looks(t, d, func(past time.Duration, p apitype.PathStatistics, o apitype.OutboundRTP) bool {
			if n++; n%5 == 0 {
				t.Logf("%4.1f est %.0f ack %.0f rtt %.0f target %.0f sent %d %dx%d fps %.0f skip %d keys %d resent %d pad %d disc %d", past.Seconds(), p.AvailableOutgoingBitrate/1000, p.AcknowledgedBitrate/1000, 1000*p.CurrentRoundTripTime, o.TargetBitrate/1000, o.BytesSent, o.FrameWidth, o.FrameHeight, o.FramesPerSecond, o.FramesSkipped, o.KeyFrames, p.RetransmittedPacketsSent, p.ProbeBytesSent, p.PacketsDiscardedOnSend)
			}
			return false
		}).callHolds(t, 1)
	}
	show(4 * time.Second)
	t.Log("loss")
	b.line.Impair(badlink.Impairment{Loss: 0.05, Delay: 100 * time.Millisecond, Jitter: 20 * time.Millisecond})
	show(6 * time.Second)
	println("STATS")
	v, _ := stage.Eval[string](t.Context(), b.clinic, `(async()=>{let o=[];for(const s of (await sim.pc.getStats()).values()){if(s.type==="inbound-rtp"&&s.kind==="audio")o.push(JSON.stringify(s))}return o.join("\n")+sim.pc.remoteDescription.sdp.split("m=video")[0]+sim.pc.localDescription.sdp.split("m=video")[0]})()`)
	t.Log(v)
	b.line.Impair(badlink.Impairment{})
	t.Log("good")
	show(2 * time.Second)
	t.Log(b.Kioskd.Log())
}

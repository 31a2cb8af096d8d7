package daemon

import (
	"context"
	"fmt"
	"os"
	"time"

	"kioskd/capture"
	"kioskd/configs"
	"kioskd/daemon/call"
	"kioskd/daemon/call/loopback"
	"kioskd/daemon/check"
	"kioskd/daemon/devices"
	"kioskd/daemon/network"
	"kioskd/daemon/room"
)

// Bounds of the loopback call of a check.
const (
	rehearsalJoin  = 5 * time.Second
	rehearsalFirst = 8 * time.Second // a camera wakes up
)

// rehearsalPeer is the loopback call's identity in its room of nobody.
const rehearsalPeer = "check"

// checker makes what answers POST /v1/checks.
func (k *kiosk) checker() *check.Checker {
	token, sealed := k.cfg.Backend.TokenSource(os.Getenv, "/")
	return check.New(check.Options{
		Texts: k.words, ConfigFile: configs.DefaultFile,
		Look: func() { _ = k.devices.Report() }, Devices: k.devices.List,
		Network: func() (bool, error) { return network.Up(k.networkOptions()) },
		Backend: k.backend.Probe, TokenFile: token, TokenSealed: sealed, StateDir: k.cfg.Store.Dir,
		Media: k.rehearse, Busy: func() bool { return k.runner.Model().Running() },
	})
}

func (k *kiosk) networkOptions() network.Options {
	return network.Options{Ignore: k.cfg.Network.IgnoreInterfaces, LoopbackCounts: k.cfg.Network.LoopbackCounts, Log: k.log}
}

// rehearse is a call with nobody, beside the one call of this kiosk: camera and
// microphone as a call would use them, encoders of its own, a real connection over
// loopback. It counts from the first picture on, for so long.
func (k *kiosk) rehearse(ctx context.Context, lasts time.Duration, by string) (check.Media, error) {
	var out check.Media
	err := k.devices.Trial(ctx, by, func(ctx context.Context, from devices.Sources) error {
		receiver := &loopback.Receiver{}
		o := k.callOptions
		o.Providers = room.Providers{"loopback": &loopback.Provider{Receiver: receiver}}
		o.Camera = func(ctx context.Context, _ string, put func(*capture.Frame)) { from.Camera(ctx, put) }
		o.Microphone, o.Switch, o.CameraFigures = from.Microphone, nil, nil
		o.Events, o.Log = func(call.Event) {}, k.log.With("part", "check")
		c, err := call.New(o)
		if err != nil {
			return fmt.Errorf("cannot build the loopback call: %w", err)
		}
		// A trial that is over has to let go of its devices at once, but not half-way.
		defer c.Close(context.WithoutCancel(ctx))
		c.Apply(call.Media{Camera: true, Microphone: true})
		joining, joined := context.WithTimeout(ctx, rehearsalJoin)
		err = c.Join(joining, call.JoinParams{Provider: "loopback", Peer: rehearsalPeer})
		joined()
		if err != nil {
			return err
		}
		out = mediaOf(follow(ctx, receiver, from, lasts), from.Live())
		out.Trouble = from.Trouble()
		return nil
	})
	return out, err
}

// follow waits until the receiver has got pictures for so long, or has waited for the
// first one in vain, or ctx ends. Slates come at once: they count where it is known what
// is wrong with the camera; one that needs a while to wake up is not to be called missing.
func follow(ctx context.Context, r *loopback.Receiver, from devices.Sources, lasts time.Duration) loopback.Figures {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	begun := time.Now()
	var first time.Time
	for {
		select {
		case <-ctx.Done():
			return r.Figures()
		case now := <-tick.C:
			f := r.Figures()
			inVain := now.Sub(begun) >= rehearsalFirst
			if first.IsZero() && f.Frames > 0 && (from.Live() > 0 || from.Trouble() != "" || inVain) {
				first = now
			}
			if !first.IsZero() && now.Sub(first) >= lasts || first.IsZero() && inVain {
				return f
			}
		}
	}
}

func mediaOf(f loopback.Figures, live uint64) check.Media {
	m := check.Media{
		Frames: f.Frames, Live: int(min(live, uint64(f.Frames))), Lasts: f.Last.Sub(f.First), Packets: f.Packets, Lost: f.Lost, Bytes: f.Bytes,
		Sound: f.Sound, RMS: f.RMS, Peak: f.Peak, Codec: f.Video,
	}
	if n := len(f.Latencies); n > 0 {
		m.Latency, m.Latency9 = f.Latencies[n/2], f.Latencies[n*95/100]
	}
	return m
}

package stage

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
)

// Pages are the two pages of a call, each in a browser of its own.
type Pages struct {
	Clinician, Screen *Browser
}

// OpenPages shows both pages and puts the measuring script into them.
func (s *Stage) OpenPages(ctx context.Context) (*Pages, error) {
	p := &Pages{}
	url, err := s.ClinicianURL(ctx)
	if err == nil {
		p.Clinician, err = s.Open(ctx, "clinician", url, 1280, 800)
	}
	if err == nil {
		url, err = s.ScreenURL(ctx)
	}
	if err == nil {
		p.Screen, err = s.Open(ctx, "screen", url, 1280, 800)
	}
	if err == nil {
		err = p.Screen.InstallWatch(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Close ends both browsers.
func (p *Pages) Close() error {
	var errs []error
	for _, b := range []*Browser{p.Screen, p.Clinician} {
		if b != nil {
			errs = append(errs, b.Close())
		}
	}
	return errors.Join(errs...)
}

// What the pages must see and hear. The clinician's page hums too (clinicsim).
const (
	ClinicianHz   = 660
	toneTolerance = 15 // Hz; a bin of the analyser is 6 to 12 wide
	remoteVideo   = "#remote-video-0"
	selfVideo     = "#self-video"
)

// Hears reports whether hz is the wanted tone.
func Hears(hz, want float64) bool { return hz > want-toneTolerance && hz < want+toneTolerance }

// Figures are what a judged call measured.
type Figures struct {
	Active, FirstFrame time.Duration // from the request to open
	P50, P95           float64       // camera to clinician's page, ms
	Frames, Lost       int           // decoded by the clinician's page
	Idle, InCall       Usage         // of kioskd
}

// String is the one line of the judgement.
func (f Figures) String() string {
	return fmt.Sprintf("call active after %d ms; camera->clinician p50 %.0f ms p95 %.0f ms; %d frames, %d lost",
		f.Active.Milliseconds(), f.P50, f.P95, f.Frames, f.Lost)
}

// WaitState watches the event stream until the session is in a state.
func WaitState(ctx context.Context, c *client.Client, state string) error {
	errSeen := errors.New("seen")
	err := c.Follow(ctx, nil, func(e apitype.Event) error {
		if e.Name != apitype.EventSnapshot && e.Name != apitype.EventChange {
			return nil
		}
		st, err := e.Status()
		if err == nil && st.Session != nil && st.Session.State == state {
			return errSeen
		}
		return err
	})
	if errors.Is(err, errSeen) {
		return nil
	}
	return fmt.Errorf("cannot see the session in state %s: %w", state, err)
}

// Judge opens an appointment, looks at both pages for the given time and says
// what it saw. Every missing thing is part of the error.
func (s *Stage) Judge(ctx context.Context, p *Pages, appointment string, look time.Duration) (Figures, error) {
	var f Figures
	c := client.New(s.Socket)
	defer c.Close()
	var err error
	if f.Idle, err = s.Kioskd.Usage(ctx, look/2); err != nil {
		return f, err
	}
	opened := time.Now()
	if _, err := c.Open(ctx, appointment); err != nil {
		return f, fmt.Errorf("cannot open the appointment: %w", err)
	}
	if err := WaitState(ctx, c, apitype.StateActive); err != nil {
		return f, err
	}
	f.Active = time.Since(opened)
	// The page's own mark, and before the measuring starts: making an audio
	// meter holds a page without a sound card up for a second.
	if err := p.Screen.Until(ctx, "window.kiosk.remote && window.kiosk.remote.firstFrameAt"); err != nil {
		return f, err
	}
	first, err := Eval[float64](ctx, p.Screen, "window.kiosk.remote.firstFrameAt")
	if err != nil {
		return f, err
	}
	f.FirstFrame = time.UnixMilli(int64(first)).Sub(opened)
	for _, v := range []string{remoteVideo, selfVideo} {
		if err := p.Screen.Watch(ctx, v); err != nil {
			return f, fmt.Errorf("cannot find a stream in %s on the touchscreen page: %w", v, err)
		}
	}
	if err := s.seen(ctx, p); err != nil {
		return f, err
	}
	if err := p.Screen.StopWatch(ctx); err != nil {
		return f, err
	}
	before, err := p.Clinician.Clinician(ctx)
	if err != nil {
		return f, err
	}
	if f.InCall, err = s.Kioskd.Usage(ctx, look); err != nil {
		return f, err
	}
	after, err := p.Clinician.Clinician(ctx)
	if err != nil {
		return f, err
	}
	f.Frames, f.Lost = after.Frames-before.Frames, after.Lost-before.Lost
	recent := after.Latencies[max(0, len(after.Latencies)-f.Frames):]
	f.P50, f.P95 = Percentile(recent, 0.5), Percentile(recent, 0.95)
	if f.Frames == 0 {
		return f, errors.New("cannot judge the call: the clinician's page decoded no frame while it was looked at")
	}
	return f, nil
}

// seen waits until each page sees the other side's coded picture and hears its tone.
func (s *Stage) seen(ctx context.Context, p *Pages) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var missing []string
	for {
		now, err := s.missing(ctx, p)
		if err == nil {
			if missing = now; len(missing) == 0 {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("cannot see the whole call (%w); missing: %s", errors.Join(context.Cause(ctx), err), strings.Join(missing, "; "))
		}
	}
}

// missing lists what is not to be seen or heard yet.
func (s *Stage) missing(ctx context.Context, p *Pages) ([]string, error) {
	clinician, err := p.Clinician.Clinician(ctx)
	if err != nil {
		return nil, err
	}
	remote, err := p.Screen.Read(ctx, remoteVideo)
	if err != nil {
		return nil, err
	}
	self, err := p.Screen.Read(ctx, selfVideo)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range []struct {
		ok   bool
		what string
	}{
		{!s.opts.FakeCamera || len(clinician.Latencies) > 0, "the camera's counter and clock on the clinician's page"},
		{s.Sound == nil || Hears(clinician.PeakHz, ToneHz), fmt.Sprintf("the microphone's tone on the clinician's page (%.0f Hz)", clinician.PeakHz)},
		{remote.Coded > 0, "the clinician's picture on the touchscreen page"},
		{Hears(remote.Hz, ClinicianHz), fmt.Sprintf("the clinician's tone on the touchscreen page (%.0f Hz)", remote.Hz)},
		{!s.opts.FakeCamera || self.Coded > 0, "the self-view on the touchscreen page"},
	} {
		if !c.ok {
			out = append(out, c.what)
		}
	}
	return out, nil
}

// Screenshots writes clinician.png and screen.png into dir.
func (p *Pages) Screenshots(ctx context.Context, dir string) error {
	return errors.Join(
		p.Clinician.Screenshot(ctx, filepath.Join(dir, "clinician.png")),
		p.Screen.Screenshot(ctx, filepath.Join(dir, "screen.png")))
}

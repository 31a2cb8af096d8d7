// Package calls plays whole calls side by side: kioskd with its touchscreen page, and
// one Chromium that is camera, call and screen at once. The same clinician's page
// looks at both, by turns. Imported by the bench only.
package calls

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/e2e/stage"
)

//go:embed kiosk.js
var kioskJS string

//go:embed viewer.js
var viewerJS string

// Kinds of a call.
const (
	OneWay      = "one way, no sound"
	OneWaySound = "one way, with sound"
	TwoWay      = "two ways"
)

// Who holds it.
const (
	Kioskd   = "kioskd"
	Chromium = "Chromium"
)

// Run is one call.
type Run struct{ Kind, Codec, Who string }

func (r Run) String() string { return r.Kind + " " + r.Codec + " " + r.Who }

func (r Run) sound() bool  { return r.Kind != OneWay }
func (r Run) twoWay() bool { return r.Kind == TwoWay }

// Runs are all there are, in the order of a round; round turns who comes first.
func Runs(round int) []Run {
	who := []string{Kioskd, Chromium}
	if round%2 == 1 {
		who = []string{Chromium, Kioskd}
	}
	var out []Run
	for _, kind := range []string{OneWay, OneWaySound, TwoWay} {
		for _, codec := range []string{"H264", "VP8"} {
			for _, w := range who {
				out = append(out, Run{kind, codec, w})
			}
		}
	}
	return out
}

// Matching are a round's runs that have text in their name.
func Matching(round int, text string) []Run {
	return slices.DeleteFunc(Runs(round), func(r Run) bool { return !strings.Contains(r.String(), text) })
}

// Figure is what one call measured.
type Figure struct {
	Run
	P50, P95     float64 // camera to the clinician's page, ms
	Frames, Lost int     // decoded, and missing among them
	Kbps         float64 // of the video
	Video, Audio float64 // mean time in the page's jitter buffers, ms
	Kiosk        stage.Usage
	Parts        []float64 // of its CPU: kioskd, kioskscreen, browser; or browser
}

// Options of a series.
type Options struct {
	Bin, Dir string
	// Warm is for how long a call runs before it is looked at, Look for how long then.
	Warm, Look time.Duration
}

// Bounds.
const (
	kbps        = 1500
	settleIn    = 30 * time.Second
	cameraFreed = 10 * time.Second
)

// Series plays calls on one stage. Make it with New, end it with Close.
type Series struct {
	opts   Options
	stage  *stage.Stage
	viewer *stage.Browser
	api    *client.Client
	places *places
	calls  int
}

// place is where on the screen a picture is shown, in CSS pixels.
type place struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

type places struct {
	Remote place `json:"remote"`
	Self   place `json:"self"`
}

// New puts everything on the stage. It runs inside stage.Enter's namespaces.
func New(ctx context.Context, o Options) (*Series, error) {
	s, err := stage.Start(ctx, stage.Options{
		Bin: o.Bin, Dir: o.Dir, FakeCamera: true, CameraArgs: []string{"-scene", "webcam", "-only", "mjpeg"},
		Config: fmt.Sprintf("[video]\nbitrate_kbps = %d\n", kbps),
	})
	if err != nil {
		return nil, err
	}
	out := &Series{opts: o, stage: s, api: client.New(s.Socket)}
	out.viewer, err = s.Open(ctx, "viewer", "about:blank", 640, 400)
	if err == nil {
		err = out.learnPlaces(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// Close ends everything.
func (s *Series) Close() error {
	s.api.Close()
	var err error
	if s.viewer != nil {
		err = s.viewer.Close()
	}
	return errors.Join(err, s.stage.Stop())
}

// Play plays one call.
func (s *Series) Play(ctx context.Context, r Run) (Figure, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*settleIn+s.opts.Warm+s.opts.Look)
	defer cancel()
	f, err := s.play(ctx, r)
	if err != nil {
		said, _ := stage.Eval[string](context.WithoutCancel(ctx), s.viewer, "JSON.stringify([sim.state, sim.offers, window.benchError ?? ''])")
		return f, fmt.Errorf("cannot play the call %q: %w; the viewer's state, offers and trouble: %s", r, err, said)
	}
	return f, nil
}

func (s *Series) play(ctx context.Context, r Run) (f Figure, err error) {
	f.Run = r
	if err := s.seat(ctx, r); err != nil {
		return f, err
	}
	begin := s.kioskd
	if r.Who == Chromium {
		begin = s.chromium
	}
	roots, end, err := begin(ctx, r)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, end(), s.freed(ctx)) }()
	if err := s.viewer.Until(ctx, "sim.frames > 0"); err != nil {
		return f, err
	}
	if err := wait(ctx, s.opts.Warm); err != nil {
		return f, err
	}
	return f, s.look(ctx, roots, &f)
}

// seat shows the clinician's page anew, in the run's shape.
func (s *Series) seat(ctx context.Context, r Run) error {
	url, err := s.stage.Invite(ctx, "clinician")
	if err != nil {
		return err
	}
	if err := s.viewer.Navigate(ctx, url); err != nil {
		return err
	}
	if err := s.viewer.Until(ctx, "window.sim"); err != nil {
		return err
	}
	return call(ctx, s.viewer, viewerJS, map[string]any{"codec": r.Codec, "audio": r.sound(), "twoWay": r.twoWay()})
}

// kioskd has the daemon hold the call, with the touchscreen page where it is
// a call of two ways.
func (s *Series) kioskd(ctx context.Context, r Run) (roots []int, end func() error, err error) {
	roots = []int{s.stage.Kioskd.PID()}
	end = func() error { return s.hangUp(ctx) }
	if r.twoWay() {
		screen, err := s.openScreen(ctx)
		if err != nil {
			return nil, nil, err
		}
		end = func() error { return errors.Join(s.hangUp(ctx), screen.Close()) }
		pid, err := screen.PID()
		if err != nil {
			return nil, nil, errors.Join(err, screen.Close())
		}
		roots = append(roots, s.stage.Screen.PID(), pid)
	}
	if err := s.openCall(ctx); err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return roots, end, nil
}

func (s *Series) openCall(ctx context.Context) error {
	s.calls++
	if _, err := s.api.Open(ctx, fmt.Sprintf("bench-%d", s.calls)); err != nil {
		return fmt.Errorf("cannot open the appointment: %w", err)
	}
	return stage.WaitState(ctx, s.api, apitype.StateActive)
}

func (s *Series) hangUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cameraFreed) // a run that failed ends its call too
	defer cancel()
	if _, err := s.api.EndCall(ctx); err != nil {
		return fmt.Errorf("cannot end the call: %w", err)
	}
	return nil
}

func (s *Series) openScreen(ctx context.Context) (*stage.Browser, error) {
	url, err := s.stage.ScreenURL(ctx)
	if err != nil {
		return nil, err
	}
	return s.stage.Open(ctx, "screen", url, 1280, 800)
}

// learnPlaces looks where the touchscreen page shows its pictures, so that the
// other kiosk shows them as large.
func (s *Series) learnPlaces(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, settleIn)
	defer cancel()
	clinician, err := s.stage.Invite(ctx, "clinician")
	if err != nil {
		return err
	}
	if err := s.viewer.Navigate(ctx, clinician); err != nil {
		return err
	}
	screen, err := s.openScreen(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close(), s.freed(ctx)) }()
	if err := s.openCall(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.hangUp(ctx)) }()
	if err := screen.Until(ctx, "document.querySelector('#remote-video-0')?.videoWidth && document.querySelector('#self-video').videoWidth"); err != nil {
		return err
	}
	const where = `(() => { const at = (id) => { const { x, y, width, height } = document.querySelector(id).getBoundingClientRect(); return { x, y, width, height }; };
		return { remote: at('#remote-video-0'), self: at('#self-video') }; })()`
	p, err := stage.Eval[places](ctx, screen, where)
	s.places = &p
	return err
}

// look measures.
func (s *Series) look(ctx context.Context, roots []int, f *Figure) error {
	before, err := s.stats(ctx)
	if err != nil {
		return err
	}
	first, err := s.viewer.Clinician(ctx)
	if err != nil {
		return err
	}
	if f.Kiosk, f.Parts, err = stage.Trees(ctx, s.opts.Look, roots...); err != nil {
		return err
	}
	last, err := s.viewer.Clinician(ctx)
	if err != nil {
		return err
	}
	after, err := s.stats(ctx)
	if err != nil {
		return err
	}
	f.Frames, f.Lost = last.Frames-first.Frames, last.Lost-first.Lost
	if f.Frames <= 0 {
		return errors.New("no frame arrived while it was looked at")
	}
	recent := last.Latencies[max(0, len(last.Latencies)-f.Frames):]
	f.P50, f.P95 = stage.Percentile(recent, 0.5), stage.Percentile(recent, 0.95)
	if !strings.EqualFold(after.Codec, "video/"+f.Codec) {
		return fmt.Errorf("the video came as %q", after.Codec)
	}
	f.Kbps = (after.Bytes - before.Bytes) * 8 / (after.At - before.At)
	f.Video = mean(after.Video-before.Video, after.VideoN-before.VideoN)
	f.Audio = mean(after.Audio-before.Audio, after.AudioN-before.AudioN)
	return nil
}

// mean in ms of seconds over n.
func mean(seconds, n float64) float64 {
	if n <= 0 {
		return 0
	}
	return 1000 * seconds / n
}

// stats are the clinician's page's RTCInboundRtpStreamStats, added up since the
// beginning of the call: seconds, and how many frames or samples they are of.
type stats struct {
	Codec  string  `json:"codec"`
	Bytes  float64 `json:"bytes"`
	Video  float64 `json:"video"`
	VideoN float64 `json:"videoN"`
	Audio  float64 `json:"audio"`
	AudioN float64 `json:"audioN"`
	At     float64 `json:"at"` // ms
}

func (s *Series) stats(ctx context.Context) (stats, error) {
	return stage.Eval[stats](ctx, s.viewer, "window.benchStats()")
}

// freed waits until nobody holds the camera: the next call wants it.
func (s *Series) freed(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cameraFreed)
	defer cancel()
	for {
		answer, err := s.stage.Camera(ctx, 0, "openers")
		if err == nil && strings.HasPrefix(answer, "ok openers 0") {
			return nil
		}
		if werr := wait(ctx, 50*time.Millisecond); werr != nil {
			return fmt.Errorf("cannot see the camera free (%q): %w", answer, errors.Join(err, werr))
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// call evaluates a function of one argument in a page.
func call(ctx context.Context, b *stage.Browser, function string, argument any) error {
	arg, err := json.Marshal(argument)
	if err != nil {
		return fmt.Errorf("cannot tell the page what to do: %w", err)
	}
	_, err = stage.Eval[bool](ctx, b, "("+function+")("+string(arg)+")")
	return err
}

// Package call holds the call: it runs the devices' pictures and sound through
// one encoder each into RTP tracks, joins the room with them, relays what the
// other participants send to the touchscreen page and serves the page's views.
//
// It decides nothing: what should be on is told to it (Apply, Join, Leave), what
// happened it reports as Events. Imported by daemon.
package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/prop"
	"github.com/pion/webrtc/v4"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/call/ladder"
	"kioskd/daemon/room"
	"kioskd/daemon/room/peer"
)

// Options are the parts that a call is made of.
type Options struct {
	Providers room.Providers
	// Path says how the room's connections find their way.
	Path  peer.Options
	Video VideoOptions
	// AudioEncoder builds the encoder for Audio.
	AudioEncoder codec.AudioEncoderBuilder
	Audio        prop.Audio
	// Camera delivers frames of the camera called id ("" for the default one)
	// until ctx ends, a slate while there is none. It returns when the device's
	// file is closed.
	Camera func(ctx context.Context, id string, put func(*capture.Frame))
	// CameraFigures are those of the camera in use, for the statistics; nil: none are told.
	CameraFigures func() *apitype.VideoSource
	// Switch makes the running Camera go on with the camera called id, by itself
	// and without ending. It may be called before Camera has opened anything, and
	// counts then too; it must not block. nil: Camera is ended and started anew.
	Switch func(id string)
	// Microphone delivers 10 ms chunks of 48 kHz mono until ctx ends, silence
	// while there is none. It returns when the device is closed.
	Microphone func(ctx context.Context, put func(pcm []int16, at time.Time))
	// OffWords are shown to the others while the patient's video is off.
	OffWords []string
	// Events receives what happens. It must not block.
	Events func(Event)
	Log    *slog.Logger
}

// VideoOptions say how the kiosk's picture is sent.
type VideoOptions struct {
	// Prefer are the codecs by preference; empty: H.264, which costs less, then VP8.
	// Which of them is used depends on what the others take.
	Prefer []encode.Codec
	Params encode.VideoParams
	// Width and Height are the largest picture that is sent, in pixels, and the
	// size of the one for "video off"; FPS is the camera's rate.
	Width, Height int
	FPS           float64
	// Budget is the share of one core that video may take, 0: any; Degradation
	// says what gives way.
	Budget      float64
	Degradation encode.Degradation
}

// Media is what the devices and encoders should do. The encoders run while the
// camera, the microphone or the picture for "video off" does.
type Media struct {
	// Camera opens the camera called CameraID ("" for the default one).
	Camera   bool
	CameraID string
	// Microphone opens the microphone. What it gives is sent unless SetMuted.
	Microphone bool
	// VideoOff closes the camera and sends a picture that says so, while the
	// microphone is open.
	VideoOff bool
}

// Call is the one call of this kiosk.
type Call struct {
	opts  Options
	video *videoSender
	audio *audioSender
	views views

	turning atomic.Bool // a picture runs, see Turns

	devices  sync.Mutex // serialises Apply
	shown    picture
	encoders *part
	mic      *part
	source   *part // of the picture

	// Apart from devices: a camera must close while a room is slow to join or leave.
	rooms   sync.Mutex // serialises Join and Leave
	room    room.Room
	sampler *part // of the room, see History

	peers   participants
	chat    chat
	repair  repair
	history history
}

// part is a set of goroutines with one end.
type part struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

func (p *part) stop() {
	if p == nil {
		return
	}
	p.cancel()
	p.wg.Wait()
}

func newPart() (*part, context.Context) {
	ctx, cancel := context.WithCancel(context.Background())
	return &part{cancel: cancel}, ctx
}

// New makes a call that does nothing yet.
func New(o Options) (*Call, error) {
	if o.Video.Width == 0 || o.Video.Height == 0 {
		o.Video.Width, o.Video.Height = 1280, 720
	}
	if len(o.Video.Prefer) == 0 {
		o.Video.Prefer = []encode.Codec{encode.CodecH264, encode.CodecVP8}
	}
	v, err := newVideoSender(o.Video, o.Log)
	if err != nil {
		return nil, err
	}
	o.Path.Video, o.Path.VideoRate = v.offered(), v.configured()
	c := &Call{opts: o, video: v, audio: newAudioSender(o.Log)}
	c.audio.room = v.room
	v.flows = c.peers.flows
	return c, nil
}

// Apply makes the devices and encoders do what m says. When it returns, what
// was turned off is closed.
func (c *Call) Apply(m Media) {
	c.devices.Lock()
	defer c.devices.Unlock()
	want := m.picture()
	if want.kind == pictureNone {
		c.turning.Store(false)
	}
	if c.opts.Switch != nil && c.source != nil && want.kind == pictureCamera && c.shown.kind == pictureCamera {
		if want.id != c.shown.id {
			c.opts.Switch(want.id)
		}
		c.shown = want
	}
	if want != c.shown { // closing comes first: a light that should be out is out
		c.source.stop()
		c.source = nil
	}
	if !m.Microphone {
		c.mic.stop()
		c.mic = nil
	}
	if want.kind == pictureNone && !m.Microphone {
		c.encoders.stop()
		c.encoders = nil
	} else if c.encoders == nil {
		c.startEncoders()
	}
	if m.Microphone && c.mic == nil {
		p, ctx := newPart()
		c.mic = p
		p.wg.Go(func() { c.opts.Microphone(ctx, c.audio.put) })
	}
	if want != c.shown && want.kind != pictureNone {
		c.startPicture(want)
	}
	c.shown = want
	c.turning.Store(want.kind != pictureNone)
}

// Turns counts the pictures that went through the loop of the video, encoded or
// not. running is true while there have to be some: a camera's, a slate's or those
// that stand for "video off", so at least two a second.
func (c *Call) Turns() (n uint64, running bool) {
	running = c.turning.Load() // first: what is counted after it counts
	return c.video.stats.turns.Load(), running
}

// SetMuted sends silence instead of the microphone. It takes effect at once, also
// while Apply is busy with a device.
func (c *Call) SetMuted(m bool) { c.audio.muted.Store(m) }

// SetPrivate stops the patient's pictures at once (true), before Apply has closed
// the camera, or lets them through again.
func (c *Call) SetPrivate(p bool) {
	c.video.private.Store(p)
	c.video.keyframe()
}

// SetSilent stops the patient's sound at once (true), before Apply has closed the
// microphone, whatever SetMuted says; or leaves it to SetMuted again.
func (c *Call) SetSilent(s bool) { c.audio.shut.Store(s) }

func (c *Call) startEncoders() {
	p, ctx := newPart()
	c.encoders = p
	p.wg.Go(func() { c.keepEncoding(ctx, "video", c.runVideo) })
	p.wg.Go(func() { c.keepEncoding(ctx, "audio", c.runAudio) })
}

func (c *Call) runVideo(ctx context.Context) error {
	return c.video.run(ctx)
}

func (c *Call) runAudio(ctx context.Context) error {
	return c.audio.run(ctx, c.opts.AudioEncoder, prop.Media{Audio: c.opts.Audio})
}

// encoderRetry is the pause before a failed encoder is built anew.
const encoderRetry = time.Second

// keepEncoding builds an encoder anew when it fails: a call with half its media
// is worth more than none.
func (c *Call) keepEncoding(ctx context.Context, kind string, run func(context.Context) error) {
	for {
		err := run(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.opts.Log.Error("an encoder stopped, building it anew", "kind", kind, "error", err)
			c.opts.Events(EncoderFailed{Kind: kind})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(encoderRetry):
		}
	}
}

// JoinParams say which room and as whom.
type JoinParams struct {
	Provider, URL, Token, Peer string
	ICEServers                 []ICEServer
	// Attempt comes back with every Event of this room.
	Attempt int
}

// ICEServer is one STUN or TURN server (RFC 7064, RFC 7065). A TURN server has
// a user name and a credential.
type ICEServer struct {
	URLs                 []string
	Username, Credential string
}

func webrtcServers(in []ICEServer) []webrtc.ICEServer {
	out := make([]webrtc.ICEServer, 0, len(in))
	for _, i := range in {
		s := webrtc.ICEServer{URLs: i.URLs}
		if i.Username != "" || i.Credential != "" {
			s.Username, s.Credential = i.Username, i.Credential
		}
		out = append(out, s)
	}
	return out
}

// relayed says whether one of the servers is a TURN server.
func relayed(list []webrtc.ICEServer) bool {
	return slices.ContainsFunc(list, func(s webrtc.ICEServer) bool {
		return slices.ContainsFunc(s.URLs, func(u string) bool { return strings.HasPrefix(strings.ToLower(u), "turn") })
	})
}

// ErrJoined is returned by Join while there is a room.
var ErrJoined = errors.New("cannot join a room: still in another one, leave it first")

// Join enters the room and returns when its server has let us in, which Joined
// reports too; ctx bounds that. Errors wrap room.ErrRefused or room.ErrUnreachable.
func (c *Call) Join(ctx context.Context, p JoinParams) error {
	provider, err := c.opts.Providers.Get(p.Provider)
	if err != nil {
		return err
	}
	c.rooms.Lock()
	defer c.rooms.Unlock()
	if c.room != nil {
		return ErrJoined
	}
	path := c.opts.Path
	path.ICEServers = webrtcServers(p.ICEServers)
	if path.RelayOnly && !relayed(path.ICEServers) {
		c.opts.Log.Error("cannot connect to anybody: room.relay_only is set and the room names no TURN server")
	}
	// The room may report before Join has returned: that we are in comes first.
	var in sync.Once
	steps := &ladder.Ladder{}
	joined := func() { c.opts.Events(Joined{Attempt: p.Attempt}) }
	r, err := provider.Join(ctx, room.Params{
		URL: p.URL, Token: p.Token, Peer: p.Peer, Path: path,
		Tracks: []webrtc.TrackLocal{c.audio.track, c.video.track},
		Events: func(e room.Event) {
			in.Do(joined)
			c.roomEvent(p.Attempt, steps, e)
		},
		Log: c.opts.Log.With("room", p.Provider),
	})
	if err != nil {
		return fmt.Errorf("cannot join the room: %w", err)
	}
	in.Do(joined)
	c.room = r
	c.chat.enter(r)
	c.repair.enter(r)
	c.history.begin(p.Peer)
	c.sampler = c.startSampling()
	return nil
}

// Leave says bye or away, for at most the life of ctx, and closes the room's
// connections. Without a room it does nothing.
func (c *Call) Leave(ctx context.Context, why room.Reason) {
	c.rooms.Lock()
	defer c.rooms.Unlock()
	if why == room.ReasonBye { // after the sampler's last word
		defer c.history.begin("")
	}
	if c.room == nil {
		return
	}
	c.chat.leave()
	c.repair.leave()
	c.sampler.stop()
	c.sampler = nil
	if err := c.room.Leave(ctx, why); err != nil {
		c.opts.Log.Warn("cannot tell the room that we leave", "reason", string(why), "error", err)
	}
	c.room = nil
	c.awaitPumps()
	c.peers.allGone()
}

// Self is the stream of the kiosk's own picture, for CreateView; every other
// stream is a participant's id.
const Self = ""

// CreateView answers a WHEP offer for a stream: Self or a participant's id.
// Errors wrap ErrNoStream, ErrBadOffer or ErrTooManyView.
func (c *Call) CreateView(ctx context.Context, stream, offer string) (id, answer string, err error) {
	src := source{tracks: []webrtc.TrackLocal{pageTrack{c.video.track}}, keyframe: c.video.keyframe, begin: c.video.newScene}
	if stream != Self {
		p := c.peers.get(stream)
		if p == nil {
			return "", "", ErrNoStream
		}
		src = source{
			tracks:   []webrtc.TrackLocal{p.audio.track, p.video.track},
			keyframe: p.video.requestKeyframe, begin: p.video.requestKeyframe,
		}
	}
	return c.views.create(ctx, src, offer)
}

// PatchView adds trickled candidates to a view.
func (c *Call) PatchView(id, fragment string) error { return c.views.patch(id, fragment) }

// DeleteView ends a view.
func (c *Call) DeleteView(id string) error { return c.views.remove(id) }

// Close ends everything; the room is left without a word, see Leave.
func (c *Call) Close(ctx context.Context) {
	c.Leave(ctx, room.ReasonAway)
	c.Apply(Media{})
	c.views.closeAll()
	c.video.box.Close()
}

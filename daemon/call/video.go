package call

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"golang.org/x/sys/unix"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/capture/pixel"
	"kioskd/daemon/room/paced"
)

const (
	// payloadBound is the largest RTP payload in bytes: with IP, UDP, SRTP and RTP
	// headers a packet stays below 1280 bytes, which every IPv6 path carries (RFC
	// 8200, section 5).
	payloadBound = 1160

	// keyframeEvery bounds what a receiver that keeps asking can cost.
	keyframeEvery = 500 * time.Millisecond

	videoRate = 90000 // Hz (RFC 7741, section 4.1; RFC 6184, section 8.2.1)

	// lightFrom is the rate, in millihertz, above which the page's own picture goes
	// without those that may be left out: half of them, where the codec has some. To
	// decode and show all thirty a second in a tile costs a kiosk without a GPU as much
	// as the other side's whole picture. It is none of the governor's steps from 30 or
	// 25: a rate that is the limit would cross it every other second.
	lightFrom = 22_500
)

// videoSender turns frames into RTP: one encode for all who take the same codec,
// however many connections carry the track. Its loop is the only user of the
// encoders.
type videoSender struct {
	opts  VideoOptions
	track *track
	box   *capture.Mailbox
	log   *slog.Logger

	// Of the loop. The clock outlives an encoder: a connection that goes on must not
	// see time jump back.
	out     packetizer
	prefer  []string // MIME types in small letters
	lanes   map[string]*lane
	work    []string // the codecs in work
	worked  []string // those of the picture before
	lastKey time.Time
	gov     *encode.Governor
	// The last second's beginning and the pictures since.
	second   time.Time
	inSecond int
	// See adapt.
	flows    func(into []*paced.Flow) []*paced.Flow
	paths    []*paced.Flow
	sizedFor int // bit/s
	sizedAt  time.Time
	lowSince time.Time // the rate is below what they are sized for; zero: it is not

	wantKey atomic.Bool
	scene   atomic.Bool // see newScene
	// private is set while no picture of the patient may go out.
	private atomic.Bool
	stats   videoStats
	gate    gate
}

// videoStats are written by the loop and read by anybody.
type videoStats struct {
	frames, keyframes, asked, bytes, packets, errors, skipped atomic.Uint64
	turns                                                     atomic.Uint64 // of the loop, see Call.Turns
	encode                                                    atomic.Int64  // nanoseconds in the encoders, all frames
	delay                                                     atomic.Int64  // nanoseconds from capture to the first packet, smoothed
	width, height                                             atomic.Int64
	rate                                                      atomic.Int64 // millihertz, of the last second
	target                                                    atomic.Int64 // bit/s

	mu     sync.Mutex
	codecs []string // in work
	reason string
	fps    float64 // the governor's
}

func newVideoSender(o VideoOptions, log *slog.Logger) (*videoSender, error) {
	v := &videoSender{
		opts: o, track: newTrack(webrtc.RTPCodecTypeVideo, "video", "kiosk"), box: capture.NewMailbox(), log: log, out: newPacketizer(videoRate),
		flows: func(into []*paced.Flow) []*paced.Flow { return into },
	}
	v.stats.target.Store(int64(v.configured()))
	for _, c := range append(o.Prefer, encode.CodecH264, encode.CodecVP8) {
		mime := "video/" + strings.ToLower(string(c))
		if payloaderOf(c) == nil {
			return nil, fmt.Errorf("cannot send %s: the codecs are VP8 and H264", c)
		}
		if !contains(v.prefer, mime) {
			v.prefer = append(v.prefer, mime)
		}
	}
	v.track.joined = v.newScene
	return v, nil
}

// offered is what connections offer, in the order of our preference.
func (v *videoSender) offered() []string {
	var out []string
	for _, m := range v.prefer {
		out = append(out, "video/"+string(codecOf(m)))
	}
	return out
}

// keyframe asks for one; it comes with a following frame, at most one every keyframeEvery.
func (v *videoSender) keyframe() { v.wantKey.Store(true) }

// newScene asks for a keyframe with the next frame, whenever the last one was:
// it is the kiosk that asks, not a receiver.
func (v *videoSender) newScene() { v.scene.Store(true) }

// due tells whether the next frame should be a keyframe, where the last forced
// one was at the instant last.
func (v *videoSender) due(last time.Time) bool {
	if v.scene.Swap(false) {
		v.wantKey.Store(false)
		return true
	}
	if !v.wantKey.Load() || time.Since(last) < keyframeEvery {
		return false
	}
	v.wantKey.Store(false)
	return true
}

// run encodes what the mailbox holds until ctx ends or the mailbox closes. An
// encoder is fed only when a frame is there, so it never waits for a camera.
func (v *videoSender) run(ctx context.Context) error {
	// The budget is counted in processor time, this thread's if it can be: what the
	// kiosk's other programs take must not make the picture smaller.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	v.begin()
	defer v.closeLanes()
	for {
		frame, err := v.box.Get(ctx)
		if err != nil {
			return nil //nolint:nilerr // ctx ended or the mailbox closed: the normal end
		}
		v.gate.pass()
		err = v.take(frame)
		v.stats.turns.Add(1)
		frame.Release()
		if err != nil {
			return err
		}
	}
}

// begin makes the loop's state anew.
func (v *videoSender) begin() {
	v.lanes, v.worked, v.lastKey = map[string]*lane{}, nil, time.Time{}
	v.gov = encode.NewGovernor(encode.GovernorConfig{
		Budget: v.opts.Budget, Prefer: v.opts.Degradation, Width: v.opts.Width, Height: v.opts.Height, FPS: v.opts.FPS,
	})
	v.tell()
	v.keyframe() // the track's receivers know nothing of these encoders yet
}

// take sends a frame to who is there, if the budget allows it.
func (v *videoSender) take(frame *capture.Frame) error {
	if frame.Patient && v.private.Load() {
		return nil
	}
	v.work = v.track.wanted(v.prefer, v.work)
	if len(v.work) == 0 { // nobody is there
		return nil
	}
	if v.adapt(time.Now()) || !v.gov.Take() {
		v.stats.skipped.Add(1)
		return nil
	}
	if !slices.Equal(v.work, v.worked) { // somebody may go on in a codec that it did not get so far
		v.newScene()
		v.worked = append(v.worked[:0], v.work...)
	}
	key := v.due(v.lastKey)
	if key {
		v.lastKey = time.Now()
		v.stats.asked.Add(1)
	}
	began := v.cpuTime()
	err := v.encodeAll(frame, key)
	if v.gov.Spent(frame.Time, v.cpuTime()-began) {
		v.stepped()
	}
	return err
}

// encodeAll makes one picture for all who watch.
func (v *videoSender) encodeAll(frame *capture.Frame, key bool) error {
	ts, sent := v.out.stamp(frame.Time), false
	for _, mime := range v.work {
		l, err := v.lane(mime)
		if err != nil {
			return err
		}
		picture, err := v.fit(frame, l)
		if err != nil {
			return err
		}
		if key {
			if err := l.enc.ForceKeyFrame(); err != nil {
				v.log.Error("cannot force a keyframe", "error", err)
			}
		}
		sent = v.encodeOne(l, mime, picture, ts) || sent
		if picture != frame {
			picture.Release()
		}
	}
	if sent {
		v.pace()
	}
	v.trim()
	return nil
}

// fit gives the picture at the size to encode: not above what was configured, what
// the processor can take and what the bit rate carries. It is frame itself where
// nothing has to be done, else a picture of the lane's pool that the caller releases.
func (v *videoSender) fit(frame *capture.Frame, l *lane) (*capture.Frame, error) {
	fw, fh := frame.Rect.Dx(), frame.Rect.Dy()
	w, h := fw, fh
	if w > v.opts.Width || h > v.opts.Height {
		w, h = inside(w, h, v.opts.Width, v.opts.Height)
	}
	w, h = v.gov.Size(w, h)
	w, h = encode.Fit(l.codec, w, h, v.gov.FPS(), v.sizedFor)
	w, h = w&^1, h&^1 // H.264 takes even sides
	if w == fw && h == fh {
		return frame, nil
	}
	if l.pool == nil || !sized(l.pool, w, h) {
		l.pool = capture.NewPool(w, h)
	}
	small := l.pool.Get()
	if err := pixel.Scale(small, frame); err != nil {
		small.Release()
		return nil, fmt.Errorf("cannot scale the picture: %w", err)
	}
	return small, nil
}

// bitRate is what the encoders aim at, in bit/s.
func (v *videoSender) bitRate() int { return int(v.stats.target.Load()) }

// configured is what they aim at where the paths carry it.
func (v *videoSender) configured() int {
	if b := v.opts.Params.BitRate; b > 0 {
		return b
	}
	return 1_500_000
}

// inside is the largest size with w:h within the bounds.
func inside(w, h, mw, mh int) (int, int) {
	if w*mh > mw*h {
		return mw, max(h*mw/w, 2)
	}
	return max(w*mh/h, 2), mh
}

func sized(p *capture.Pool, w, h int) bool {
	pw, ph := p.Size()
	return pw == w && ph == h
}

// encodeOne reports whether the picture went out.
func (v *videoSender) encodeOne(l *lane, mime string, picture *capture.Frame, ts uint32) bool {
	started := time.Now()
	data, key, err := l.enc.Encode(picture)
	v.stats.encode.Add(int64(time.Since(started)))
	if err != nil {
		v.stats.errors.Add(1)
		v.log.Error("cannot encode a frame", "error", err)
		return false
	}
	if picture.Patient && v.private.Load() { // switched off while it was encoded
		v.newScene() // what follows must not lean on it, not even one picture
		return false
	}
	v.send(l, mime, data, picture.Time, ts)
	v.count(data, key, picture)
	return true
}

func (v *videoSender) count(data []byte, key bool, picture *capture.Frame) {
	s := &v.stats
	s.frames.Add(1)
	if key {
		s.keyframes.Add(1)
	}
	s.bytes.Add(uint64(len(data)))
	s.width.Store(int64(picture.Rect.Dx()))
	s.height.Store(int64(picture.Rect.Dy()))
	took := int64(time.Since(picture.Time))
	if old := s.delay.Load(); old != 0 {
		took = old + (took-old)/16
	}
	s.delay.Store(took)
}

// pace counts pictures a second, each once in however many codecs it went out.
func (v *videoSender) pace() {
	v.inSecond++
	if past := time.Since(v.second); past >= time.Second {
		v.stats.rate.Store(int64(float64(v.inSecond) / past.Seconds() * 1000))
		v.second, v.inSecond = time.Now(), 0
	}
}

// send packs one encoded frame into packets that share its timestamp; the last one
// has the marker (RFC 7741, section 4.1; RFC 6184, section 5.1), the first the
// instant of capture.
func (v *videoSender) send(l *lane, mime string, data []byte, at time.Time, ts uint32) {
	payloads := l.payloader.Payload(payloadBound, data)
	m := inPacket{mime: mime, work: v.work, captured: at, spare: v.stats.rate.Load() > lightFrom && encode.Disposable(l.codec, data)}
	for i, p := range payloads {
		pkt := rtp.Packet{Header: rtp.Header{Version: 2, Marker: i == len(payloads)-1, Timestamp: ts}, Payload: p}
		v.track.send(m, &pkt)
		m.captured = time.Time{}
	}
	v.stats.packets.Add(uint64(len(payloads)))
}

// stepped follows a step of the governor.
func (v *videoSender) stepped() {
	for _, l := range v.lanes {
		if err := l.enc.SetFrameRate(v.gov.FPS()); err != nil {
			v.log.Error("cannot set the frame rate", "error", err)
		}
	}
	w, h := v.gov.Size(v.opts.Width, v.opts.Height)
	v.log.Info("video fits the processor", "limit", v.gov.Reason(), "width", w, "height", h, "fps", v.gov.FPS())
	v.tell()
}

// tell notes what the statistics say of the loop's own state.
func (v *videoSender) tell() {
	s := &v.stats
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codecs = s.codecs[:0]
	for _, m := range v.prefer {
		if v.lanes[m] != nil {
			s.codecs = append(s.codecs, "video/"+string(codecOf(m)))
		}
	}
	s.reason, s.fps = v.reason(), v.gov.FPS()
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// cpuTime is the processor time that counts towards the budget: the calling thread's
// where the encoders have no threads of their own. Nobody tells what those took, so
// where they have some it is all of the process: what else runs just then, such as the
// making of the next picture, is counted as well and is little beside them.
func (v *videoSender) cpuTime() time.Duration {
	if v.opts.Params.Alone() {
		return clock(unix.CLOCK_THREAD_CPUTIME_ID)
	}
	return clock(unix.CLOCK_PROCESS_CPUTIME_ID)
}

// clock reads a clock of clock_gettime(2).
func clock(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

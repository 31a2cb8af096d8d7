package congestion_test

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"kioskd/daemon/room/congestion"
)

// link is a path of the simulator: a queue that is served at a rate, then a delay.
type link struct {
	bps     float64
	queue   time.Duration // how long the longest queue takes to serve
	delay   time.Duration // one way
	jitter  time.Duration // added, even between 0 and it
	loss    float64
	dead    bool
	freeAt  time.Duration
	arrived int // bytes, since it was last asked
}

// world is a sender, a path and a receiver that reports every 100 ms, on a clock of its own.
type world struct {
	est   *congestion.Estimator
	link  link
	rng   *rand.Rand
	now   time.Duration
	to    events
	order int
	seq   uint16
	next  uint16 // the first number that is not reported yet
	got   map[uint16]time.Duration

	share   float64 // of what it may, the encoder's yield
	most    float64 // bit/s the video takes at most
	credit  float64 // bytes the pacer may send
	waiting int     // bytes of pictures in the pacer
	audio   []time.Duration
	sent    int
}

type event struct {
	at    time.Duration
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

const (
	videoMost = 1_500_000.0
	audioBPS  = 56_000.0
	mostBPS   = 2_000_000
)

// newWorld has a path of l; seed makes the run the same each time.
func newWorld(seed uint64, l link) *world {
	w := &world{
		est: congestion.New(congestion.Config{Start: 800_000, Min: 60_000, Max: mostBPS}), link: l,
		rng: rand.New(rand.NewPCG(seed, 1)), got: map[uint16]time.Duration{}, share: 1, most: videoMost,
	}
	w.every(20*time.Millisecond, w.speak)
	w.every(time.Second/30, w.picture)
	w.every(5*time.Millisecond, w.pace)
	w.every(100*time.Millisecond, w.report)
	w.every(100*time.Millisecond, func() {
		w.est.Want(int((w.most+audioBPS)*1.05), w.clock())
		w.est.Tick(w.clock())
	})
	return w
}

func (w *world) clock() time.Time { return time.Unix(1_000_000, 0).Add(w.now) }

func (w *world) at(t time.Duration, do func()) {
	w.order++
	heap.Push(&w.to, event{t, w.order, do})
}

func (w *world) every(d time.Duration, do func()) {
	var again func()
	again = func() { do(); w.at(w.now+d, again) }
	w.at(w.now+d, again)
}

// run plays d of the world's time, and calls each (nil: none) every 100 ms of it.
func (w *world) run(d time.Duration, each func(past time.Duration)) {
	began, end := w.now, w.now+d
	look := began + 100*time.Millisecond
	for w.to.Len() > 0 && w.to[0].at <= end {
		e := heap.Pop(&w.to).(event)
		for e.at > look {
			w.now = look
			if each != nil {
				each(look - began)
			}
			look += 100 * time.Millisecond
		}
		w.now = e.at
		e.do()
	}
	w.now = end
}

func (w *world) speak() { w.transmit(140, true) }

// picture puts one into the pacer, of the size that the encoder is told.
func (w *world) picture() {
	target := min(max(float64(w.est.Send())-audioBPS, 30_000), w.most)
	if float64(w.waiting*8) > target*0.3 {
		return // pictures are left out while many wait
	}
	w.waiting += int(target * w.share / 30 / 8 * (0.8 + 0.4*w.rng.Float64()))
}

func (w *world) pace() {
	rate := 1.4 * float64(w.est.Send())
	probe, _, probing := w.est.Probe(w.clock())
	if probing {
		rate = float64(probe)
	}
	w.credit = min(w.credit+rate/8*0.005, max(rate/8*0.01, 1300))
	for w.credit > 0 && (w.waiting > 0 || probing) {
		size := min(1200, max(w.waiting, 100))
		if probing && w.waiting <= 0 {
			size = 900
		}
		w.waiting = max(w.waiting-size, 0)
		w.credit -= float64(size)
		w.transmit(size, false)
	}
}

func (w *world) transmit(size int, audio bool) {
	seq := w.seq
	w.seq++
	w.est.Sent(seq, size, w.clock())
	w.sent += size
	l := &w.link
	start := max(l.freeAt, w.now)
	if l.dead || start-w.now > l.queue {
		return
	}
	l.freeAt = start + time.Duration(float64(size*8)/l.bps*float64(time.Second))
	if w.rng.Float64() < l.loss {
		return
	}
	at := l.freeAt + l.delay + time.Duration(w.rng.Float64()*float64(l.jitter))
	w.at(at, func() {
		w.got[seq] = w.now
		l.arrived += size
		if audio {
			w.audio = append(w.audio, w.now)
		}
	})
}

// report tells the sender what has come up to the newest packet.
func (w *world) report() {
	if len(w.got) == 0 || w.link.dead {
		return
	}
	newest := w.next
	for s := range w.got {
		if int16(s-newest) > 0 {
			newest = s
		}
	}
	var list []congestion.Arrival
	for s := w.next; int16(newest-s) >= 0; s++ {
		at, ok := w.got[s]
		list = append(list, congestion.Arrival{Seq: s, Received: ok, At: at + time.Hour})
	}
	w.next, w.got = newest+1, map[uint16]time.Duration{}
	if w.rng.Float64() < w.link.loss {
		return
	}
	w.at(w.now+w.link.delay, func() { w.est.Feedback(list, w.clock()) })
}

// through is what arrived since it was last asked, d ago, in bit/s.
func (w *world) through(d time.Duration) float64 {
	n := w.link.arrived
	w.link.arrived = 0
	return float64(8*n) / d.Seconds()
}

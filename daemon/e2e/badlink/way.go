package badlink

import (
	"container/heap"
	"math/rand/v2"
	"os"
	"sync"
	"time"
)

// Impairment is what a link does to packets on one way.
type Impairment struct {
	Loss          float64       // share that never arrives, 0 to 1
	Delay, Jitter time.Duration // each packet takes Delay and up to Jitter more, so that some overtake others
}

// waiting is how many packets may be on their way; more are lost.
const waitingMost = 8192

// way carries packets from one device to the other.
type way struct {
	from, to *os.File
	rng      *rand.Rand // of read

	mu    sync.Mutex
	is    Impairment
	queue flight
	order int
	ended bool
	bytes uint64 // that arrived
	news  chan struct{}
	done  chan struct{}
}

func newWay(from, to *os.File, seed uint64) *way {
	return &way{from: from, to: to, rng: rand.New(rand.NewPCG(seed, 0)), news: make(chan struct{}, 1), done: make(chan struct{})} //nolint:gosec // repeatable
}

func (w *way) impair(i Impairment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.is = i
}

func (w *way) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended = true
		close(w.done)
	}
}

// read takes packets until the device is closed.
func (w *way) read() {
	b := make([]byte, mtu+64)
	for {
		n, err := w.from.Read(b)
		if err != nil {
			return
		}
		w.take(append([]byte(nil), b[:n]...), time.Now())
	}
}

func (w *way) take(p []byte, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rng.Float64() < w.is.Loss || len(w.queue) >= waitingMost {
		return
	}
	at := now.Add(w.is.Delay + time.Duration(w.rng.Float64()*float64(w.is.Jitter)))
	w.order++
	heap.Push(&w.queue, packet{at, w.order, p})
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// write delivers packets when their time has come.
func (w *way) write() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-w.news:
		case <-timer.C:
		}
		timer.Reset(w.deliver(time.Now()))
	}
}

// deliver writes what is due and says when to look again.
func (w *way) deliver(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) > 0 {
		if wait := w.queue[0].at.Sub(now); wait > 0 {
			return wait
		}
		p := heap.Pop(&w.queue).(packet)
		n, _ := w.to.Write(p.data) // a device that is down, or full: the packet is lost, as on a line
		w.bytes += uint64(n)
	}
	return time.Hour
}

type packet struct {
	at    time.Time
	order int
	data  []byte
}

// flight is the packets on their way, the next to arrive first.
type flight []packet

func (f flight) Len() int { return len(f) }
func (f flight) Less(i, j int) bool {
	return f[i].at.Before(f[j].at) || f[i].at.Equal(f[j].at) && f[i].order < f[j].order
}
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flight) Push(x any)   { *f = append(*f, x.(packet)) }
func (f *flight) Pop() any {
	old := *f
	last := old[len(old)-1]
	*f = old[:len(old)-1]
	return last
}

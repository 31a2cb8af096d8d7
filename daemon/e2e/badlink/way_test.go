package badlink

import (
	"encoding/binary"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends are two ends of a line of datagrams.
func ends(t *testing.T) (here, there *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	here, there = os.NewFile(uintptr(fds[0]), "here"), os.NewFile(uintptr(fds[1]), "there")
	t.Cleanup(func() { _ = here.Close(); _ = there.Close() })
	return here, there
}

// play sends n packets over a way and gives those that arrived, in their order, and
// the shortest and the longest time that one took.
func play(t *testing.T, seed uint64, is Impairment, n int) (arrived []uint32, least, most time.Duration) {
	t.Helper()
	in, from := ends(t)
	to, out := ends(t)
	w := newWay(from, to, seed)
	w.impair(is)
	done := make(chan struct{}, 2)
	go func() { w.read(); done <- struct{}{} }()
	go func() { w.write(); done <- struct{}{} }()
	var mu sync.Mutex
	sent := make([]time.Time, n)
	go func() {
		for i := range n {
			mu.Lock()
			sent[i] = time.Now()
			mu.Unlock()
			if _, err := in.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
				t.Error(err)
			}
		}
	}()
	b := make([]byte, 64)
	least = time.Hour
	for {
		if err := out.SetReadDeadline(time.Now().Add(is.Delay + is.Jitter + 300*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		k, err := out.Read(b)
		if err != nil {
			break // no more comes
		}
		i := binary.BigEndian.Uint32(b[:k])
		mu.Lock()
		took := time.Since(sent[i])
		mu.Unlock()
		arrived, least, most = append(arrived, i), min(least, took), max(most, took)
	}
	w.stop()
	_ = from.Close()
	<-done
	<-done
	return arrived, least, most
}

// TestWay: a share is lost, the same one each time, and the rest takes its time.
func TestWay(t *testing.T) {
	is := Impairment{Loss: 0.2, Delay: 50 * time.Millisecond, Jitter: 20 * time.Millisecond}
	arrived, least, most := play(t, 7, is, 500)
	again, _, _ := play(t, 7, is, 500)
	if n := len(arrived); n < 350 || n > 450 || n != len(again) {
		t.Errorf("of 500 packets %d arrived, and then %d, want the same, about 400", n, len(again))
	}
	if least < is.Delay || most > is.Delay+is.Jitter+time.Second {
		t.Errorf("they took %v to %v", least, most)
	}
	overtaken := 0
	for i := 1; i < len(arrived); i++ {
		if arrived[i] < arrived[i-1] {
			overtaken++
		}
	}
	if overtaken == 0 {
		t.Error("none overtook another")
	}
	if all, _, _ := play(t, 7, Impairment{}, 500); len(all) != 500 {
		t.Errorf("of 500 packets on a good way %d arrived", len(all))
	}
}

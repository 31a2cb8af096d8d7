package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// long says that the tests run in full: make crash.
func long() bool { return os.Getenv("KIOSKD_CRASH") != "" }

// smallDisk mounts 300 KiB of memory as the box's state directory, in a mount namespace
// that a process of its own holds. It gives the words that enter it, and the directory
// as it is seen from here.
func smallDisk(t *testing.T, b *box) (enter []string, dir string) {
	t.Helper()
	if err := os.Mkdir(b.state, 0o700); err != nil {
		t.Fatal(err)
	}
	holder := exec.Command("unshare", "--mount", "--", "sh", "-c", `mount -t tmpfs -o size=300k tmpfs "$0" && echo ok && exec cat`, b.state)
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err == nil {
		holder.Stderr = b.log
		err = holder.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // that ends it
		if err := holder.Wait(); err != nil {
			t.Error(err)
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ok\n" {
		t.Fatalf("cannot mount a small disk, which takes root: %q, %v", line, err)
	}
	proc := fmt.Sprintf("/proc/%d", holder.Process.Pid)
	return []string{"nsenter", "--mount=" + proc + "/ns/mnt", "--"}, filepath.Join(proc, "root", b.state)
}

// fill takes all space that is left.
func fill(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
}

// must starts a daemon that gets ready.
func (b *box) must(t *testing.T, before ...string) *daemon {
	t.Helper()
	d, err := b.start(nil, before...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.end)
	if ok, err := d.alive(); !ok {
		t.Fatalf("kioskd does not start: %v", err)
	}
	return d
}

// command gives one with a key of its own and reads the answer.
func (b *box) command(t *testing.T, method, route, body string) (answer, apitype.CommandAnswer) {
	t.Helper()
	got, err := b.send(method, route, fmt.Sprintf("%016x", rand.Uint64()), body)
	if err != nil {
		t.Fatal(err)
	}
	var done apitype.CommandAnswer
	if got.status == http.StatusOK {
		if err := json.Unmarshal(got.body, &done); err != nil {
			t.Fatal(err)
		}
	}
	return got, done
}

// degraded says whether the status tells that the store cannot keep up.
func (b *box) degraded(t *testing.T) bool {
	t.Helper()
	s, err := b.api.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(s.Conditions, func(c apitype.Condition) bool { return c.Code == "store_degraded" })
}

// until asks again and again; it gives the time that it took.
func until(t *testing.T, what string, within time.Duration, ok func() bool) time.Duration {
	t.Helper()
	begun := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		if time.Since(begun) > within {
			t.Fatalf("%s did not come within %v", what, within)
		}
		<-tick.C
	}
	return time.Since(begun)
}

// TestFullDiskInASession: a widening command is refused with store_full, a narrowing one
// acts and says that it is not durable, the session goes on; with space again all is well
// within 5 s by itself. A start on a full disk is one. A disk of 300 KiB: needs root.
func TestFullDiskInASession(t *testing.T) {
	b := newBox(t, newClinic(t))
	enter, dir := smallDisk(t, b)
	d := b.must(t, enter...)
	if got, _ := b.command(t, http.MethodPut, apitype.RouteSession, `{"appointment_id":"a-1"}`); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	room := func() bool {
		s, err := b.api.Session(t.Context())
		return err == nil && s != nil && s.Step == apitype.StepParticipant
	}
	until(t, "the room", wait, room)
	fill(t, dir)
	words := fmt.Sprintf(`{"text":%q}`, strings.Repeat("w", 2000))
	var got answer
	for range 100 { // the store's file has some free pages
		if got, _ = b.command(t, http.MethodPost, apitype.RouteMessages, words); got.status != http.StatusOK {
			break
		}
	}
	if got.status != http.StatusServiceUnavailable || got.code() != "store_full" {
		t.Fatalf("a message on a full disk was answered with %+v", got)
	}
	exhaust(t, b)
	until(t, "the condition", wait, func() bool { return b.degraded(t) })
	if !room() {
		t.Error("the session did not go on")
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	took := until(t, "the end of the condition", 5*time.Second, func() bool { return !b.degraded(t) })
	t.Logf("well again %v after there was space", took.Round(time.Millisecond))
	if got, done := b.command(t, http.MethodPost, apitype.RouteMute, `{"muted":true}`); got.status != http.StatusOK || !done.Durable || !room() {
		t.Errorf("then: %+v", got)
	}
	// A death on a full disk: the next one starts there, and turns nothing on.
	fill(t, dir)
	exhaust(t, b)
	if got, done := b.command(t, http.MethodPost, apitype.RouteDisableVideo, `{"disabled":true}`); got.status != http.StatusOK || !done.Session.Video.Disabled {
		t.Errorf("no video, on a full disk: %+v", got)
	}
	d.end()
	b.must(t, enter...)
	if s, err := b.api.Session(t.Context()); err != nil || s == nil || !s.Audio.Muted || !s.Video.Disabled || s.AppointmentID != "a-1" {
		t.Errorf("after a start on a full disk: %+v, %v", s, err)
	}
}

// exhaust gives a command that narrows until the disk has no place for it: it acts all
// the same, and says that it is not durable.
func exhaust(t *testing.T, b *box) {
	t.Helper()
	for range 500 { // the store's file has some free pages
		got, done := b.command(t, http.MethodPost, apitype.RouteMute, `{"muted":true}`)
		if got.status != http.StatusOK || !done.Session.Audio.Muted {
			t.Fatalf("a mute on a full disk was answered with %+v", got)
		}
		if !done.Durable {
			return
		}
	}
	t.Fatal("500 commands were stored on a full disk")
}

// TestFailedSyncEndsTheDaemon has the n-th sync of the store fail: from then on nothing
// is acknowledged, the daemon ends with the code that asks for a new start, and that one
// finds the last good state. n goes up until nothing fails any more, or is drawn.
func TestFailedSyncEndsTheDaemon(t *testing.T) {
	ns := []int{2 + rand.IntN(4), 6 + rand.IntN(6), 12 + rand.IntN(10)}
	if long() {
		ns = nil
		for n := 1; n <= 60; n++ {
			ns = append(ns, n)
		}
	}
	failed, starts := map[string]int{}, 0
	for _, n := range ns {
		for _, call := range []string{"fdatasync", "fsync"} {
			met, atStart := failSync(t, call, n)
			failed[call] += met
			starts += atStart
		}
	}
	t.Logf("%d fdatasyncs and %d fsyncs failed, %d of them before READY", failed["fdatasync"], failed["fsync"], starts)
	if failed["fdatasync"] < len(ns) { // of fsyncs, which are for new files, a life has few
		t.Errorf("only %d of %d fdatasyncs failed", failed["fdatasync"], len(ns))
	}
}

// failSync plays one life in which the n-th fsync or fdatasync fails. met is 1 where
// there was one, atStart where the daemon did not get ready for it.
func failSync(t *testing.T, call string, n int) (met, atStart int) {
	t.Helper()
	b := newBox(t, newClinic(t))
	l := &ledger{rnd: rand.New(rand.NewPCG(rand.Uint64(), 1)), faulty: true}
	d, err := b.start(nil, "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:error=EIO:when=%d", call, n), "--")
	if err != nil {
		t.Fatal(err)
	}
	defer d.end()
	ready, err := d.alive()
	if err != nil {
		t.Fatal(err)
	}
	if ready {
		dead := false
		for range 40 + 3*n { // not each command is one commit
			if dead, err = l.do(b, l.next()); dead || err != nil || l.pending != nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("%s %d: %v", call, n, err)
		}
		if l.pending == nil {
			return 0, 0 // there were not so many
		}
		for range 3 { // it is on its way out, and takes nothing
			got, err := b.send(http.MethodPost, apitype.RouteMute, "", `{"muted":true}`)
			if err == nil && got.status == http.StatusOK && !bytes.Contains(got.body, []byte(`"durable":false`)) {
				t.Errorf("%s %d: after it a command was acknowledged: %s", call, n, got.body)
			}
		}
	}
	if err := d.gone(5 * time.Second); err != nil {
		t.Fatalf("%s %d: %v", call, n, err)
	}
	if code := d.cmd.ProcessState.ExitCode(); ready && code != 75 || !ready && code != 1 && code != 75 {
		t.Errorf("%s %d: the exit code is %d", call, n, code)
	}
	b.must(t)
	if err := l.look(t.Context(), b); err != nil {
		t.Errorf("%s %d: after the restart: %v", call, n, err)
	}
	if !ready {
		atStart = 1
	}
	return 1, atStart
}

// TestDamagedStoreGetsReady damages the file of a kiosk in a session: the real daemon is
// READY within 5 s, it takes commands, and what was set aside is there and told.
func TestDamagedStoreGetsReady(t *testing.T) {
	times := 12
	if long() {
		times = 200
	}
	b := newBox(t, newClinic(t))
	l := &ledger{rnd: rand.New(rand.NewPCG(1, 2))}
	d := b.must(t)
	for range 60 {
		if dead, err := l.do(b, l.next()); dead || err != nil {
			t.Fatal(dead, err)
		}
	}
	d.end()
	path := filepath.Join(b.state, "kiosk.db")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	aside, slowest := 0, time.Duration(0)
	for i := range times {
		if err := os.WriteFile(path, damage(i, slices.Clone(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := filepath.Glob(path + ".damaged-*")
		if err != nil {
			t.Fatal(err)
		}
		d := b.must(t)
		took := time.Duration(d.told.Load())
		if slowest = max(slowest, took); took > 5*time.Second {
			t.Errorf("damage %d: READY after %v", i, took)
		}
		s, err := b.api.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		now, err := filepath.Glob(path + ".damaged-*")
		if err != nil {
			t.Fatal(err)
		}
		set := len(now) > 0 && !slices.Equal(before, now)
		told := slices.ContainsFunc(s.Conditions, func(c apitype.Condition) bool { return c.Code == "store_damaged" })
		if set {
			aside++
		}
		if set != told {
			t.Errorf("damage %d: set aside %t, told %t", i, set, told)
		}
		if got, _ := b.command(t, http.MethodPost, apitype.RouteEndCall, ""); got.status != http.StatusOK && got.code() != "no_session" {
			t.Errorf("damage %d: %+v", i, got)
		}
		d.end()
	}
	if aside < times/3 {
		t.Errorf("only %d of %d were set aside", aside, times)
	}
	t.Logf("%d damaged stores, %d set aside; READY after %v at most", times, aside, slowest.Round(time.Millisecond))
}

// damage does to a file what disks do, by turns.
func damage(kind int, b []byte) []byte {
	const page = 4096
	at := func() []byte { return b[rand.IntN(len(b)/page)*page:][:page] }
	switch kind % 6 {
	case 0:
		for range 20 {
			b[rand.IntN(len(b))] ^= 1 << rand.IntN(8)
		}
	case 1:
		return b[:rand.IntN(len(b))]
	case 2:
		clear(at())
	case 3:
		p, q := at(), at()
		held := slices.Clone(p)
		copy(p, q)
		copy(q, held)
	case 4:
		_, _ = io.ReadFull(rand.NewChaCha8([32]byte{byte(kind)}), b[:2*page])
	default:
		_, _ = io.ReadFull(rand.NewChaCha8([32]byte{byte(kind)}), b)
	}
	return b
}

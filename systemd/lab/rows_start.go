package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
)

// boot waits for the camera, the clinic and the service.
func boot(ctx context.Context, l *lab) (string, error) {
	const within = 40 * time.Second
	began := time.Now()
	err := until(ctx, within, "the clinic and the camera", func() (bool, error) {
		token, err := os.ReadFile("/run/clinicsim/token")
		if err == nil {
			_, err = os.Stat("/dev/video0")
		}
		l.token = strings.TrimSpace(string(token))
		return l.token != "", err
	})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile("/etc/kioskd/backend-token", []byte(l.token), 0o600); err != nil {
		return "", fmt.Errorf("cannot put the token in its place: %w", err)
	}
	if err := l.unit.do(ctx, "restart"); err != nil {
		return "", err
	}
	if _, err := l.unit.active(ctx, 0, within); err != nil {
		return "", err
	}
	version, err := output(ctx, "/lib/systemd/systemd", "--version")
	if err != nil {
		return "", err
	}
	p, err := l.unit.show(ctx, "User", "StatusText")
	if err == nil && p["User"] != "kioskd" {
		err = fmt.Errorf("it runs as %q", p["User"])
	}
	up, uptimeErr := os.ReadFile("/proc/1/comm")
	first, _, _ := strings.Cut(version, "\n")
	return fmt.Sprintf("process 1 is %s (%s), kioskd says %q, all up %.1f s after the driver",
		strings.TrimSpace(string(up)), first, p["StatusText"], time.Since(began).Seconds()), errors.Join(err, uptimeErr)
}

// mostExposed is the promise (X1).
const mostExposed = 1.5

var exposureLine = regexp.MustCompile(`Overall exposure level for kioskd.service: ([0-9.]+) `)

// exposure has systemd judge the sandbox, and all units that the package brings.
func exposure(ctx context.Context, _ *lab) (string, error) {
	text, err := output(ctx, "systemd-analyze", "security", "--offline=true", "--no-pager", "/lib/systemd/system/kioskd.service")
	if err != nil {
		return "", err
	}
	found := exposureLine.FindStringSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("cannot find the exposure in what systemd-analyze says:\n%s", text)
	}
	level, err := strconv.ParseFloat(found[1], 64)
	if err == nil && level > mostExposed {
		err = fmt.Errorf("at most %.1f is promised", mostExposed)
	}
	system, verifyErr := verify(ctx, "--system", "/lib/systemd/system/kioskd.service", "/lib/systemd/system/kioskd.socket", "/lib/systemd/system/kiosk0.service")
	user, userErr := verify(ctx, "--user", "/usr/lib/systemd/user/kioskscreen.service", "/usr/lib/systemd/user/kioskscreen-browser.service")
	return fmt.Sprintf("exposure %.1f (at most %.1f), verify says %d words about 5 units", level, mostExposed, len(strings.Fields(system+user))),
		errors.Join(err, verifyErr, userErr, noFaults())
}

// noFaults wants the package's program to have no way to make it hang, which the one
// beside it has.
func noFaults() error {
	const mark = "faults.sock"
	for path, want := range map[string]bool{"/usr/bin/kioskd": false, insideBin + "/kioskd-faults": true} {
		program, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot look into the program: %w", err)
		}
		if bytes.Contains(program, []byte(mark)) != want {
			return fmt.Errorf("%s has a way to make it hang: %t", path, !want)
		}
	}
	return nil
}

// verify wants systemd-analyze to find nothing at all.
func verify(ctx context.Context, args ...string) (string, error) {
	// A user's manager wants a folder of that user's to be there.
	text, err := output(ctx, "env", append([]string{"XDG_RUNTIME_DIR=/run", "systemd-analyze", "verify", "--man=no", "--recursive-errors=no"}, args...)...)
	if err == nil && strings.TrimSpace(text) != "" {
		err = fmt.Errorf("systemd-analyze verify says:\n%s", text)
	}
	return text, err
}

// readyIn is how long the newest start took, by systemd's clock: from the unit's first
// step, the sandbox and the credentials included, to READY=1.
func (u unit) readyIn(ctx context.Context) (time.Duration, error) {
	p, err := u.show(ctx, "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
	if err != nil {
		return 0, err
	}
	from, err1 := microseconds(p, "InactiveExitTimestampMonotonic")
	to, err2 := microseconds(p, "ActiveEnterTimestampMonotonic")
	return to - from, errors.Join(err1, err2)
}

// ready is R1.
func ready(ctx context.Context, l *lab) (string, error) {
	const promised = 300 * time.Millisecond
	rounds, most := 100, promised
	if l.o.Short { // others may use the cores: the promise itself is the long form's
		rounds, most = 5, 10*promised
	} else if err := l.fill(ctx); err != nil {
		return "", err
	}
	var times []time.Duration
	for range rounds {
		if err := l.unit.do(ctx, "stop"); err != nil {
			return "", err
		}
		if err := l.unit.do(ctx, "start"); err != nil {
			return "", err
		}
		d, err := l.unit.readyIn(ctx)
		if err != nil {
			return "", err
		}
		times = append(times, d)
	}
	p50, p99 := percentile(times, 50), percentile(times, 99)
	var err error
	if p99 > most {
		err = fmt.Errorf("p99 of at most %s is wanted", promise.MS(most))
	}
	stored := "an empty store"
	if !l.o.Short {
		stored = fmt.Sprintf("a full journal (%d entries)", fullJournal)
	}
	return fmt.Sprintf("%d starts with %s: READY p50 %s, p99 %s (promised %s)", rounds, stored, promise.MS(p50), promise.MS(p99), promise.MS(promised)), err
}

// fullJournal is what the store keeps of the journal.
const fullJournal = 10_000

// fill fills the journal: each command leaves an entry, also one that is refused, as
// muting without a session is.
func (l *lab) fill(ctx context.Context) error {
	if err := l.end(ctx); err != nil {
		return err
	}
	const hands = 8
	errs := make([]error, hands)
	var wg sync.WaitGroup
	for i := range hands {
		wg.Go(func() {
			for range fullJournal / hands {
				var refused *apitype.Problem
				if _, err := l.kiosk.SwapCamera(ctx, ""); err != nil && !errors.As(err, &refused) {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	audit, err := l.kiosk.Audit(ctx, 1)
	if err == nil && (len(audit.Entries) == 0 || audit.Entries[0].Number < fullJournal) {
		err = fmt.Errorf("cannot fill the journal: its newest entry is %+v", audit.Entries)
	}
	return errors.Join(append(errs, err)...)
}

// usage is what a process holds and has used.
func usage(pid int) (resident int64, cpu time.Duration, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read what kioskd holds: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			resident, err = strconv.ParseInt(strings.Fields(text)[0], 10, 64)
		}
	}
	stat, statErr := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(after)
	if err = errors.Join(err, statErr); err != nil || len(f) < 13 {
		return 0, 0, fmt.Errorf("cannot read what kioskd has used: %w", err)
	}
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	return resident << 10, time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2) // USER_HZ is 100
}

const mib = 1 << 20

// idle measures a kiosk that nobody uses, the watchdog's rounds included.
func idle(ctx context.Context, l *lab) (string, error) {
	const look, most, mostCPU = 20 * time.Second, 40, 1.0
	if err := l.unit.do(ctx, "restart"); err != nil {
		return "", err
	}
	pid, err := l.unit.active(ctx, 0, 10*time.Second)
	if err == nil {
		err = promise.Pause(ctx, 3*time.Second) // the look at the devices is the start's
	}
	if err != nil {
		return "", err
	}
	_, before, err := usage(pid)
	if err == nil {
		err = promise.Pause(ctx, look)
	}
	if err != nil {
		return "", err
	}
	resident, after, err := usage(pid)
	share := 100 * float64(after-before) / float64(look)
	if err == nil && (resident > most*mib || share > mostCPU) {
		err = fmt.Errorf("at most %d MiB and %.0f %% are promised", most, mostCPU)
	}
	return fmt.Sprintf("%.1f MiB (at most %d), %.2f %% of a core (at most %.0f) over %v", float64(resident)/mib, most, share, mostCPU, look), err
}

// journalFields wants the daemon's own entries with fields, and those of the start.
func journalFields(ctx context.Context, _ *lab) (string, error) {
	text, err := output(ctx, "journalctl", "-u", "kioskd.service", "_TRANSPORT=journal", "--no-pager", "-o", "json", "-n", "200")
	if err != nil {
		return "", err
	}
	all, named := 0, 0
	for line := range strings.Lines(text) {
		all++
		if strings.Contains(line, `"SYSLOG_IDENTIFIER":"kioskd"`) && strings.Contains(line, `"PRIORITY"`) && strings.Contains(line, `"KIOSKD_`) {
			named++
		}
	}
	if named == 0 {
		err = errors.New("no entry has fields of the daemon's own")
	}
	return fmt.Sprintf("%d entries by the journal's own protocol, %d of them with fields KIOSKD_...", all, named), err
}

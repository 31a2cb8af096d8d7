package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
	"kioskd/systemd/vm/farside"
)

// callWithin bounds each step of a call's beginning.
const callWithin = 20 * time.Second

// session is what the daemon says of its session; nil is none.
func (l *lab) session(ctx context.Context) (*apitype.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return l.kiosk.Session(ctx)
}

// await waits for a state of the session.
func (l *lab) await(ctx context.Context, state string, within time.Duration) error {
	return until(ctx, within, "the session "+state, func() (bool, error) {
		s, err := l.session(ctx)
		return s != nil && s.State == state, err
	})
}

// open begins a new appointment.
func (l *lab) open(ctx context.Context) (string, error) {
	l.number++
	id := fmt.Sprintf("lab-%d", l.number)
	_, err := l.kiosk.Open(ctx, id)
	return id, err
}

// begin has a call with a far side that judges the pictures.
func (l *lab) begin(ctx context.Context) error {
	if l.far != nil {
		return nil
	}
	if err := l.end(ctx); err != nil {
		return err
	}
	began := time.Now()
	id, err := l.open(ctx)
	if err != nil {
		return err
	}
	if err := l.join(ctx, id); err != nil {
		return err
	}
	if err := l.await(ctx, apitype.StateActive, callWithin); err != nil {
		return err
	}
	_, err = l.far.Await(ctx, farside.Live, began, callWithin)
	return err
}

func (l *lab) join(ctx context.Context, id string) error {
	var err error
	l.far, err = farside.Join(ctx, farside.Options{Backend: "http://" + clinicAddress, Token: l.token, Appointment: id, Address: "127.0.0.1"})
	return err
}

// leave takes the far side away, without a word.
func (l *lab) leave() {
	if l.far != nil {
		_ = l.far.Close() // what it complains of is its own end
		l.far = nil
	}
}

// end ends whatever session there is.
func (l *lab) end(ctx context.Context) error {
	l.leave()
	s, err := l.session(ctx)
	if err != nil || s == nil || s.Final() {
		return err
	}
	_, err = l.kiosk.EndCall(ctx)
	return err
}

// behave tells clinicsim how to be.
func (l *lab) behave(ctx context.Context, order string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+clinicAddress+"/sim/behave", bytes.NewBufferString(order))
	if err != nil {
		return err
	}
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+l.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("cannot tell clinicsim how to be: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("cannot tell clinicsim how to be: it answers %s", resp.Status)
	}
	return nil
}

// reloadInCall: the settings are read anew and the far side sees every picture.
func reloadInCall(ctx context.Context, l *lab) (string, error) {
	if err := l.begin(ctx); err != nil {
		return "", err
	}
	if err := promise.Pause(ctx, time.Second); err != nil {
		return "", err
	}
	least, longest := 0.95, 150*time.Millisecond
	if l.o.Short { // others may use the cores
		least, longest = 0.3, 2*time.Second
	}
	pid, err := l.unit.pid(ctx)
	if err != nil {
		return "", err
	}
	before, err := l.kiosk.Status(ctx)
	if err != nil {
		return "", err
	}
	began := time.Now()
	rounds := 5
	for i := range rounds {
		if err := l.reload(ctx, i); err != nil {
			return "", err
		}
	}
	refused := l.refusedReload(ctx)
	over := time.Now()
	gap, pictures := l.far.Gap(farside.Live, began, over), l.far.Between(farside.Live, began, over)
	took := over.Sub(began).Seconds()
	after, err := l.kiosk.Status(ctx)
	now, pidErr := l.unit.pid(ctx)
	err = errors.Join(err, pidErr)
	log, logErr := output(ctx, "journalctl", "-u", "kioskd.service", "--no-pager", "-o", "cat", "--since", fmt.Sprintf("@%d", began.Unix()))
	reloads := bytes.Count([]byte(log), []byte("settings read anew"))
	switch {
	case err != nil || logErr != nil || refused != nil:
		err = errors.Join(err, logErr, refused)
	case now != pid:
		err = errors.New("it is another process")
	case after.Session == nil || after.Session.State != apitype.StateActive || before.Session == nil:
		err = errors.New("the call did not go on")
	case reloads < rounds:
		err = fmt.Errorf("only %d reloads are in the log", reloads)
	case float64(pictures) < least*30*took || gap > longest:
		err = errors.New("pictures were lost: 30 a second are sent")
	}
	return fmt.Sprintf("%d reloads (systemctl and SIGHUP by turns) in %.1f s: the far side saw %d pictures (%.1f a second of 30), longest gap %s, same process; settings out of range are refused", rounds, took, pictures, float64(pictures)/took, promise.MS(gap)), err
}

// inCall is the memory of a call.
func inCall(ctx context.Context, l *lab) (figures string, err error) {
	const most = 120
	if err := errors.Join(l.end(ctx), l.settings(config(1280, 720)), l.unit.do(ctx, "restart")); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.end(ctx), l.configure(""), l.unit.do(ctx, "restart")) }()
	if err := l.begin(ctx); err != nil {
		return "", err
	}
	if err := promise.Pause(ctx, 10*time.Second); err != nil {
		return "", err
	}
	pid, err := l.unit.pid(ctx)
	if err != nil {
		return "", err
	}
	resident, _, err := usage(pid)
	if err == nil && resident > most*mib {
		err = fmt.Errorf("at most %d MiB are promised", most)
	}
	return fmt.Sprintf("%.1f MiB (at most %d), 1280x720 at 30, VP8", float64(resident)/mib, most), err
}

// refusedReload wants systemctl to say so where the settings are refused.
func (l *lab) refusedReload(ctx context.Context) error {
	if err := l.configure("[camera]\nfps = 1000\n"); err != nil {
		return err
	}
	err := l.unit.do(ctx, "reload")
	if back := l.configure(""); back != nil {
		return back
	}
	if err == nil {
		return errors.New("systemctl reload took settings that are out of range")
	}
	return nil
}

// reload changes a setting and has it read, by turns as systemctl does it and by SIGHUP,
// which nobody waits for.
func (l *lab) reload(ctx context.Context, round int) error {
	level, verb, more := "debug", "reload", []string(nil)
	if round%2 == 1 {
		level, verb, more = "info", "kill", []string{"-s", "HUP", "--kill-whom=main"}
	}
	if err := l.configure("[log]\nlevel = \"" + level + "\"\n"); err != nil {
		return err
	}
	if err := l.unit.do(ctx, verb, more...); err != nil {
		return err
	}
	return promise.Pause(ctx, 500*time.Millisecond)
}

package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"kioskd/cmd/fakecam/camns"
)

// StartKioskd starts the daemon and waits for its READY=1.
func (s *Stage) StartKioskd(ctx context.Context) error {
	config := s.abs("kioskd.toml")
	if err := os.WriteFile(config, []byte(s.config()), 0o600); err != nil {
		return fmt.Errorf("cannot write the daemon's configuration: %w", err)
	}
	if err := s.chown(); err != nil {
		return fmt.Errorf("cannot hand over the run's files: %w", err)
	}
	if s.notify != nil {
		s.notify.close()
	}
	n, err := listenNotify(s.abs("notify.sock"))
	if err != nil {
		return err
	}
	s.notify = n
	if err := s.chown(); err != nil {
		return fmt.Errorf("cannot hand over the run's files: %w", err)
	}
	env := slices.Concat([]string{"NOTIFY_SOCKET=" + n.path}, s.alsa, s.opts.Debug)
	started := time.Now()
	args := append(slices.Clone(s.Under), s.program("kioskd"), "-config", config)
	for _, set := range s.opts.Settings {
		args = append(args, "-set", set)
	}
	launch := func() (err error) {
		s.Kioskd, err = s.start("kioskd", false, env, args...)
		return err
	}
	if s.opts.Line != nil {
		err = s.opts.Line.Inside(launch)
	} else {
		err = launch()
	}
	if err != nil {
		return err
	}
	p := s.Kioskd
	if err := n.wait(ctx, p); err != nil {
		return err
	}
	s.Ready = time.Since(started)
	return nil
}

func (s *Stage) config() string {
	dir := "/dev"
	if s.opts.FakeCamera {
		dir = camns.DevDir
	}
	trust, loopback := "", true
	if s.apart != nil {
		trust, loopback = fmt.Sprintf("ca_file = %q\n", s.abs("ca.pem")), false
	}
	return fmt.Sprintf(`[daemon]
safe_mode = %t
clock_check = false
[api]
socket = %q
[store]
dir = %q
[backend]
url = %q
token_file = %q
%s[camera]
directory = %q
[microphone]
device = %q
[network]
loopback_counts = %t
[room]
loopback = %t
%s`, s.opts.SafeMode, s.abs("control.sock"), s.abs("state"), s.backend, s.abs("backend-token"), trust, dir, s.opts.Microphone, !s.opts.Network, loopback, s.opts.Config)
}

// StartScreen starts the touchscreen page's door.
func (s *Stage) StartScreen(ctx context.Context) error {
	launch := s.abs("screen.json")
	if err := os.Remove(launch); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove the old launch file: %w", err)
	}
	p, err := s.start("kioskscreen", false, nil, s.program("kioskscreen"),
		"-listen", "127.0.0.1:0", "-socket", s.Socket, "-launch", launch)
	if err != nil {
		return err
	}
	s.Screen = p
	_, err = p.waitFile(ctx, launch)
	return err
}

package stage

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"kioskd/capture/microphone/pulsetest"
)

// ToneHz is what the private sound server's microphone hears.
const ToneHz = 440

func (s *Stage) startSound(ctx context.Context) error {
	if s.opts.Microphone != "" {
		return nil
	}
	// ctx bounds the start only; the server lives until Stop. Its files are small
	// and its paths must be short and plain, which a checkout's need not be.
	dir, err := os.MkdirTemp(scratch, "sound")
	if err != nil {
		return fmt.Errorf("cannot make the sound server's folder: %w", err)
	}
	srv, err := pulsetest.Start(context.WithoutCancel(ctx), dir)
	if err != nil {
		return fmt.Errorf("cannot start the private sound server: %w", err)
	}
	s.Sound = srv
	s.opts.Microphone = srv.PCM
	s.alsa, s.speaker = srv.Env(), srv.SpeakerEnv()
	if s.opts.ForbiddenMicrophone {
		_ = os.Remove(micLock) // an earlier stage's, mostly none
		// A node that gives silence for ever, and belongs to root.
		if err := unix.Mknod(micLock, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))); err != nil {
			return fmt.Errorf("cannot make the microphone's lock: %w", err)
		}
		if s.opts.Microphone, err = srv.Guarded(micLock); err != nil {
			return err
		}
	}
	return s.handOver(dir)
}

// micLock is a copy of /dev/zero in the private /dev.
const micLock = "/dev/kiosk-mic-lock"

// AllowMicrophone ends what Options.ForbiddenMicrophone asked for.
func (s *Stage) AllowMicrophone() error {
	if err := os.Chmod(micLock, 0o644); err != nil {
		return fmt.Errorf("cannot allow the microphone: %w", err)
	}
	return nil
}

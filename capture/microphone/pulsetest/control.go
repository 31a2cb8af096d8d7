package pulsetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// leftBehind is a server whose place another has taken.
type leftBehind struct {
	cmd *exec.Cmd
	end <-chan struct{}
}

// configuration is what alsa-lib reads: a PCM for the microphone and a ctl of the
// same name for its source's switch; PCMs for the speaker and for what it plays.
func (s *Server) configuration() string {
	var b strings.Builder
	b.WriteString("</usr/share/alsa/alsa.conf>\n")
	for _, d := range [][3]string{
		{"pcm." + PCM, "device", "mic.monitor"},
		{"ctl." + PCM, "source", "mic.monitor"},
		{"pcm." + Speaker, "device", speaker},
		{"pcm." + SpeakerMonitor, "device", speaker + ".monitor"},
	} {
		fmt.Fprintf(&b, "%s {\n\ttype pulse\n\tserver \"unix:%s\"\n\t%s \"%s\"\n}\n", d[0], s.socket, d[1], d[2])
	}
	return b.String()
}

// Freeze stops the server in its tracks (SIGSTOP), as a hang would, or lets it
// go on.
func (s *Server) Freeze(frozen bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	signal := syscall.SIGCONT
	if frozen {
		signal = syscall.SIGSTOP
	}
	if err := s.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("cannot freeze PulseAudio: %w", err)
	}
	return nil
}

// Replace starts a new server at the same address and leaves the old one as it is:
// frozen, it goes on holding who is connected to it, and who tries to be.
func (s *Server) Replace() error {
	s.mu.Lock()
	s.behind = append(s.behind, leftBehind{s.cmd, s.end})
	s.mu.Unlock()
	return s.start()
}

// MuteSource switches the microphone's source off or on at the server, as the mute
// key of a headset does at a card.
func (s *Server) MuteSource(muted bool) error {
	return s.pactl("set-source-mute", "mic.monitor", flag(muted))
}

// Suspend makes the microphone sleep or wakes it: no sound comes, and no error.
func (s *Server) Suspend(asleep bool) error {
	return s.pactl("suspend-sink", "mic", flag(asleep))
}

// Leave takes the microphone away, and the speaker with it, while the server goes on:
// the card was pulled out.
func (s *Server) Leave() error {
	return errors.Join(s.pactl("unload-module", "module-sine"), s.pactl("unload-module", "module-remap-source"),
		s.pactl("unload-module", "module-null-sink"))
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

// pactl runs Debian's pulseaudio-utils against this server.
func (s *Server) pactl(args ...string) error {
	ctx, cancel := context.WithTimeout(s.ctx, endDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "pactl", append([]string{"--server=unix:" + s.socket}, args...)...)
	cmd.Env = append(append(os.Environ(), s.Env()...), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot tell PulseAudio %s (Debian's package pulseaudio-utils): %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Close ends the server and those it replaced. The files stay: dir is the caller's.
func (s *Server) Close() error {
	err := s.Kill()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.behind {
		err = errors.Join(err, kill(old.cmd, old.end))
	}
	s.behind = nil
	return err
}

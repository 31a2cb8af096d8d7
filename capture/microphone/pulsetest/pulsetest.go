// Package pulsetest gives a machine without a sound card a microphone: a
// private PulseAudio whose null sink plays a tone, and an alsa-lib
// configuration that names the sink's monitor as a PCM. Everything between is
// real: alsa-lib, its pulse plugin, overruns and real-time pacing; killing the
// server is an unplug.
//
// It owns the server's process and the files under the folder it was given,
// and touches nothing else of the user's. It may be imported by tests, by the
// end-to-end stage and by the demo, never by kioskd.
//
// Needs Debian's pulseaudio and libasound2-plugins.
package pulsetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// PCM is the name under which alsa-lib opens the microphone.
	PCM = "kiosk_mic"
	// Speaker is the name under which alsa-lib opens the speaker, and SpeakerMonitor
	// the one under which it hears what the speaker plays: digital silence, mostly.
	Speaker        = "kiosk_speaker"
	SpeakerMonitor = "kiosk_speaker_monitor"
	// ToneHz is what the microphone hears.
	ToneHz = 440

	startDeadline = 10 * time.Second
	endDeadline   = 5 * time.Second
)

// Server is one private PulseAudio. Its methods may be called from any goroutine.
type Server struct {
	// PCM is the microphone's alsa-lib name.
	PCM string
	// ALSAConfig is the path of the configuration file; ALSA_CONFIG_PATH must
	// name it in the process that opens PCM (see Env).
	ALSAConfig string

	ctx    context.Context //nolint:containedctx // the server's life, given to Start
	dir    string
	socket string

	mu     sync.Mutex
	cmd    *exec.Cmd
	end    chan struct{} // closed when cmd was waited for
	behind []leftBehind  // servers that Replace left
}

// Start starts a server that keeps its files under dir and waits, for at most
// ten seconds, until it takes connections. It dies with ctx, with Close, and
// with this process. dir must be short: a socket's path has 107 bytes at most.
func Start(ctx context.Context, dir string) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot start PulseAudio in %s: %w", dir, err)
	}
	s := &Server{PCM: PCM, ALSAConfig: filepath.Join(dir, "asound.conf"), ctx: ctx, dir: dir, socket: filepath.Join(dir, "pulse.sock")}
	if len(s.socket) > 107 {
		return nil, fmt.Errorf("cannot start PulseAudio in %s: the path is too long for a socket", dir)
	}
	if strings.ContainsAny(dir, " \t\n\"'\\") {
		return nil, fmt.Errorf("cannot start PulseAudio in %s: the path must have no spaces or quotes", dir)
	}
	for _, sub := range []string{"home", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, fmt.Errorf("cannot make PulseAudio's folder: %w", err)
		}
	}
	if err := os.WriteFile(s.ALSAConfig, []byte(s.configuration()), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write alsa-lib's configuration: %w", err)
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

// Guarded is the microphone behind a lock: a PCM that only who may read the file
// at path can open (alsa-lib's file plugin opens it beside PCM; else snd_pcm_open
// gives EACCES). What the file holds is heard instead, so /dev/zero's node is a good one.
func (s *Server) Guarded(path string) (pcm string, err error) {
	const name = "kiosk_mic_guarded"
	conf, err := os.OpenFile(s.ALSAConfig, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("cannot add a guarded microphone: %w", err)
	}
	_, err = fmt.Fprintf(conf, "pcm.%s {\n\ttype file\n\tslave.pcm \"%s\"\n\tfile \"/dev/null\"\n\tinfile \"%s\"\n\tformat \"raw\"\n}\n", name, PCM, path)
	if err = errors.Join(err, conf.Close()); err != nil {
		return "", fmt.Errorf("cannot add a guarded microphone: %w", err)
	}
	return name, nil
}

// speaker is the sink that swallows what programs play. It is not the
// microphone's: nobody hears themselves.
const speaker = "speaker"

// headset is the microphone's tone as a source of its own: Chromium takes no sink's
// monitor for a microphone.
const headset = "headset"

// SpeakerEnv is what a program needs in its environment to play through this
// server and to hear the tone (libpulse; Chromium does). A browser without any sound device holds its
// page up for a second and more when it is to play something.
func (s *Server) SpeakerEnv() []string {
	return append(s.Env(), "PULSE_SERVER=unix:"+s.socket, "PULSE_SINK="+speaker, "PULSE_SOURCE="+headset)
}

// Env is what a process that opens PCM needs in its environment. Besides
// ALSAConfig it keeps libpulse from leaving a cookie and a link in the user's
// home.
func (s *Server) Env() []string {
	return []string{
		"ALSA_CONFIG_PATH=" + s.ALSAConfig,
		"PULSE_COOKIE=" + filepath.Join(s.dir, "cookie"),
		"PULSE_RUNTIME_PATH=" + filepath.Join(s.dir, "run"),
	}
}

// start runs the server; the socket appears last, when the tone plays.
func (s *Server) start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "pulse.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write PulseAudio's log: %w", err)
	}
	if err := os.Remove(s.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("cannot remove PulseAudio's old socket: %w", err), log.Close())
	}
	cmd := exec.CommandContext(s.ctx, "pulseaudio", "-n", "--daemonize=no", "--system=false", "--use-pid-file=no",
		"--exit-idle-time=-1", "--disallow-exit=yes", "--disable-shm=yes", "--realtime=no", "--high-priority=no", "--log-target=stderr",
		// norewinds: else the sink renders two seconds ahead, and its monitor
		// has nothing to hear until they are over.
		"-L", "module-null-sink sink_name="+speaker+" rate=48000 norewinds=1",
		"-L", "module-null-sink sink_name=mic rate=48000 channels=1 norewinds=1",
		"-L", "module-remap-source master=mic.monitor source_name="+headset+" remix=no",
		"-L", fmt.Sprintf("module-sine sink=mic rate=48000 frequency=%d", ToneHz),
		"-L", "module-native-protocol-unix auth-anonymous=1 socket="+s.socket)
	home, run := filepath.Join(s.dir, "home"), filepath.Join(s.dir, "run")
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=" + home, "XDG_CONFIG_HOME=" + home,
		"XDG_RUNTIME_DIR=" + run, "PULSE_RUNTIME_PATH=" + run, "PULSE_STATE_PATH=" + run, "DBUS_SESSION_BUS_ADDRESS=disabled:",
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = endDeadline
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("cannot start PulseAudio (Debian's package pulseaudio): %w", err), log.Close())
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		_ = cmd.Wait() // killed, mostly: the log says the rest
		_ = log.Close()
	}()
	s.mu.Lock()
	s.cmd, s.end = cmd, end
	s.mu.Unlock()
	if err := s.ready(end); err != nil {
		return errors.Join(err, s.Kill())
	}
	return nil
}

// ready waits until the socket takes connections.
func (s *Server) ready(end <-chan struct{}) error {
	deadline := time.NewTimer(startDeadline)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-end:
			return fmt.Errorf("cannot start PulseAudio: it ended, see %s", filepath.Join(s.dir, "pulse.log"))
		case <-deadline.C:
			return fmt.Errorf("cannot start PulseAudio: no socket after %v, see %s", startDeadline, filepath.Join(s.dir, "pulse.log"))
		case <-again.C:
			var d net.Dialer
			c, err := d.DialContext(s.ctx, "unix", s.socket)
			if err == nil {
				return c.Close()
			}
		}
	}
}

// Kill ends the server as a crash would (SIGKILL) and waits until it is gone:
// the microphone is unplugged. A second Kill does nothing.
func (s *Server) Kill() error {
	s.mu.Lock()
	cmd, end := s.cmd, s.end
	s.mu.Unlock()
	return kill(cmd, end)
}

func kill(cmd *exec.Cmd, end <-chan struct{}) error {
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("cannot kill PulseAudio: %w", err)
	}
	deadline := time.NewTimer(endDeadline)
	defer deadline.Stop()
	select {
	case <-end:
		return nil
	case <-deadline.C:
		return fmt.Errorf("cannot kill PulseAudio: it is still there after %v", endDeadline)
	}
}

// Restart kills the server and starts a new one at the same address: the
// microphone is plugged in again.
func (s *Server) Restart() error {
	if err := s.Kill(); err != nil {
		return err
	}
	return s.start()
}

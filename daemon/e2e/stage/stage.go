package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"kioskd/capture/microphone/pulsetest"
	"kioskd/cmd/fakecam/camns"
	"kioskd/daemon/e2e/badlink"
)

// Options say what to put on the stage.
type Options struct {
	// Bin is the folder of the built programs.
	Bin string
	// Dir takes every file of the run. It is made anew. Its control socket's
	// path must fit into 107 bytes (unix(7)).
	Dir string
	// FakeCamera starts fakecam; without it kioskd looks at the machine's own.
	FakeCamera bool
	// Cameras is how many; 0 is one. Each is a process of its own, whose frames
	// count from a million times its number.
	Cameras int
	// CameraArgs are added to the first fakecam's, EachCamera[n] to the n-th's.
	CameraArgs []string
	EachCamera [][]string
	// Microphone is an ALSA name; empty starts a private sound server that hums.
	Microphone string
	// OwnSpeakers has browsers play into a sink of their own instead of the private sound
	// server, which may then die without taking their clock of sound away.
	OwnSpeakers bool
	// ForbiddenMicrophone denies the microphone to all but root (EACCES), until
	// AllowMicrophone. It needs a Credential.
	ForbiddenMicrophone bool
	// Network says that loopback is no network for kioskd: a link is needed, such
	// as the private network's (see Enter).
	Network bool
	// Apart puts clinicsim and the clinic's pages on a machine of their own, which the
	// kiosk reaches over its link and a router (see SetForwarding). It needs Enter's
	// network, and root.
	Apart bool
	// SafeMode leaves kioskd's safe mode on: a stage that kills it has it off.
	SafeMode bool
	// Line puts kioskd behind a bad link; nil leaves it where everybody is. Its
	// touchscreen page, which stays outside, then has no views.
	Line *badlink.Line
	// Debug is added to kioskd's environment.
	Debug []string
	// Config is added to kioskd's configuration, in TOML.
	Config string
	// Settings are given to kioskd over that, as section.key=value.
	Settings []string
	// Credential is the user that everything but fakecam runs as; nil is our own.
	Credential *syscall.Credential
}

// Stage is a running call's machine.
type Stage struct {
	opts Options
	dir  string

	mu        sync.Mutex
	processes []*Process
	secrets   []string // see Secret

	FakeCam, Clinicsim, Kioskd, Screen *Process // FakeCam is the first camera's
	Sound                              *pulsetest.Server
	// Ready is how long kioskd took from its start to READY=1.
	Ready time.Duration
	// Socket is kioskd's control socket.
	Socket string
	// Under is a command that StartKioskd runs kioskd under; it has to become it.
	Under []string

	backend string // as the kiosk reaches it
	local   string // as it is reached from its own machine
	apart   *apart // nil: one machine
	alsa    []string
	speaker []string
	notify  *notifySocket
}

// startWithin bounds the start of each program.
const startWithin = 15 * time.Second

// Start starts everything, in order, and returns when all of it is ready. What
// has been started when something fails is stopped again.
func Start(ctx context.Context, o Options) (*Stage, error) {
	s := &Stage{opts: o, dir: o.Dir, Socket: filepath.Join(o.Dir, "control.sock")}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if o.Apart {
		if err := s.settleApart(); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	steps := []func(context.Context) error{s.startCamera, s.startSound, s.startClinicsim, s.StartKioskd, s.StartScreen}
	for _, step := range steps {
		bounded, cancel := context.WithTimeout(ctx, startWithin)
		err := step(bounded)
		cancel()
		if err != nil {
			return nil, errors.Join(err, s.Stop())
		}
	}
	return s, nil
}

func (s *Stage) prepare() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("cannot clear %s: %w", s.dir, err)
	}
	for _, d := range []string{"logs", "home", "state", "run"} {
		if err := os.MkdirAll(filepath.Join(s.dir, d), 0o700); err != nil {
			return fmt.Errorf("cannot make the stage's folder: %w", err)
		}
	}
	return s.chown()
}

// chown gives the run's files to the stage's user.
func (s *Stage) chown() error { return s.handOver(s.dir) }

func (s *Stage) handOver(dir string) error { return HandOver(dir, s.opts.Credential) }

// HandOver gives a folder and all below it to c; nil changes nothing. A link
// does not lead it outside.
func HandOver(dir string, c *syscall.Credential) error {
	if c == nil {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("cannot hand over %s: %w", dir, err)
	}
	defer root.Close() //nolint:errcheck // opened for reading only
	return fs.WalkDir(root.FS(), ".", func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(p, int(c.Uid), int(c.Gid))
	})
}

// environ is what programs see: our own, but with a home and a temporary folder
// that end with the run, and no systemd of somebody else's.
func (s *Stage) environ() []string {
	drop := []string{
		"HOME=", "TMPDIR=", "XDG_", "NOTIFY_SOCKET=", "LISTEN_", "RUNTIME_DIRECTORY=", "STATE_DIRECTORY=",
		"CREDENTIALS_DIRECTORY=", "PULSE_", "ALSA_", "KIOSKD_", "SUDO_",
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc(drop, func(p string) bool { return strings.HasPrefix(v, p) })
	})
	return append(env, "HOME="+s.abs("home"), "TMPDIR="+scratch, "XDG_RUNTIME_DIR="+s.abs("run"))
}

func (s *Stage) abs(name string) string {
	p, err := filepath.Abs(filepath.Join(s.dir, name))
	if err != nil { // only without a working directory
		return filepath.Join(s.dir, name)
	}
	return p
}

func (s *Stage) program(name string) string { return filepath.Join(s.opts.Bin, name) }

func (s *Stage) startCamera(ctx context.Context) error {
	if !s.opts.FakeCamera {
		return nil
	}
	for n := range max(1, s.opts.Cameras) {
		args := append([]string{s.program("fakecam")}, camns.Camera(n).Args()...)
		if n == 0 {
			args = append(args, s.opts.CameraArgs...)
		}
		if n < len(s.opts.EachCamera) {
			args = append(args, s.opts.EachCamera[n]...)
		}
		p, err := s.start(fmt.Sprintf("fakecam%d", n), true, nil, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			s.FakeCam = p
		}
		for {
			if answer, err := s.Camera(ctx, n, "openers"); err == nil && strings.HasPrefix(answer, "ok") {
				break
			}
			if err := p.pause(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Camera sends one command to the n-th camera's fakecam, which puts the camera's
// number behind the first word, and returns its answer, "ok ...".
func (s *Stage) Camera(ctx context.Context, n int, command string) (string, error) {
	word, rest, _ := strings.Cut(command, " ")
	command = strings.TrimSpace(fmt.Sprintf("%s %d %s", word, n, rest))
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", camns.Camera(n).Control)
	if err != nil {
		return "", fmt.Errorf("cannot reach fakecam: %w", err)
	}
	defer func() { _ = c.Close() }() // nothing is written after the answer
	if err := c.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
		return "", fmt.Errorf("cannot bound fakecam's answer: %w", err)
	}
	if _, err := fmt.Fprintln(c, command); err != nil {
		return "", fmt.Errorf("cannot ask fakecam: %w", err)
	}
	b := make([]byte, 256)
	length, err := c.Read(b)
	if err != nil {
		return "", fmt.Errorf("cannot read fakecam's answer: %w", err)
	}
	return strings.TrimSpace(string(b[:length])), nil
}

func (s *Stage) startClinicsim(ctx context.Context) error {
	launch := s.abs("clinicsim.json")
	args := []string{s.program("clinicsim"), "-listen", "127.0.0.1:0", "-token", s.abs("backend-token"), "-launch", launch}
	if s.apart != nil {
		args = s.apart.wrap(append(args, "-tls-listen", port0(clinicAddress), "-ca", s.abs("ca.pem")))
	}
	p, err := s.start("clinicsim", false, nil, args...)
	if err != nil {
		return err
	}
	s.Clinicsim = p
	var l struct{ Backend, Local string }
	if err := readLaunch(ctx, p, launch, &l); err != nil {
		return err
	}
	s.backend, s.local = l.Backend, l.Local
	if s.opts.Line == nil {
		return nil
	}
	u, err := url.Parse(l.Backend)
	if err != nil {
		return fmt.Errorf("cannot read clinicsim's address: %w", err)
	}
	return s.opts.Line.Splice(u.Host)
}

// readLaunch waits for a launch file and decodes it.
func readLaunch(ctx context.Context, p *Process, path string, into any) error {
	b, err := p.waitFile(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("cannot read %s: %w", path, err)
	}
	return nil
}

// Backend is clinicsim's address.
func (s *Stage) Backend() string { return s.backend }

// ClinicianURL is a one-use address of the clinician's page.
func (s *Stage) ClinicianURL(ctx context.Context) (string, error) {
	var l struct{ Clinician string }
	err := readLaunch(ctx, s.Clinicsim, s.abs("clinicsim.json"), &l)
	return l.Clinician, err
}

// ScreenURL is a one-use address of the touchscreen page.
func (s *Stage) ScreenURL(ctx context.Context) (string, error) {
	var l struct{ Screen string }
	err := readLaunch(ctx, s.Screen, s.abs("screen.json"), &l)
	return l.Screen, err
}

// Stop ends everything in reverse order and reports whatever did not end well.
func (s *Stage) Stop() error {
	s.mu.Lock()
	list := slices.Clone(s.processes)
	s.processes = nil
	s.mu.Unlock()
	var errs []error
	for _, p := range slices.Backward(list) {
		errs = append(errs, p.Stop())
	}
	if s.notify != nil {
		s.notify.close()
		s.notify = nil
	}
	if s.Sound != nil {
		errs = append(errs, s.Sound.Close())
		s.Sound = nil
	}
	if s.apart != nil {
		errs = append(errs, s.apart.close())
		s.apart = nil
	}
	return errors.Join(errs...)
}

// Broken delivers the end of any program that should still run.
func (s *Stage) Broken() <-chan error {
	out := make(chan error, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.processes {
		go func() { // ends with its process, which Stop waits for
			<-p.done
			select {
			case out <- fmt.Errorf("cannot go on: %s ended: %w\n%s", p.Name, p.err, p.tail()):
			default:
			}
		}()
	}
	return out
}

// CleanKeepingLogs removes what the run wrote but its logs.
func (s *Stage) CleanKeepingLogs() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("cannot clean up: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.Name() != "logs" {
			errs = append(errs, os.RemoveAll(filepath.Join(s.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}

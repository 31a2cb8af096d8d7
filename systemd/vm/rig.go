package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"kioskd/daemon/client"
	"kioskd/systemd/vm/agent"
	"kioskd/systemd/vm/farside"
	"kioskd/systemd/vm/image"
)

// Bounds of the start.
const (
	clinicWithin = 20 * time.Second
	bootWithin   = 4 * time.Minute
)

// rig is all that runs: the machine, the clinic beside it and the ways between
// them.
type rig struct {
	dir     string
	clinic  *process
	machine *process
	agent   *agent.Client
	kiosk   *client.Client
	states  *states
	far     *farside.Side // nil before the call

	backend, token string
	bootTook       time.Duration
	wg             sync.WaitGroup // the carried control socket, the watcher of states
	end            context.CancelFunc
}

// settings are the flags that say how.
type settings struct {
	dir, bin, deb      string
	processors, memory int
	nice               int
}

// newRig starts everything and returns when the machine answers.
func newRig(ctx context.Context, s settings, i image.Image) (*rig, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &rig{dir: filepath.Join(s.dir, "run"), end: end}
	err := r.start(ctx, life, s, i)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *rig) start(ctx, life context.Context, s settings, i image.Image) error {
	if err := errors.Join(os.RemoveAll(r.dir), os.MkdirAll(r.dir, 0o700)); err != nil {
		return fmt.Errorf("cannot make the run's folder: %w", err)
	}
	if err := r.startClinic(ctx, s.bin); err != nil {
		return err
	}
	initrd := filepath.Join(r.dir, "initrd.img")
	address := strings.TrimPrefix(r.backend, "http://")
	if err := (payload{bin: s.bin, deb: s.deb, backend: address, token: []byte(r.token)}).initramfs(initrd, i.Modules); err != nil {
		return err
	}
	began := time.Now()
	h := hardware{
		kernel: i.Kernel, initrd: initrd, disk: i.Root, console: filepath.Join(r.dir, "console.log"),
		processors: s.processors, memory: s.memory, nice: s.nice,
	}
	var err error
	if r.machine, err = start("the machine", filepath.Join(r.dir, "qemu.log"), []string{"TMPDIR=" + r.dir}, h.args()...); err != nil {
		return err
	}
	r.agent = agent.NewClient(fmt.Sprintf("127.0.0.1:%d", agentPort))
	boot, cancel := context.WithTimeout(ctx, bootWithin)
	defer cancel()
	if err := r.machine.until(boot, r.alive); err != nil {
		return fmt.Errorf("%w\n%s", err, tail(h.console))
	}
	r.bootTook = time.Since(began)
	return r.openControl(life)
}

// alive asks once: QEMU takes connections before there is anybody to answer.
func (r *rig) alive(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return r.agent.Alive(ctx)
}

func (r *rig) startClinic(ctx context.Context, bin string) error {
	launch, token := filepath.Join(r.dir, "clinicsim.json"), filepath.Join(r.dir, "backend-token")
	var err error
	r.clinic, err = start("clinicsim", filepath.Join(r.dir, "clinicsim.log"), nil,
		filepath.Join(bin, "clinicsim"), "-listen", "127.0.0.1:0", "-token", token, "-launch", launch)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clinicWithin)
	defer cancel()
	return r.clinic.until(ctx, func(context.Context) error {
		b, err := os.ReadFile(launch)
		if err != nil {
			return err
		}
		var l struct{ Backend string }
		if err := json.Unmarshal(b, &l); err != nil {
			return err
		}
		t, err := os.ReadFile(token)
		r.backend, r.token = l.Backend, strings.TrimSpace(string(t))
		return err
	})
}

// openControl makes the daemon's socket one of ours, and watches the session.
func (r *rig) openControl(life context.Context) error {
	path := filepath.Join(r.dir, "control.sock")
	ln, err := (&net.ListenConfig{}).Listen(life, "unix", path)
	if err != nil {
		return fmt.Errorf("cannot carry the control socket: %w", err)
	}
	r.wg.Go(func() {
		// Its end before ours shows in every question to the daemon.
		_ = agent.Forward(life, ln, func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", controlPort))
		})
	})
	r.kiosk = client.New(path)
	r.states = &states{}
	watcher := client.New(path)
	r.wg.Go(func() {
		defer watcher.Close()
		_ = watcher.Follow(life, nil, r.states.event) // it ends with life
	})
	return nil
}

// close ends everything that was started, in reverse.
func (r *rig) close() error {
	var err error
	if r.far != nil {
		err = r.far.Close()
	}
	r.end()
	if r.kiosk != nil {
		r.kiosk.Close()
	}
	r.wg.Wait()
	if r.agent != nil {
		r.agent.Close()
	}
	for _, p := range []*process{r.machine, r.clinic} {
		if p != nil {
			p.stop()
		}
	}
	return err
}

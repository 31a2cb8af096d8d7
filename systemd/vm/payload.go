package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kioskd/systemd/vm/image"
)

// modulesConf has the drivers' options: two cameras on one bus each, and one sound
// card whose playback (device 0) comes back as its capture (device 1).
const modulesConf = `options vivid n_devs=2 node_types=0x1,0x1 num_inputs=1,1 input_types=0,0 multiplanar=1,1
options snd-aloop id=mic0 pcm_substreams=1
`

// dropIn gives the daemon's own unit the time that an emulated processor takes.
const dropIn = `[Service]
WatchdogSec=60s
TimeoutStartSec=120s
TimeoutStopSec=60s
`

// toneUnit plays into the loop for as long as there is one, and begins anew where it
// comes back.
const toneUnit = `[Unit]
Description=A tone for the microphone
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/bin/speaker-test -D plughw:CARD=mic0,DEV=0 -c 2 -r 48000 -F S16_LE -t sine -f 440
Restart=always
RestartSec=200ms
StandardOutput=null
`

const agentUnit = `[Unit]
Description=The hand of the machine outside
[Service]
ExecStart=/usr/local/bin/guest -address %[1]s/24 -gateway %[2]s -listen %[1]s:%[3]d -control %[1]s:%[4]d -backend %[5]s
Restart=on-failure
`

// microphone is the capture side of the loop.
const microphone = "plughw:CARD=mic0,DEV=1"

// config is the daemon's: small pictures and no saving of processor time, which an
// emulated processor would do all the time, and patience with the path.
const config = `[backend]
url = "http://%s"
[camera]
width = 320
height = 240
fps = 15
[microphone]
device = %q
[video]
codec = "vp8"
bitrate_kbps = 400
cpu_used = -16
cpu_budget_percent = 0
[room]
ice_disconnected_ms = 15000
ice_failed_ms = 60000
`

// payload is what a run brings into the machine.
type payload struct {
	bin, deb string // folder of the programs, and the package
	backend  string // ADDRESS:PORT, the same inside and outside
	token    []byte // the kiosk's
}

// initramfs writes the initramfs of one run: our own first program, the modules of
// the disk, and what is to be copied over the root file system.
func (p payload) initramfs(to string, modules []string) error {
	f, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot write the initramfs: %w", err)
	}
	a := image.NewArchive(f)
	err = errors.Join(p.add(a, modules), a.Close(), f.Close())
	if err != nil {
		return fmt.Errorf("cannot make the initramfs: %w", err)
	}
	return nil
}

func (p payload) add(a *image.Archive, modules []string) error {
	type source struct {
		to   string
		mode uint32
		from string
	}
	guest := filepath.Join(p.bin, "vm-guest")
	sources := []source{
		{"init", 0o755, guest},
		{"payload/usr/local/bin/guest", 0o755, guest},
		{"payload/root/kioskd.deb", 0o644, p.deb},
	}
	for i, m := range modules {
		sources = append(sources, source{fmt.Sprintf("modules/%03d-%s", i, filepath.Base(m)), 0o644, m})
	}
	for _, s := range sources {
		content, err := os.ReadFile(s.from)
		if err != nil {
			return err
		}
		a.File(s.to, s.mode, content)
	}
	p.texts(a)
	return nil
}

// texts adds the files that are written here, and has systemd start our agent. The
// package enables its own units.
func (p payload) texts(a *image.Archive) {
	const system = "payload/etc/systemd/system/"
	a.File(system+"kioskd.service.d/vm.conf", 0o644, []byte(dropIn))
	a.File(system+"tone.service", 0o644, []byte(toneUnit))
	a.File(system+"guest.service", 0o644, fmt.Appendf(nil, agentUnit, guestAddress, outsideAddress, agentPort, controlPort, p.backend))
	a.File("payload/etc/kioskd/kioskd.toml", 0o644, fmt.Appendf(nil, config, p.backend, microphone))
	a.File("payload/etc/kioskd/backend-token", 0o600, p.token)
	a.File("payload/etc/modprobe.d/vm.conf", 0o644, []byte(modulesConf))
	a.File("payload/etc/hostname", 0o644, []byte("kiosk\n"))
	a.Link(system+"multi-user.target.wants/guest.service", "../guest.service")
}

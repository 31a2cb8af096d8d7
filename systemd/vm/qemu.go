package main

import (
	"fmt"
	"strconv"
)

// Addresses of QEMU's user network, which are its defaults: the guest's, and the one
// under which the guest sees this machine's loopback.
const (
	guestAddress   = "10.0.2.15"
	outsideAddress = "10.0.2.2"

	// Ports of our own network namespace, which has nobody else in it; the guest's
	// agent listens on the same ones.
	agentPort   = 7000
	controlPort = 7001
)

// hardware is the machine to emulate.
type hardware struct {
	kernel, initrd, disk string
	console              string // file
	processors, memory   int    // how many, MiB
	nice                 int
}

// args is the command line that starts QEMU. It emulates the processor (TCG), also
// where there is KVM, so that a run means the same everywhere. Changes to the disk
// go to a temporary file and end with the machine.
func (h hardware) args() []string {
	forward := func(port int) string {
		return fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-%s:%d", port, guestAddress, port)
	}
	return []string{
		"nice", "-n", strconv.Itoa(h.nice),
		"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max",
		"-smp", strconv.Itoa(h.processors), "-m", strconv.Itoa(h.memory),
		"-kernel", h.kernel, "-initrd", h.initrd,
		// A panic ends QEMU: there is nobody to look at it.
		"-append", "console=ttyS0 panic=-1 mitigations=off net.ifnames=0 quiet",
		"-serial", "file:" + h.console,
		"-drive", "file=" + h.disk + ",format=raw,if=virtio,snapshot=on,cache=unsafe",
		"-netdev", "user,id=net" + forward(agentPort) + forward(controlPort),
		"-device", "virtio-net-pci,netdev=net,romfile=",
	}
}

// Guest is the part of the virtual machine that is ours. As process 1 of the
// initramfs it brings up the disk, copies the run's files onto it and hands over to
// systemd. Started by systemd it brings up the network and does what the program
// outside asks for (package agent). `guest open` tries to open devices.
//
// It is built without cgo, since the initramfs has no libraries.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"kioskd/systemd/vm/agent"
)

func main() { os.Exit(run()) } //nolint:forbidigo // main exits

// run is main: it returns the exit code.
func run() int {
	if os.Getpid() == 1 {
		// To the console; then the kernel panics, and QEMU ends.
		_, _ = fmt.Fprintln(os.Stderr, "guest: cannot boot:", boot("/"))
		return 1
	}
	if len(os.Args) > 1 && os.Args[1] == "open" {
		if err := open(os.Args[2:], os.Stdout); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "guest:", err)
			return 1
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "guest:", err)
		return 1
	}
	return 0
}

// network is what QEMU's user network gives to its one guest.
type network struct{ link, address, gateway string }

// serve is the agent, for as long as the machine runs.
func serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("guest", flag.ContinueOnError)
	var n network
	flags.StringVar(&n.link, "link", "eth0", "`name` of the network interface")
	flags.StringVar(&n.address, "address", "", "its `address` with prefix length")
	flags.StringVar(&n.gateway, "gateway", "", "`address` of the machine outside")
	listen := flags.String("listen", "", "`address` of the agent")
	control := flags.String("control", "", "`address` that leads to the daemon's socket")
	socket := flags.String("socket", "/run/kioskd/control.sock", "`path` of the daemon's socket")
	backend := flags.String("backend", "", "`address` here that leads to the same port outside")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("cannot use these arguments: %w", err)
	}
	if err := n.up(ctx); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(*backend)
	if err != nil {
		return fmt.Errorf("cannot use the backend's address: %w", err)
	}
	outside := net.JoinHostPort(n.gateway, port)
	return together(ctx,
		func(ctx context.Context) error { return listening(ctx, *listen, agent.Server) },
		func(ctx context.Context) error { return forwarding(ctx, *control, "unix", *socket) },
		func(ctx context.Context) error { return forwarding(ctx, *backend, "tcp", outside) })
}

// up brings the network up, with the addresses that are always the same.
func (n network) up(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, args := range [][]string{
		{"link", "set", n.link, "up"},
		{"address", "replace", n.address, "dev", n.link},
		{"route", "replace", "default", "via", n.gateway},
	} {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil { //nolint:gosec // our own flags
			return fmt.Errorf("cannot bring up the network with ip %q: %w: %s", args, err, out)
		}
	}
	return nil
}

func listening(ctx context.Context, address string, serve func(context.Context, net.Listener) error) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	return serve(ctx, ln)
}

func forwarding(ctx context.Context, from, kind, to string) error {
	return listening(ctx, from, func(ctx context.Context, ln net.Listener) error {
		return agent.Forward(ctx, ln, func(ctx context.Context) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, kind, to)
		})
	})
}

// together runs all parts until the first ends, and then ends the others.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	errs := make([]error, len(parts))
	var wg sync.WaitGroup
	for i, part := range parts {
		wg.Go(func() {
			defer cancel()
			errs[i] = part(ctx)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

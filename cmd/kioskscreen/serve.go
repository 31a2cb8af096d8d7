package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"kioskd/configs/words"
)

// options is what the flags say, and where the program's output goes.
type options struct {
	listen, socket, launch, lang string
	printURL                     bool
	browserUID                   int
	log                          *slog.Logger
	stdout                       io.Writer
}

// Bounds of the loopback server. A page needs one event stream and a few calls.
const (
	maxConnections    = 64
	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 2 * time.Second
	idleTimeout       = 60 * time.Second
	stopTimeout       = 2 * time.Second
)

// serve runs the door until ctx ends. It returns nil when it was asked to stop.
func serve(ctx context.Context, o options) error {
	if o.lang != "" {
		if _, err := words.Load(o.lang); err != nil {
			return err
		}
	}
	l := &launcher{file: o.launch, printURL: o.printURL, stdout: o.stdout}
	l.remove() // of a program before that was killed: its link leads to nobody, or to another
	ln, err := listenLoopback(ctx, o.listen)
	if err != nil {
		return err
	}
	defer ln.Close()
	addr := ln.Addr().String()
	l.base = "http://" + addr
	d, err := newDoor(addr, o, l)
	if err != nil {
		return err
	}
	defer d.proxy.close()
	if err := l.publish(d.keys.link()); err != nil {
		return err
	}
	defer l.remove()
	guarded := &peerListener{
		Listener: ln, uid: o.browserUID, log: o.log, procFiles: procNetFiles(),
		slots: make(chan struct{}, maxConnections), done: make(chan struct{}),
	}
	return runServer(ctx, d, guarded, o.log)
}

// runServer serves until ctx ends, then closes every connection, streams too.
func runServer(ctx context.Context, h http.Handler, ln net.Listener, log *slog.Logger) error {
	base, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	log.Info("the touchscreen page is served", "address", ln.Addr().String())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("cannot serve the touchscreen page: %w", err)
	case <-ctx.Done():
	}
	stopCtx, stop := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer stop()
	// The streams end with ctx, so Shutdown does not wait for the browser.
	if err := srv.Shutdown(stopCtx); err != nil {
		log.Warn("connections were cut at the stop", "error", err)
		_ = srv.Close() // only repeats the close of a listener that is closed
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("cannot stop the touchscreen page cleanly: %w", err)
	}
	return nil
}

// listenLoopback refuses any address another machine could reach.
func listenLoopback(ctx context.Context, address string) (net.Listener, error) {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || ap.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return nil, fmt.Errorf("cannot listen on %q: the page is served on 127.0.0.1 only, give 127.0.0.1:PORT", address)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp4", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w: choose another port with -listen", address, err)
	}
	return ln, nil
}

// Package sim is the simulated clinic: the appointments backend, the signalling
// server and the pages of up to three clinicians behind one HTTP address on loopback.
//
// It owns the listener, the files with the kiosk's token and with the
// addresses, and what an appointment is. For cmd/clinicsim and tests; nothing
// in it guards real patients' data.
package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"kioskd/cmd/clinicsim/hub"
)

// Config says what to simulate. Zero values take the defaults.
type Config struct {
	// Listen is the TCP address, on loopback; default 127.0.0.1:0.
	Listen string
	// TLSListen is one more address, for kiosks elsewhere; "" is none. CAFile gets
	// the certificate of the authority that they have to trust.
	TLSListen, CAFile string
	// TokenFile holds the kiosk's bearer token; it is made with mode 0600 where
	// it does not exist. Required.
	TokenFile string
	// LaunchFile gets the addresses as JSON, mode 0600, once the server is
	// ready, and is removed at the end; "" writes none.
	LaunchFile string
	// SessionSeconds and WaitSeconds go into the room; defaults 1800 and 900.
	SessionSeconds, WaitSeconds int
	// Name is the clinician's; default "Dr. Example". SecondName and
	// InterpreterName are the others'; defaults "Dr. Sample" and "Interpreter Example".
	Name, SecondName, InterpreterName string
	// Log gets one line a request and a join; nil discards.
	Log *slog.Logger
	// Hub tunes the signalling; Authorize and Log are set here.
	Hub hub.Options
}

// Addresses is what the launch file holds.
type Addresses struct {
	// Backend is the base of the kiosk's API, without a path: of TLSListen where
	// there is one. Local is that of Listen.
	Backend string `json:"backend"`
	Local   string `json:"local"`
	// Clinician opens the clinician's page, once. Second does so for another
	// clinician, Interpreter for an interpreter who has no camera.
	Clinician   string `json:"clinician"`
	Second      string `json:"second"`
	Interpreter string `json:"interpreter"`
	// Control is the bearer token of /sim/behave and its like.
	Control string `json:"control"`
}

// Bounds of the server.
const (
	maxBody       = 64 << 10
	maxHeader     = 16 << 10
	headerTimeout = 2 * time.Second
	bodyTimeout   = 10 * time.Second
	idleTimeout   = 60 * time.Second
	stopTimeout   = 2 * time.Second
)

// Run serves until ctx ends. ready is called once with the addresses, when the
// server answers and the launch file is written; nil is allowed.
func Run(ctx context.Context, cfg Config, ready func(Addresses)) error {
	cfg = cfg.withDefaults()
	if err := loopbackOnly(cfg.Listen); err != nil {
		return err
	}
	token, err := loadToken(cfg.TokenFile)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", cfg.Listen, err)
	}
	secure, err := listenTLS(ctx, cfg)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	clinic := newClinic(cfg, listener.Addr().String(), token)
	doors := []net.Listener{listener}
	if secure != nil {
		clinic.secureHost = secure.Addr().String()
		doors = append(doors, secure)
	}
	server := &http.Server{
		Handler:           clinic.handler(),
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(cfg.Log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, len(doors))
	for _, d := range doors {
		go func() { served <- server.Serve(d) }()
	}

	err = announce(cfg.LaunchFile, clinic.addresses(), ready)
	if err == nil {
		select {
		case <-ctx.Done():
		case err = <-served:
			served <- err
		}
	}
	return errors.Join(err, stop(server, clinic, served, cfg.LaunchFile))
}

func announce(path string, a Addresses, ready func(Addresses)) error {
	if path != "" {
		if err := writeLaunch(path, a); err != nil {
			return err
		}
	}
	if ready != nil {
		ready(a)
	}
	return nil
}

// stop ends the server and the signalling and waits for both.
func stop(server *http.Server, c *clinic, served <-chan error, launch string) error {
	// Hijacked connections are the hub's: Shutdown knows nothing of them.
	c.close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("cannot stop in time: %w", err), server.Close())
	}
	for range cap(served) {
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
	}
	if launch != "" {
		if e := os.Remove(launch); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("cannot remove the launch file: %w", e))
		}
	}
	return err
}

func (c Config) withDefaults() Config {
	c.Listen = cmp.Or(c.Listen, "127.0.0.1:0")
	c.SessionSeconds = cmp.Or(c.SessionSeconds, 1800)
	c.WaitSeconds = cmp.Or(c.WaitSeconds, 900)
	c.Name = cmp.Or(c.Name, "Dr. Example")
	c.SecondName = cmp.Or(c.SecondName, "Dr. Sample")
	c.InterpreterName = cmp.Or(c.InterpreterName, "Interpreter Example")
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// loopbackOnly refuses an address that others could reach: there is no TLS yet.
func loopbackOnly(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %q: want ADDRESS:PORT, e.g. 127.0.0.1:0", listen)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("cannot listen on %q: without TLS only a loopback address is served, e.g. 127.0.0.1", listen)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"

	"kioskd/configs"
	"kioskd/daemon/backend"
)

// configCmd is about the settings.
type configCmd struct {
	Show   configShowCmd   `cmd:"" default:"withargs" help:"Print the settings in force."`
	Check  configCheckCmd  `cmd:"" help:"Check a settings file and its drop-ins, without kioskd."`
	Sample configSampleCmd `cmd:"" help:"Print the commented sample: every key with its unit, default and range."`
}

// configShowCmd prints the settings in force.
type configShowCmd struct {
	JSON bool `name:"json" help:"Print on one line."`
}

// Run does it.
func (c *configShowCmd) Run(e *env) error {
	settings, err := e.kiosk.Config(e.ctx)
	if err != nil {
		return err
	}
	return e.raw(c.JSON, settings)
}

// configCheckCmd checks a file as the daemon would at its start.
type configCheckCmd struct {
	File string `arg:"" optional:"" help:"The file. Default: ${config}." default:"${config}"`
}

// errSettings ends a check whose findings were printed.
var errSettings = errors.New("cannot use these settings: see above")

// Run does it.
func (c *configCheckCmd) Run(e *env) error {
	_, problems := settings(c.File)
	for _, p := range problems {
		if err := e.say("%s", printable(p.Error())); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return errSettings
	}
	drops, err := configs.DropIns(c.File)
	if err != nil {
		return err
	}
	if len(drops) == 0 {
		return e.say("%s is fine.", printable(c.File))
	}
	return e.say("%s and its %d drop-in(s) are fine.", printable(c.File), len(drops))
}

// settings loads a file as the daemon does, up to what the backend's client makes of
// it, and gives each thing that is wrong by itself.
func settings(path string) (configs.Config, []error) {
	cfg, err := configs.Load(path)
	if err != nil {
		return cfg, apart(err)
	}
	if _, err := backendOf(cfg); err != nil {
		return cfg, []error{fmt.Errorf("cannot use config %s: [backend]: %w", path, err)}
	}
	return cfg, nil
}

// backendOf is the client that the daemon would make.
func backendOf(cfg configs.Config) (*backend.Client, error) {
	return backend.New(backend.Options{
		URL: cfg.Backend.URL, Token: backend.FileToken(cfg.Backend.TokenFile), CAFile: cfg.Backend.CAFile, Proxy: cfg.Backend.Proxy,
		AllowHosts: cfg.Backend.AllowHosts, Timeout: cfg.Backend.Timeout(), Device: cfg.Backend.Device, Platform: cfg.Backend.Platform,
	})
}

// apart takes joined errors apart.
func apart(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var out []error
		for _, e := range joined.Unwrap() {
			out = append(out, apart(e)...)
		}
		return out
	}
	return []error{err}
}

// configSampleCmd prints the sample.
type configSampleCmd struct{}

// Run does it.
func (c *configSampleCmd) Run(e *env) error {
	if _, err := e.out.Write(configs.Sample()); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

package main

import "fmt"

// metricsCmd prints the figures for Prometheus.
type metricsCmd struct{}

// Run does it.
func (c *metricsCmd) Run(e *env) error {
	text, err := e.kiosk.Metrics(e.ctx)
	if err != nil {
		return err
	}
	if _, err := e.out.Write(text); err != nil {
		return fmt.Errorf("cannot print: %w", err)
	}
	return nil
}

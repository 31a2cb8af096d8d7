//go:build faults

package call

import "sync/atomic"

// gate makes the loop of the video hang once it is shut. No release is built with it.
type gate struct{ shut atomic.Bool }

func (g *gate) pass() {
	if g.shut.Load() {
		select {}
	}
}

// Wedge has the loop of the video hang for good, as an encoder that does not return would.
func (c *Call) Wedge() { c.video.gate.shut.Store(true) }

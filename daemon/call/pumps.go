package call

import "time"

// pumpsWithin is how long Leave waits for what comes of connections that are closed.
const pumpsWithin = time.Second

// awaitPumps waits until nothing of the room is relayed any more. A connection that does
// not end must not hold up the session: what waits for it here then ends when it does.
func (c *Call) awaitPumps() {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.peers.pumps.Wait()
	}()
	late := time.NewTimer(pumpsWithin)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		c.opts.Log.Error("a room's connections are slow to end, not waiting for what comes of them")
	}
}

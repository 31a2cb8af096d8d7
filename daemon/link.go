package daemon

import (
	"context"
	"sync/atomic"

	"kioskd/daemon/network"
	"kioskd/daemon/session"
)

// watchNetwork tells the session whether there is a network, and the call of every
// change of a link, an address or a route: it need not wait for silence then.
func (k *kiosk) watchNetwork(ctx context.Context) error {
	var up atomic.Bool
	o := k.networkOptions()
	o.Moved = func() { k.call.NetworkMoved(up.Load()) }
	return network.Watch(ctx, o, func(now bool) {
		k.log.Info("network", "up", now)
		up.Store(now)
		if now {
			k.sender.Poke()
		}
		if !k.post(session.NetworkChanged{Up: now}) {
			k.log.Error("cannot tell the session about the network")
		}
	})
}

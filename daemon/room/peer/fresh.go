package peer

import (
	"fmt"

	"github.com/pion/transport/v5"
	"github.com/pion/transport/v5/stdnet"
)

// fresh is the machine's network that looks at its interfaces each time it is asked.
// Pion's own looks once: a restart of ICE after an address has changed would gather
// on the old one.
type fresh struct{ *stdnet.Net }

func newFresh() (*fresh, error) {
	n, err := stdnet.NewNet()
	if err != nil {
		return nil, fmt.Errorf("cannot look at the network's interfaces: %w", err)
	}
	return &fresh{n}, nil
}

// Interfaces implements transport.Net.
func (*fresh) Interfaces() ([]*transport.Interface, error) {
	now, err := newFresh()
	if err != nil {
		return nil, err
	}
	return now.Net.Interfaces() //nolint:wrapcheck // of a copy in memory, it cannot fail
}

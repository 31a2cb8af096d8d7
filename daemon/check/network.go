package check

import "kioskd/daemon/api/apitype"

// judgeNetwork judges whether there is a link that leads somewhere.
func judgeNetwork(up bool, err error) finding {
	switch {
	case err != nil:
		return skip(apitype.CheckNetwork, "network_unknown")
	case !up:
		return fail(apitype.CheckNetwork, "network_down", "ip -br addr")
	default:
		return pass(apitype.CheckNetwork)
	}
}

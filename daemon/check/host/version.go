package host

import (
	"fmt"

	"kioskd/daemon/api/apitype"
)

// versions judges whether the daemon and this program are of one release.
func versions(f Facts) apitype.Check {
	const code = "version"
	switch f.Version {
	case "":
		return skip(code, "no_daemon", "Not asked: kioskd does not answer.")
	case f.Own:
		return pass(code, "kioskd and kioskctl are both "+f.Own+".")
	}
	return warn(code, "version_differs", fmt.Sprintf("kioskd is %s, kioskctl is %s.", f.Version, f.Own),
		"An update has not restarted the daemon, or there are two installations.", "systemctl restart kioskd")
}

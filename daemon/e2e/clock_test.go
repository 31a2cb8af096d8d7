package e2e_test

import (
	"fmt"
	"os"
	"testing"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestTimeSinceTheBootCounts: the real daemon is killed and started again in a time
// namespace (time_namespaces(7)) in which the machine runs for longer, as if it had been
// away so long. The wall clock says that it were seconds, and is not believed: what is
// over is over, and what is not goes on.
func TestTimeSinceTheBootCounts(t *testing.T) {
	c := theScene(t, stage.Options{})
	for _, away := range []struct {
		seconds int
		state   string
	}{{600, apitype.StateWaiting}, {1000, apitype.StateTimeout}} { // clinicsim gives 900 s to wait
		c.Under = nil
		if err := c.StopKioskd(); err != nil {
			t.Fatal(err)
		}
		c.starts(t)
		c.open(t, fmt.Sprintf("since-the-boot-%d", away.seconds), apitype.StateWaiting)
		c.Under = []string{"unshare", "--time", "--boottime", fmt.Sprint(away.seconds)}
		c.killed(t)
		if moved(t, c) {
			c.reaches(t, away.state)
		} else {
			t.Log("this kernel moves no process into a time namespace by execve(2)")
		}
		c.over(t)
	}
}

// moved says whether kioskd is in a time namespace of its own.
func moved(t *testing.T, c *scene) bool {
	t.Helper()
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/time", c.Kioskd.PID()))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		t.Fatal(err)
	}
	return ours != theirs
}

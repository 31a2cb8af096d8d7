// Package privacy_test checks from outside that the daemon holds what the last commands
// say and nothing else: the real daemon, with real V4L2 cameras and a real sound server,
// and the cameras' own count of who has them open.
package privacy_test

import (
	"testing"

	"go.uber.org/goleak"

	"kioskd/cmd/fakecam/camns/camtest"
)

// TestMain builds fakecam and starts the test binary once more in a mount namespace with
// devices of its own.
func TestMain(m *testing.M) {
	camtest.Enter()
	goleak.VerifyTestMain(m)
}

//go:build !faults

package daemon

import "context"

// faults is where a build with the tag faults can be made to hang (see
// faults_on.go). Here it is nothing.
type faults struct{}

func (*faults) pass(string) {}

func (*kiosk) serveFaults(context.Context) error { return nil }

//go:build !faults

package killpoint

// Pass does nothing: this is how the daemon is released.
func Pass(Point) {}

//go:build faults

package store

// Wedge takes the writer's turn and never gives it back, as a disk that hangs in
// fdatasync(2) would. Only builds with the tag faults have it.
func (s *Store) Wedge() { s.lock.Lock() }

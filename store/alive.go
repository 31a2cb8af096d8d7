package store

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// Alive goes the way of a commit without writing: it waits for the writer's turn
// and reads the schema. A disk that hangs in a commit makes it hang too, so the
// caller bounds it. A store that is read-only after a failed write still lives.
func (s *Store) Alive() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	err := s.db.View(func(tx *bolt.Tx) error {
		if tx.Bucket([]byte(bucketMeta)).Get([]byte(schemaKey)) == nil {
			return errors.New("its schema is gone")
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the store: %w", err)
	}
	return nil
}

package store

import (
	"encoding/binary"
	"encoding/json"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// append adds entries to the journal and drops the oldest over its bound. The
// keys are the sequence, big endian, so that they sort by age.
func (s *Store) append(tx *bolt.Tx, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	b := tx.Bucket([]byte(bucketJournal))
	var seq uint64
	for _, e := range entries {
		if len(e.Text) > maxText {
			e.Text = strings.ToValidUTF8(e.Text[:maxText], "")
		}
		v, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if seq, err = b.NextSequence(); err != nil {
			return err
		}
		if err := b.Put(binary.BigEndian.AppendUint64(nil, seq), v); err != nil {
			return err
		}
	}
	for seq > s.entries {
		k, _ := b.Cursor().First()
		if len(k) != 8 || binary.BigEndian.Uint64(k) > seq-s.entries {
			return nil
		}
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

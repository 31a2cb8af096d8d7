package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"kioskd/store/killpoint"
)

// Bounds of the outbox.
const (
	MaxReports = 32        // reports that wait
	MaxReport  = 256 << 10 // bytes of one
)

// Errors of the outbox that a caller branches on.
var (
	// ErrOutboxFull: MaxReports wait to be sent. Nothing was written.
	ErrOutboxFull = errors.New("cannot keep the report: too many wait to be sent; check the connection to the backend")
	// ErrNoReport: there is no report with this id.
	ErrNoReport = errors.New("there is no such report; it was sent, or it never was")
)

// Report is an issue report: bytes that are kept, sealed with a key of their own,
// until DropReport, whatever becomes of the session.
type Report struct {
	ID   string // 1 to 64 of A-Z a-z 0-9 _ -; it stands in the clear
	Data []byte // at most MaxReport bytes
}

// ReportInfo tells of a report that waits.
type ReportInfo struct {
	ID    string
	At    time.Time // when it was saved, UTC
	Bytes int       // of its Data
}

// A report's record: its key is the bucket's sequence and the id, so that they
// sort by age; its value the time (Unix nanoseconds, big endian) and the box.
const (
	seqSize  = 8
	timeSize = 8
	boxExtra = 12 + 16 // nonce and tag (NIST SP 800-38D)
)

func (r *Report) check() error {
	if r == nil {
		return nil
	}
	if !validReportID(r.ID) || len(r.Data) > MaxReport {
		return fmt.Errorf("cannot keep the report: its id (%d bytes) or its content (%d bytes) is out of bounds", len(r.ID), len(r.Data))
	}
	return nil
}

// validReportID: it becomes a part of a file's name.
func validReportID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return id != "" && len(id) <= 64
}

// Reports lists those that wait, oldest first.
func (s *Store) Reports() ([]ReportInfo, error) {
	list := []ReportInfo{}
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketOutbox)).ForEach(func(k, v []byte) error {
			if len(k) > seqSize && len(v) >= timeSize+boxExtra {
				list = append(list, reportInfo(k, v))
			}
			return nil
		})
	})
	return list, err
}

func reportInfo(k, v []byte) ReportInfo {
	at := time.Unix(0, int64(binary.BigEndian.Uint64(v))).UTC()
	return ReportInfo{ID: string(k[seqSize:]), At: at, Bytes: len(v) - timeSize - boxExtra}
}

// Report gives a report's bytes. Errors: ErrNoReport, or ErrSealed: it was
// damaged or its key is gone, and DropReport is all that is left to do.
func (s *Store) Report(id string) ([]byte, ReportInfo, error) {
	s.lock.Lock() // its key must not be destroyed meanwhile
	defer s.lock.Unlock()
	var value []byte
	var info ReportInfo
	err := s.view(func(tx *bolt.Tx) error {
		k, v := findReport(tx, id)
		if k != nil && len(v) >= timeSize+boxExtra {
			value, info = append(value, v...), reportInfo(k, v)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, info, err
	case value == nil:
		return nil, info, ErrNoReport
	}
	key, err := s.vault.reportKey(id)
	if err != nil {
		return nil, info, err
	}
	data, err := key.Open(nil, nil, value[timeSize:], reportLabel(id, value[:timeSize]))
	if err != nil {
		return nil, info, ErrSealed
	}
	return data, info, nil
}

// DropReport deletes a report and writes the journal's entries in one
// transaction, and then destroys its key: what old pages of the file still hold
// cannot be opened again. Errors: ErrNoReport, with nothing written, or those of
// Save.
func (s *Store) DropReport(id string, journal ...Entry) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	found := false
	err := s.view(func(tx *bolt.Tx) error {
		k, _ := findReport(tx, id)
		found = k != nil
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		return ErrNoReport
	}
	err = s.update(func(tx *bolt.Tx) error {
		k, _ := findReport(tx, id)
		if err := tx.Bucket([]byte(bucketOutbox)).Delete(bytes.Clone(k)); err != nil {
			return err
		}
		return s.append(tx, journal)
	})
	if err != nil {
		return err
	}
	killpoint.Pass(killpoint.ReportDropped)
	return s.destroyReportKey(id)
}

// destroyReportKey destroys a report's key; a sync that fails there leaves as much in
// doubt as any other.
func (s *Store) destroyReportKey(id string) error {
	err := s.vault.destroyReportKey(id)
	if errors.Is(err, errUnsynced) {
		return s.giveUp(err)
	}
	return err
}

// sealedReport is a report that is ready to be written.
type sealedReport struct {
	id    string
	value []byte
}

// prepare makes a report's key and seals it. nil: there is none to write, or the
// same one waits already. The key's file is made before the record, so that no
// record is ever without one; a file without a record is destroyed at the next
// start.
func (s *Store) prepare(r *Report) (*sealedReport, error) {
	if r == nil {
		return nil, nil
	}
	if s.readOnly {
		return nil, ErrReadOnly
	}
	list, err := s.Reports()
	if err != nil || slices.ContainsFunc(list, func(have ReportInfo) bool { return have.ID == r.ID }) {
		return nil, err
	}
	if len(list) >= MaxReports {
		return nil, ErrOutboxFull
	}
	key, err := s.vault.newReportKey(r.ID)
	switch {
	case errors.Is(err, errUnsynced):
		return nil, s.giveUp(err)
	case err != nil:
		return nil, diskError(err)
	}
	killpoint.Pass(killpoint.ReportKey)
	at := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
	return &sealedReport{r.ID, key.Seal(at, nil, r.Data, reportLabel(r.ID, at))}, nil //nolint:gosec // NewGCMWithRandomNonce makes the nonce itself
}

// put writes a prepared report.
func (r *sealedReport) put(tx *bolt.Tx) error {
	if r == nil {
		return nil
	}
	b := tx.Bucket([]byte(bucketOutbox))
	seq, err := b.NextSequence()
	if err != nil {
		return err
	}
	return b.Put(append(binary.BigEndian.AppendUint64(nil, seq), r.id...), r.value)
}

func reportLabel(id string, at []byte) []byte {
	return append(label(bucketOutbox, id), at...)
}

// findReport looks through all of them: they are few.
func findReport(tx *bolt.Tx, id string) (k, v []byte) {
	c := tx.Bucket([]byte(bucketOutbox)).Cursor()
	for k, v = c.First(); k != nil; k, v = c.Next() {
		if len(k) > seqSize && string(k[seqSize:]) == id {
			return k, v
		}
	}
	return nil, nil
}

// sweep destroys the keys of reports that the store does not hold: a crash came
// between the record and its key, or the file they were in was set aside.
func (s *Store) sweep() error {
	waiting := map[string]bool{}
	list, err := s.Reports()
	if err != nil {
		return err
	}
	for _, r := range list {
		waiting[r.ID] = true
	}
	files, err := os.ReadDir(s.vault.dir)
	if err != nil {
		return fmt.Errorf("cannot look for old keys: %w", err)
	}
	for _, f := range files {
		id, isKey := strings.CutPrefix(f.Name(), reportPrefix)
		id, named := strings.CutSuffix(id, keySuffix)
		switch {
		case strings.HasPrefix(f.Name(), tempPrefix): // a key that was never used
			err = os.Remove(filepath.Join(s.vault.dir, f.Name()))
		case isKey && named && validReportID(id) && !waiting[id]:
			err = s.vault.destroyReportKey(id)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot remove an old key: %w", err)
		}
	}
	return nil
}

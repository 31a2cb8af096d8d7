package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func mustReport(t testing.TB, s *Store, id, data string) {
	t.Helper()
	v := Save{AuditOnly: true, Report: &Report{ID: id, Data: []byte(data)}, Journal: []Entry{{Kind: "audit", Text: "report-issue"}}}
	if err := s.Save(v); err != nil {
		t.Fatal(err)
	}
}

// wantReports checks which reports wait, oldest first, and that each has its
// id's letters as content.
func wantReports(t testing.TB, s *Store, ids ...string) {
	t.Helper()
	list, err := s.Reports()
	var got []string
	for _, r := range list {
		got = append(got, r.ID)
		data, info, err := s.Report(r.ID)
		if err != nil || !strings.HasPrefix(string(data), "words of "+r.ID) || info != r || r.Bytes != len(data) {
			t.Errorf("report %s: %q, %+v, %v", r.ID, data, info, err)
		}
		if age := time.Since(r.At); age < 0 || age > time.Minute || r.At.Location() != time.UTC {
			t.Errorf("report %s is of %v", r.ID, r.At)
		}
	}
	if err != nil || !slices.Equal(got, ids) {
		t.Fatalf("waiting: %v, %v; want %v", got, err, ids)
	}
	if files, err := filepath.Glob(filepath.Join(s.vault.dir, "report-*")); err != nil || len(files) != len(ids) {
		t.Errorf("%d keys for %d reports, %v", len(files), len(ids), err)
	}
}

// TestReports: reports outlive the session, others' ends and restarts, and go
// when they are dropped.
func TestReports(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	wantReports(t, s)
	if list, err := s.Reports(); list == nil || err != nil {
		t.Errorf("no reports are %v, %v", list, err)
	}
	save := Save{ID: "one", Model: []byte("m"), Report: &Report{"z", []byte("words of z")}, Journal: []Entry{{Text: "submitted"}}}
	if err := s.Save(save); err != nil {
		t.Fatal(err)
	}
	mustReport(t, s, "b", "words of b")
	mustReport(t, s, "b", "other words") // the first one counts
	wantSession(t, s, "one", "m")
	mustSave(t, s, "two", "n", false) // takes the session's place: its key is destroyed
	wantReports(t, s, "z", "b")
	last := Save{Final: true, Report: &Report{"A-_9", []byte("words of A-_9")}, Journal: []Entry{{Text: "end"}}}
	if err := s.Save(last); err != nil {
		t.Fatal(err)
	}
	wantSession(t, s, "", "")
	wantReports(t, s, "z", "b", "A-_9")
	s = reopen(t, s, dir)
	wantReports(t, s, "z", "b", "A-_9")
	mustSave(t, s, "three", "o", false)
	if err := s.DropReport("b", Entry{Text: "sent"}); err != nil {
		t.Fatal(err)
	}
	wantReports(t, s, "z", "A-_9")
	wantSession(t, s, "three", "o")
	if err := s.DropReport("b", Entry{Text: "twice"}); !errors.Is(err, ErrNoReport) {
		t.Errorf("dropped again: %v", err)
	}
	if _, _, err := s.Report("b"); !errors.Is(err, ErrNoReport) {
		t.Errorf("read after the end: %v", err)
	}
	mustReport(t, s, "b", "words of b, new")
	s = reopen(t, s, dir)
	wantReports(t, s, "z", "A-_9", "b")
	wantSession(t, s, "three", "o")
	if got := journalTexts(t, s, 100); got != "submitted report-issue report-issue end sent report-issue" {
		t.Errorf("journal %q", got)
	}
	wantIntact(t, s)
}

func TestReportRefuses(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for _, id := range []string{"", ".", "..", "a/b", "a b", "a.key", "ä", "a\x00", strings.Repeat("x", 65)} {
		if err := s.Save(Save{AuditOnly: true, Report: &Report{ID: id}}); err == nil || !strings.HasPrefix(err.Error(), "cannot keep") {
			t.Errorf("id %q: %v", id, err)
		}
	}
	if err := s.Save(Save{AuditOnly: true, Report: &Report{"a", make([]byte, MaxReport+1)}}); err == nil {
		t.Error("one that is too long was kept")
	}
	if err := s.Save(Save{AuditOnly: true, Final: true}); err == nil {
		t.Error("an audit entry ended the session")
	}
	wantReports(t, s)
	if s.ReadOnly() {
		t.Error("a caller's fault made it read-only")
	}
}

// TestOutboxFull: the one too many is refused, and nothing of its commit written.
func TestOutboxFull(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	mustSave(t, s, "one", "before", false)
	var ids []string
	for i := range MaxReports {
		ids = append(ids, fmt.Sprint("r", i))
		data := "words of " + ids[i]
		mustReport(t, s, ids[i], data+strings.Repeat(" ", MaxReport-len(data)))
	}
	n := len(journalTexts(t, s, 1000))
	for _, v := range []Save{
		{ID: "one", Model: []byte("after"), Journal: []Entry{{Text: "x"}}},
		{ID: "two", Model: []byte("after"), Journal: []Entry{{Text: "x"}}},
		{Final: true, Journal: []Entry{{Text: "x"}}},
		{AuditOnly: true, Journal: []Entry{{Text: "x"}}},
	} {
		v.Report = &Report{ID: "more"}
		if err := s.Save(v); !errors.Is(err, ErrOutboxFull) {
			t.Errorf("one more: %v", err)
		}
	}
	wantSession(t, s, "one", "before")
	wantReports(t, s, ids...)
	if got := len(journalTexts(t, s, 1000)); got != n || s.ReadOnly() {
		t.Errorf("the journal has grown by %d, read-only %t", got-n, s.ReadOnly())
	}
	if err := s.DropReport(ids[0]); err != nil {
		t.Fatal(err)
	}
	mustReport(t, s, "more", "words of more")
	wantReports(t, s, append(ids[1:], "more")...)
}

// TestReportIsSealed: nothing of a report can be read in any file, and what was
// dropped cannot be opened again with all that is left on the machine.
func TestReportIsSealed(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustReport(t, s, "one", strings.Repeat(canary, 500))
	mustReport(t, s, "other", "words of other")
	box := rawReport(t, s, "one")
	if _, err := openRaw(s, "one", box); err != nil {
		t.Fatal(err)
	}
	if _, err := openRaw(s, "other", box); !errors.Is(err, ErrSealed) {
		t.Errorf("a report was moved to another's place: %v", err)
	}
	moved := append(bytes.Clone(box[:7]), box[7]^1)
	if _, err := openRaw(s, "one", append(moved, box[8:]...)); !errors.Is(err, ErrSealed) {
		t.Errorf("its time was changed: %v", err)
	}
	if err := s.DropReport("one"); err != nil {
		t.Fatal(err)
	}
	wantReports(t, s, "other")
	if _, err := openRaw(s, "one", box); !errors.Is(err, ErrSealed) {
		t.Errorf("a dropped report can still be opened: %v", err)
	}
	mustReport(t, s, "one", "words of one") // a new key for an old name
	if _, err := openRaw(s, "one", box); !errors.Is(err, ErrSealed) {
		t.Errorf("a dropped report can be opened again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || bytes.Contains(b, []byte("CANARY")) {
			t.Errorf("%s holds patient data in plain, or: %v", f.Name(), err)
		}
	}
}

func rawReport(t testing.TB, s *Store, id string) (value []byte) {
	t.Helper()
	if err := s.view(func(tx *bolt.Tx) error {
		_, v := findReport(tx, id)
		value = bytes.Clone(v)
		return nil
	}); err != nil || value == nil {
		t.Fatal("there is no such report", err)
	}
	return value
}

func openRaw(s *Store, id string, value []byte) ([]byte, error) {
	key, err := s.vault.reportKey(id)
	if err != nil {
		return nil, err
	}
	data, err := key.Open(nil, nil, value[timeSize:], reportLabel(id, value[:timeSize]))
	if err != nil {
		return nil, ErrSealed
	}
	return data, nil
}

// TestReportsKeys: keys without a report go at the next start, and a report
// without its key can be told and dropped.
func TestReportsKeys(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	for _, id := range []string{"kept", "lost", "short", "changed"} {
		mustReport(t, s, id, "words of "+id)
	}
	err := s.db.Update(func(tx *bolt.Tx) error {
		k, v := findReport(tx, "changed")
		v = bytes.Clone(v)
		v[len(v)-1] ^= 1
		return tx.Bucket([]byte(bucketOutbox)).Put(bytes.Clone(k), v)
	})
	err = errors.Join(err,
		os.Remove(filepath.Join(dir, "report-lost.key")),
		os.Truncate(filepath.Join(dir, "report-short.key"), 7),
		os.WriteFile(filepath.Join(dir, "report-orphan.key"), make([]byte, keySize), 0o600),
		os.WriteFile(filepath.Join(dir, ".key-123"), make([]byte, keySize), 0o600),
		os.WriteFile(filepath.Join(dir, "report-not ours"), nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	s = reopen(t, s, dir)
	for _, name := range []string{"report-orphan.key", ".key-123"} {
		if _, err := os.Stat(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "report-not ours")); err != nil {
		t.Errorf("a file that is not ours: %v", err)
	}
	for _, id := range []string{"lost", "short", "changed"} {
		if _, _, err := s.Report(id); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v", id, err)
		}
		if err := s.DropReport(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "report-not ours")); err != nil {
		t.Fatal(err)
	}
	wantReports(t, s, "kept")
}

// TestReportsOfDamagedStore: when the file is set aside its reports' keys go too.
func TestReportsOfDamagedStore(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustReport(t, s, "one", "words of one")
	if err := errors.Join(s.Close(), os.Truncate(filepath.Join(dir, FileName), 5000)); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{})
	if s.SetAside() == "" {
		t.Fatal("it was not set aside")
	}
	wantReports(t, s)
	mustReport(t, s, "one", "words of one")
	wantReports(t, s, "one")
}

// TestKeyThatStays: a key that cannot be destroyed is told, and the report is
// gone all the same; a report whose key cannot be made is not kept.
func TestKeyThatStays(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustReport(t, s, "one", "words of one")
	path := filepath.Join(dir, "report-one.key")
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Report("one"); err == nil || errors.Is(err, ErrSealed) {
		t.Errorf("a key that is a directory: %v", err)
	}
	if err := s.DropReport("one"); err == nil || !strings.HasPrefix(err.Error(), "cannot destroy") {
		t.Errorf("dropped with %v", err)
	}
	if err := s.Save(Save{AuditOnly: true, Report: &Report{ID: "one"}}); err == nil || s.ReadOnly() {
		t.Errorf("kept without a key: %v, read-only %t", err, s.ReadOnly())
	}
	if list, err := s.Reports(); err != nil || len(list) != 0 {
		t.Errorf("waiting: %v, %v", list, err)
	}
	s = reopen(t, s, dir) // it starts all the same
	mustReport(t, s, "two", "words of two")
}

// TestKeyOfSessionThatStays: where the session's key could not be destroyed, no
// new one may be wrapped with what may or may not be on the disk.
func TestKeyOfSessionThatStays(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustSave(t, s, "one", "m", false)
	if err := os.Remove(filepath.Join(dir, pepperFile)); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(Save{Final: true}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("the end says %v", err)
	}
	if err := s.Save(Save{ID: "two"}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("the next session says %v", err)
	}
	if err := s.Save(Save{AuditOnly: true, Report: &Report{ID: "a"}}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a report says %v", err)
	}
	s = reopen(t, s, dir)
	wantSession(t, s, "", "")
	mustSave(t, s, "two", "n", false)
	wantReports(t, s)
}

// TestInterruptedEnd: a crash between a session's end and the end of its key is
// made good at the next start.
func TestInterruptedEnd(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustSave(t, s, "one", "m", false)
	wrapped := bytes.Clone(s.session.wrapped)
	pepper, err := os.ReadFile(filepath.Join(dir, pepperFile))
	if err != nil {
		t.Fatal(err)
	}
	mustSave(t, s, "", "", true)
	if err := os.WriteFile(filepath.Join(dir, pepperFile), pepper, 0o600); err != nil { // as if it had not been overwritten
		t.Fatal(err)
	}
	s = reopen(t, s, dir)
	if _, err := s.vault.unwrap("one", wrapped); !errors.Is(err, ErrSealed) {
		t.Errorf("the key can still be unwrapped: %v", err)
	}
}

package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// mustOpen opens a store that the test closes at its end.
func mustOpen(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func mustSave(t testing.TB, s *Store, id, model string, final bool, texts ...string) {
	t.Helper()
	var list []Entry
	for _, text := range texts {
		list = append(list, Entry{At: time.Unix(1_800_000_000, 0).UTC(), Kind: "transition", Text: text})
	}
	if err := s.Save(Save{ID: id, Model: []byte(model), Journal: list, Final: final}); err != nil {
		t.Fatal(err)
	}
}

// wantSession checks the stored session; "" for none.
func wantSession(t testing.TB, s *Store, id, model string) {
	t.Helper()
	gotID, got, ok, err := s.LoadSession()
	if err != nil || gotID != id || string(got) != model || ok != (id != "") {
		t.Fatalf("loaded %q %q %t %v, want %q %q", gotID, got, ok, err, id, model)
	}
}

func journalTexts(t testing.TB, s *Store, limit int) string {
	t.Helper()
	list, err := s.Journal(limit)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, e := range list {
		texts = append(texts, e.Text)
	}
	return strings.Join(texts, " ")
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	wantSession(t, s, "", "")
	mustSave(t, s, "one", "first", false, "a")
	mustSave(t, s, "one", "second", false, "b", "c")
	wantSession(t, s, "one", "second")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(Save{ID: "one"}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a closed store says %v", err)
	}

	s = mustOpen(t, dir, Options{})
	wantSession(t, s, "one", "second")
	mustSave(t, s, "two", "other", false) // another takes its place
	wantSession(t, s, "two", "other")
	mustSave(t, s, "two", "ignored", true, "end")
	wantSession(t, s, "", "")
	mustSave(t, s, "", "", true) // once more does no harm
	if err := s.Append(Entry{Text: "audit"}); err != nil {
		t.Fatal(err)
	}
	if got := journalTexts(t, s, 100); got != "a b c end audit" {
		t.Errorf("journal %q", got)
	}
	if got := journalTexts(t, s, 2); got != "end audit" {
		t.Errorf("the newest two are %q", got)
	}
	if s.SetAside() != "" || s.ReadOnly() {
		t.Errorf("set aside %q, read-only %t", s.SetAside(), s.ReadOnly())
	}
}

func TestSaveRefuses(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	for _, err := range []error{
		s.Save(Save{}),
		s.Save(Save{ID: strings.Repeat("x", maxID+1)}),
		s.Save(Save{ID: "one", Model: make([]byte, maxRecord+1)}),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "cannot save") || s.ReadOnly() {
			t.Errorf("out of bounds: %v", err)
		}
	}
}

func TestJournalIsBounded(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{JournalEntries: 10})
	for i := range 25 {
		mustSave(t, s, "one", "m", false, fmt.Sprint(i))
	}
	if got := journalTexts(t, s, 100); got != "15 16 17 18 19 20 21 22 23 24" {
		t.Errorf("journal %q", got)
	}
	if err := s.Append(Entry{Text: strings.Repeat("ä", 4000)}); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Journal(1); err != nil || len(list[0].Text) > maxText || !strings.HasSuffix(list[0].Text, "ä") {
		t.Errorf("a long text has %d bytes, %v", len(list[0].Text), err)
	}
}

// TestModes: nobody else reads the state, whatever the modes were before.
func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	s := mustOpen(t, dir, Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "kiosk.db", "machine.key", "session.pepper"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, dir, Options{})
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), want)
		}
		n++
		return err
	})
	if err != nil || n != 4 {
		t.Errorf("%d files, %v", n, err)
	}
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, Options{})
	begun := time.Now()
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one got %v", err)
	}
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("it took %v", d)
	}
}

// TestNewerSchema: a file of a newer version is refused and not touched.
func TestNewerSchema(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustSave(t, s, "one", "m", false)
	err := s.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(schemaKey), []byte(strconv.Itoa(Schema+1)))
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	before := fingerprint(t, dir)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("opened with %v", err)
	}
	if after := fingerprint(t, dir); after != before {
		t.Errorf("the directory was changed\n%s\n%s", before, after)
	}
}

// fingerprint is names, sums and times of a directory's files.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s string
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		info, err2 := f.Info()
		if err = errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		s += fmt.Sprintf("%s %x %v\n", f.Name(), sha256.Sum256(b), info.ModTime())
	}
	return s
}

// TestGoldenV1: a file that schema 1 wrote can be read by all later versions.
// testdata/v1 was written once and is never written again.
func TestGoldenV1(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "v1"))); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, Options{})
	if s.SetAside() != "" {
		t.Fatal("it was taken as damaged")
	}
	wantSession(t, s, "golden-peer", `{"version":1,"appointment":"golden"}`)
	list, err := s.Journal(10)
	if err != nil || len(list) != 2 || list[0].Text != "event=open from=none to=waiting" || list[0].Number != 1 ||
		list[1].Number != 2 || list[1].Kind != "audit" || !strings.Contains(list[1].Text, "1 entries before this one were not") {
		t.Errorf("journal %v, %v", list, err)
	}
	wantIntact(t, s)
}

// goldenBindings are those of testdata/v1-full.
func goldenBindings() Bindings {
	return Bindings{Roles: map[string]string{"face": "cam-a"}, Controls: map[string]map[string]int32{"cam-a": {"zoom": 3}}, Names: []byte("names")}
}

// TestGoldenV1Full: the same of schema 1 with the chain, a report and bindings.
func TestGoldenV1Full(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "v1-full"))); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, Options{})
	if s.SetAside() != "" {
		t.Fatal("it was taken as damaged")
	}
	wantSession(t, s, "golden-peer", `{"version":1,"appointment":"golden"}`)
	if data, _, err := s.Report("golden-report"); err != nil || string(data) != `{"golden":true}` {
		t.Errorf("the report is %q, %v", data, err)
	}
	wantBindings(t, s, goldenBindings())
	if got, want := journalTexts(t, s, 10), "open done from=none to=waiting by: uid=1000 role done role=face"; got != want {
		t.Errorf("journal %q, want %q", got, want)
	}
	wantIntact(t, s)
}

// TestFailedSync makes the kernel refuse fdatasync: /dev/null takes the file
// descriptor's place, it accepts writes and knows no sync. After that no write is
// acknowledged, and the next start finds the last good state.
func TestFailedSync(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	mustSave(t, s, "one", "good", false)
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Dup3(int(null.Fd()), fdOf(t, filepath.Join(dir, FileName)), syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := null.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Save(Save{ID: "one", Model: []byte("lost")}); !errors.Is(err, ErrReadOnly) {
			t.Fatalf("a save without a sync says %v", err)
		}
	}
	if !s.ReadOnly() {
		t.Error("it does not say that it is read-only")
	}
	_ = s.Close()
	s = mustOpen(t, dir, Options{})
	wantSession(t, s, "one", "good")
	if s.SetAside() != "" {
		t.Error("the good file was set aside")
	}
}

// fdOf finds the descriptor that has a file open.
func fdOf(t *testing.T, path string) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if to, err := os.Readlink("/proc/self/fd/" + f.Name()); err == nil && to == path {
			n, err := strconv.Atoi(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("nothing has %s open", path)
	return 0
}

// BenchmarkSave also gives the median, which a busy disk moves less.
func BenchmarkSave(b *testing.B) {
	s := mustOpen(b, b.TempDir(), Options{})
	model := bytes.Repeat([]byte("x"), 2000)
	entry := []Entry{{At: time.Now(), Kind: "transition", Text: "event=mute from=active to=active by: uid=1000 gid=1000 pid=4711"}}
	var took []time.Duration
	for b.Loop() {
		begun := time.Now()
		if err := s.Save(Save{ID: "one", Model: model, Journal: entry}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us/op")
}

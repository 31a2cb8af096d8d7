package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// update writes the golden files anew: go test ./cmd/kioskctl -update, then
// read the difference as you would read code.
var update = flag.Bool("update", false, "write the golden files")

// golden compares a text with a file of testdata/golden; an escape stands there
// as ␛, so that looking at it changes nothing.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	got = strings.ReplaceAll(got, "\x1b", "␛") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was:\n%s\nwant:\n%s", path, got, want)
	}
}

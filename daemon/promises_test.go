package daemon_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromisesHaveTheirTests: a promise in SECURITY.md names its tests and the
// package they are in; each of them is there.
func TestPromisesHaveTheirTests(t *testing.T) {
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("((?:`(?:Test|Fuzz)\\w+`(?:, )?)+) \\(([\\w/]+)\\)")
	name := regexp.MustCompile(`(?:Test|Fuzz)\w+`)
	rows := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| promise") {
			continue
		}
		rows++
		groups := named.FindAllStringSubmatch(line, -1)
		if len(groups) == 0 {
			t.Errorf("a promise without a test: %s", line)
		}
		for _, g := range groups {
			source := testSource(t, filepath.Join("..", g[2]))
			for _, n := range name.FindAllString(g[1], -1) {
				if !strings.Contains(source, "func "+n+"(") {
					t.Errorf("SECURITY.md names %s in %s, where it is not", n, g[2])
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("only %d promises were found: has the table's form changed?", rows)
	}
}

func testSource(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

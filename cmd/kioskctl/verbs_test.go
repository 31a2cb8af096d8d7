package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryVerbHasAScript: each command of the command line is played with the real
// daemon, and does well there at least once.
func TestEveryVerbHasAScript(t *testing.T) {
	files, err := filepath.Glob("testdata/real/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	played := map[string]bool{}
	line := regexp.MustCompile(`^(?:exec|until \d+) (?:sh -c '(?:exec |timeout [^;]* )?)?kioskctl (.*)$`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(text)) {
			if m := line.FindStringSubmatch(strings.TrimSpace(l)); m != nil {
				words := strings.Fields(m[1])
				played[words[0]] = true
				if len(words) > 1 {
					played[words[0]+" "+words[1]] = true
				}
			}
		}
	}
	parser, err := kong.New(&cli{}, kong.Vars{"socket": "", "config": ""})
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 25 {
		t.Errorf("only %d commands were found: does this test read them rightly?", len(leaves))
	}
	for _, leaf := range leaves {
		name := strings.TrimPrefix(leaf.Path(), parser.Model.Name+" ")
		if !played[name] {
			t.Errorf("kioskctl %s is in no script of testdata/real", name)
		}
	}
}

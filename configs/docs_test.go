package configs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What README and DESIGN call a setting is one.
func TestDocumentsNameKeysThatExist(t *testing.T) {
	keys, sections := structKeys(), map[string]bool{}
	for key := range keys {
		section, _, _ := strings.Cut(key, ".")
		sections[section] = true
	}
	named := regexp.MustCompile("`([a-z]+)\\.([a-z_]+)(?: = [^`]*)?`")
	found := 0
	for _, file := range []string{"../README.md", "../DESIGN.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			if !sections[m[1]] || m[2] == "go" || m[2] == "pepper" { // a file
				continue
			}
			found++
			if _, ok := keys[m[1]+"."+m[2]]; !ok {
				t.Errorf("%s names %s.%s, which is no setting", file, m[1], m[2])
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d settings were found: does this test read the documents rightly?", found)
	}
}

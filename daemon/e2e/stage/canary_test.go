package stage

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each way of writing a canary down is found, wherever it stands.
func TestForms(t *testing.T) {
	canary := "Dr. Kanárek \"la\" <Ñ> 4711"
	quoted, err := json.Marshal(canary)
	if err != nil {
		t.Fatal(err)
	}
	var ascii strings.Builder
	for _, r := range canary {
		if r < 0x80 {
			ascii.WriteRune(r)
		} else {
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	written := map[string]string{
		"as it is": canary, "JSON": string(quoted), "query": url.QueryEscape(canary), "path": url.PathEscape(canary),
		"ASCII JSON": strings.ReplaceAll(ascii.String(), `"`, `\"`), "Go": fmt.Sprintf("%q", canary), "Go, ASCII": fmt.Sprintf("%+q", canary),
	}
	for before := range 7 {
		for after := range 4 {
			b := []byte(strings.Repeat("<", before) + canary + strings.Repeat("~", after))
			written[fmt.Sprintf("base64 %d %d", before, after)] = base64.StdEncoding.EncodeToString(b)
			written[fmt.Sprintf("base64 for URLs %d %d", before, after)] = base64.RawURLEncoding.EncodeToString(b)
		}
	}
	for name, text := range written {
		if len(foundIn([]byte("xx "+text+" yy"), []string{canary})) == 0 {
			t.Errorf("%s is not found in %s", name, text)
		}
	}
	for _, other := range []string{"", "Dr. Kanarek", "aW5ub2NlbnQgdGV4dA==", canary[:8], `"Dr. Somebody"`} {
		if f := foundIn([]byte(other), []string{canary}); len(f) > 0 {
			t.Errorf("%q is taken for one: %v", other, f)
		}
	}
	if f := foundIn([]byte("the short word"), []string{"short"}); len(f) > 0 {
		t.Errorf("a word is taken for a canary: %v", f)
	}
	for _, f := range foundIn([]byte(canary), []string{canary}) {
		if strings.Contains(f, canary) {
			t.Errorf("the report prints it again: %s", f)
		}
	}
}

// A canary in a log, in the database or beside it is found.
func TestFindKept(t *testing.T) {
	const canary = "canary-of-the-test-1"
	for _, where := range []string{"logs/kioskd.log", "logs/kioskscreen.log", "state/kiosk.db", "state/kiosk.db.damaged-1", "state/deep/er"} {
		s := &Stage{dir: t.TempDir()}
		for _, f := range []string{"logs/kioskd.log", "logs/kioskscreen.log", "state/kiosk.db", where} {
			path := filepath.Join(s.dir, f)
			content := make([]byte, 100_000)
			if f == where {
				copy(content[70_001:], canary)
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		found, err := s.FindKept([]string{"another-canary", canary})
		if err != nil || len(found) != 1 || !strings.HasSuffix(found[0], " in "+filepath.Base(where)) {
			t.Errorf("in %s: %v, %v", where, found, err)
		}
		if found, err := s.FindKept([]string{"another-canary"}); err != nil || len(found) != 0 {
			t.Errorf("nothing is there: %v, %v", found, err)
		}
	}
}

package begin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/cmd/kioskscreen/begin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A browser hashes what stands between the tags, and ends the element at the first end
// tag. That the script does its work is shown with a browser, in kioskscreen's tests.
func TestTheSourceIsTheScripts(t *testing.T) {
	text, ok := strings.CutPrefix(string(begin.Script()), "<script>")
	text, more, found := strings.Cut(text, "</script>")
	if !ok || !found || more != "" || len(text) < 100 {
		t.Fatalf("no script element: %.80q ... %q", begin.Script(), more)
	}
	sum := sha256.Sum256([]byte(text))
	if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; begin.Source() != want {
		t.Errorf("the source is %s, want %s", begin.Source(), want)
	}
}

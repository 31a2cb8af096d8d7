package assets_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/cmd/clinicsim/assets"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A test driver strips `export` and runs the text in any page.
func TestBlocksStandAlone(t *testing.T) {
	text := assets.Blocks()
	for _, want := range []string{"export function writeBlocks(", "export function readBlocks(", "export class FrameReader "} {
		if !strings.Contains(text, want) {
			t.Errorf("blocks.js has no %q", want)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "import ") || strings.HasPrefix(line, "export default") || strings.HasPrefix(line, "export {") {
			t.Errorf("blocks.js has the line %q", line)
		}
	}
}

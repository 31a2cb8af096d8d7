package store

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv makes the test binary a child process of one of the tests: its value
// is the child's task, childDir the state directory.
const (
	childEnv = "KIOSKD_STORE_TEST_CHILD"
	childDir = "KIOSKD_STORE_TEST_DIR"
	// childSpec says which script: "", or SEED:STEPS of a long one.
	childSpec = "KIOSKD_STORE_TEST_SCRIPT"
)

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "writer":
		childWriter(os.Getenv(childDir))
	case "script":
		childScript(os.Getenv(childDir), os.Getenv(childSpec))
	case "damaged":
		childDamaged(os.Getenv(childDir))
	case "cache":
		childCache(os.Getenv(childDir))
	case "full":
		childFull(os.Getenv(childDir))
	default:
		goleak.VerifyTestMain(m)
	}
}

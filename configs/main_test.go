package configs_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// goodURL is what a test adds where the address is not its subject.
const goodURL = "backend.url=https://clinic.example"

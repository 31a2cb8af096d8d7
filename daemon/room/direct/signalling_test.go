package direct

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestHurryEndsTheTryUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSignalling()
		s.hurry() // nobody tries
		first, done := s.try(t.Context())
		defer done()
		second, done := s.try(t.Context())
		defer done()
		s.hurry()
		if second.Err() == nil || first.Err() != nil {
			t.Error("hurry does not end the newest try alone")
		}
		s.heard()
		time.Sleep(3 * time.Second)
		if q := s.quiet(); q != 3*time.Second {
			t.Errorf("quiet for %v", q)
		}
	})
}

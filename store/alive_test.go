package store_test

import (
	"testing"

	"kioskd/store"
)

func TestAlive(t *testing.T) {
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Alive(); err != nil {
		t.Errorf("an open store says %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s.Alive() == nil {
		t.Error("a closed store says that it lives")
	}
}

package main

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRefused(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, unix.EPERM: true, unix.EACCES: true, unix.EROFS: true, unix.ENOENT: true, unix.EAFNOSUPPORT: true,
		unix.EINVAL: false, unix.ENOSYS: false, unix.EFAULT: false, errors.New("x"): false,
	} {
		if refused(err) != want {
			t.Errorf("%v counts as refused: %t", err, !want)
		}
	}
	if !refused(fmt.Errorf("wrapped: %w", unix.EPERM)) {
		t.Error("a wrapped refusal is none")
	}
}

// Thirty and more, each once: what each does is shown in the lab, inside the sandbox
// and outside it.
func TestActions(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range actions() {
		if a.name == "" || seen[a.name] || a.try == nil {
			t.Errorf("the action %q", a.name)
		}
		seen[a.name] = true
	}
	if len(seen) < 30 {
		t.Errorf("there are %d actions", len(seen))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"kioskd/daemon/api/apitype"
)

// Why there are no checks is said with what helps; kioskctl doctor again is none of it,
// but where another check runs.
func TestDoctorRefused(t *testing.T) {
	problem := func(status int, code string) error { return apitype.NewProblem(status, code, "cannot check", "") }
	for _, tt := range []struct {
		err  error
		want string // code result fault command
	}{
		{problem(http.StatusServiceUnavailable, apitype.CodeSafeMode), "daemon fail daemon_safe_mode journalctl -u kioskd -n 100 && systemctl restart kioskd"},
		{problem(http.StatusConflict, apitype.CodeCheckRunning), "checks skip checks_busy kioskctl doctor"},
		{problem(http.StatusInternalServerError, apitype.CodeInternal), "checks fail checks_failed journalctl -u kioskd -n 50"},
		{fmt.Errorf("cannot reach kioskd: %w", context.DeadlineExceeded), "daemon fail daemon_silent journalctl -u kioskd -n 50"},
		{errors.New("cannot read"), "checks fail checks_failed journalctl -u kioskd -n 50"},
	} {
		c := (&doctor{}).refused(tt.err)
		if got := c.Code + " " + c.Result + " " + c.Fault + " " + c.Command; got != tt.want || c.Message == "" {
			t.Errorf("%v: got %s, want %s", tt.err, got, tt.want)
		}
	}
}

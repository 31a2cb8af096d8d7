package store

import (
	"syscall"
	"testing"
)

// leaveOut has a thread that is about to make a call make none: no call has this number.
func leaveOut(t *testing.T, tid int) {
	t.Helper()
	setRegs(t, tid, func(r *syscall.PtraceRegs) { r.Orig_rax = ^uint64(0) })
}

// answerWith has the call that was left out fail.
func answerWith(t *testing.T, tid int, errno syscall.Errno) {
	t.Helper()
	setRegs(t, tid, func(r *syscall.PtraceRegs) { r.Rax = -uint64(errno) })
}

func setRegs(t *testing.T, tid int, change func(*syscall.PtraceRegs)) {
	t.Helper()
	var r syscall.PtraceRegs
	if err := syscall.PtraceGetRegs(tid, &r); err != nil {
		t.Fatalf("cannot read the registers: %v", err)
	}
	change(&r)
	if err := syscall.PtraceSetRegs(tid, &r); err != nil {
		t.Fatalf("cannot set the registers: %v", err)
	}
}

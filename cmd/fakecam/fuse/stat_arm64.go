package fuse

import "golang.org/x/sys/unix"

// isStat says whether a system call is of the stat family.
func isStat(nr int) bool { return nr == unix.SYS_FSTATAT || nr == unix.SYS_STATX }

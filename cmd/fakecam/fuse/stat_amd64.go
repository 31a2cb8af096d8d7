package fuse

import "golang.org/x/sys/unix"

// isStat says whether a system call is of the stat family.
func isStat(nr int) bool {
	switch nr {
	case unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_NEWFSTATAT, unix.SYS_STATX:
		return true
	}
	return false
}

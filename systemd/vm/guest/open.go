package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// open opens and closes each path, within a control group where one is named, and
// prints a line for each: PATH and the error's name, or "ok".
func open(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("guest open", flag.ContinueOnError)
	cgroup := flags.String("cgroup", "", "`folder` of a control group to enter first")
	write := flags.Bool("write", false, "open for writing too")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("cannot use these arguments: %w", err)
	}
	if *cgroup != "" {
		f, err := os.OpenFile(filepath.Join(*cgroup, "cgroup.procs"), os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString(strconv.Itoa(os.Getpid()))
			_ = f.Close() // it was written, or not
		}
		if err != nil {
			return fmt.Errorf("cannot enter the control group: %w", err)
		}
	}
	mode := unix.O_RDONLY
	if *write {
		mode = unix.O_RDWR
	}
	for _, path := range flags.Args() {
		said := "ok"
		fd, err := unix.Open(path, mode|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err == nil {
			err = unix.Close(fd)
		}
		if errno, is := err.(unix.Errno); is { //nolint:errorlint // unix wraps nothing
			said = unix.ErrnoName(errno)
		}
		if _, err := fmt.Fprintln(out, path, said); err != nil {
			return fmt.Errorf("cannot tell: %w", err)
		}
	}
	return nil
}

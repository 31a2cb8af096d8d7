// Forbidden tries, one after the other, what kioskd never needs and its sandbox has to
// refuse, and prints a line for each. None of it does harm where it is allowed: the
// calls that could have arguments that the kernel turns down after it has asked for the
// right. The exit code is 1 where something was allowed; with -any it is 0.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) } //nolint:forbidigo // main exits

func run(args []string, out io.Writer) int {
	runtime.LockOSThread()
	code := 0
	for _, a := range actions() {
		err := a.try()
		if refused(err) {
			_, _ = fmt.Fprintf(out, "refused %s: %v\n", a.name, err)
			continue
		}
		_, _ = fmt.Fprintf(out, "ALLOWED %s: %v\n", a.name, err)
		code = 1
	}
	if len(args) > 0 && args[0] == "-any" {
		return 0
	}
	return code
}

// refused tells a refusal from an error that comes after the right was given.
func refused(err error) bool {
	for _, e := range refusals() {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

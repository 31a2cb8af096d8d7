// Forbidden tries, one after the other, what kioskd never needs and its sandbox has to
// refuse, and prints a line for each. None of it does harm where it is allowed: the
// calls that could have arguments that the kernel turns down after it has asked for the
// right. The exit code is 1 where something was allowed; with -any it is 0.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

func main() {
	runtime.LockOSThread()
	any := len(os.Args) > 1 && os.Args[1] == "-any"
	code := 0
	for _, a := range actions() {
		err := a.try()
		if refused(err) {
			_, _ = fmt.Printf("refused %s: %v\n", a.name, err)
			continue
		}
		_, _ = fmt.Printf("ALLOWED %s: %v\n", a.name, err)
		if !any {
			code = 1
		}
	}
	os.Exit(code)
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

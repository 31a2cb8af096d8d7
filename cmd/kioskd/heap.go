package main

import (
	"os"
	"runtime/debug"
)

// heapRoom is how far garbage may let the heap grow, in percent of what is in use.
const heapRoom = 40

// smallHeap has garbage collected early, unless GOGC says otherwise. A call makes
// next to none, so it costs nothing; a participant that floods us makes us make a lot,
// and the heap would double for it.
func smallHeap() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapRoom)
	}
}

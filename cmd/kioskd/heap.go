package main

/*
#include <malloc.h>

// Large pieces are mapped, and go back to the kernel when they are freed. By default
// glibc maps ever larger ones only after the first was freed (mallopt(3),
// M_MMAP_THRESHOLD), and each thread that opens an encoder keeps what it had.
static void kiosk_give_back(void) {
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	mallopt(M_ARENA_MAX, 2);
}
*/
import "C"

import (
	"os"
	"runtime"
	"runtime/debug"
)

// heapRoom is how far garbage may let the heap grow, in percent of what is in use.
const heapRoom = 40

// smallHeap has garbage collected early, unless GOGC says otherwise. A call makes
// next to none, so it costs nothing; a participant that floods us makes us make a lot,
// and the heap would double for it.
func smallHeap() {
	C.kiosk_give_back()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapRoom)
	}
}

// oneProcessor has Go's own code run on one processor, unless GOMAXPROCS says
// otherwise. The work is done in C (pictures, sound, codecs), on threads that need
// none; what is left for Go is a few percent. With more, each picture in an encoder
// holds one of them, and the runtime's watch over it (sysmon, 20 us a look) costs a
// tenth of a core, a fourth of the whole call.
func oneProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
}

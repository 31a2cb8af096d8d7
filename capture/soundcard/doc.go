// Package soundcard is what the microphone and the speaker share of alsa-lib:
// which devices the machine's cards have and how each is known again after it was
// unplugged, an open PCM, and the switch with which a card mutes its microphone.
//
// A device's identity comes from sysfs, never from a card's index: the serial
// number of its USB device, else the port it hangs on, else the card's own id.
//
// It starts no goroutine. A PCM is for one goroutine, the one that opened it. A
// card's driver answers at once; alsa-lib's pulse plugin talks to its server without
// a deadline, so that each call here but the pure ones may hang with that server:
// callers keep them on goroutines they can do without.
//
// May be imported by capture/microphone, capture/speaker and tests. It imports the
// standard library only.
package soundcard

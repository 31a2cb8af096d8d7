package soundcard

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Stream is a direction of sound.
type Stream int

// The two directions.
const (
	Capture Stream = iota
	Playback
)

// String is what a person calls a device of this direction.
func (s Stream) String() string {
	if s == Playback {
		return "speaker"
	}
	return "microphone"
}

// mark ends every identity of this direction, so that a webcam's microphone is
// never taken for its camera, nor a headset's for its speaker.
func (s Stream) mark() string {
	if s == Playback {
		return "speaker"
	}
	return "mic"
}

// Info is one device of a sound card.
type Info struct {
	// ID names the device over reboots, renumbering and, where it has a serial
	// number, other ports: Base, or Base+"-at-"+Port where another in the list has
	// the same Base. 1 to 128 of [A-Za-z0-9._-].
	ID string
	// Base is "usb-<vendor>-<product>-<serial>-mic", vendor and product in hex; where
	// there is no serial number the port's name stands for all before "-mic", and
	// where there is no port "card-" and the card's own id. A card's second device
	// has its number after "mic".
	Base string
	// Port is where it hangs, in the kernel's words: "usb-1-2.4", "pci-0000_00_1f.3";
	// "" where sysfs knows none.
	Port string
	// Where is Port for a person: "USB port 1-2.4".
	Where string
	// Device is the alsa-lib name that opens it now: "plughw:CARD=C920,DEV=0". The
	// card's id in it depends on the order of plugging where two cards are alike.
	Device string
	// Name is for people: the card's and the device's.
	Name string
	// Card is the card's long name.
	Card string
}

// card is what alsa-lib knows about one.
type card struct {
	index          int
	id, name, long string
	devices        []device
}

// device is one PCM device of a card in the direction that was asked for.
type device struct {
	number int
	name   string
}

const (
	maxBase = 80 // so that Base, "-at-", Port and a number fit into an identifier of 128
	maxPort = 36
)

// identify gives the cards' devices their names; root is where sysfs is mounted.
func identify(root string, stream Stream, cards []card) []Info {
	infos := []Info{}
	for _, c := range cards {
		at := locate(root, c.index)
		if at.base == "" {
			at.base = "card-" + c.id
		}
		if at.where == "" {
			at.where = "sound card " + c.id
		}
		for _, d := range c.devices {
			mark := "-" + stream.mark()
			if d.number > 0 {
				mark += strconv.Itoa(d.number)
			}
			infos = append(infos, Info{
				Base: identifier(at.base, maxBase-len(mark)) + mark, Port: at.port, Where: at.where,
				Device: fmt.Sprintf("plughw:CARD=%s,DEV=%d", c.id, d.number), Name: join(c.name, d.name), Card: c.long,
			})
		}
	}
	tellApart(infos)
	return infos
}

// tellApart gives each its ID. Two of one maker's that have one serial number are
// told apart by their ports.
func tellApart(infos []Info) {
	same, taken := map[string]int{}, map[string]bool{}
	for _, i := range infos {
		same[i.Base]++
	}
	for n := range infos {
		i := &infos[n]
		i.ID = i.Base
		if same[i.Base] > 1 && i.Port != "" {
			i.ID += "-at-" + i.Port
		}
		// Without a port nothing but the order is left.
		for again, id := 2, i.ID; taken[i.ID]; again++ {
			i.ID = fmt.Sprintf("%s-%d", id, again)
		}
		taken[i.ID] = true
	}
}

// join puts the device's name after the card's unless it says the same.
func join(card, device string) string {
	if device == "" || strings.Contains(card, device) {
		return card
	}
	return card + " " + device
}

// identifier makes words of the outside, such as a serial number, an identifier of
// [A-Za-z0-9._-] of at most most bytes (10 and more). What is too long keeps its
// beginning and gets a hash of the whole.
func identifier(words string, most int) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, words)
	if len(clean) <= most {
		return clean
	}
	sum := sha256.Sum256([]byte(words))
	return clean[:most-9] + "-" + hex.EncodeToString(sum[:4])
}

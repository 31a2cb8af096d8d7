package host

import (
	"strings"

	"kioskd/daemon/api/apitype"
)

// alsa looks at the kernel's sound cards. A sound server can give a microphone without
// one, so that none is no failure.
func (h *Host) alsa() apitype.Check {
	text, err := h.read("proc", "asound", "cards")
	return judgeALSA(text, err)
}

// judgeALSA reads /proc/asound/cards: two lines a card, the first with its number.
func judgeALSA(text string, err error) apitype.Check {
	const code = "alsa"
	if err != nil {
		return warn(code, "no_alsa", "The kernel has no sound system.", "A microphone can only come from a sound server.", "modprobe snd-usb-audio")
	}
	var names []string
	for line := range strings.Lines(text) {
		if _, name, ok := strings.Cut(line, "]: "); ok {
			names = append(names, printable(strings.TrimSpace(name)))
		}
	}
	if len(names) == 0 {
		return warn(code, "no_card", "There is no sound card.", "Plug one in; a microphone can otherwise only come from a sound server.", "arecord -l")
	}
	return pass(code, "Sound cards: "+strings.Join(names, "; ")+".")
}

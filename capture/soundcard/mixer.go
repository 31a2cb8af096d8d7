package soundcard

/*
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <alsa/asoundlib.h>
#include "quiet.h"

typedef struct {
	snd_mixer_t *mixer;
	snd_mixer_elem_t *elem;
	int gone; // the element was removed; elem must not be touched again
} kiosk_switch;

static int kiosk_elem_event(snd_mixer_elem_t *elem, unsigned int mask) {
	kiosk_switch *s = snd_mixer_elem_get_callback_private(elem);
	if (mask == SND_CTL_EVENT_MASK_REMOVE) s->gone = 1;
	return 0;
}

// How sure it is that this element's switch mutes the microphone; 0: it does not.
static int kiosk_rank(snd_mixer_elem_t *elem) {
	// An exclusive switch chooses between inputs.
	if (!snd_mixer_selem_has_capture_switch(elem) || snd_mixer_selem_has_capture_switch_exclusive(elem)) return 0;
	const char *name = snd_mixer_selem_get_name(elem);
	if (!strcmp(name, "Capture")) return 3;
	if (strstr(name, "Mic")) return 2;
	return strstr(name, "Headset") != NULL;
}

// -ENXIO: the card has no such switch.
static int kiosk_switch_open(const char *name, kiosk_switch *s) {
	int e, best = 0;
	kiosk_quiet();
	memset(s, 0, sizeof *s);
	if ((e = snd_mixer_open(&s->mixer, 0)) < 0) return e;
	if ((e = snd_mixer_attach(s->mixer, name)) < 0 ||
		(e = snd_mixer_selem_register(s->mixer, NULL, NULL)) < 0 ||
		(e = snd_mixer_load(s->mixer)) < 0) {
		snd_mixer_close(s->mixer);
		return e;
	}
	for (snd_mixer_elem_t *i = snd_mixer_first_elem(s->mixer); i; i = snd_mixer_elem_next(i)) {
		int rank = kiosk_rank(i);
		if (rank > best) {
			best = rank;
			s->elem = i;
		}
	}
	if (!s->elem) {
		snd_mixer_close(s->mixer);
		return -ENXIO;
	}
	snd_mixer_elem_set_callback_private(s->elem, s);
	snd_mixer_elem_set_callback(s->elem, kiosk_elem_event);
	return 0;
}

// 1: every channel is off; 0: sound comes through; or a negative errno.
static int kiosk_switch_muted(kiosk_switch *s) {
	int channels = 0;
	for (int ch = 0; ch <= SND_MIXER_SCHN_LAST; ch++) {
		int on = 0, e;
		if (!snd_mixer_selem_has_capture_channel(s->elem, ch)) continue;
		if ((e = snd_mixer_selem_get_capture_switch(s->elem, ch, &on)) < 0) return e;
		if (on) return 0;
		channels++;
	}
	return channels > 0;
}

// Waits for the card, for the wake descriptor or for ms; 0, or a negative errno
// when the card is gone.
static int kiosk_switch_wait(kiosk_switch *s, int wake, int ms) {
	struct pollfd fds[17];
	unsigned short events = 0;
	int e, n = snd_mixer_poll_descriptors_count(s->mixer);
	if (n < 0) return n;
	if (n > 16) return -E2BIG;
	if ((n = snd_mixer_poll_descriptors(s->mixer, fds, n)) < 0) return n;
	fds[n].fd = wake;
	fds[n].events = POLLIN;
	if (poll(fds, n + 1, ms) < 0) return errno == EINTR ? 0 : -errno;
	if ((e = snd_mixer_poll_descriptors_revents(s->mixer, fds, n, &events)) < 0) return e;
	if (events & (POLLERR | POLLHUP | POLLNVAL)) return -ENODEV;
	if ((events & POLLIN) && (e = snd_mixer_handle_events(s->mixer)) < 0) return e;
	return s->gone ? -ENODEV : 0;
}
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

// ErrNoSwitch is a card without a switch that mutes its microphone.
var ErrNoSwitch = errors.New("no switch for the microphone")

// askAgain is how long a switch is believed without word from the card, in ms.
const askAgain = 30_000

// WatchSwitch tells whether the capture switch of the device's card is off, at once
// and after each change, until ctx ends (nil) or the card goes away. The card has
// its say in every channel: it is muted when all of them are off. It returns
// ErrNoSwitch for a card, or a plugin, without one. told runs on the caller's
// goroutine and must not wait.
//
// device is a PCM's name. A card's mixer is found by the card ("plughw:CARD=X,DEV=0"
// leads to "hw:CARD=X"); for any other name alsa-lib's configuration needs a ctl of
// the same name.
func WatchSwitch(ctx context.Context, device string, told func(muted bool)) error {
	// In C's memory: alsa-lib keeps a pointer to it.
	s := (*C.kiosk_switch)(C.calloc(1, C.sizeof_kiosk_switch))
	defer C.free(unsafe.Pointer(s))
	name := C.CString(mixerName(device))
	defer C.free(unsafe.Pointer(name))
	if code := C.kiosk_switch_open(name, s); code < 0 {
		return switchError(device, code)
	}
	defer C.snd_mixer_close(s.mixer)
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("cannot watch the switch of microphone %s: %w", device, err)
	}
	defer func() { _ = r.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = w.Close() }) // the reading end wakes poll
	defer func() {
		if stop() {
			_ = w.Close()
		}
	}()
	return watch(ctx, s, C.int(r.Fd()), device, told)
}

func watch(ctx context.Context, s *C.kiosk_switch, wake C.int, device string, told func(bool)) error {
	known := C.int(-1)
	for ctx.Err() == nil {
		muted := C.kiosk_switch_muted(s)
		if muted < 0 {
			return switchError(device, muted)
		}
		if muted != known {
			known = muted
			told(muted == 1)
		}
		if code := C.kiosk_switch_wait(s, wake, askAgain); code < 0 {
			return switchError(device, code)
		}
	}
	return nil
}

func switchError(device string, code C.int) error {
	err := syscall.Errno(-code)
	// ENOENT: the configuration has no ctl of this name.
	if err == syscall.ENXIO || err == syscall.ENOENT {
		return fmt.Errorf("cannot watch the switch of microphone %s: %w (%w)", device, ErrNoSwitch, err)
	}
	return fmt.Errorf("cannot watch the switch of microphone %s: %w", device, err)
}

// mixerName is the ctl that belongs to a PCM's name. alsa-lib's own names of cards
// all take the card as their first argument, or as CARD.
func mixerName(device string) string {
	kind, arguments, given := strings.Cut(device, ":")
	switch kind {
	case "hw", "plughw", "sysdefault", "front", "dsnoop", "iec958":
	default:
		return device
	}
	if !given {
		return "hw"
	}
	for i, a := range strings.Split(arguments, ",") {
		if card, is := strings.CutPrefix(a, "CARD="); is {
			return "hw:CARD=" + card
		}
		if i == 0 && !strings.Contains(a, "=") {
			return "hw:" + a
		}
	}
	return "hw"
}

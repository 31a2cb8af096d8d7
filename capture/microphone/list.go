package microphone

/*
#include <stdlib.h>
#include <alsa/asoundlib.h>

typedef struct {
	char id[128], name[128], longname[256];
} kiosk_card;

// Fills in the card's words; 0, or a negative errno.
static int kiosk_card_info(int card, kiosk_card *out) {
	char ctl[32];
	snd_ctl_t *handle;
	snd_ctl_card_info_t *info;
	int e;
	snprintf(ctl, sizeof ctl, "hw:%d", card);
	if ((e = snd_ctl_open(&handle, ctl, SND_CTL_NONBLOCK)) < 0) return e;
	snd_ctl_card_info_alloca(&info);
	if ((e = snd_ctl_card_info(handle, info)) == 0) {
		snprintf(out->id, sizeof out->id, "%s", snd_ctl_card_info_get_id(info));
		snprintf(out->name, sizeof out->name, "%s", snd_ctl_card_info_get_name(info));
		snprintf(out->longname, sizeof out->longname, "%s", snd_ctl_card_info_get_longname(info));
	}
	snd_ctl_close(handle);
	return e;
}

// The card's next PCM device after dev that can capture, or -1. name is at
// least 128 bytes.
static int kiosk_next_capture(int card, int dev, char *name) {
	char ctl[32];
	snd_ctl_t *handle;
	snd_pcm_info_t *info;
	snprintf(ctl, sizeof ctl, "hw:%d", card);
	if (snd_ctl_open(&handle, ctl, SND_CTL_NONBLOCK) < 0) return -1;
	snd_pcm_info_alloca(&info);
	while (snd_ctl_pcm_next_device(handle, &dev) == 0 && dev >= 0) {
		snd_pcm_info_set_device(info, dev);
		snd_pcm_info_set_subdevice(info, 0);
		snd_pcm_info_set_stream(info, SND_PCM_STREAM_CAPTURE);
		if (snd_ctl_pcm_info(handle, info) < 0) continue;
		snprintf(name, 128, "%s", snd_pcm_info_get_name(info));
		break;
	}
	snd_ctl_close(handle);
	return dev;
}
*/
import "C"

import (
	"fmt"
	"strings"
)

// Info is one capture device of a sound card.
type Info struct {
	// ID opens the device and stays the same over reboots and replugging: the
	// card's own id, never its index, as in "plughw:CARD=C920,DEV=0".
	ID string
	// Name is for people: the card's and the device's.
	Name string
	// Card is the card's long name, which says where it is plugged in.
	Card string
}

const maxCards, maxDevices = 32, 32 // alsa-lib's own limit on cards; ours on a card's devices

// List gives the capture devices of all cards, none where there is no card. A
// card that goes away meanwhile, or that the caller may not open, is left out.
func List() ([]Info, error) {
	infos := []Info{}
	card := C.int(-1)
	for range maxCards {
		if code := C.snd_card_next(&card); code < 0 {
			return infos, fmt.Errorf("cannot list the sound cards: %w", errno(C.long(code)))
		}
		if card < 0 {
			break
		}
		infos = append(infos, captures(card)...)
	}
	return infos, nil
}

// captures gives the capture devices of one card.
func captures(card C.int) (infos []Info) {
	var words C.kiosk_card
	if C.kiosk_card_info(card, &words) < 0 {
		return nil
	}
	id, name, long := C.GoString(&words.id[0]), C.GoString(&words.name[0]), C.GoString(&words.longname[0])
	var device [128]C.char
	dev := C.int(-1)
	for range maxDevices {
		dev = C.kiosk_next_capture(card, dev, &device[0])
		if dev < 0 {
			break
		}
		infos = append(infos, info(id, name, long, int(dev), C.GoString(&device[0])))
	}
	return infos
}

func info(id, name, long string, dev int, device string) Info {
	if device != "" && !strings.Contains(name, device) {
		name += " " + device
	}
	return Info{ID: fmt.Sprintf("plughw:CARD=%s,DEV=%d", id, dev), Name: name, Card: long}
}

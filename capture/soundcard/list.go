package soundcard

/*
#include <alsa/asoundlib.h>
#include "quiet.h"

typedef struct {
	char id[128], name[128], longname[256];
} kiosk_card;

// Fills in the card's words; 0, or a negative errno.
static int kiosk_card_info(int card, kiosk_card *out) {
	char ctl[32];
	snd_ctl_t *handle;
	snd_ctl_card_info_t *info;
	int e;
	kiosk_quiet();
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

// The card's next PCM device after dev in this direction, or -1. name is at least
// 128 bytes.
static int kiosk_next_device(int card, snd_pcm_stream_t stream, int dev, char *name) {
	char ctl[32];
	snd_ctl_t *handle;
	snd_pcm_info_t *info;
	snprintf(ctl, sizeof ctl, "hw:%d", card);
	if (snd_ctl_open(&handle, ctl, SND_CTL_NONBLOCK) < 0) return -1;
	snd_pcm_info_alloca(&info);
	while (snd_ctl_pcm_next_device(handle, &dev) == 0 && dev >= 0) {
		snd_pcm_info_set_device(info, dev);
		snd_pcm_info_set_subdevice(info, 0);
		snd_pcm_info_set_stream(info, stream);
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
	"syscall"
)

const (
	maxCards   = 32 // alsa-lib's own limit
	maxDevices = 32 // of one card; ours

	sysfs = "/sys"
)

// List gives the devices of all cards in one direction, none where there is no
// card. A card that goes away meanwhile, or that the caller may not open, is left
// out. It asks drivers only, never a sound server.
func List(stream Stream) ([]Info, error) {
	cards := []card{}
	index := C.int(-1)
	for range maxCards {
		if code := C.snd_card_next(&index); code < 0 {
			return nil, fmt.Errorf("cannot list the sound cards: %w", syscall.Errno(-code))
		}
		if index < 0 {
			break
		}
		if c, ok := describe(index, stream); ok {
			cards = append(cards, c)
		}
	}
	return identify(sysfs, stream, cards), nil
}

// describe asks one card; false where it does not answer.
func describe(index C.int, stream Stream) (card, bool) {
	var words C.kiosk_card
	if C.kiosk_card_info(index, &words) < 0 {
		return card{}, false
	}
	c := card{index: int(index), id: C.GoString(&words.id[0]), name: C.GoString(&words.name[0]), long: C.GoString(&words.longname[0])}
	var name [128]C.char
	dev := C.int(-1)
	for range maxDevices {
		dev = C.kiosk_next_device(index, direction(stream), dev, &name[0])
		if dev < 0 {
			break
		}
		c.devices = append(c.devices, device{number: int(dev), name: C.GoString(&name[0])})
	}
	return c, true
}

// direction is alsa-lib's word for a Stream.
func direction(stream Stream) C.snd_pcm_stream_t {
	if stream == Playback {
		return C.SND_PCM_STREAM_PLAYBACK
	}
	return C.SND_PCM_STREAM_CAPTURE
}

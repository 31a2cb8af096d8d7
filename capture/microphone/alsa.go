package microphone

/*
#cgo pkg-config: alsa
#include <errno.h>
#include <stdlib.h>
#include <alsa/asoundlib.h>

// What alsa-lib has to say comes back as an error code; its own lines on stderr
// would only be noise there.
static void kiosk_quiet(const char *file, int line, const char *function, int err, const char *fmt, ...) {}

static int kiosk_set(snd_pcm_t *pcm, unsigned rate, unsigned *channels, snd_pcm_uframes_t *period, snd_pcm_uframes_t *buffer) {
	snd_pcm_hw_params_t *hw;
	snd_pcm_sw_params_t *sw;
	int e;
	snd_pcm_hw_params_alloca(&hw);
	snd_pcm_sw_params_alloca(&sw);
	if ((e = snd_pcm_hw_params_any(pcm, hw)) < 0) return e;
	if ((e = snd_pcm_hw_params_set_access(pcm, hw, SND_PCM_ACCESS_RW_INTERLEAVED)) < 0) return e;
	if ((e = snd_pcm_hw_params_set_format(pcm, hw, SND_PCM_FORMAT_S16_LE)) < 0) return e;
	if ((e = snd_pcm_hw_params_set_rate(pcm, hw, rate, 0)) < 0) return e;
	*channels = 1;
	if (snd_pcm_hw_params_test_channels(pcm, hw, 1) < 0) *channels = 2;
	if ((e = snd_pcm_hw_params_set_channels(pcm, hw, *channels)) < 0) return e;
	if ((e = snd_pcm_hw_params_set_period_size_near(pcm, hw, period, 0)) < 0) return e;
	if ((e = snd_pcm_hw_params_set_buffer_size_near(pcm, hw, buffer)) < 0) return e;
	if ((e = snd_pcm_hw_params(pcm, hw)) < 0) return e;
	if ((e = snd_pcm_sw_params_current(pcm, sw)) < 0) return e;
	// Wake the reader at one chunk, and never stop by itself but at an overrun.
	if ((e = snd_pcm_sw_params_set_avail_min(pcm, sw, *period)) < 0) return e;
	return snd_pcm_sw_params(pcm, sw);
}

// Opens and starts the capture. O_NONBLOCK: a busy card is an error, not a wait.
static int kiosk_open(const char *name, unsigned rate, unsigned *channels,
		snd_pcm_uframes_t *period, snd_pcm_uframes_t *buffer, snd_pcm_t **out) {
	snd_lib_error_set_handler(kiosk_quiet);
	snd_pcm_t *pcm = NULL;
	int e = snd_pcm_open(&pcm, name, SND_PCM_STREAM_CAPTURE, SND_PCM_NONBLOCK);
	if (e < 0) return e;
	if ((e = kiosk_set(pcm, rate, channels, period, buffer)) < 0 || (e = snd_pcm_start(pcm)) < 0) {
		snd_pcm_close(pcm);
		return e;
	}
	*out = pcm;
	return 0;
}

// Recovers from an overrun (-EPIPE) or a suspend (-ESTRPIPE) and starts again.
static int kiosk_recover(snd_pcm_t *pcm, int err) {
	if (err == -ESTRPIPE) {
		int e = snd_pcm_resume(pcm);
		if (e == -EAGAIN) return e;
		if (e == 0) return 0;
	}
	int e = snd_pcm_prepare(pcm);
	return e < 0 ? e : snd_pcm_start(pcm);
}

// Frames waiting between the microphone and the reader, never negative.
static long kiosk_delay(snd_pcm_t *pcm) {
	snd_pcm_sframes_t d = 0;
	if (snd_pcm_delay(pcm, &d) < 0 || d < 0) return 0;
	return d;
}
*/
import "C"

import (
	"fmt"
	"syscall"
	"unsafe"
)

// pcm is an open, running capture. For one goroutine.
type pcm struct {
	c        *C.snd_pcm_t
	channels int // 1, or 2 where the device has no mono
	period   int // frames alsa-lib wakes the reader at
	buffer   int // frames the device holds before it overruns
}

// errno is alsa-lib's negative result as the positive errno it stands for.
func errno(code C.long) syscall.Errno { return syscall.Errno(-code) }

// openPCM opens the named capture device and starts it.
func openPCM(name string, rate, period, buffer int) (*pcm, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	p := &pcm{}
	var channels C.unsigned
	periodFrames, bufferFrames := C.snd_pcm_uframes_t(period), C.snd_pcm_uframes_t(buffer)
	code := C.kiosk_open(cname, C.unsigned(rate), &channels, &periodFrames, &bufferFrames, &p.c)
	if code < 0 {
		return nil, openError(name, errno(C.long(code)))
	}
	p.channels, p.period, p.buffer = int(channels), int(periodFrames), int(bufferFrames)
	return p, nil
}

// wait returns true when there is something to read, false after ms
// milliseconds without.
func (p *pcm) wait(ms int) (bool, error) {
	code := C.snd_pcm_wait(p.c, C.int(ms))
	if code < 0 {
		return false, errno(C.long(code))
	}
	return code > 0, nil
}

// read takes up to len(buf)/channels frames and never waits: 0 frames and no
// error mean that there are none.
func (p *pcm) read(buf []int16) (int, error) {
	n := C.snd_pcm_readi(p.c, unsafe.Pointer(unsafe.SliceData(buf)), C.snd_pcm_uframes_t(len(buf)/p.channels))
	switch {
	case n == -C.EAGAIN:
		return 0, nil
	case n < 0:
		return 0, errno(n)
	}
	return int(n), nil
}

// recover brings the device back after EPIPE or ESTRPIPE.
func (p *pcm) recover(err syscall.Errno) error {
	if code := C.kiosk_recover(p.c, -C.int(err)); code < 0 {
		return errno(C.long(code))
	}
	return nil
}

// delay is the number of frames recorded but not yet read.
func (p *pcm) delay() int { return int(C.kiosk_delay(p.c)) }

// close frees the device.
func (p *pcm) close() { C.snd_pcm_close(p.c) }

// openError names why a device does not open, in a type the caller can branch on.
func openError(name string, err syscall.Errno) error {
	var kind error
	switch err {
	case syscall.EBUSY, syscall.EAGAIN:
		kind = ErrBusy
	case syscall.EACCES, syscall.EPERM:
		kind = ErrPermission
	case syscall.ENOENT, syscall.ENODEV, syscall.ENXIO, syscall.ECONNREFUSED, syscall.EIO:
		kind = ErrNoDevice
	default:
		return fmt.Errorf("cannot open microphone %s: %w", name, err)
	}
	return fmt.Errorf("cannot open microphone %s: %w (%w)", name, kind, err)
}

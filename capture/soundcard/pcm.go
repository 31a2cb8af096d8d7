package soundcard

/*
#cgo pkg-config: alsa
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <alsa/asoundlib.h>
#include "quiet.h"

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
	// Wake the caller at one period, and never stop by itself but at an xrun.
	// Playback begins when two periods are there.
	if ((e = snd_pcm_sw_params_set_avail_min(pcm, sw, *period)) < 0) return e;
	if (snd_pcm_stream(pcm) == SND_PCM_STREAM_PLAYBACK &&
		(e = snd_pcm_sw_params_set_start_threshold(pcm, sw, 2 * *period)) < 0) return e;
	return snd_pcm_sw_params(pcm, sw);
}

// Opens it, and starts a capture. O_NONBLOCK: a busy card is an error, not a wait.
static int kiosk_open(const char *name, snd_pcm_stream_t stream, unsigned rate, unsigned *channels,
		snd_pcm_uframes_t *period, snd_pcm_uframes_t *buffer, snd_pcm_t **out) {
	kiosk_quiet();
	snd_pcm_t *pcm = NULL;
	int e = snd_pcm_open(&pcm, name, stream, SND_PCM_NONBLOCK);
	if (e < 0) return e;
	if ((e = kiosk_set(pcm, rate, channels, period, buffer)) < 0 ||
		(stream == SND_PCM_STREAM_CAPTURE && (e = snd_pcm_start(pcm)) < 0)) {
		snd_pcm_close(pcm);
		return e;
	}
	*out = pcm;
	return 0;
}

// Recovers from an xrun (-EPIPE) or a suspend (-ESTRPIPE); a capture starts again,
// a playback does when it has something to play.
static int kiosk_recover(snd_pcm_t *pcm, int err) {
	if (err == -ESTRPIPE) {
		int e = snd_pcm_resume(pcm);
		if (e == -EAGAIN) return e;
		// A plugin's resume may have done nothing.
		if (e == 0 && snd_pcm_state(pcm) != SND_PCM_STATE_SUSPENDED) return 0;
	}
	int e = snd_pcm_prepare(pcm);
	if (e < 0 || snd_pcm_stream(pcm) == SND_PCM_STREAM_PLAYBACK) return e;
	return snd_pcm_start(pcm);
}

// The errno that the device's state stands for, or otherwise.
static int kiosk_trouble(snd_pcm_t *pcm, int otherwise) {
	switch (snd_pcm_state(pcm)) {
	case SND_PCM_STATE_XRUN: return -EPIPE;
	case SND_PCM_STATE_SUSPENDED: return -ESTRPIPE;
	case SND_PCM_STATE_DISCONNECTED: return -ENODEV;
	default: return otherwise;
	}
}

// snd_pcm_wait with a deadline that holds. alsa-lib's own begins anew each time the
// device wakes it with nothing to give, and so waits for ever on one that stalls.
static int kiosk_wait(snd_pcm_t *pcm, snd_pcm_uframes_t wanted, int ms) {
	struct pollfd fds[16];
	unsigned short events = 0;
	snd_pcm_sframes_t ready = snd_pcm_avail_update(pcm);
	if (ready < 0) return ready;
	int e = kiosk_trouble(pcm, 0);
	if (e < 0) return e;
	if (ready >= (snd_pcm_sframes_t)wanted) return 1;
	int n = snd_pcm_poll_descriptors_count(pcm);
	if (n < 0) return n;
	if (n > 16) return -E2BIG;
	if ((n = snd_pcm_poll_descriptors(pcm, fds, n)) < 0) return n;
	e = poll(fds, n, ms);
	if (e < 0) return errno == EINTR ? 0 : -errno;
	if (e == 0) return 0;
	if ((e = snd_pcm_poll_descriptors_revents(pcm, fds, n, &events)) < 0) return e;
	if (events & (POLLERR | POLLNVAL)) return kiosk_trouble(pcm, -EIO);
	return (events & (POLLIN | POLLOUT)) != 0;
}

// Starts a playback that has less than its threshold to play.
static int kiosk_begin(snd_pcm_t *pcm) {
	return snd_pcm_state(pcm) == SND_PCM_STATE_PREPARED ? snd_pcm_start(pcm) : 0;
}
*/
import "C"

import (
	"syscall"
	"unsafe"
)

// PCM is an open device: 16 bits a sample, interleaved. A capture runs from the
// beginning. For one goroutine.
type PCM struct {
	c *C.snd_pcm_t
	// Channels is 1, or 2 where the device has no mono.
	Channels int
	// Period is the number of frames at which Wait wakes, Buffer the number that the
	// device holds: both near to what was asked for.
	Period, Buffer int
}

// OpenPCM opens the device that alsa-lib knows under name, at rate frames a second.
// Errors wrap ErrNoDevice, ErrBusy or ErrPermission where they are of that kind.
func OpenPCM(name string, stream Stream, rate, period, buffer int) (*PCM, error) {
	cname := C.CString(name)
	defer C.free(unsafe.Pointer(cname))
	p := &PCM{}
	var channels C.unsigned
	periodFrames, bufferFrames := C.snd_pcm_uframes_t(period), C.snd_pcm_uframes_t(buffer)
	if code := C.kiosk_open(cname, direction(stream), C.unsigned(rate), &channels, &periodFrames, &bufferFrames, &p.c); code < 0 {
		return nil, openError(stream, name, syscall.Errno(-code))
	}
	p.Channels, p.Period, p.Buffer = int(channels), int(periodFrames), int(bufferFrames)
	return p, nil
}

// Wait returns true when there is a period to read, or room for one to write, and
// false after ms milliseconds without, or earlier where the device woke it for
// nothing. Errors are errnos: EPIPE is an xrun,
// ESTRPIPE a suspend, ENODEV the device's end.
func (p *PCM) Wait(ms int) (bool, error) {
	code := C.kiosk_wait(p.c, C.snd_pcm_uframes_t(p.Period), C.int(ms))
	if code < 0 {
		return false, syscall.Errno(-code)
	}
	return code > 0, nil
}

// Read takes up to len(buf)/Channels frames and never waits: 0 frames and no error
// mean that there are none.
func (p *PCM) Read(buf []int16) (frames int, err error) {
	n := C.snd_pcm_readi(p.c, unsafe.Pointer(unsafe.SliceData(buf)), C.snd_pcm_uframes_t(len(buf)/p.Channels))
	return transferred(n)
}

// Write hands over up to len(buf)/Channels frames and never waits: 0 frames and no
// error mean that there is no room.
func (p *PCM) Write(buf []int16) (frames int, err error) {
	n := C.snd_pcm_writei(p.c, unsafe.Pointer(unsafe.SliceData(buf)), C.snd_pcm_uframes_t(len(buf)/p.Channels))
	return transferred(n)
}

func transferred(n C.snd_pcm_sframes_t) (int, error) {
	switch {
	case n == -C.EAGAIN:
		return 0, nil
	case n < 0:
		return 0, syscall.Errno(-n)
	}
	return int(n), nil
}

// Recover brings the device back after EPIPE or ESTRPIPE. EAGAIN means that a
// suspended card is not back yet.
func (p *PCM) Recover(err syscall.Errno) error {
	if code := C.kiosk_recover(p.c, -C.int(err)); code < 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// Begin starts a playback that has not begun by itself.
func (p *PCM) Begin() error {
	if code := C.kiosk_begin(p.c); code < 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// Delay is the number of frames between this program and the world: recorded and
// not yet read, or written and not yet heard. Never negative.
func (p *PCM) Delay() (frames int, err error) {
	var d C.snd_pcm_sframes_t
	if code := C.snd_pcm_delay(p.c, &d); code < 0 {
		return 0, syscall.Errno(-code)
	}
	return max(int(d), 0), nil
}

// State is the device's state in alsa-lib's words: "RUNNING", "XRUN".
func (p *PCM) State() string { return C.GoString(C.snd_pcm_state_name(C.snd_pcm_state(p.c))) }

// Close frees the device; what was not yet heard is lost.
func (p *PCM) Close() { C.snd_pcm_close(p.c) }

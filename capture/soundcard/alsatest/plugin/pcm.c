// A PCM for tests: alsa-lib's own state machine over a device that does as it is
// told. The first byte of the file "control" says what, and is read whenever
// alsa-lib asks for the position.
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define RATE 48000

typedef struct {
	snd_pcm_ioplug_t io;
	volatile char *control;
	int timer, played;
	struct timespec last;
	double frames;          // that the device's clock has counted since the start
	unsigned long consumed; // that the program has read or written since then
	unsigned long phase;    // of the tone
	snd_pcm_uframes_t hw;
} faulty;

// While the control byte is of these, the call does not return: a driver in an
// endless wait.
static void hang(faulty *f, char in) {
	while (*f->control == in) usleep(5000);
}

// The clock runs while the device does; q: it is there and gives nothing.
static void tick(faulty *f) {
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	double passed = now.tv_sec - f->last.tv_sec + 1e-9 * (now.tv_nsec - f->last.tv_nsec);
	f->last = now;
	if (f->io.state == SND_PCM_STATE_RUNNING && *f->control != 'q') f->frames += passed * RATE;
}

static int faulty_start(snd_pcm_ioplug_t *io) {
	faulty *f = io->private_data;
	clock_gettime(CLOCK_MONOTONIC, &f->last);
	return 0;
}

static int faulty_stop(snd_pcm_ioplug_t *io) {
	hang(io->private_data, 'c');
	return 0;
}

static int faulty_prepare(snd_pcm_ioplug_t *io) {
	faulty *f = io->private_data;
	f->frames = f->consumed = f->hw = 0;
	switch (*f->control) {
	case 'e': return -ENODEV; // an xrun it never comes back from
	case 's': return -EAGAIN; // the card still sleeps
	}
	return 0;
}

// alsa-lib takes whatever a plugin's resume says for success: it has to be prepared.
static int faulty_resume(snd_pcm_ioplug_t *io) { return 0; }

static snd_pcm_sframes_t faulty_pointer(snd_pcm_ioplug_t *io) {
	faulty *f = io->private_data;
	hang(f, 'h');
	switch (*f->control) {
	case 'x': // one xrun
		*f->control = 'r';
		return -EPIPE;
	case 'X': // and one after the other
	case 'e':
		return -EPIPE;
	case 's': // asleep until told otherwise
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_SUSPENDED);
		return f->hw;
	case 'n': // unplugged
		snd_pcm_ioplug_set_state(io, SND_PCM_STATE_DISCONNECTED);
		return f->hw;
	}
	tick(f);
	double ahead = f->frames - f->consumed;
	if (io->stream == SND_PCM_STREAM_CAPTURE) {
		if (ahead > io->buffer_size) return -EPIPE;
	} else if (ahead > 0) {
		return -EPIPE;
	}
	f->hw = (unsigned long)f->frames % io->buffer_size;
	return f->hw;
}

static snd_pcm_sframes_t faulty_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
		snd_pcm_uframes_t offset, snd_pcm_uframes_t size) {
	faulty *f = io->private_data;
	short *at = (short *)((char *)areas->addr + (areas->first + areas->step * offset) / 8);
	f->consumed += size;
	if (io->stream == SND_PCM_STREAM_PLAYBACK)
		return write(f->played, at, size * io->channels * 2) < 0 ? -errno : (snd_pcm_sframes_t)size;
	for (snd_pcm_uframes_t i = 0; i < size * io->channels; i++) {
		// A square of 480 Hz; z: digital silence.
		*at++ = *f->control == 'z' ? 0 : f->phase / io->channels % 100 < 50 ? 8000 : -8000;
		f->phase++;
	}
	return size;
}

static int faulty_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int n, unsigned short *revents) {
	faulty *f = io->private_data;
	unsigned long long passed;
	if (n > 0 && fds->revents & POLLIN && read(f->timer, &passed, sizeof passed) < 0) passed = 0;
	*revents = 0;
	if (strchr("xXesn", *f->control)) { // the position says what it is
		snd_pcm_avail_update(io->pcm);
		*revents = POLLERR;
		return 0;
	}
	tick(f);
	double ahead = f->frames - f->consumed;
	snd_pcm_uframes_t wanted = io->period_size;
	if (io->stream == SND_PCM_STREAM_CAPTURE && ahead >= wanted) *revents = POLLIN;
	if (io->stream == SND_PCM_STREAM_PLAYBACK && io->buffer_size + ahead >= wanted) *revents = POLLOUT;
	return 0;
}

static int faulty_close(snd_pcm_ioplug_t *io) {
	faulty *f = io->private_data;
	hang(f, 'c');
	close(f->timer);
	if (f->played >= 0) close(f->played);
	munmap((void *)f->control, 1);
	free(f);
	return 0;
}

static const snd_pcm_ioplug_callback_t calls = {
	.start = faulty_start, .stop = faulty_stop, .pointer = faulty_pointer, .transfer = faulty_transfer,
	.prepare = faulty_prepare, .resume = faulty_resume, .poll_revents = faulty_revents, .close = faulty_close,
};

static int limits(faulty *f, unsigned channels) {
	static const unsigned access[] = {SND_PCM_ACCESS_RW_INTERLEAVED}, format[] = {SND_PCM_FORMAT_S16_LE};
	int e;
	if ((e = snd_pcm_ioplug_set_param_list(&f->io, SND_PCM_IOPLUG_HW_ACCESS, 1, access)) < 0) return e;
	if ((e = snd_pcm_ioplug_set_param_list(&f->io, SND_PCM_IOPLUG_HW_FORMAT, 1, format)) < 0) return e;
	if ((e = snd_pcm_ioplug_set_param_minmax(&f->io, SND_PCM_IOPLUG_HW_CHANNELS, channels, channels)) < 0) return e;
	if ((e = snd_pcm_ioplug_set_param_minmax(&f->io, SND_PCM_IOPLUG_HW_RATE, RATE, RATE)) < 0) return e;
	if ((e = snd_pcm_ioplug_set_param_minmax(&f->io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 480, 1 << 14)) < 0) return e;
	return snd_pcm_ioplug_set_param_minmax(&f->io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 960, 1 << 16);
}

static int open_error(faulty *f) {
	hang(f, 'o');
	switch (*f->control) {
	case 'b': return -EBUSY;
	case 'p': return -EACCES;
	case 'm': return -ENODEV;
	}
	return 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(faulty) {
	snd_config_iterator_t i, next;
	const char *control = NULL, *played = NULL;
	long channels = 1;
	snd_config_for_each(i, next, conf) {
		snd_config_t *n = snd_config_iterator_entry(i);
		const char *id;
		if (snd_config_get_id(n, &id) < 0) continue;
		if (!strcmp(id, "control")) snd_config_get_string(n, &control);
		if (!strcmp(id, "played")) snd_config_get_string(n, &played);
		if (!strcmp(id, "channels")) snd_config_get_integer(n, &channels);
	}
	faulty *f = calloc(1, sizeof *f);
	int fd = open(control, O_RDWR | O_CLOEXEC), e;
	if (!f || fd < 0) return -EINVAL;
	f->control = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if ((e = open_error(f)) < 0) {
		munmap((void *)f->control, 1);
		free(f);
		return e;
	}
	f->played = stream == SND_PCM_STREAM_PLAYBACK ? open(played, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600) : -1;
	f->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct itimerspec every = {{0, 5000000}, {0, 5000000}};
	timerfd_settime(f->timer, 0, &every, NULL);
	f->io.version = SND_PCM_IOPLUG_VERSION;
	f->io.name = "a device that does as it is told";
	f->io.callback = &calls;
	f->io.private_data = f;
	f->io.poll_fd = f->timer;
	f->io.poll_events = POLLIN;
	if ((e = snd_pcm_ioplug_create(&f->io, name, stream, mode)) < 0) return e;
	if ((e = limits(f, channels)) < 0) {
		snd_pcm_ioplug_delete(&f->io);
		return e;
	}
	*pcmp = f->io.pcm;
	return 0;
}

SND_PCM_PLUGIN_SYMBOL(faulty);

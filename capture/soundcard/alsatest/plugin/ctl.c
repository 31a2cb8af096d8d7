// A card's controls for tests: the file "switches" holds a pair of bytes a name of
// "elements" ('0' off, '1' on; left and right), and a write to it is an event.
#include <alsa/asoundlib.h>
#include <alsa/control_external.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#define MOST 4

typedef struct {
	snd_ctl_ext_t ext;
	char switches[256], names[MOST][44];
	int count, inotify, pending;
} panel;

static int panel_count(snd_ctl_ext_t *ext) { return ((panel *)ext->private_data)->count; }

static int panel_list(snd_ctl_ext_t *ext, unsigned int offset, snd_ctl_elem_id_t *id) {
	panel *p = ext->private_data;
	if (offset >= p->count) return -EINVAL;
	snd_ctl_elem_id_set_interface(id, SND_CTL_ELEM_IFACE_MIXER);
	snd_ctl_elem_id_set_name(id, p->names[offset]);
	return 0;
}

static snd_ctl_ext_key_t panel_find(snd_ctl_ext_t *ext, const snd_ctl_elem_id_t *id) {
	panel *p = ext->private_data;
	for (int i = 0; i < p->count; i++)
		if (!strcmp(snd_ctl_elem_id_get_name(id), p->names[i])) return i;
	return SND_CTL_EXT_KEY_NOT_FOUND;
}

static int panel_attribute(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, int *type, unsigned int *acc, unsigned int *count) {
	*type = SND_CTL_ELEM_TYPE_BOOLEAN;
	*acc = SND_CTL_EXT_ACCESS_READWRITE;
	*count = 2;
	return 0;
}

static int panel_read(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value) {
	panel *p = ext->private_data;
	char both[2] = "";
	int fd = open(p->switches, O_RDONLY | O_CLOEXEC), n;
	if (fd < 0) return -ENODEV;
	n = pread(fd, both, 2, 2 * key);
	close(fd);
	if (n != 2) return -ENODEV;
	value[0] = both[0] == '1';
	value[1] = both[1] == '1';
	return 0;
}

static int panel_write(snd_ctl_ext_t *ext, snd_ctl_ext_key_t key, long *value) { return -EPERM; }

static void panel_subscribe(snd_ctl_ext_t *ext, int subscribe) {}

static int panel_event(snd_ctl_ext_t *ext, snd_ctl_elem_id_t *id, unsigned int *mask) {
	panel *p = ext->private_data;
	char events[4096];
	if (p->pending == 0) {
		if (read(p->inotify, events, sizeof events) <= 0) return -EAGAIN;
		p->pending = p->count;
	}
	p->pending--;
	panel_list(ext, p->pending, id);
	*mask = SND_CTL_EVENT_MASK_VALUE;
	return 1;
}

static void panel_close(snd_ctl_ext_t *ext) {
	panel *p = ext->private_data;
	close(p->inotify);
	free(p);
}

static const snd_ctl_ext_callback_t calls = {
	.close = panel_close, .elem_count = panel_count, .elem_list = panel_list, .find_elem = panel_find,
	.get_attribute = panel_attribute, .read_integer = panel_read, .write_integer = panel_write,
	.subscribe_events = panel_subscribe, .read_event = panel_event,
};

SND_CTL_PLUGIN_DEFINE_FUNC(panel) {
	snd_config_iterator_t i, next;
	const char *switches = "", *elements = "";
	int e;
	snd_config_for_each(i, next, conf) {
		snd_config_t *n = snd_config_iterator_entry(i);
		const char *id;
		if (snd_config_get_id(n, &id) < 0) continue;
		if (!strcmp(id, "switches")) snd_config_get_string(n, &switches);
		if (!strcmp(id, "elements")) snd_config_get_string(n, &elements);
	}
	panel *p = calloc(1, sizeof *p);
	if (!p) return -ENOMEM;
	snprintf(p->switches, sizeof p->switches, "%s", switches);
	char list[256], *save, *element;
	snprintf(list, sizeof list, "%s", elements);
	for (element = strtok_r(list, ",", &save); element && p->count < MOST; element = strtok_r(NULL, ",", &save))
		snprintf(p->names[p->count++], sizeof p->names[0], "%s", element);
	p->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (inotify_add_watch(p->inotify, switches, IN_MODIFY) < 0) {
		panel_close(&(snd_ctl_ext_t){.private_data = p});
		return -ENODEV;
	}
	p->ext.version = SND_CTL_EXT_VERSION;
	strcpy(p->ext.id, "panel");
	strcpy(p->ext.name, "switches of a test");
	p->ext.poll_fd = p->inotify;
	p->ext.callback = &calls;
	p->ext.private_data = p;
	if ((e = snd_ctl_ext_create(&p->ext, name, mode)) < 0) {
		panel_close(&p->ext);
		return e;
	}
	*handlep = p->ext.handle;
	return 0;
}

SND_CTL_PLUGIN_SYMBOL(panel);

#ifndef KIOSK_QUIET_H
#define KIOSK_QUIET_H
#include <alsa/asoundlib.h>

// What alsa-lib has to say comes back as an error code; its own lines on stderr
// would only be noise there.
static inline void kiosk_hush(const char *file, int line, const char *function, int err, const char *fmt, ...) {}

static inline void kiosk_quiet(void) { snd_lib_error_set_handler(kiosk_hush); }
#endif

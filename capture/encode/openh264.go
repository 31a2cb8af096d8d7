package encode

/*
#include <stdbool.h>
#include <stddef.h>

// What mediadevices' binding takes and gives back (its bridge.hpp), and its C function
// that encodes a picture. Weak, because it is linked into the program and not into
// this package alone.
struct kiosk_h264_in { void *y, *u, *v; int ystride, cstride, height, width; };
struct kiosk_h264_out { unsigned char *data; int len; };
__attribute__((weak)) struct kiosk_h264_out enc_encode(void *encoder, struct kiosk_h264_in in, int *status);

struct kiosk_h264_picture { unsigned char *data; int len, status; };

static struct kiosk_h264_picture kiosk_h264_encode(void *encoder, void *y, void *u, void *v, int ystride, int cstride, int w, int h) {
	struct kiosk_h264_in in = { y, u, v, ystride, cstride, h, w };
	struct kiosk_h264_picture p = { 0, 0, 0 };
	struct kiosk_h264_out out = enc_encode(encoder, in, &p.status);
	p.data = out.data;
	p.len = out.len;
	return p;
}

// openh264's ISVCEncoder begins with a pointer to its functions (codec_api.h,
// struct ISVCEncoderVtbl); these are the first of them.
struct kiosk_h264_functions {
	void *initialize;
	int (*initialize_ext)(void *, const void *);
	void *default_params;
	int (*uninitialize)(void *);
	void *encode_frame, *parameter_sets;
	int (*force_intra)(void *, bool, int);
	int (*set_option)(void *, int, void *);
	int (*get_option)(void *, int, void *);
};

static struct kiosk_h264_functions *functions(void *engine) { return *(struct kiosk_h264_functions **)engine; }

enum { PARAM_EXT = 3, BITRATE = 5, MAX_BITRATE = 6, TRACE_LEVEL = 25 }; // ENCODER_OPTION of codec_app_def.h

static int kiosk_h264_quiet(void *engine) {
	int level = 1; // WELS_LOG_ERROR
	return functions(engine)->set_option(engine, TRACE_LEVEL, &level);
}

// params is room for openh264's SEncParamExt. scenes is where in it the search for
// changes of scene is switched, layers where the number of temporal layers is. They
// count at the opening only.
static int kiosk_h264_reopen(void *engine, void *params, size_t scenes, size_t layers) {
	int status = functions(engine)->get_option(engine, PARAM_EXT, params);
	if (status) return status;
	*(bool *)((char *)params + scenes) = false;
	*(int *)((char *)params + layers) = 2;
	status = functions(engine)->uninitialize(engine);
	return status ? status : functions(engine)->initialize_ext(engine, params);
}

// The bit rate of the only layer, number 0. It may never be above the largest.
static int kiosk_h264_option_rate(void *engine, int option, int bps) {
	struct { int layer, bitrate; } r = { 0, bps };
	return functions(engine)->set_option(engine, option, &r);
}

static int kiosk_h264_rate(void *engine, int from, int to) {
	int status = kiosk_h264_option_rate(engine, to > from ? MAX_BITRATE : BITRATE, to);
	return status ? status : kiosk_h264_option_rate(engine, to > from ? BITRATE : MAX_BITRATE, to);
}

static int kiosk_h264_intra(void *engine) { return functions(engine)->force_intra(engine, true, -1); }
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"reflect"
	"unsafe"

	"github.com/pion/mediadevices/pkg/codec"
)

// What mediadevices' binding of openh264 keeps to itself and this package cannot do
// without:
//
//   - the encoder's C side, to encode without the two pieces of Go's heap that its Read
//     takes for each picture;
//   - openh264's own handle: to have it silent (it warns on standard error at each change
//     of the bit rate that frames are not skipped, which is what was asked for; two lines
//     at its opening remain), and to have it look for no changes of scene (a keyframe
//     where nobody needs one is five to seven times a mean picture) and make every second
//     picture one that nothing refers to, for 0.1 dB: the touchscreen does without those,
//     and where one is lost nothing else is.
//
// Both are read by reflection, never written. Should a new version of the library name
// its fields in another way, no encoder opens and TestOpenH264KeepsItsFields says so.

// errOpenH264 means that the fields below are not where they were.
var errOpenH264 = errors.New("cannot use this version of the openh264 binding: its fields have changed")

// openH264 is what is behind one encoder of the binding's.
type openH264 struct {
	encoder, engine unsafe.Pointer
	out             []byte // the last picture
}

// grasp finds it.
func grasp(enc codec.ReadCloser) (*openH264, error) {
	v := reflect.ValueOf(enc)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil, errOpenH264
	}
	side := v.Elem().FieldByName("engine")
	if side.Kind() != reflect.Pointer || side.IsNil() || side.Elem().Kind() != reflect.Struct {
		return nil, errOpenH264
	}
	engine, params := side.Elem().FieldByName("engine"), side.Elem().FieldByName("params")
	if engine.Kind() != reflect.Pointer || engine.IsNil() || params.Kind() != reflect.Struct {
		return nil, errOpenH264
	}
	scenes, ok1 := params.Type().FieldByName("bEnableSceneChangeDetect")
	layers, ok2 := params.Type().FieldByName("iTemporalLayerNum")
	if !ok1 || !ok2 || scenes.Type.Kind() != reflect.Bool || layers.Type.Kind() != reflect.Int32 {
		return nil, errOpenH264
	}
	o := &openH264{encoder: side.UnsafePointer(), engine: engine.UnsafePointer()}
	if code := C.kiosk_h264_quiet(o.engine); code != 0 {
		return nil, fmt.Errorf("cannot silence openh264: error %d", int(code))
	}
	room := make([]byte, params.Type().Size())
	if code := C.kiosk_h264_reopen(o.engine, unsafe.Pointer(unsafe.SliceData(room)), C.size_t(scenes.Offset), C.size_t(layers.Offset)); code != 0 {
		return nil, fmt.Errorf("cannot set openh264's parameters: error %d", int(code))
	}
	return o, nil
}

// encode compresses a 4:2:0 picture of even sides. The bytes are valid until the
// next encode.
func (o *openH264) encode(img *image.YCbCr) ([]byte, error) {
	y, c := img.YOffset(img.Rect.Min.X, img.Rect.Min.Y), img.COffset(img.Rect.Min.X, img.Rect.Min.Y)
	p := C.kiosk_h264_encode(o.encoder, unsafe.Pointer(&img.Y[y]), unsafe.Pointer(&img.Cb[c]), unsafe.Pointer(&img.Cr[c]),
		C.int(img.YStride), C.int(img.CStride), C.int(img.Rect.Dx()), C.int(img.Rect.Dy()))
	switch {
	case p.status != 0:
		return nil, fmt.Errorf("openh264 says error %d", int(p.status))
	case p.len <= 0:
		return nil, errors.New("openh264 gave nothing back")
	}
	o.out = append(o.out[:0], unsafe.Slice((*byte)(p.data), int(p.len))...)
	return o.out, nil
}

// rate changes the bit rate. The binding's way sets all parameters anew, which may cost
// a keyframe.
func (o *openH264) rate(from, to int) error {
	if code := C.kiosk_h264_rate(o.engine, C.int(from), C.int(to)); code != 0 {
		return fmt.Errorf("cannot set the H.264 bit rate to %d bit/s: openh264 says error %d", to, int(code))
	}
	return nil
}

// intra makes the next picture a keyframe.
func (o *openH264) intra() error {
	if code := C.kiosk_h264_intra(o.engine); code != 0 {
		return fmt.Errorf("cannot force an H.264 keyframe: openh264 says error %d", int(code))
	}
	return nil
}

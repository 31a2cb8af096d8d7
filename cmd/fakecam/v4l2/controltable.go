package v4l2

// newControls gives the controls of one camera, by rising ids: those of a good
// UVC webcam, with uvcvideo's names (drivers/media/usb/uvc/uvc_ctrl.c). The
// privacy control is a boolean that only the camera changes
// (Documentation/userspace-api/media/v4l/ext-ctrls-camera.rst).
func newControls(shutter bool) []*control {
	c := []*control{
		{id: whichUser | 1, typ: ctrlClass, name: "User Controls", flags: flagReadOnly | flagWriteOnly},
		{id: 0x00980900, typ: ctrlInteger, name: "Brightness", min: -64, max: 64, step: 1},
		{id: 0x00980901, typ: ctrlInteger, name: "Contrast", max: 95, step: 1, dflt: 32},
		{id: 0x00980902, typ: ctrlInteger, name: "Saturation", max: 100, step: 1, dflt: 64},
		{id: idAutoWhite, typ: ctrlBoolean, name: "White Balance, Automatic", flags: flagUpdate, max: 1, step: 1, dflt: 1},
		{id: 0x00980913, typ: ctrlInteger, name: "Gain", max: 255, step: 1},
		{id: 0x00980918, typ: ctrlMenu, name: "Power Line Frequency", max: 2, step: 1, dflt: 1, menu: []string{"Disabled", "50 Hz", "60 Hz"}},
		{id: 0x0098091a, typ: ctrlInteger, name: "White Balance Temperature", min: 2800, max: 6500, step: 10, dflt: 4600, auto: idAutoWhite},
		{id: 0x0098091b, typ: ctrlInteger, name: "Sharpness", max: 7, step: 1, dflt: 2},
		{id: 0x0098091c, typ: ctrlInteger, name: "Backlight Compensation", max: 2, step: 1, dflt: 1},
		{id: whichCamera | 1, typ: ctrlClass, name: "Camera Controls", flags: flagReadOnly | flagWriteOnly},
		{
			id: idAutoExposure, typ: ctrlMenu, name: "Auto Exposure", flags: flagUpdate, max: 3, step: 1, dflt: 3,
			menu: []string{1: "Manual Mode", 3: "Aperture Priority Mode"}, // a webcam has no iris: 0 and 2 are not there
		},
		{id: 0x009a0902, typ: ctrlInteger, name: "Exposure Time, Absolute", min: 3, max: 2047, step: 1, dflt: 250, auto: idAutoExposure, manual: 1},
		{id: 0x009a0903, typ: ctrlBoolean, name: "Exposure, Dynamic Framerate", max: 1, step: 1},
		{id: 0x009a090a, typ: ctrlInteger, name: "Focus, Absolute", max: 250, step: 5, auto: idAutoFocus},
		{id: idAutoFocus, typ: ctrlBoolean, name: "Focus, Automatic Continuous", flags: flagUpdate, max: 1, step: 1, dflt: 1},
		{id: 0x009a090d, typ: ctrlInteger, name: "Zoom, Absolute", min: 100, max: 500, step: 1, dflt: 100},
	}
	if shutter {
		c = append(c, &control{id: idPrivacy, typ: ctrlBoolean, name: "Privacy", flags: flagReadOnly, max: 1, step: 1})
	}
	for _, x := range c {
		x.val = x.dflt
	}
	return c
}

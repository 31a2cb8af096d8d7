package main

import "kioskd/daemon/api/apitype"

// swapCmd uses another camera.
type swapCmd struct {
	Camera string `arg:"" optional:"" help:"The camera: its id, or a part of its id or name, or its role; without it the next usable one is taken."`
	JSON   bool   `name:"json" help:"Print the answer as JSON."`
}

// Run does it.
func (c *swapCmd) Run(e *env) error {
	id := ""
	if c.Camera != "" {
		d, err := e.device(apitype.KindCamera, c.Camera)
		if err != nil {
			return err
		}
		id = d.ID
	}
	a, err := e.kiosk.SwapCamera(e.ctx, id)
	if err != nil {
		return err
	}
	return e.answer(c.JSON, a, cameraWords)
}

func cameraWords(s *apitype.Session) string {
	return "The camera is " + printable(orElse(s.Camera.Name, orElse(s.Camera.ID, "none"))) + "."
}

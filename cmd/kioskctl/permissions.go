package main

// permissionsCmd gives the patient's answer to the permission request.
type permissionsCmd struct {
	Answer string `arg:"" enum:"grant,deny,dismiss" help:"grant, deny or dismiss; for camera and microphone."`
	JSON   bool   `name:"json" help:"Print the answer as JSON."`
}

// Run does it.
func (c *permissionsCmd) Run(e *env) error {
	word := map[string]string{"grant": "granted", "deny": "denied", "dismiss": "dismissed"}[c.Answer]
	a, err := e.kiosk.Permissions(e.ctx, word, word)
	if err != nil {
		return err
	}
	return e.answer(c.JSON, a, stateWords)
}

package session

import "slices"

// Control is one entry of the screen's controls, in the contract's words.
type Control struct {
	Level     int    `json:"level"`
	Reference string `json:"reference"`
	Type      string `json:"type"` // Button, Link or Spacer
	Value     string `json:"value"`
	Placement string `json:"placement"`
	Visible   bool   `json:"visible"`
	Enabled   bool   `json:"enabled"`
}

// Controls lists what the screen offers, in the contract's order, chat after
// mute; nil where there is no session. It derives from the session's state, from
// what the devices can do and from what the backend has taken away (Screen).
//
// A control that toggles keeps its reference and names what a press would do:
// `mute` reads Mute, then Unmute; `disable-video` reads Disable video, then
// Enable video. The two entries without a published reference are not made up.
func (m Model) Controls() []Control {
	if !m.Exists() {
		return nil
	}
	running := m.Running()
	videoOn := m.Facts.Camera == DeviceUnknown || len(m.Facts.Cameras) > 0 // a press can enable it
	link := func(reference, value string, visible, enabled bool) Control {
		visible = visible && !slices.Contains(m.Screen.Hidden, reference)
		enabled = enabled && !slices.Contains(m.Screen.Disabled, reference)
		return Control{1, reference, "Link", value, "~", visible, visible && enabled}
	}
	spacer := running && !slices.Contains(m.Screen.Hidden, "spacer")
	return []Control{
		{Level: 1, Reference: "start-call", Type: "Button", Value: "Start call"},
		link("end-call", "End call", running, true),
		link("report-issue", "Report issue", running && m.Offers.ReportIssue, true),
		{Level: 1, Reference: "spacer", Type: "Spacer", Placement: "~", Visible: spacer},
		link("swap-camera", "Swap camera", running && m.CameraSupported(), true),
		link("disable-video", either(m.VideoOff, "Enable video", "Disable video"), running, !m.VideoOff || videoOn),
		link("mute", either(m.Muted, "Unmute", "Mute"), running, !m.Muted || m.Facts.Microphone != DeviceMissing),
		link("chat", "Chat", running && m.Offers.Chat, true),
	}
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

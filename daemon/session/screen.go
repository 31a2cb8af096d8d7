package session

import (
	"slices"
	"time"
)

// Screen is what the backend says of its screen beside the room: which controls
// it took away, and when it wants to be asked again (the timeout/update cycle of
// the screen's document).
type Screen struct {
	Hidden    []string    `json:"hidden,omitempty"`   // references out of takeable
	Disabled  []string    `json:"disabled,omitempty"` // the same
	Update    PatientText `json:"update,omitempty"`   // where to PATCH
	RefreshAt time.Time   `json:"refresh_at,omitzero"`
}

// Bounds of what a backend says of its screen.
const (
	maxUpdate  = 2048 // bytes
	minTimeout = time.Second
	maxTimeout = 24 * time.Hour
)

// takeable says whether a backend may take a control away. What protects the
// patient (end-call, mute, disable-video) is never among it, and start-call is
// invisible anyway.
func takeable(reference string) bool {
	switch reference {
	case "chat", "report-issue", "swap-camera", "spacer":
		return true
	}
	return false
}

// takes says whether the backend has taken a control away.
func (s Screen) takes(reference string) bool {
	return slices.Contains(s.Hidden, reference) || slices.Contains(s.Disabled, reference)
}

// valid says whether a stored one is what patch can have made.
func (s Screen) valid() bool {
	unknown := func(reference string) bool { return !takeable(reference) }
	return len(s.Update) <= maxUpdate && len(s.Hidden) <= 4 && len(s.Disabled) <= 4 &&
		!slices.ContainsFunc(s.Hidden, unknown) && !slices.ContainsFunc(s.Disabled, unknown)
}

// patch takes over what the backend changed of its screen.
func (m *Model) patch(p Patch, at time.Time) {
	if p.Title != nil {
		m.Title = cut(*p.Title, maxTitle)
	}
	set := func(list *[]string, reference string, allowed *bool) {
		if allowed == nil {
			return
		}
		*list = slices.DeleteFunc(*list, func(r string) bool { return r == reference })
		if !*allowed {
			*list = append(*list, reference)
			slices.Sort(*list) // a map has no order, a stored model needs one
		}
	}
	for reference, c := range p.Controls {
		if takeable(reference) {
			set(&m.Screen.Hidden, reference, c.Visible)
			set(&m.Screen.Disabled, reference, c.Enabled)
		}
	}
	if p.Update != "" && len(p.Update) <= maxUpdate {
		m.Screen.Update = p.Update
	}
	m.Screen.RefreshAt = time.Time{}
	if p.Timeout > 0 && m.Screen.Update != "" {
		m.Screen.RefreshAt = at.Add(min(max(p.Timeout, minTimeout), maxTimeout))
	}
}

// refreshable says whether the screen's refresh may begin when it is due. While
// no room is known the PUT is under way, which brings the whole screen.
func (m *Model) refreshable() bool {
	return m.Running() && !m.Stopping && !m.Refreshing && !m.Unauthorized && m.Room != nil &&
		m.Admitted && m.consented() && m.Facts.Network == LinkUp
}

// refresh begins the refresh that is due. RefreshAt stays until the result, so
// that a restart in between asks again.
func (m *Model) refresh(at time.Time) {
	if m.refreshable() && due(m.Screen.RefreshAt, at) {
		m.Refreshes++
		m.Refreshing = true
	}
}

// refreshed takes the result of the newest refresh. A failure never ends a
// session: the screen stays as it was.
func (m *Model) refreshed(w What, at time.Time) {
	if !m.Running() || !m.Refreshing {
		return
	}
	switch w := w.(type) {
	case ScreenPatched:
		if w.Number == m.Refreshes {
			m.Refreshing, m.RefreshTries = false, 0
			m.patch(w.Patch, at)
		}
	case RefreshFailed:
		if w.Number != m.Refreshes {
			return
		}
		m.Refreshing = false
		m.Screen.RefreshAt = time.Time{}
		switch {
		case w.Code == CodeUnauthorized:
			m.Unauthorized = true
		case w.Retryable:
			m.Screen.RefreshAt = at.Add(backOff(m.RefreshTries, maxRefresh))
			m.RefreshTries++
		}
	}
}

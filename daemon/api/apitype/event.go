package apitype

import (
	"encoding/json"
	"fmt"
)

// Names of events on GET /v1/events.
const (
	// EventSnapshot comes first on a fresh stream; its data is a Status.
	EventSnapshot = "snapshot"
	// EventChange carries the whole new Status after any change.
	EventChange = "change"
	// EventOutput carries an output of the contract, one JSON object with one
	// member: {"session":"started"}, {"audio":"updated"}, {"state":"ended"}.
	EventOutput = "output"
	// EventLagging is the last event of a watcher that read too slowly. Its
	// data is a Problem. Connect again without Last-Event-ID.
	EventLagging = "lagging"
)

// Event is one server-sent event. Its ID is "<epoch>-<number>": the epoch is
// new with each start of the daemon, the number grows by one an event. A
// snapshot carries the number of the last event it includes. A client treats
// the ID as opaque and sends it back in Last-Event-ID to go on after it.
type Event struct {
	ID   string          `json:"id"`    // as sent back in Last-Event-ID
	Name string          `json:"event"` // one of the names above
	Data json.RawMessage `json:"data"`
}

// Status decodes the data of a snapshot or a change.
func (e Event) Status() (Status, error) {
	var s Status
	if e.Name != EventSnapshot && e.Name != EventChange {
		return s, fmt.Errorf("cannot read event %q as a status: only %s and %s carry one", e.Name, EventSnapshot, EventChange)
	}
	if err := json.Unmarshal(e.Data, &s); err != nil {
		return s, fmt.Errorf("cannot decode the data of event %s: %w", e.Name, err)
	}
	return s, nil
}

// Output decodes the data of an output: one name and its value, such as
// "audio" and "updated".
func (e Event) Output() (name, value string, err error) {
	if e.Name != EventOutput {
		return "", "", fmt.Errorf("cannot read event %q as an output", e.Name)
	}
	var m map[string]string
	if err := json.Unmarshal(e.Data, &m); err != nil {
		return "", "", fmt.Errorf("cannot decode the data of an output: %w", err)
	}
	if len(m) != 1 {
		return "", "", fmt.Errorf("cannot read an output with %d members: it has one", len(m))
	}
	for k, v := range m {
		name, value = k, v
	}
	return name, value, nil
}

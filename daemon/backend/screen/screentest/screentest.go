// Package screentest makes screen documents for tests: a good one, and copies in
// which one thing is broken. For the tests of backend and screen only.
package screentest

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

// What a document holds that must appear in no error and no log.
const (
	CanaryName  = "Dr. Canary Oystercatcher"
	CanaryTitle = "Visit of Canary Patient"
	CanaryRoom  = "canary-room-token-55d0"
)

// Document is a screen as maps, so that a test can break one thing in it.
type Document map[string]any

// Good is a whole screen whose room is at url; expires is of RFC 3339.
func Good(url, expires string) Document {
	return Document{
		"title": CanaryTitle, "type": "Video", "blocking": true, "elements": []any{Document{"reference": "mute"}}, "patches": Document{},
		"room": Document{
			"provider": "direct", "url": url, "token": CanaryRoom, "expires": expires,
			"ice_servers":     []any{Document{"urls": []string{"turns:turn.example:5349?transport=tcp"}, "username": "u", "credential": "c"}},
			"participant":     Document{"name": CanaryName, "role": "clinician"},
			"session_seconds": 1800, "wait_seconds": 900, "chat": true, "report_issue": false, "later": 1,
		},
	}
}

// With gives a copy in which the field at the dotted path has the value; nil
// removes it. The path's parents must be there.
func (d Document) With(path string, value any) Document {
	name, rest, deeper := strings.Cut(path, ".")
	c := maps.Clone(d)
	switch {
	case deeper:
		c[name] = c[name].(Document).With(rest, value) //nolint:forcetypeassert // see above: a test's own mistake
	case value == nil:
		delete(c, name)
	default:
		c[name] = value
	}
	return c
}

// JSON is the document on the wire.
func (d Document) JSON(t testing.TB) string {
	t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

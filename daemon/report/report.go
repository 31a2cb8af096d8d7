// Package report makes issue reports and sends them: what the patient says, and
// with it what a technician would ask for (the session's states, the call's
// statistics, devices, conditions, the newest log lines). A report is built when
// it is handed in, kept sealed by the store and posted until the backend has it.
//
// It owns the recording of states and log lines and the goroutine that posts.
// Store, backend and call come in as functions. Imported by daemon; it imports
// session, apitype and the standard library.
package report

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// MaxBundle bounds a bundle in bytes: the store takes 256 KiB a record, and the
// appointment and the patient's words stand beside it.
const MaxBundle = 192 << 10

// Format is the number in a bundle that tells its form.
const Format = 1

// Bundle is the technical half of a report. It names no patient, no participant
// and no appointment.
type Bundle struct {
	Format     int                 `json:"format"`
	ID         string              `json:"id"`
	At         time.Time           `json:"at"` // UTC
	Version    apitype.Version     `json:"version"`
	Session    Summary             `json:"session"`
	States     []Change            `json:"states"`     // oldest first
	Statistics any                 `json:"statistics"` // one a second, oldest first
	Devices    []apitype.Device    `json:"devices"`
	Conditions []apitype.Condition `json:"conditions"`
	Log        []string            `json:"log"` // oldest first
}

// Summary is the session at the time of the report.
type Summary struct {
	State        string    `json:"state"`
	Step         string    `json:"step,omitempty"`
	Error        string    `json:"error,omitempty"`
	OpenedAt     time.Time `json:"opened_at,omitzero"`
	ActiveSince  time.Time `json:"active_since,omitzero"`
	Muted        bool      `json:"muted"`
	VideoOff     bool      `json:"video_off"`
	Camera       string    `json:"camera,omitempty"`
	Participants []Person  `json:"participants"`
	Attempt      int       `json:"attempt"`
}

// Person is a participant without a name.
type Person struct {
	Role     string `json:"role,omitempty"`
	Audio    bool   `json:"audio"`
	Video    bool   `json:"video"`
	Presence string `json:"presence,omitempty"`
}

// Record is what the store keeps, sealed, until the report is sent. Appointment
// and Text are the patient's business.
type Record struct {
	// Kind is empty for an issue report, or KindQuality: then Bundle is a Quality and
	// there is no Text.
	Kind        string              `json:"kind,omitempty"`
	Appointment session.PatientText `json:"appointment"`
	Text        session.PatientText `json:"text"`
	Bundle      json.RawMessage     `json:"bundle"`
}

// LogValue keeps the content out of logs.
func (Record) LogValue() slog.Value { return slog.StringValue("issue report") }

// Builder puts a report together. All fields are required.
type Builder struct {
	Version    apitype.Version
	Model      func() session.Model
	Devices    func() []apitype.Device
	Conditions func() []apitype.Condition
	Statistics func() any // the call's history
	States     *States
	Log        *Log
}

// Build makes a report of what is now: its random id and the record to keep.
// Without a session there is nothing to report on: the session refuses it anyway.
func (b *Builder) Build(text string) (id string, record []byte, err error) {
	m := b.Model()
	bundle := Bundle{
		Format: Format, ID: rand.Text(), At: time.Now().UTC(), Version: b.Version, Session: summary(m),
		States: b.States.list(), Statistics: b.Statistics(), Devices: b.Devices(), Conditions: b.Conditions(), Log: b.Log.Lines(),
	}
	raw, err := encode(bundle)
	if err != nil {
		return "", nil, err
	}
	record, err = json.Marshal(Record{Appointment: m.Appointment, Text: session.PatientText(text), Bundle: raw})
	if err != nil {
		return "", nil, fmt.Errorf("cannot build the issue report: %w", err)
	}
	return bundle.ID, record, nil
}

// encode gives the bundle's JSON within its bound: the oldest log lines go first,
// then the statistics.
func encode(b Bundle) ([]byte, error) {
	for {
		raw, err := json.Marshal(b)
		switch {
		case err != nil:
			return nil, fmt.Errorf("cannot build the issue report: %w", err)
		case len(raw) <= MaxBundle:
			return raw, nil
		case len(b.Log) > 0:
			b.Log = b.Log[(len(b.Log)+1)/2:]
		case b.Statistics != nil:
			b.Statistics = nil
		default:
			return nil, errors.New("cannot build the issue report: the list of devices is too long")
		}
	}
}

// Decode reads a Record as Build made it.
func Decode(record []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(record, &r); err != nil {
		return Record{}, fmt.Errorf("cannot read a stored issue report: it is not the JSON of one (%d bytes)", len(record))
	}
	if r.Appointment == "" || len(r.Bundle) == 0 || r.Kind != "" && r.Kind != KindQuality {
		return Record{}, errors.New("cannot read a stored issue report: it lacks its appointment or its bundle")
	}
	return r, nil
}

func summary(m session.Model) Summary {
	s := Summary{
		State: string(m.State), Step: string(m.Phase), Error: m.Error.Code, OpenedAt: m.OpenedAt, ActiveSince: m.ActiveSince,
		Muted: m.Muted, VideoOff: m.VideoOff, Camera: m.Camera.ID, Participants: []Person{}, Attempt: m.Attempt,
	}
	for _, p := range m.Participants {
		s.Participants = append(s.Participants, Person{Role: p.Role, Audio: p.Audio, Video: p.Video, Presence: string(p.Presence)})
	}
	return s
}

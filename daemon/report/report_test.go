package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

const (
	canaryAppointment = "appointment-4711"
	canaryName        = "Dr. Canary"
	canaryWords       = "I cannot hear Mrs. Canary"
)

func theModel() session.Model {
	return session.Model{
		State: session.Active, Appointment: canaryAppointment, Muted: true, Camera: session.Camera{ID: "cam-1"}, Attempt: 2,
		Title:        canaryName,
		Messages:     []session.Message{{ID: "1", Text: canaryWords}},
		Participants: []session.Participant{{ID: "p1", Name: canaryName, Role: "clinician", Audio: true, Video: true}},
		OpenedAt:     time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC),
	}
}

func theBuilder(log *Log) *Builder {
	if log == nil {
		log = NewLog(slog.DiscardHandler)
	}
	return &Builder{
		Version: apitype.Version{Version: "1.2.3"}, Model: theModel, States: &States{}, Log: log,
		Devices:    func() []apitype.Device { return []apitype.Device{{ID: "cam-1", Kind: "camera", State: "ok"}} },
		Conditions: func() []apitype.Condition { return []apitype.Condition{{Code: "camera_missing"}} },
		Statistics: func() any { return []map[string]float64{{"rtt_ms": 12}} },
	}
}

func TestAReportHoldsWhatATechnicianAsksForAndNoPatient(t *testing.T) {
	log := NewLog(slog.DiscardHandler)
	slog.New(log).Info("camera opened", "format", "MJPG")
	b := theBuilder(log)
	for _, state := range []session.State{session.Waiting, session.Active, session.Active} {
		b.States.Note(session.Model{State: state})
	}
	id, record, err := b.Build(canaryWords)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	if r.Appointment != canaryAppointment || r.Text != canaryWords {
		t.Error("the record lost the appointment or the patient's words")
	}
	for _, canary := range []string{canaryAppointment, canaryName, canaryWords, "Canary"} {
		if bytes.Contains(r.Bundle, []byte(canary)) {
			t.Errorf("the bundle holds %q", canary)
		}
	}
	var got Bundle
	if err := json.Unmarshal(r.Bundle, &got); err != nil {
		t.Fatal(err)
	}
	if got.ID != id || got.Format != Format || got.Version.Version != "1.2.3" {
		t.Errorf("head is %q %d %q", got.ID, got.Format, got.Version.Version)
	}
	if s := got.Session; s.State != "active" || !s.Muted || s.Camera != "cam-1" || len(s.Participants) != 1 || s.Participants[0].Role != "clinician" {
		t.Errorf("session is %+v", s)
	}
	if len(got.States) != 2 || got.States[0].State != "waiting" || got.States[1].State != "active" {
		t.Errorf("states are %+v", got.States)
	}
	if len(got.Devices) != 1 || len(got.Conditions) != 1 || got.Statistics == nil {
		t.Errorf("devices %v, conditions %v, statistics %v", got.Devices, got.Conditions, got.Statistics)
	}
	if len(got.Log) != 1 || !strings.Contains(got.Log[0], `msg="camera opened" format=MJPG`) {
		t.Errorf("log is %q", got.Log)
	}
}

func TestTwoReportsHaveTwoIDs(t *testing.T) {
	b := theBuilder(nil)
	one, _, err1 := b.Build("a")
	two, _, err2 := b.Build("a")
	if err1 != nil || err2 != nil || one == two {
		t.Fatalf("ids %q and %q, errors %v, %v", one, two, err1, err2)
	}
}

func TestABundleIsBounded(t *testing.T) {
	log := NewLog(slog.DiscardHandler)
	for i := range 2 * maxLines {
		slog.New(log).Info(strings.Repeat("x", 2*maxLine), "n", i)
	}
	if lines := log.Lines(); len(lines) != maxLines || len(lines[0]) > maxLine {
		t.Fatalf("%d lines, the first of %d bytes", len(lines), len(lines[0]))
	}
	b := theBuilder(log)
	big := make([]map[string]float64, 0, 4000)
	for i := range 4000 {
		big = append(big, map[string]float64{fmt.Sprintf("figure_%d", i): float64(i)})
	}
	b.Statistics = func() any { return big }
	_, record, err := b.Build("a")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Bundle) > MaxBundle {
		t.Errorf("the bundle has %d bytes", len(r.Bundle))
	}
	var got Bundle
	if err := json.Unmarshal(r.Bundle, &got); err != nil || len(got.Log) == 0 {
		t.Errorf("the log should shrink, not go: %d lines, %v", len(got.Log), err)
	}

	b.Devices = func() []apitype.Device { return []apitype.Device{{Name: strings.Repeat("x", 2*MaxBundle)}} }
	if _, _, err := b.Build("a"); err == nil {
		t.Error("a bundle over the bound was built")
	}
}

func TestDecodeRefusesWhatBuildDidNotMake(t *testing.T) {
	for _, bad := range []string{"", "{", "null", "{}", `{"appointment":"a"}`, `{"bundle":{}}`} {
		if _, err := Decode([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestARecordIsNotPrinted(t *testing.T) {
	var out bytes.Buffer
	r := Record{Appointment: canaryAppointment, Text: canaryWords, Bundle: json.RawMessage(`{}`)}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "record", r)
	fmt.Fprintf(&out, "%v %+v", r, r)
	if strings.Contains(out.String(), "anary") || strings.Contains(out.String(), "4711") {
		t.Errorf("printed: %s", out.String())
	}
}

func TestStatesAreBounded(t *testing.T) {
	var s States
	for i := range 3 * maxChanges {
		s.Note(session.Model{State: session.Error, Error: session.Failure{Code: fmt.Sprint(i)}})
	}
	list := s.list()
	if len(list) != maxChanges || list[maxChanges-1].Error != fmt.Sprint(3*maxChanges-1) {
		t.Fatalf("%d changes, the last %+v", len(list), list[len(list)-1])
	}
}

func TestLogPassesOnAndKeepsGroups(t *testing.T) {
	var out bytes.Buffer
	log := NewLog(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	l := slog.New(log).With("part", "x").WithGroup("g")
	l.Debug("one")
	l.Info("two", "k", 1)
	l.Warn("three")
	if got := out.String(); strings.Contains(got, "two") || !strings.Contains(got, "three") {
		t.Errorf("passed on: %s", got)
	}
	lines := log.Lines()
	if len(lines) != 2 || !strings.Contains(lines[0], "part=x g.k=1") {
		t.Errorf("kept: %q", lines)
	}
}

func TestLogIsSafeForManyGoroutines(t *testing.T) {
	log := slog.New(NewLog(slog.DiscardHandler))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				log.LogAttrs(context.Background(), slog.LevelInfo, "x")
			}
		})
	}
	wg.Wait()
	if n := len(log.Handler().(*Log).Lines()); n != maxLines {
		t.Errorf("%d lines", n)
	}
}

func FuzzDecode(f *testing.F) {
	_, record, err := theBuilder(nil).Build("words")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add([]byte(`{"appointment":"a","text":"b","bundle":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err == nil && (r.Appointment == "" || len(r.Bundle) == 0) {
			t.Error("half a record was taken")
		}
	})
}

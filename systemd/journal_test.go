package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
)

type entry struct {
	text     string
	priority journal.Priority
	fields   map[string]string
}

// record is a handler whose entries come here instead of the journal.
func record(to *[]entry, fail error) *journalHandler {
	return &journalHandler{level: slog.LevelInfo, send: func(m string, p journal.Priority, f map[string]string) error {
		*to = append(*to, entry{m, p, f})
		return fail
	}}
}

func TestJournalFields(t *testing.T) {
	var got []entry
	log := slog.New(record(&got, nil)).With("part", "call").WithGroup("room")
	log.Debug("not written")
	log.Error("cannot join", "error", fmt.Errorf("no way:\nnone"), "attempt", 3, slog.Group("ice", "state", "failed"), "", "nameless")
	if len(got) != 1 {
		t.Fatalf("%d entries, want 1", len(got))
	}
	e := got[0]
	if want := `cannot join part=call room_error="no way:\nnone" room_attempt=3 room_ice_state=failed`; e.text != want {
		t.Errorf("the text is %q, want %q", e.text, want)
	}
	for name, want := range map[string]string{
		"SYSLOG_IDENTIFIER": "kioskd", "KIOSKD_PART": "call", "KIOSKD_ROOM_ERROR": "no way:\nnone", "KIOSKD_ROOM_ATTEMPT": "3", "KIOSKD_ROOM_ICE_STATE": "failed",
	} {
		if e.fields[name] != want {
			t.Errorf("%s is %q, want %q", name, e.fields[name], want)
		}
	}
	if len(e.fields) != 5 || e.priority != journal.PriErr {
		t.Errorf("got %v at %v", e.fields, e.priority)
	}
}

func TestJournalPriorities(t *testing.T) {
	var got []entry
	h := record(&got, nil)
	h.level = slog.LevelDebug
	log := slog.New(h)
	log.Debug("x")
	log.Info("x")
	log.Warn("x")
	log.Error("x")
	for i, want := range []journal.Priority{journal.PriDebug, journal.PriInfo, journal.PriWarning, journal.PriErr} {
		if got[i].priority != want {
			t.Errorf("entry %d has priority %d, want %d", i, got[i].priority, want)
		}
	}
}

// The journal's names are narrow, its entries ours to bound.
func TestJournalBounds(t *testing.T) {
	var got []entry
	many := make([]any, 0, 400)
	for i := range 200 {
		many = append(many, fmt.Sprintf("key%d", i), i)
	}
	many = append(many, "ключ.x-y", "z", strings.Repeat("k", 200), strings.Repeat("é", 10_000))
	slog.New(record(&got, nil)).Info(strings.Repeat("m", 20_000), many...)
	if e := got[0]; len(e.text) > maxField+3 || len(e.fields) > maxFields {
		t.Errorf("%d bytes of text and %d fields", len(e.text), len(e.fields))
	}
	got = nil
	slog.New(record(&got, nil)).Info("m", "ключ.x-y", "z", strings.Repeat("k", 200), strings.Repeat("é", 10_000))
	for name, value := range got[0].fields {
		if len(name) > 64 || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" || name[0] == '_' || len(value) > maxField+3 {
			t.Errorf("the field %q has %d bytes", name, len(value))
		}
	}
}

func TestJournalFallsBack(t *testing.T) {
	var got []entry
	var out bytes.Buffer
	h := record(&got, errors.New("nobody listens"))
	h.fallback = slog.NewJSONHandler(&out, nil)
	slog.New(h).With("part", "store").WithGroup("g").Info("hello", "n", 1)
	if text := out.String(); !strings.Contains(text, `"msg":"hello","part":"store","g":{"n":1}`) {
		t.Errorf("the fallback wrote %q", text)
	}
}

// No journal writes to a test's standard error.
func TestToJournal(t *testing.T) {
	for _, v := range []string{"", "1:2", "broken"} {
		t.Setenv("JOURNAL_STREAM", v)
		if ToJournal() {
			t.Errorf("JOURNAL_STREAM=%q is taken for ours", v)
		}
	}
}

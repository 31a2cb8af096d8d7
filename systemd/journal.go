package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// ToJournal is true where standard error is the journal's stream (JOURNAL_STREAM,
// systemd.exec(5)): then its own protocol can be used, which has fields.
func ToJournal() bool {
	ok, err := journal.StderrIsJournalStream()
	return err == nil && ok
}

// Bounds of one entry: go-systemd would carry larger ones through a file.
const (
	maxField  = 8 << 10 // bytes of a value
	maxFields = 64
)

// NewJournalHandler gives a slog.Handler that writes to the journal. Each attribute
// becomes a field KIOSKD_NAME (its groups before it, joined by _), so that
// `journalctl KIOSKD_PART=call` finds it, and stands as name=value behind the message
// too, for who reads. Levels become PRIORITY (syslog(3)).
//
// The journal that does not take an entry gets nothing more of it: logging never
// stops the daemon. fallback gets the entry instead; nil: nobody.
func NewJournalHandler(level slog.Leveler, fallback slog.Handler) slog.Handler {
	return NewEntryHandler(level, fallback, journal.Send)
}

// NewEntryHandler is NewJournalHandler whose entries go to send: their text, priority
// and fields.
func NewEntryHandler(level slog.Leveler, fallback slog.Handler, send func(string, journal.Priority, map[string]string) error) slog.Handler {
	return &journalHandler{level: level, fallback: fallback, send: send}
}

type journalHandler struct {
	level    slog.Leveler
	fallback slog.Handler
	send     func(string, journal.Priority, map[string]string) error
	prefix   string      // of the groups, "" or "A_B_"
	attrs    []slog.Attr // with their groups in their keys already
}

// Enabled says whether the level is written.
func (h *journalHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// Handle writes one entry.
func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	fields := map[string]string{"SYSLOG_IDENTIFIER": "kioskd"}
	var text strings.Builder
	text.WriteString(r.Message)
	for _, a := range h.attrs {
		put(fields, &text, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		put(fields, &text, h.prefix, a)
		return true
	})
	err := h.send(cut(text.String()), priority(r.Level), fields)
	if err != nil && h.fallback != nil {
		return h.fallback.Handle(ctx, r)
	}
	return err
}

// WithAttrs gives a handler whose entries have these attributes too.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append([]slog.Attr(nil), h.attrs...)
	for _, a := range attrs {
		c.attrs = append(c.attrs, slog.Attr{Key: h.prefix + a.Key, Value: a.Value})
	}
	if h.fallback != nil {
		c.fallback = h.fallback.WithAttrs(attrs)
	}
	return &c
}

// WithGroup puts the name before all attributes that come.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	c := *h
	c.prefix += name + "_"
	if h.fallback != nil {
		c.fallback = h.fallback.WithGroup(name)
	}
	return &c
}

// put writes one attribute as a field and as text.
func put(fields map[string]string, text *strings.Builder, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "_"
		}
		for _, inner := range v.Group() {
			put(fields, text, prefix, inner)
		}
		return
	}
	name, value := fieldName(prefix+a.Key), valueText(v)
	if a.Key == "" || name == "" {
		return
	}
	if len(fields) < maxFields {
		fields[name] = cut(value)
	}
	if strings.ContainsAny(value, " \"\n\t=") || value == "" {
		value = strconv.Quote(value)
	}
	text.WriteString(" " + prefix + a.Key + "=" + value)
}

func valueText(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().UTC().Format(time.RFC3339Nano)
	case slog.KindAny:
		if err, ok := v.Any().(error); ok {
			return err.Error()
		}
		return fmt.Sprint(v.Any())
	default:
		return v.String()
	}
}

// fieldName is a valid name of the journal: A-Z, 0-9 and _, at most 64, not
// beginning with _, which only the journal's own do (systemd.journal-fields(7)).
func fieldName(key string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, key)
	name = "KIOSKD_" + name
	return name[:min(len(name), 64)]
}

func cut(text string) string {
	if len(text) <= maxField {
		return text
	}
	return strings.ToValidUTF8(text[:maxField], "") + "..."
}

func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	default:
		return journal.PriDebug
	}
}

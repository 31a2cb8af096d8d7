package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entry is one line of the journal.
type entry struct {
	at     time.Time
	level  string // debug, info, warn, error
	text   string
	fields map[string]string
}

// partField is the journal's field that names a part of the daemon.
const partField = "KIOSKD_PART"

// parseEntry reads an entry of `journalctl --output=json`: an object of strings, or of
// arrays of bytes where a value is no text (systemd.journal-fields(7)). kioskd's own
// lines are those of systemd.NewJournalHandler, whose fields KIOSKD_NAME stand as name=value
// in MESSAGE already; or JSON of log/slog in MESSAGE, where the journal did not take them.
func parseEntry(line []byte) (entry, bool) {
	var raw map[string]json.RawMessage
	if json.Unmarshal(line, &raw) != nil {
		return entry{}, false
	}
	e := entry{level: "info", fields: map[string]string{}}
	for name, value := range raw {
		text := fieldText(value)
		switch {
		case name == "MESSAGE":
			e.text = text
		case name == "PRIORITY":
			e.level = levelOf(text)
		case name == partField:
			e.fields["part"] = text
		case strings.HasPrefix(name, "KIOSKD_"):
			// in MESSAGE
		case name == "__REALTIME_TIMESTAMP":
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				e.at = time.UnixMicro(n)
			}
		case strings.HasPrefix(name, "_"), strings.HasPrefix(name, "SYSLOG_"), strings.HasPrefix(name, "CODE_"), strings.HasPrefix(name, "OBJECT_"),
			strings.HasSuffix(name, "_ID"), name == "TID":
			// the journal's own
		default:
			e.fields[strings.ToLower(name)] = text
		}
	}
	if part := e.fields["part"]; part != "" { // it has a column of its own
		e.text = strings.Replace(e.text, " part="+part, "", 1)
	}
	e.own()
	return e, true
}

// own takes a message apart that is JSON of log/slog.
func (e *entry) own() {
	var attrs map[string]any
	if !strings.HasPrefix(e.text, "{") || json.Unmarshal([]byte(e.text), &attrs) != nil {
		return
	}
	msg, ok := attrs["msg"].(string)
	if !ok {
		return
	}
	e.text = msg
	if level, ok := attrs["level"].(string); ok {
		e.level = strings.ToLower(level)
	}
	for name, value := range attrs {
		switch v := value.(type) {
		case string:
			e.fields[name] = v
		default:
			b, _ := json.Marshal(v) // it was JSON before
			e.fields[name] = string(b)
		}
	}
	for _, name := range []string{"msg", "level", "time"} {
		delete(e.fields, name)
	}
}

// fieldText is a value's text.
func fieldText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var numbers []uint8
	var list []int
	if json.Unmarshal(raw, &list) != nil {
		return "" // null: too long to be shown
	}
	for _, n := range list {
		numbers = append(numbers, uint8(n))
	}
	return string(numbers)
}

// levelOf is a syslog priority's level (RFC 5424, section 6.2.1).
func levelOf(priority string) string {
	switch priority {
	case "0", "1", "2", "3":
		return "error"
	case "4":
		return "warn"
	case "7":
		return "debug"
	}
	return "info"
}

// line is the entry for people: time, level, part, text, fields by name.
func (e entry) line() string {
	out := fmt.Sprintf("%s %-5s %-9s %s", e.at.Local().Format(time.DateTime), strings.ToUpper(e.level), printable(orElse(e.fields["part"], "-")), printable(e.text))
	for _, name := range slices.Sorted(maps.Keys(e.fields)) {
		if name == "part" {
			continue
		}
		value := printable(e.fields[name])
		if value == "" || strings.ContainsAny(value, " \"=") {
			value = strconv.Quote(value)
		}
		out += " " + printable(name) + "=" + value
	}
	return out
}

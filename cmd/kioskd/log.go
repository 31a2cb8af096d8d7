package main

import (
	"io"
	"log/slog"

	"kioskd/systemd"
)

// newLog writes JSON, or where standard error is the journal's, its own entries with
// fields. The level can change while the daemon runs.
func newLog(stderr io.Writer, level slog.Level) (*slog.Logger, *slog.LevelVar) {
	lv := &slog.LevelVar{}
	lv.Set(level)
	var h slog.Handler = slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: lv})
	if systemd.ToJournal() {
		h = systemd.NewJournalHandler(lv, h)
	}
	return slog.New(h), lv
}

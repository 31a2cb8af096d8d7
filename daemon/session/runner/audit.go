package runner

import (
	"fmt"
	"strings"

	"kioskd/daemon/session"
)

// Bounds of what goes into the journal with one commit.
const (
	maxAudit = 1024 // bytes
	maxOwed  = 8    // entries that wait for a store that works
)

// audit is the journal's text of a command: what came of it, and who asked.
func audit(e session.Event, changed bool, refusal error, from, to session.Model) string {
	result := "unchanged"
	switch {
	case refusal != nil:
		result = "refused=" + refusalCode(refusal)
	case changed:
		result = "done"
	}
	return entry(e, result, from, to)
}

// entry is one line of the journal: "mute done from=active to=active by: uid=1000".
// A fact has no result and nobody who asked.
func entry(e session.Event, result string, from, to session.Model) string {
	text := e.What.Name()
	if result != "" {
		text += " " + result
	}
	text += fmt.Sprintf(" from=%s to=%s", word(from), word(to))
	if e.By != "" {
		text += " by: " + e.By
	}
	return text[:min(len(text), maxAudit)]
}

// transition is the journal's text of a fact: of one that changes the state, or
// that finds a place for what is owed. The journal is bounded, and a backend's
// timer or a chatty participant must not push the requests out of it.
func (r *Runner) transition(e session.Event, next session.Model) string {
	if word(r.m) == word(next) && len(r.owed) == 0 {
		return ""
	}
	return entry(e, "", r.m, next)
}

func word(m session.Model) string {
	switch {
	case !m.Exists():
		return "none"
	case m.State == session.Error:
		return "error:" + m.Error.Code
	default:
		return string(m.State)
	}
}

// owe keeps the entry of a command that could not be stored for the next commit
// that can. Of too many the oldest go.
func (r *Runner) owe(e session.Event, text string) {
	if e.By == "" {
		return
	}
	if len(r.owed) >= maxOwed {
		r.owed = r.owed[1:]
	}
	r.owed = append(r.owed, text)
}

// late adds what is owed to a commit's entry, the newest first, as far as it fits.
func late(text string, owed []string) string {
	var b strings.Builder
	b.WriteString(text)
	for i := len(owed) - 1; i >= 0; i-- {
		const before = "; late: "
		if b.Len()+len(before)+len(owed[i]) > maxAudit {
			break
		}
		b.WriteString(before + owed[i])
	}
	return b.String()
}

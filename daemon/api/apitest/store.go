package apitest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
)

// Store keeps the model and the reports in memory and can be made to fail.
type Store struct {
	audit *Audit

	mu      sync.Mutex
	fail    error
	full    bool  // no report is kept
	unready error // no bundle can be gathered
	model   session.Model
	made    int
	reports []apitype.ReportInfo
	bundles map[string][]byte
}

// Fail lets each commit fail with err; nil ends that.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// State tells what is kept beside the session, as text.
func (s *Store) State() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(len(s.reports), " reports")
}

// Fill lets no further report be kept.
func (s *Store) Fill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = true
}

// FailGather lets each gathering of a bundle fail with err.
func (s *Store) FailGather(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unready = err
}

// Load gives the session that was stored last; none at first.
func (s *Store) Load() (session.Model, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.model.Clone(), nil
}

// Commit fails when it was told to.
func (s *Store) Commit(c runner.Commit) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	if c.Report != nil && s.full {
		return fmt.Errorf("the test's outbox is full: %w", runner.ErrOutboxFull)
	}
	if !c.AuditOnly {
		s.model = session.Model{}
		if c.Model.Running() {
			s.model = c.Model.Clone()
		}
	}
	if c.Report != nil {
		s.keep(c.Report.ID, c.Report.Data)
	}
	if c.Audit != "" {
		s.audit.add("audit", c.Audit)
	}
	for _, o := range c.Outputs {
		s.audit.add("output", o.String())
	}
	return nil
}

// gather plays who gathers a report's bundle.
func (s *Store) gather(text string) (id string, bundle []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unready != nil {
		return "", nil, s.unready
	}
	s.made++
	bundle, err = json.Marshal(map[string]any{"issue_bytes": len(text)})
	return "r" + strconv.Itoa(s.made), bundle, err
}

func (s *Store) keep(id string, data []byte) {
	if s.bundles == nil {
		s.bundles = map[string][]byte{}
	}
	s.bundles[id] = data
	s.reports = append(s.reports, apitype.ReportInfo{ID: id, At: time.Now().UTC(), Bytes: len(data)})
}

func (s *Store) list() ([]apitype.ReportInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]apitype.ReportInfo(nil), s.reports...), nil
}

func (s *Store) read(id string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.bundles[id]; ok {
		return b, nil
	}
	return nil, apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound,
		"cannot find this report", "GET "+apitype.RouteReports+" lists those that wait")
}

// Audit is the journal, in memory.
type Audit struct {
	mu      sync.Mutex
	entries []apitype.AuditEntry
	broken  uint64
}

// Tamper makes the journal one that something else has changed.
func (a *Audit) Tamper() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = 1
}

func (a *Audit) add(kind, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := uint64(len(a.entries) + 1)
	a.entries = append(a.entries, apitype.AuditEntry{Number: n, At: time.Now().UTC(), Kind: kind, Text: text})
}

func (a *Audit) newest(limit int) (apitype.Audit, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.entries[max(0, len(a.entries)-limit):]
	return apitype.Audit{Entries: append([]apitype.AuditEntry(nil), list...), Intact: a.broken == 0, Broken: a.broken}, nil
}

// Texts gives the texts of all entries, oldest first.
func (a *Audit) Texts() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	texts := make([]string, 0, len(a.entries))
	for _, e := range a.entries {
		texts = append(texts, e.Text)
	}
	return texts
}

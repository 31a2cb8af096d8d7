package stage

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A canary is a text that belongs to a patient, or opens a door, and must be found
// nowhere but where it is at work: not in a log, a core, a metric, a command line or
// an environment, nor in what is kept on the disk.

// forms are the ways in which a canary may be written down: as it is, escaped for JSON
// or a URL, and in base64, wherever in the coded text it begins.
func forms(canary string) [][]byte {
	raw := []byte(canary)
	list := [][]byte{raw}
	add := func(text string) {
		if !slices.ContainsFunc(list, func(have []byte) bool { return string(have) == text }) {
			list = append(list, []byte(text))
		}
	}
	if b, err := json.Marshal(canary); err == nil {
		add(strings.Trim(string(b), `"`))
	}
	add(strings.Trim(strconv.QuoteToASCII(canary), `"`)) // \u00e9, as JSON for ASCII has it too
	add(strings.Trim(strconv.Quote(canary), `"`))
	add(url.QueryEscape(canary))
	add(url.PathEscape(canary))
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
		for shift := range 3 { // three bytes make four letters
			coded := coding.EncodeToString(append(make([]byte, shift), raw...))
			whole := (len(raw) + shift) / 3 * 4 // the letters after it also hang on what follows
			add(coded[(shift*8+5)/6 : whole])
		}
	}
	return list
}

// minCanary is how many bytes a text needs to be one: shorter ones are words.
const minCanary = 10

// foundIn names the canaries that data holds, by their place in the list: the report
// must not print them again.
func foundIn(data []byte, canaries []string) []string {
	var found []string
	for i, c := range canaries {
		for n, form := range forms(c) {
			if len(c) >= minCanary && bytes.Contains(data, form) {
				found = append(found, fmt.Sprintf("canary %d (%.4s..., form %d)", i, c, n))
			}
		}
	}
	return found
}

// Canaries are the ones that a stage can know by itself: the backend's token, each
// appointment that looks like none of our own words, its room's token and address, the
// issue reports, and who the clinician is.
func (s *Stage) Canaries(ctx context.Context) ([]string, error) {
	token, err := os.ReadFile(s.abs("backend-token"))
	if err != nil {
		return nil, fmt.Errorf("cannot read the clinic's token: %w", err)
	}
	s.mu.Lock()
	list := append([]string{strings.TrimSpace(string(token)), clinicianName}, s.secrets...)
	s.mu.Unlock()
	if err := s.BehaveWell(ctx); err != nil {
		return nil, err
	}
	requests, err := s.Requests(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range requests {
		m := appointmentPath.FindStringSubmatch(r.Path)
		if m == nil || slices.Contains(list, m[1]) {
			continue
		}
		list = append(list, m[1])
		if room, err := s.Room(ctx, m[1]); err == nil { // one that was never opened has none
			list = append(list, room.Token)
		}
	}
	reports, err := s.Reports(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range reports {
		list = append(list, r.Issue)
	}
	return list, nil
}

// Secret adds canaries that the stage cannot know by itself.
func (s *Stage) Secret(canaries ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets = append(s.secrets, canaries...)
}

// clinicianName is clinicsim's usual one.
const clinicianName = "Dr. Example"

// appointmentPath finds the appointments whose numbers are no words.
var appointmentPath = regexp.MustCompile(`/appointments/([A-Za-z0-9._]+[-0-9][A-Za-z0-9._-]*)/`)

// FindAlive looks for canaries where the running programs show themselves: command lines
// and environments of every process, and the daemon's metrics. It names what it finds.
func (s *Stage) FindAlive(ctx context.Context, canaries []string) ([]string, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list the processes: %w", err)
	}
	var found []string
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || e.Name() == strconv.Itoa(os.Getpid()) {
			continue
		}
		for _, file := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(filepath.Join("/proc", e.Name(), file))
			if err != nil {
				continue // it ended just now
			}
			for _, f := range foundIn(b, canaries) {
				found = append(found, fmt.Sprintf("%s in %s of process %s", f, file, e.Name()))
			}
		}
	}
	select {
	case <-s.Kioskd.done: // it has ended, as a scene may leave it
		return found, nil
	default:
	}
	metrics, err := s.metrics(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range foundIn(metrics, canaries) {
		found = append(found, f+" in the metrics")
	}
	return found, nil
}

// metrics is what GET /v1/metrics says, and what is told of the kiosk's health.
func (s *Stage) metrics(ctx context.Context) ([]byte, error) {
	var all bytes.Buffer
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", s.Socket)
	}}
	for _, path := range []string{"/v1/metrics", "/v1/health", "/v1/config", "/v1/audit"} {
		ctx, cancel := context.WithTimeout(ctx, clinicWithin)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://kioskd"+path, nil)
		if err != nil {
			return nil, fmt.Errorf("cannot ask kioskd: %w", err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return nil, fmt.Errorf("cannot ask kioskd: %w", err)
		}
		_, err = all.ReadFrom(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return nil, fmt.Errorf("cannot read kioskd's answer: %w", err)
		}
	}
	return all.Bytes(), nil
}

// FindKept looks for canaries in what the daemon and the door wrote: all they ever
// printed, and the state directory's files as they are on the disk, free pages and all.
func (s *Stage) FindKept(canaries []string) ([]string, error) {
	var found []string
	look := func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot look for canaries: %w", err)
		}
		for _, f := range foundIn(b, canaries) {
			found = append(found, f+" in "+filepath.Base(path))
		}
		return nil
	}
	errs := []error{look(s.abs("logs/kioskd.log")), look(s.abs("logs/kioskscreen.log"))}
	errs = append(errs, filepath.WalkDir(s.abs("state"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return look(path)
	}))
	return found, errors.Join(errs...)
}

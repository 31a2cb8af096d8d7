package daemon

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kioskd/daemon/session"
)

// narrowed is what a session has taken away that could not be stored. It stands in the
// folder of the socket, which is in memory (/run) and outlives the daemon but not the
// machine: a daemon that has to begin anew because of its disk must not turn on what the
// patient has turned off. It names nobody.
type narrowed struct {
	Peer       string `json:"peer"` // of the stored session
	Muted      bool   `json:"muted"`
	VideoOff   bool   `json:"video_off"`
	Camera     bool   `json:"camera"` // consent was denied
	Microphone bool   `json:"microphone"`
	Ended      bool   `json:"ended"`
}

// errEnded: the stored session was ended by somebody, which could not be stored.
var errEnded = errors.New("cannot go on with the stored session: it was ended when the disk was full or broken")

// add takes what a model that could not be stored has turned off. What was noted before
// stays: nothing widens without being stored.
func (n *narrowed) add(m session.Model) {
	if !m.Running() || m.Peer != n.Peer {
		n.Ended = true
		return
	}
	n.Muted = n.Muted || m.Muted
	n.VideoOff = n.VideoOff || m.VideoOff
	n.Camera = n.Camera || m.Consent.Camera == session.Denied
	n.Microphone = n.Microphone || m.Consent.Microphone == session.Denied
}

// apply turns the same off in the session that was stored.
func (n narrowed) apply(m *session.Model) error {
	if n.Ended {
		return errEnded
	}
	m.Muted = m.Muted || n.Muted
	m.VideoOff = m.VideoOff || n.VideoOff
	if n.Camera {
		m.Consent.Camera = session.Denied
	}
	if n.Microphone {
		m.Consent.Microphone = session.Denied
	}
	return nil
}

func (n narrowed) path(folder string) string { return filepath.Join(folder, "narrowed.json") }

// write puts the note into a folder, under another name first: a death in the middle of
// it leaves the one before.
func (n narrowed) write(folder string) error {
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	fresh := n.path(folder) + ".new"
	if err := os.WriteFile(fresh, b, 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, n.path(folder))
}

// read gives the note for a session; false: there is none.
func (n *narrowed) read(folder, peer string) bool {
	b, err := os.ReadFile(n.path(folder))
	return err == nil && json.Unmarshal(b, n) == nil && peer != "" && n.Peer == peer
}

func (n narrowed) remove(folder string) error {
	if err := os.Remove(n.path(folder)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

package runner

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"hash/maphash"
	"slices"
	"time"

	"kioskd/daemon/session"
)

// Bounds of the memory of idempotency keys.
const (
	keyLife   = 10 * time.Minute
	keyCount  = 1024
	keyLength = 256 // bytes
	saltSize  = 16
	hashSize  = 16 // bytes kept of a stored hash
)

// keys remembers the first answer to each Idempotency-Key. It holds no model and
// no command, only a hash of it: a finished session leaves no trace here.
type keys struct {
	seed  maphash.Seed
	seen  map[string]kept
	order []string // oldest first
}

// kept is an answer without its model, which is large even when it is empty.
type kept struct {
	print   uint64
	durable bool
	err     error
	at      time.Time // with its monotonic part: no clock that is set makes it live longer or shorter
}

func newKeys() keys { return keys{seed: maphash.MakeSeed(), seen: map[string]kept{}} }

// fingerprint tells one command from another.
func (k *keys) fingerprint(w session.What) uint64 {
	return maphash.Bytes(k.seed, content(w))
}

// content is a command's name and content as bytes.
func content(w session.What) []byte {
	b, err := json.Marshal(w)
	if err != nil {
		b = nil // no command has a field that cannot be marshalled
	}
	return append([]byte(w.Name()+" "), b...)
}

// find gives the first answer to a key. A key that came with another command, or
// that is too long, is refused.
func (k *keys) find(key string, print uint64, now time.Time) (answer, bool, error) {
	if len(key) > keyLength {
		return answer{}, false, &session.Refusal{Code: session.CodeKeyReused, Message: "cannot take the Idempotency-Key: it is over 256 bytes", Hint: "Use a UUID."}
	}
	k.expire(now)
	old, ok := k.seen[key]
	if !ok {
		return answer{}, false, nil
	}
	if old.print != print {
		return answer{}, false, reused()
	}
	return answer{result: session.Result{Durable: old.durable}, err: old.err}, true, nil
}

// keep remembers an answer.
func (k *keys) keep(key string, print uint64, a answer, now time.Time) {
	if key == "" {
		return
	}
	if len(k.order) >= keyCount {
		delete(k.seen, k.order[0])
		k.order = k.order[1:]
	}
	k.seen[key] = kept{print, a.result.Durable, a.err, now}
	k.order = append(k.order, key)
}

func (k *keys) expire(now time.Time) {
	for len(k.order) > 0 && now.Sub(k.seen[k.order[0]].at) >= keyLife {
		delete(k.seen, k.order[0])
		k.order = k.order[1:]
	}
}

func reused() error {
	return &session.Refusal{
		Code: session.CodeKeyReused, Message: "cannot take the Idempotency-Key: it came with another command before",
		Hint: "Use a new key for each command.",
	}
}

// What was done with a key stands in the model too, so that it is stored in the
// same commit and a restart knows it. A command's content may be guessed (an
// appointment's number has few digits), so the hashes are keyed by a salt of the
// session's own. A refused command did nothing and is not kept there.

// remember notes in m, which is to be committed, that a command was done.
func remember(m *session.Model, key string, w session.What, at time.Time) {
	if key == "" || !m.Running() {
		return
	}
	if len(m.SeenSalt) == 0 {
		m.SeenSalt = make([]byte, saltSize)
		_, _ = rand.Read(m.SeenSalt) // never fails (crypto/rand)
	}
	m.Seen = slices.DeleteFunc(m.Seen, func(s session.SeenKey) bool { return at.Sub(s.At) >= keyLife })
	if over := len(m.Seen) + 1 - session.MaxSeen; over > 0 {
		m.Seen = slices.Delete(m.Seen, 0, over)
	}
	m.Seen = append(m.Seen, session.SeenKey{Key: salted(m.SeenSalt, []byte(key)), Print: salted(m.SeenSalt, content(w)), At: at})
}

// recall says whether the session has done this command with this key; an error:
// the key came with another command.
func recall(m session.Model, key string, w session.What, at time.Time) (bool, error) {
	if key == "" || len(m.Seen) == 0 {
		return false, nil
	}
	hash := salted(m.SeenSalt, []byte(key))
	for _, s := range m.Seen {
		if !hmac.Equal(s.Key, hash) || at.Sub(s.At) >= keyLife {
			continue
		}
		if !hmac.Equal(s.Print, salted(m.SeenSalt, content(w))) {
			return false, reused()
		}
		return true, nil
	}
	return false, nil
}

func salted(salt, b []byte) []byte {
	h := hmac.New(sha256.New, salt)
	_, _ = h.Write(b) // never fails (hash.Hash)
	return h.Sum(nil)[:hashSize]
}

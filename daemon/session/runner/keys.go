package runner

import (
	"encoding/json"
	"hash/maphash"
	"time"

	"kioskd/daemon/session"
)

// Bounds of the memory of idempotency keys.
const (
	keyLife   = 10 * time.Minute
	keyCount  = 1024
	keyLength = 256 // bytes
)

// keys remembers the first answer to each Idempotency-Key. It holds no model and
// no command, only a hash of it: a finished session leaves no trace here.
type keys struct {
	seed  maphash.Seed
	seen  map[string]kept
	order []string // oldest first
}

type kept struct {
	print uint64
	a     answer // without its Model
	at    time.Time
}

func newKeys() keys { return keys{seed: maphash.MakeSeed(), seen: map[string]kept{}} }

// fingerprint tells one command from another.
func (k *keys) fingerprint(w session.What) uint64 {
	b, err := json.Marshal(w)
	if err != nil {
		b = nil // no command has a field that cannot be marshalled
	}
	return maphash.Bytes(k.seed, append([]byte(w.Name()+" "), b...))
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
		return answer{}, false, &session.Refusal{Code: session.CodeKeyReused, Message: "cannot take the Idempotency-Key: it came with another command before", Hint: "Use a new key for each command."}
	}
	old.a.result.Changed = false
	return old.a, true, nil
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
	a.result.Model = session.Model{}
	k.seen[key] = kept{print, a, now}
	k.order = append(k.order, key)
}

func (k *keys) expire(now time.Time) {
	for len(k.order) > 0 && now.Sub(k.seen[k.order[0]].at) >= keyLife {
		delete(k.seen, k.order[0])
		k.order = k.order[1:]
	}
}

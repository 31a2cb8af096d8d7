package store

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"kioskd/store/chain"
)

// chainKey is where the bucket meta holds the journal's head (chain.Head).
const chainKey = "journal-chain"

// Entry is one line of the journal: an audit record or an output. It must hold no
// patient data: the journal is not sealed, but its entries are chained (package
// chain), so that nobody without the machine's key can change them unseen.
type Entry struct {
	// Number counts all entries of a store from 1; none comes twice. The store
	// gives it; what a caller sets is ignored.
	Number uint64    `json:"-"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"` // output, audit ...
	Text   string    `json:"text"` // at most 1024 bytes, the rest is cut
}

// Append writes journal entries alone.
func (s *Store) Append(entries ...Entry) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.update(func(tx *bolt.Tx) error { return s.append(tx, entries) })
}

// Journal gives the newest entries, at most limit, the oldest of them first. It
// does not check them: see Verify.
func (s *Store) Journal(limit int) ([]Entry, error) {
	var list []Entry
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket([]byte(bucketJournal)).Cursor()
		for k, v := c.Last(); k != nil && len(list) < limit; k, v = c.Prev() {
			var e Entry
			if _, text, ok := chain.Unpack(v); !ok || json.Unmarshal(text, &e) != nil {
				e = Entry{Kind: "damaged", Text: "this entry cannot be read"}
			}
			e.Number, _ = chain.Number(k)
			list = append(list, e)
		}
		return nil
	})
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list, err
}

// Verify checks the journal from its oldest entry to its newest. intact is false
// where something that does not have the machine's key has changed, removed,
// added or exchanged entries, or cut some off; broken is the first number that
// cannot be relied on. That is said until the last entry of that time has been
// dropped for its age. What it cannot see is that the whole file was replaced by
// an older copy of itself. err: the file cannot be read.
func (s *Store) Verify() (intact bool, broken uint64, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		check := s.vault.journal.Check(s.head(tx))
		c := tx.Bucket([]byte(bucketJournal)).Cursor()
		for k, v := c.First(); k != nil && check.Next(k, v); k, v = c.Next() {
		}
		intact, broken = check.End()
		return nil
	})
	return intact && err == nil, broken, err
}

// append adds entries to the journal, drops the oldest over its bound, and moves
// the head in the same transaction.
func (s *Store) append(tx *bolt.Tx, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	head := s.head(tx)
	b := tx.Bucket([]byte(bucketJournal))
	for _, e := range entries {
		if len(e.Text) > maxText {
			e.Text = strings.ToValidUTF8(e.Text[:maxText], "")
		}
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		number, packed := s.vault.journal.Add(&head, text)
		if err := b.Put(chain.Key(number), packed); err != nil {
			return err
		}
	}
	if err := s.trim(b, &head); err != nil {
		return err
	}
	if err := b.SetSequence(head.Last.Number); err != nil { // a second place, for when the head is lost
		return err
	}
	return tx.Bucket([]byte(bucketMeta)).Put([]byte(chainKey), s.vault.journal.Seal(head))
}

// trim drops the oldest entries over the journal's bound.
func (s *Store) trim(b *bolt.Bucket, head *chain.Head) error {
	for {
		k, v := b.Cursor().First()
		if k == nil {
			return nil
		}
		number, ok := chain.Number(k)
		switch {
		case !ok: // a key that is no number was added by somebody
			head.Mark(head.Anchor.Number + 1)
		case number > head.Last.Number || head.Last.Number-number < s.entries:
			return nil
		default:
			mac, _, _ := chain.Unpack(v)
			head.Drop(chain.Point{Number: number, MAC: mac})
		}
		if err := b.Delete(k); err != nil {
			return err
		}
	}
}

// head gives the journal's head. Where it is missing or forged, or entries stand
// behind its end, the head that it gives goes on after what is there, with a
// mark: a repair must never look as if nothing had been.
func (s *Store) head(tx *bolt.Tx) chain.Head {
	sealed := tx.Bucket([]byte(bucketMeta)).Get([]byte(chainKey))
	b := tx.Bucket([]byte(bucketJournal))
	last, v := b.Cursor().Last()
	if sealed == nil && last == nil && b.Sequence() == 0 {
		return chain.Head{} // a new store
	}
	number, ok := chain.Number(last)
	head, err := s.vault.journal.Open(sealed)
	switch {
	case err != nil:
		head = newHead(b)
		if ok && number == head.Last.Number {
			head.Last.MAC, _, _ = chain.Unpack(v)
		}
		head.Mark(head.Anchor.Number + 1)
	case last != nil && (!ok || number > head.Last.Number):
		head.Mark(head.Last.Number + 1)
	}
	return head
}

// newHead spans the entries that are there. The bucket's sequence is the newest
// number too, and was the only one before there was a chain.
func newHead(b *bolt.Bucket) (head chain.Head) {
	const sane = 1 << 62 // above it a number is somebody's invention, and adding to it might wrap
	c := b.Cursor()
	first, _ := c.First()
	last, _ := c.Last()
	if n := b.Sequence(); n < sane {
		head.Last.Number = n
	}
	if n, ok := chain.Number(last); ok && n < sane {
		head.Last.Number = max(head.Last.Number, n)
	}
	head.Anchor.Number = head.Last.Number
	if n, ok := chain.Number(first); ok && n > 0 && n <= head.Last.Number {
		head.Anchor.Number = n - 1
	}
	return head
}

// adopt takes over the journal of a store from before the chain: its entries keep
// their numbers and are linked as they are. An entry says so, because from now on
// they cannot be told from others, and because taking the chain off a store and
// having it put on again must leave a trace.
func (s *Store) adopt(tx *bolt.Tx) error {
	b := tx.Bucket([]byte(bucketJournal))
	if tx.Bucket([]byte(bucketMeta)).Get([]byte(chainKey)) != nil {
		return nil
	}
	type old struct {
		number uint64
		text   []byte
	}
	var list []old
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		n, ok := chain.Number(k)
		if _, _, chained := chain.Unpack(v); !ok || chained || len(list) > 0 && n != list[len(list)-1].number+1 {
			return nil // not such a store: its head was removed, which Verify tells
		}
		list = append(list, old{n, append([]byte(nil), v...)})
	}
	if len(list) == 0 || list[0].number == 0 || list[len(list)-1].number != b.Sequence() {
		return nil
	}
	var head chain.Head
	head.Anchor.Number = list[0].number - 1
	head.Last = head.Anchor
	for _, e := range list {
		number, packed := s.vault.journal.Add(&head, e.text)
		if err := b.Put(chain.Key(number), packed); err != nil {
			return err
		}
	}
	if err := tx.Bucket([]byte(bucketMeta)).Put([]byte(chainKey), s.vault.journal.Seal(head)); err != nil {
		return err
	}
	return s.append(tx, []Entry{{At: time.Now().UTC(), Kind: "audit", Text: fmt.Sprintf("the journal is chained from here on; %d entries before this one were not", len(list))}})
}

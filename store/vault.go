package store

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"kioskd/store/chain"
	"kioskd/store/killpoint"
)

// KeySize is the length of the machine's key, in bytes.
const KeySize = keySize

const keySize = 32 // AES-256

// Names of the keys' files in the state directory.
const (
	machineFile  = "machine.key"
	pepperFile   = "session.pepper"
	reportPrefix = "report-" // a report's pepper: report-ID.key
	keySuffix    = ".key"
	tempPrefix   = ".key-"
)

// vault derives all keys (HKDF, RFC 5869) from the machine's key. Two kinds of
// them can be destroyed, because they also need a pepper, 32 random bytes in a
// file of their own: the one that wraps the session's key, and each report's.
// bbolt never wipes a page, so what was deleted may stay readable in the file;
// overwriting the pepper is what destroys it. Each report has its own pepper, so
// that the end of a session, or of another report, cannot touch it. The journal's
// key has none: it stays as long as the machine's.
type vault struct {
	machine []byte
	dir     string
	path    string // of the session's pepper
	wrap    cipher.AEAD
	journal *chain.Chain
}

// sealed is one session's key.
type sealed struct {
	id      string
	aead    cipher.AEAD
	wrapped []byte // the key as the keys bucket holds it
}

// openVault takes the machine's key (nil: machine.key in dir) and the pepper.
func openVault(dir string, machine []byte) (*vault, error) {
	var err error
	killpoint.Pass(killpoint.MachineKey)
	if machine == nil {
		if machine, err = keyFile(filepath.Join(dir, machineFile)); err != nil {
			return nil, err
		}
	}
	if len(machine) != keySize {
		return nil, fmt.Errorf("cannot use the machine key: it has %d bytes, not %d", len(machine), keySize)
	}
	v := &vault{machine: bytes.Clone(machine), dir: dir, path: filepath.Join(dir, pepperFile)}
	key, err := v.derive(nil, "kioskd journal chain v1")
	if err != nil {
		return nil, err
	}
	v.journal = chain.New(key)
	killpoint.Pass(killpoint.MachineKeyMade)
	pepper, err := keyFile(v.path)
	if err != nil {
		return nil, err
	}
	return v, v.usePepper(pepper)
}

func (v *vault) derive(pepper []byte, what string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, v.machine, pepper, what, keySize)
	if err != nil {
		return nil, fmt.Errorf("cannot derive a key: %w", err)
	}
	return key, nil
}

func (v *vault) usePepper(pepper []byte) error {
	key, err := v.derive(pepper, "kioskd session key wrapping v1")
	if err != nil {
		return err
	}
	v.wrap, err = newAEAD(key)
	return err
}

// turn overwrites the session's pepper: every key wrapped before is lost for good.
func (v *vault) turn() error {
	pepper, err := overwrite(v.path)
	if err != nil {
		return fmt.Errorf("cannot destroy the session's key: %w", err)
	}
	return v.usePepper(pepper)
}

// overwrite puts new random bytes into a key's file. It writes in place rather
// than renames, so that the old bytes do not stay on the disk.
func overwrite(path string) ([]byte, error) {
	pepper := make([]byte, keySize)
	_, _ = rand.Read(pepper) // never fails (crypto/rand)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteAt(pepper, 0); err == nil {
		err = syncFile(f)
	}
	return pepper, errors.Join(err, f.Close())
}

// reportPath is where a report's pepper is. The id has been checked.
func (v *vault) reportPath(id string) string {
	return filepath.Join(v.dir, reportPrefix+id+keySuffix)
}

// newReportKey makes a report's pepper and derives its key. One that is there was
// made for a report that could not be written, and is made anew.
func (v *vault) newReportKey(id string) (cipher.AEAD, error) {
	pepper, err := makeKey(v.reportPath(id))
	if err != nil {
		return nil, err
	}
	return v.reportAEAD(pepper)
}

// reportKey derives the key of a report that was written; ErrSealed: it is gone.
func (v *vault) reportKey(id string) (cipher.AEAD, error) {
	pepper, err := os.ReadFile(v.reportPath(id))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && len(pepper) != keySize:
		return nil, ErrSealed
	case err != nil:
		return nil, fmt.Errorf("cannot read a report's key: %w", err)
	}
	return v.reportAEAD(pepper)
}

func (v *vault) reportAEAD(pepper []byte) (cipher.AEAD, error) {
	key, err := v.derive(pepper, "kioskd report v1")
	if err != nil {
		return nil, err
	}
	return newAEAD(key)
}

// destroyReportKey overwrites a report's pepper and removes its file. There may
// be none any more.
func (v *vault) destroyReportKey(id string) error {
	_, err := overwrite(v.reportPath(id))
	if err == nil {
		err = os.Remove(v.reportPath(id))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(v.dir)
	}
	if err != nil {
		return fmt.Errorf("cannot destroy a report's key: %w; it is tried again at the next start", err)
	}
	return nil
}

// newKey makes a session's key and wraps it.
func (v *vault) newKey(id string) (*sealed, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	wrapped := v.wrap.Seal(nil, nil, key, label(bucketKeys, id)) //nolint:gosec // no fixed nonce: see newAEAD
	return &sealed{id: id, aead: aead, wrapped: wrapped}, nil
}

// unwrap gives a session's key back.
func (v *vault) unwrap(id string, wrapped []byte) (*sealed, error) {
	key, err := v.wrap.Open(nil, nil, wrapped, label(bucketKeys, id))
	if err != nil {
		return nil, ErrSealed
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return &sealed{id: id, aead: aead, wrapped: wrapped}, nil
}

func (s *sealed) seal(plain []byte) ([]byte, error) {
	return s.aead.Seal(nil, nil, plain, label(bucketSession, s.id)), nil //nolint:gosec // no fixed nonce: see newAEAD
}

func (s *sealed) open(box []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, box, label(bucketSession, s.id))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// label binds a box to its place: it cannot be moved to another record, bucket
// or schema.
func label(bucket, id string) []byte {
	return []byte(bucket + "/" + id + "/" + strconv.Itoa(Schema))
}

// newAEAD is AES-256-GCM that puts a random nonce of 96 bits before the box. It
// draws the nonce itself, anew for each box: callers give none, and Seal panics
// on any but an empty one (crypto/cipher, NewGCMWithRandomNonce). A
// session commits some thousand times at most, far below the 2^32 boxes that
// NIST SP 800-38D, section 8.3, allows a key.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("cannot use a key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("cannot use a key: %w", err)
	}
	return aead, nil
}

// keyFile reads a key's file, or makes it with 32 random bytes where there is
// none or where a crash left it short. Such a key is lost, and what it sealed
// with it, but the kiosk starts.
func keyFile(path string) ([]byte, error) {
	key, err := readKey(path)
	switch {
	case err == nil && len(key) == keySize:
		return key, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot read %s: %w; it has to belong to the user that runs kioskd", path, err)
	}
	return makeKey(path)
}

// readKey gives what the disk holds of a key, at most a byte more than there should be.
func readKey(path string) (key []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := errors.Join(f.Chmod(0o600), settle(f)); err != nil {
		return nil, err
	}
	key = make([]byte, keySize+1)
	n, err := io.ReadFull(f, key)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return key[:n], err
}

// makeKey makes a key's file, or puts another in its place.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key)                                       // never fails (crypto/rand)
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("cannot make %s: %w", path, err)
	}
	if _, err = f.Write(key); err == nil {
		err = syncFile(f)
	}
	err = errors.Join(err, f.Close())
	killpoint.Pass(killpoint.KeyWritten)
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return nil, fmt.Errorf("cannot make %s: %w", path, err)
	}
	killpoint.Pass(killpoint.KeyNamed)
	if err := syncDir(filepath.Dir(path)); err != nil {
		// The name may or may not be on the disk. It must not be found by the next
		// try, which would take it for one that is.
		_ = os.Remove(path)
		return nil, fmt.Errorf("cannot make %s: %w", path, err)
	}
	return key, nil
}

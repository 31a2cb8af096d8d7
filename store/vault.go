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
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

const keySize = 32 // AES-256

// vault holds the key that wraps the sessions' keys. It is derived (HKDF, RFC
// 5869) from the machine's key and from the pepper, 32 random bytes in a file of
// their own. bbolt never wipes a page, so a deleted wrapped key may stay readable
// in the file; overwriting the pepper after a session's end is what destroys it.
type vault struct {
	machine []byte
	path    string // of the pepper
	wrap    cipher.AEAD
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
	if machine == nil {
		if machine, err = keyFile(filepath.Join(dir, "machine.key")); err != nil {
			return nil, err
		}
	}
	if len(machine) != keySize {
		return nil, fmt.Errorf("cannot use the machine key: it has %d bytes, not %d", len(machine), keySize)
	}
	v := &vault{machine: bytes.Clone(machine), path: filepath.Join(dir, "session.pepper")}
	pepper, err := keyFile(v.path)
	if err != nil {
		return nil, err
	}
	return v, v.derive(pepper)
}

func (v *vault) derive(pepper []byte) error {
	key, err := hkdf.Key(sha256.New, v.machine, pepper, "kioskd session key wrapping v1", keySize)
	if err != nil {
		return fmt.Errorf("cannot derive the wrapping key: %w", err)
	}
	v.wrap, err = newAEAD(key)
	return err
}

// turn overwrites the pepper in place: every key wrapped before is lost for good.
// It overwrites rather than renames, so that the old bytes do not stay on the disk.
func (v *vault) turn() error {
	pepper := make([]byte, keySize)
	_, _ = rand.Read(pepper) // never fails (crypto/rand)
	f, err := os.OpenFile(v.path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("cannot destroy the session's key: %w", err)
	}
	_, err = f.WriteAt(pepper, 0)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("cannot destroy the session's key: %w", err)
	}
	return v.derive(pepper)
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
	key, err := os.ReadFile(path)
	switch {
	case err == nil && len(key) == keySize:
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("cannot protect %s: %w", path, err)
		}
		return key, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cannot read %s: %w; it has to belong to the user that runs kioskd", path, err)
	}
	key = make([]byte, keySize)
	_, _ = rand.Read(key)
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("cannot make %s: %w", path, err)
	}
	_, err = f.Write(key)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return nil, fmt.Errorf("cannot make %s: %w", path, err)
	}
	return key, nil
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

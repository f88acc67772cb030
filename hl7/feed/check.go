package feed

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Check reads the journal of a feed that nobody has open, and changes nothing. It returns how many
// messages it holds; a journal that is not there holds none. Errors: ErrKey, ErrDamaged, or the file
// system's. What a crash left of a record that was never acknowledged is no damage.
func Check(dir string, key [32]byte) (messages uint64, err error) {
	for _, name := range []string{inboundJournal, outboundJournal} {
		n, err := check(filepath.Join(dir, name), key)
		messages += n
		if err != nil {
			return messages, err
		}
	}
	return messages, nil
}

func check(path string, key [32]byte) (messages uint64, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("feed: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	aead, err := sealed(key)
	if err != nil {
		return 0, err
	}
	j := &journal{f: f, aead: aead}
	whole := true
	_, err = j.scan(func(_ uint64, r record) {
		if r.Kind == kindReceived {
			messages++
			whole = whole && sha256.Sum256(r.Raw) == [32]byte(r.Hash)
		}
	})
	if err == nil && !whole {
		err = ErrDamaged
	}
	return messages, err
}

package balp

import (
	"errors"
	"fmt"
	"os"

	"salus/internal/durable"
)

// Salvage is for an operator whose journal does not open: it cuts the last file at the first frame that
// does not open behind those before it, and keeps what it cut beside it, as <file>.cut, for whoever
// finds out why. It returns how many bytes that were; 0 if the journal is sound. What is damaged in an
// earlier file is not touched (ErrDamaged): there acknowledged events are gone, and that stays evident.
// Compare the journal with its last Checkpoint afterwards.
func Salvage(dir string, key [32]byte) (int, error) {
	j, err := OpenJournal(dir, key)
	if err == nil {
		return 0, j.Close()
	}
	if !errors.Is(err, ErrDamaged) {
		return 0, err
	}
	names, err := segments(dir)
	if err != nil || len(names) == 0 {
		return 0, errors.Join(err, ErrDamaged)
	}
	aead, err := newSeal(key)
	if err != nil {
		return 0, err
	}
	name := names[len(names)-1]
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("balp: journal: %w", err)
	}
	head, err := parseHeader(b)
	if err != nil {
		return 0, err
	}
	at := headerSize
	for at < len(b) {
		n, err := whole(b[at:])
		if err != nil || n == 0 {
			break
		}
		if _, err := opened(aead, head, b[at:at+n]); err != nil {
			break
		}
		head = head.after(b[at : at+n])
		at += n
	}
	cut := b[at:]
	if len(cut) == 0 { // the damage is in an earlier file
		return 0, ErrDamaged
	}
	if err := writeSynced(name+".cut", cut); err != nil {
		return 0, fmt.Errorf("balp: journal: %w", err)
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return 0, fmt.Errorf("balp: journal: %w", err)
	}
	if err := errors.Join(f.Truncate(int64(at)), f.Sync(), f.Close(), durable.SyncDir(dir)); err != nil {
		return 0, fmt.Errorf("balp: journal: %w", err)
	}
	if j, err = OpenJournal(dir, key); err != nil {
		return len(cut), err
	}
	return len(cut), j.Close()
}

// writeSynced makes a file that does not exist yet.
func writeSynced(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

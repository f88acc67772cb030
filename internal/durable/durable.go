// Package durable writes files that are still there after the power fails.
//
// Contract: what returned nil is on disk, the name too; a file that is written is there whole, the old one
// or the new one. It must never say so of what only the operating system has, and it knows nothing of what
// the files hold: who writes secrets seals them first.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Suffix is that of a file that is being written. One that a crash left was never acknowledged.
const Suffix = ".new"

// WriteFile puts b in the place of a file, for its owner alone (mode 0600). The old one stays if it fails. Two
// writers of one path must not run at once. Errors: those of the file system.
func WriteFile(path string, b []byte) error {
	f, err := os.OpenFile(path+Suffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+Suffix, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in a folder durable. Errors: those of the file system.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

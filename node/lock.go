package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"salus/config"
)

// lockHome keeps two processes from working in one home: a node, its fsck, its rebuild. The
// lock ends with the process.
func lockHome(c *config.Config) (unlock func() error, err error) {
	f, err := os.OpenFile(filepath.Join(c.Home, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("node: home: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(ErrRunning, f.Close())
	}
	return f.Close, nil
}

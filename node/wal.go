package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// walPause is the time between two looks at the write-ahead log of consensus.
const walPause = time.Minute

// trimWAL keeps the write-ahead log of consensus small. CometBFT begins a new file after every
// 10 MB and lets all of them grow to 1 GB; but a node that starts again needs only what it wrote
// since the last block.
func (n *Node) trimWAL(ctx context.Context) error {
	t := time.NewTicker(walPause)
	defer t.Stop()
	seen, height := time.Now(), n.app.Head().Height
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		// Two blocks after seen, its files hold nothing of the last one. While no block comes, as
		// in a partition, nothing is removed, however long one height takes.
		h := n.app.Head().Height
		if h < height+2 {
			continue
		}
		if err := removeWAL(filepath.Dir(cometConfig(n.cfg).Consensus.WalFile()), seen); err != nil {
			n.log.WarnContext(ctx, "wal_not_trimmed", "err", err)
		}
		seen, height = time.Now(), h
	}
}

// removeWAL removes the log's finished files that were last written before then, but for the
// newest. The file that is being written has no number.
func removeWAL(dir string, then time.Time) error {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("node: write-ahead log: %w", err)
	}
	newest := -1
	old := map[int]string{}
	for _, f := range files {
		number, numbered := strings.CutPrefix(f.Name(), "wal.")
		i, err := strconv.Atoi(number)
		if !numbered || err != nil {
			continue
		}
		newest = max(newest, i)
		if info, err := f.Info(); err == nil && info.ModTime().Before(then) {
			old[i] = f.Name()
		}
	}
	delete(old, newest)
	for _, name := range old {
		err = errors.Join(err, os.Remove(filepath.Join(dir, name)))
	}
	return err
}

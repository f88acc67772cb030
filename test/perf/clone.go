package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"salus/config"
	"salus/internal/devnet"
)

// cloneHomes copies the homes of a network that has never run, without their data, and moves
// them to ports of their own: nodes that stopped in this process may still dial the old ones.
func cloneHomes(from, to string, homes []*config.Config) ([]*config.Config, error) {
	if err := copyTree(from, to, func(rel string) bool { return filepath.Base(rel) != "data" }); err != nil {
		return nil, err
	}
	port, err := freePort(10 * len(homes))
	if err != nil {
		return nil, err
	}
	moved := map[string]string{}
	for i, c := range homes {
		for j, at := range []string{c.Ledger.Listen, c.Ledger.RPC, c.Peer.Listen, c.Gateway.Listen} {
			moved[at] = loopback(port + 10*i + j)
		}
	}
	var out []*config.Config
	for _, old := range homes {
		c, err := devnet.LoadConfig(to, old.Name)
		if err != nil {
			return nil, err
		}
		for _, at := range []*string{&c.Ledger.Listen, &c.Ledger.RPC, &c.Peer.Listen, &c.Gateway.Listen} {
			*at = moved[*at]
		}
		for i, p := range c.Ledger.Peers {
			id, at, _ := strings.Cut(p, "@")
			c.Ledger.Peers[i] = id + "@" + moved[at]
		}
		if err := errors.Join(c.Save(), c.MakeDirs()); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// linkStore copies a closed Pebble store. Its tables never change once written, so the copies
// share them on disk; everything else is copied.
func linkStore(from, to string) error {
	return walkFiles(from, to, nil, func(src, dst string) error {
		if filepath.Ext(src) == ".sst" && os.Link(src, dst) == nil {
			return nil
		}
		return copyFile(src, dst)
	})
}

func copyTree(from, to string, enter func(rel string) bool) error {
	return walkFiles(from, to, enter, copyFile)
}

// walkFiles makes the folders of from below to and calls put for every file. enter says which
// folders to go into; nil means all.
func walkFiles(from, to string, enter func(rel string) bool, put func(src, dst string) error) error {
	return filepath.WalkDir(from, func(src string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, src)
		if err != nil {
			return err
		}
		dst := filepath.Join(to, rel)
		switch {
		case !d.IsDir():
			return put(src, dst)
		case enter != nil && rel != "." && !enter(rel):
			return filepath.SkipDir
		default:
			return os.MkdirAll(dst, 0o700)
		}
	})
}

func copyFile(src, dst string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

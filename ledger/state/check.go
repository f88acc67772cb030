package state

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
)

// The first damage Check finds is one of these; each is an ErrCorrupt.
var (
	ErrDamagedRow  = fmt.Errorf("%w: row", ErrCorrupt)
	ErrDamagedTree = fmt.Errorf("%w: tree", ErrCorrupt)
	ErrDamagedLog  = fmt.Errorf("%w: log", ErrCorrupt)
)

// Check recomputes the whole tree, the leaf of every row and the whole log of
// the last version from what is stored, in bounded memory, while the store is
// in use. progress may be nil. The error says what is damaged, in hashes and
// numbers only: ErrDamagedRow, ErrDamagedTree, ErrDamagedLog.
func (s *Store) Check(progress func(string)) error {
	if progress == nil {
		progress = func(string) {}
	}
	v := s.View()
	defer v.Close()
	c := checker{view: v, progress: progress}
	if err := c.tree(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamagedTree, err)
	}
	progress(fmt.Sprintf("tree: %d pages, %d leaves", c.pages, c.leaves))
	if err := c.rows(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamagedRow, err)
	}
	progress(fmt.Sprintf("rows: %d", c.count))
	if err := c.log(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamagedLog, err)
	}
	progress(fmt.Sprintf("log: %d entries", v.Size()))
	return nil
}

// checkStep is how many rows, pages or entries are checked between reports.
const checkStep = 1 << 18

type checker struct {
	view                 *View
	progress             func(string)
	seen                 *pageCache // of rows
	pages, leaves, count uint64
}

func (c *checker) step(what string, n uint64) {
	if n%checkStep == 0 {
		c.progress(fmt.Sprintf("%s: %d", what, n))
	}
}

// tree recomputes every page from its slots, from the root down, and sees that
// there are no others.
func (c *checker) tree() error {
	if root := c.view.Meta().TreeRoot; root != zeroHash {
		if err := c.page(pageKey{}, &root); err != nil {
			return err
		}
	}
	var stored uint64
	err := c.view.scan([]byte{spacePage}, func(_, _ []byte) bool {
		stored++
		return true
	})
	if err == nil && stored != c.pages {
		err = fmt.Errorf("%d pages are stored, %d belong to the tree", stored, c.pages)
	}
	return err
}

// page checks the page k, whose root must be want, and all below.
func (c *checker) page(k pageKey, want *[32]byte) error {
	p, err := readPage(c.view.version.snap, k)
	if err != nil {
		return fmt.Errorf("depth %d: %w", k.n, err)
	}
	if *p.hash(1) != *want {
		return fmt.Errorf("depth %d: the page hashes to %x, not %x", k.n, p.hash(1)[:4], want[:4])
	}
	if !p.under(k) {
		return fmt.Errorf("depth %d: a leaf is not where its path leads", k.n)
	}
	if _, alone := p.single(1); alone && k.n > 0 {
		return fmt.Errorf("depth %d: a page for one leaf", k.n)
	}
	c.pages++
	c.step("tree pages", c.pages)
	for slot := range pageSlots {
		switch bit := uint16(1) << slot; {
		case p.leaves&bit != 0:
			c.leaves++
		case p.inner&bit != 0:
			if err := c.page(k.child(slot), &p.entry(slot).hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows looks every row up in the tree. As every leaf is of one key and the
// numbers agree, there is no leaf without its row either.
func (c *checker) rows() error {
	c.seen = newPageCache(16 << 20)
	var damage error
	err := c.view.scan([]byte{spaceRow}, func(key, value []byte) bool {
		var o op
		o.set(&rowChange{key: key, value: value})
		var found *entry
		if c.view.Meta().TreeRoot != zeroHash {
			if found, damage = c.find(&o.path); damage != nil {
				return false
			}
		}
		if found == nil || !found.sameLeaf(&o.leaf) {
			damage = fmt.Errorf("the row of tree key %x is not what the tree says", o.leaf.key[:8])
			return false
		}
		c.count++
		c.step("rows", c.count)
		return true
	})
	if err = errors.Join(damage, err); err != nil {
		return err
	}
	if c.count != c.leaves {
		return fmt.Errorf("%d rows are stored, %d are in the tree", c.count, c.leaves)
	}
	return nil
}

// find returns the leaf in whose slot path ends; nil if that is empty.
func (c *checker) find(path *[32]byte) (*entry, error) {
	var k pageKey
	for {
		p := c.seen.get(k)
		if p == nil {
			var err error
			if p, err = readPage(c.view.version.snap, k); err != nil {
				return nil, err
			}
			c.seen.put(k, p)
		}
		slot := k.slot(path)
		switch bit := uint16(1) << slot; {
		case p.leaves&bit != 0:
			return p.entry(slot), nil
		case p.inner&bit == 0:
			return nil, nil
		}
		k = k.child(slot)
	}
}

// log hashes every entry again and compares every stored node.
func (c *checker) log() error {
	m := c.view.Meta()
	log := logFactory.NewEmptyRange(0)
	var want, nodes uint64
	var damage error
	node := func(id compact.NodeID, hash []byte) {
		nodes++
		if damage != nil {
			return
		}
		stored, err := readNode(c.view.version.snap, id)
		if err == nil && !bytes.Equal(stored, hash) {
			err = errors.New("differs")
		}
		if err != nil {
			damage = fmt.Errorf("node %d at level %d: %w", id.Index, id.Level, err)
		}
	}
	err := c.view.walk([]byte{spaceEntry}, []byte{spaceEntry + 1}, func(key, value []byte) bool {
		if !bytes.Equal(key, entryKey(nil, want)) {
			damage = fmt.Errorf("entry %d is missing", want)
			return false
		}
		if err := log.Append(logHasher.HashLeaf(value), node); damage == nil {
			damage = err
		}
		want++
		c.step("log entries", want)
		return damage == nil
	})
	if err = errors.Join(damage, err); err != nil {
		return err
	}
	if want != m.LogSize {
		return fmt.Errorf("%d entries are stored, %d were committed", want, m.LogSize)
	}
	if logRoot(log) != m.LogRoot {
		return errors.New("the root differs from what was committed")
	}
	var stored uint64
	if err := c.view.scan([]byte{spaceNode}, func(_, _ []byte) bool { stored++; return true }); err != nil {
		return err
	}
	if stored != nodes {
		return fmt.Errorf("%d nodes are stored, %d belong to the log", stored, nodes)
	}
	return nil
}

package custody

import (
	"errors"

	"github.com/cockroachdb/pebble"

	"salus/ledger/module/anchor"
	"salus/ledger/module/erasure"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
)

// What is erased while a pass is open must neither be handed on nor hold up the rest. What a pass deals
// follows from the height at which it began: until then what is erased is not in it, afterwards it changes no
// leaf and no root, whoever knows of it and when. So a dealer that destroys after that height first deals what it destroys, and keeps
// what is public of it, commitments and sums. From these the new custodians make the commitments that follow, and confirm them;
// of the shares there are none.

// since is the height at which a pass began.
func (h *change) since(pass int) uint64 { return h.row.Passes[pass-1].UpTo }

// passOf is the pass that a batch is dealt in, 0 if in none.
func (h *change) passOf(b *anchor.Batch) int {
	for i := range h.row.Passes {
		if p := &h.row.Passes[i]; b.Active != 0 && b.Active > p.After && b.Active <= p.UpTo {
			return i + 1
		}
	}
	return 0
}

// A publicRow is what everybody may know of the dealing of a batch.
type publicRow struct {
	Commitments [][32]byte `cbor:"1,keyasint"`
	Sums        []tx.Hash  `cbor:"2,keyasint"`
}

func (r *rows) public(n reshare.Name, hh [32]byte) (*publicRow, error) {
	b, err := r.get(rowKey(prefixPublic, passKey(n), hh[:]))
	if err != nil {
		return nil, err
	}
	row := new(publicRow)
	if tx.DecodeAny(b, row, len(b)) != nil {
		return nil, errDamaged
	}
	return row, nil
}

// dealBefore deals a batch of which something is about to be destroyed, if a resharing needs it, and keeps what is public of that.
// It is on disk before anything is destroyed, and may be repeated.
func (c *Custodian) dealBefore(hh [32]byte) error {
	v := c.Ledger.View()
	defer v.Close()
	h, ok := c.changeAt(v)
	if !ok || h.deals == 0 || h.row.Spent(v.Meta().Time, graceOf(v)) {
		return nil
	}
	b, ok := anchor.Lookup(v, hh)
	pass := h.passOf(&b)
	if !ok || pass == 0 {
		return nil
	}
	name := h.name(pass)
	kl, ku := rowKey(prefixDealt, passKey(name), hh[:]), rowKey(prefixPublic, passKey(name), hh[:])
	if c.rows.has(ku) {
		return nil
	}
	before, err := c.rows.get(kl)
	if err != nil && !errors.Is(err, errAbsent) || err != nil && h.row.Open() != pass {
		return ignoreAbsent(err)
	}
	seed, err := c.dealtSeed(name)
	if err != nil {
		return err
	}
	d, err := c.subdeal(h, pass, seed, hh)
	if err != nil || d == nil {
		return err
	}
	leaf, sums := dealtLeaf(hh, d)
	if before != nil && tx.Hash(before) != leaf {
		return nil // it came after the dealing
	}
	public, err := tx.Encode(publicRow{d.Commitments, sums})
	if err != nil {
		return errorf("encode", err)
	}
	return c.rows.update(func(b *pebble.Batch) error {
		return errors.Join(b.Set(kl, leaf[:], nil), b.Set(ku, public, nil))
	})
}

func ignoreAbsent(err error) error {
	if errors.Is(err, errAbsent) {
		return nil
	}
	return err
}

// blank takes out of a vector what was erased after the pass began, and says whether that was anything.
func (c *Custodian) blank(h *change, pass int, hh [32]byte, shares []byte) (found bool, err error) {
	m, err := c.rows.manifest(hh)
	if err != nil {
		return false, err
	}
	for i, leaf := range m.leaves() {
		if at := 32 * (i + 1); at < len(shares) && erasure.Erased(h.v, hh, leaf) && !erasure.ErasedBy(h.v, hh, leaf, h.since(pass)) {
			clear(shares[at : at+32])
			clear(shares[:32]) // with the blinding share the others would give it away
			found = true
		}
	}
	return found, nil
}

// hollow leaves of what was taken over of a batch only what is public, which the pass is confirmed with.
func (c *Custodian) hollow(b *pebble.Batch, hh [32]byte) error {
	s, err := c.rows.staged(hh)
	if err != nil {
		return ignoreAbsent(err)
	}
	defer clear(s.Row)
	if s.Gone {
		return nil
	}
	return c.rows.putStaged(b, hh, &stagedRow{Name: s.Name, Used: s.Used, Gone: true, Commitments: s.Commitments})
}

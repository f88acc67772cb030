package custody

import (
	"errors"
	"slices"

	"salus/ledger/module/erasure"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// Probe tries to get at what a case erased, past every rule of release, with all that this custodian has: it returns
// how many shares it could read. It is 0 for a case that is carried out here.
func (c *Custodian) Probe(e *erasure.Case) (shares int, err error) {
	switch e.Scope {
	case erasure.Patient:
		of, err := c.rows.ofPatient(e.Patient)
		headers, serr := c.stagedOf(e.Patient)
		err = errors.Join(err, serr)
		for _, p := range of {
			if !slices.Contains(headers, p.Header) {
				headers = append(headers, p.Header)
			}
		}
		for _, hh := range headers {
			n, berr := c.readable(hh, -1)
			shares, err = shares+n, errors.Join(err, berr)
		}
		return shares, err
	case erasure.Batch:
		return c.readable(e.Batch, -1)
	}
	m, err := c.rows.manifest(e.Batch)
	if errors.Is(err, errAbsent) {
		s, serr := c.rows.staged(e.Batch) // who is about to get the batch has its manifest beside it
		if serr != nil {
			return 0, ignoreAbsent(serr)
		}
		defer clear(s.Row)
		if s.Gone {
			return 0, nil
		}
		var ok bool
		if m, ok = decodeManifest(s.Manifest); !ok {
			return 0, errDamaged
		}
		err = nil
	}
	if err != nil {
		return 0, err
	}
	for i, leaf := range m.leaves() {
		if leaf == [32]byte(e.Leaf) {
			return c.readable(e.Batch, i)
		}
	}
	return 0, nil
}

// Leaves returns the manifest leaf of the record at that position of a batch, and that of the index record that tells of it,
// which is under the same slots; the index is zero if there is none, or the record is erased. Error: ErrNoParcel if the
// batch is not here.
func (c *Custodian) Leaves(hh tx.Hash, at int) (leaf, index tx.Hash, err error) {
	m, err := c.rows.manifest(hh)
	if errors.Is(err, errAbsent) || err == nil && (at < 0 || at >= len(m.Entries)) {
		return leaf, index, ErrNoParcel
	}
	if err != nil {
		return leaf, index, err
	}
	leaves := m.leaves()
	for i, e := range m.Entries {
		if e.Kind == seal.KindIndex && e.Slots == m.Entries[at].Slots && !m.gone(i) && !m.gone(at) {
			return leaves[at], leaves[i], nil
		}
	}
	return leaves[at], index, nil
}

// readable counts the shares of a batch that can be read: the one of the record at that position, with the blinding
// share that would lead to it, or all of them if it is negative. A parcel that is kept for relay counts as one.
func (c *Custodian) readable(hh [32]byte, index int) (n int, err error) {
	if _, err := c.rows.relay(hh); err == nil {
		n++
	}
	if _, err := c.parking.get(hh); err == nil {
		n++
	}
	count := func(row *batchRow) {
		defer row.wipe()
		for i := range row.Shares {
			if (index < 0 || i == 0 || i == index+1) && row.Shares[i] != (threshold.Share{}) {
				n++
			}
		}
	}
	s, err := c.rows.staged(hh) // taken over, and not in its place yet
	if ignoreAbsent(err) != nil {
		return n, err
	}
	if err == nil {
		defer clear(s.Row)
		if row, ok := decodeBatch(s.Row); ok {
			count(row)
		}
	}
	row, err := c.rows.batch(hh)
	if err == nil {
		count(row)
	}
	return n, ignoreAbsent(err)
}

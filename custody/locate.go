package custody

import (
	"context"

	"github.com/transparency-dev/merkle/rfc6962"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/erasure"
	"salus/ledger/tx"
	"salus/seal"
)

// A page of a Locate answer ends with the batch that reaches one of these: it must fit into
// a message between members (peer.DefaultLimits), also when batches are full.
const (
	pageBatches = 256
	pageEntries = 4096
)

// Locate lists the batches of the session's patient with the entries that the session may
// open now. What is denied is left out without a trace: no count, no gap. The answer is
// sealed to the session's key, so it does not matter who asked.
// Errors: ErrMalformed; exchange.ErrNotNow; ErrNotReleased whatever else the reason.
func (c *Custodian) Locate(ctx context.Context, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	if !validKey(req.ReaderKey) {
		return nil, ErrMalformed
	}
	page, err := c.locate(req)
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	box, err := sealAnswer("locate", req.Session, req.ReaderKey, page)
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	return box, nil
}

func (c *Custodian) locate(req *exchange.LocateRequest) (*exchange.Located, error) {
	v := c.Ledger.View()
	defer v.Close()
	s, err := c.session(v, headOf(v), req.Session, req.ReaderKey)
	if err != nil {
		return nil, err
	}
	if !c.pace.allow(req.Session, c.Now()) {
		return nil, tooFast
	}
	page := &exchange.Located{}
	found, err := c.rows.ofPatient(s.session.Patient)
	if err != nil {
		return nil, err
	}
	entries := 0
	for _, p := range found {
		if p.LogIndex < req.After || !p.may(s.allowed) || !anchor.IsActive(v, p.Header) || erasure.Erased(v, p.Header, tx.Hash{}) {
			continue
		}
		m, err := c.rows.manifest(p.Header)
		if err != nil {
			return nil, err
		}
		var gone func([32]byte) bool
		if erasure.ErasedRecords(v, p.Header) > 0 {
			gone = func(leaf [32]byte) bool { return erasure.Erased(v, p.Header, leaf) }
		}
		b := m.located(&p, s.allowed, gone)
		if len(b.Entries) == 0 {
			continue
		}
		page.Batches = append(page.Batches, b)
		if entries += len(b.Entries); entries >= pageEntries || len(page.Batches) == pageBatches {
			page.Next = p.LogIndex + 1
			break
		}
	}
	return page, nil
}

// located is what the session may see of one batch; gone, if there is one, names the leaves that are erased.
func (m *manifestRow) located(p *patientRow, allowed uint64, gone func(leaf [32]byte) bool) exchange.LocatedBatch {
	b := exchange.LocatedBatch{Header: p.Header, LogIndex: p.LogIndex, ShareRoots: m.ShareRoots, Pack: m.Pack}
	var paths [][][32]byte
	for i, e := range m.Entries {
		if !releasable(e.Slots, allowed) || gone != nil && gone(e.Leaf(i)) {
			continue
		}
		if paths == nil {
			paths = pathsOf(m.leaves())
		}
		b.Entries = append(b.Entries, exchange.LocatedEntry{Index: uint16(i), Entry: e, Path: paths[i]})
	}
	return b
}

// manifestPaths are the paths of all entries, as seal.ManifestProof gives them one by one,
// with every node hashed once.
func manifestPaths(entries []seal.Entry) [][][32]byte {
	return pathsOf((&manifestRow{Entries: entries}).leaves())
}

func pathsOf(leaves [][32]byte) [][][32]byte {
	paths := make([][][32]byte, len(leaves))
	climb(leaves, paths)
	return paths
}

// climb adds to the paths of the leaves under one node, and returns the node.
func climb(leaves [][32]byte, paths [][][32]byte) [32]byte {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	l, r := climb(leaves[:k], paths[:k]), climb(leaves[k:], paths[k:])
	for i := range paths {
		if i < k {
			paths[i] = append(paths[i], r)
		} else {
			paths[i] = append(paths[i], l)
		}
	}
	return [32]byte(rfc6962.DefaultHasher.HashChildren(l[:], r[:]))
}

// sealAnswer encrypts an answer to the session's key.
func sealAnswer(what string, session tx.Hash, readerKey []byte, v any) (*exchange.Sealed, error) {
	plain, err := tx.Encode(v)
	if err != nil {
		return nil, errorf("encode", err)
	}
	box, err := seal.Box(readerKey, exchange.AnswerInfo(what, session), plain)
	if err != nil {
		return nil, errorf("seal", err)
	}
	return &exchange.Sealed{Box: box}, nil
}

package custody

import (
	"context"
	"encoding/binary"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/seal"
)

// Pages of a Locate answer end after this many batches.
const pageBatches = 64

// Locate lists the batches of the session's patient with the entries that the session may
// open now. What is denied is left out without a trace: no count, no gap. The answer is
// sealed to the session's key, so it does not matter who asked.
func (c *Custodian) Locate(_ context.Context, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	if len(req.ReaderKey) != seal.PublicKeySize {
		return nil, ErrMalformed
	}
	v := c.Ledger.View()
	defer v.Close()
	s, allowed, why := c.session(v, c.Ledger.Head(), req.Session, req.ReaderKey)
	if why != nil {
		c.metrics.refusals.WithLabelValues(why.Error()).Inc()
		return nil, ErrNotReleased
	}
	page := exchange.Located{}
	err := c.rows.scan(rowKey(prefixPatient, s.Patient[:]), func(rest, value []byte) (bool, error) {
		at := binary.BigEndian.Uint64(rest)
		if at < req.After {
			return true, nil
		}
		hh := [32]byte(value)
		if b, ok := anchor.Lookup(v, hh); !ok || b.Active == 0 {
			return true, nil
		}
		row, err := c.rows.batch(hh)
		if err != nil {
			return false, err
		}
		if lb := locate(hh, row, allowed); len(lb.Entries) > 0 {
			page.Batches = append(page.Batches, lb)
		}
		if len(page.Batches) == pageBatches {
			page.Next = at + 1
			return false, nil
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return c.sealAnswer("locate", req.Session, req.ReaderKey, &page)
}

func locate(hh [32]byte, row *batchRow, allowed uint64) exchange.LocatedBatch {
	lb := exchange.LocatedBatch{Header: hh, LogIndex: row.LogIndex, ShareRoots: row.ShareRoots, Pack: row.Pack}
	for i, e := range row.Entries {
		if e.Slots&^allowed == 0 {
			lb.Entries = append(lb.Entries, exchange.LocatedEntry{Index: uint16(i), Entry: e, Path: seal.ManifestProof(row.Entries, i)})
		}
	}
	return lb
}

func (c *Custodian) sealAnswer(what string, session tx.Hash, readerKey []byte, v any) (*exchange.Sealed, error) {
	plain, err := tx.Encode(v)
	if err != nil {
		return nil, errorf("encode", err)
	}
	box, err := seal.Box(readerKey, exchange.AnswerInfo(what, session), plain)
	if err != nil {
		return nil, ErrMalformed
	}
	return &exchange.Sealed{Box: box}, nil
}

// Openings tells a session's patient, and nobody else, which records each fetch named.
func (c *Custodian) Openings(_ context.Context, req *exchange.OpeningsRequest) (*exchange.Sealed, error) {
	if len(req.ReaderKey) != seal.PublicKeySize {
		return nil, ErrMalformed
	}
	v := c.Ledger.View()
	defer v.Close()
	s, ok := access.Lookup(v, req.Session)
	if !ok || req.Signature.Account != s.Patient {
		return nil, ErrNotReleased
	}
	key, ok := identity.KeyAt(v, s.Patient, req.Signature.Key, uint64(v.Meta().Height))
	if !ok {
		return nil, ErrNotReleased
	}
	digest := exchange.OpeningsDigest(c.Chain, req.Session, req.ReaderKey)
	if err := key.Public.Verify(digest, &req.Signature, tx.PasskeyPolicy{Origins: governance.ParamsOf(v).Origins}); err != nil {
		return nil, ErrNotReleased
	}
	var out exchange.Openings
	prefix := rowKey(prefixOpening, req.Session[:])
	err := c.rows.scan(prefix, func(rest, value []byte) (bool, error) {
		plain, err := c.rows.unwrap(append(append([]byte(nil), prefix...), rest...), value)
		if err != nil {
			return false, err
		}
		o := exchange.OpenedList{Fetch: binary.BigEndian.Uint32(rest)}
		if err := tx.DecodeAny(plain, &o.List, len(plain)); err != nil {
			return false, errDamaged
		}
		out.Lists = append(out.Lists, o)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return c.sealAnswer("openings", req.Session, req.ReaderKey, &out)
}

package custody

import (
	"context"
	"encoding/binary"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// pageItems is how many items end a page of openings.
const pageItems = 1 << 16

// Openings tells a session's patient, and nobody else, which records each fetch named.
// Errors: ErrMalformed; exchange.ErrNotNow; ErrNotReleased whatever else the reason.
func (c *Custodian) Openings(ctx context.Context, req *exchange.OpeningsRequest) (*exchange.Sealed, error) {
	if !validKey(req.ReaderKey) {
		return nil, ErrMalformed
	}
	v := c.Ledger.View()
	defer v.Close()
	if !c.isPatient(v, req) {
		return nil, c.refuse(ctx, otherPatient)
	}
	out, err := c.openings(req.Session, req.After)
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	box, err := sealAnswer("openings", req.Session, req.ReaderKey, out)
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	return box, nil
}

// isPatient reports whether a live key of the session's patient signed the question.
func (c *Custodian) isPatient(v *state.View, req *exchange.OpeningsRequest) bool {
	s, ok := access.Lookup(v, req.Session)
	if !ok || req.Signature.Account != s.Patient {
		return false
	}
	key, ok := identity.KeyAt(v, s.Patient, req.Signature.Key, uint64(v.Meta().Height))
	if !ok {
		return false
	}
	digest := exchange.OpeningsDigest(c.Chain, req.Session, req.ReaderKey)
	policy := tx.PasskeyPolicy{Origins: governance.ParamsOf(v).Origins, RequireUV: true}
	return key.Public.Verify(digest, &req.Signature, policy) == nil
}

func (c *Custodian) openings(session tx.Hash, after uint32) (*exchange.Openings, error) {
	prefix := rowKey(prefixOpening, session[:])
	var fetches []uint32
	err := c.rows.scan(prefix, func(rest, _ []byte) (bool, error) {
		if len(rest) != 4 {
			return false, errDamaged
		}
		if n := binary.BigEndian.Uint32(rest); n >= after {
			fetches = append(fetches, n)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	out, items := &exchange.Openings{}, 0
	for _, n := range fetches {
		plain, err := c.rows.unwrapped(openingKey(session, n))
		if err != nil {
			return nil, err
		}
		o := exchange.OpenedList{Fetch: n}
		if tx.DecodeAny(plain, &o.List, len(plain)) != nil {
			return nil, errDamaged
		}
		out.Lists = append(out.Lists, o)
		if items += len(o.List.Items); items >= pageItems {
			out.Next = n + 1
			break
		}
	}
	return out, nil
}

func openingKey(session tx.Hash, fetch uint32) []byte {
	return rowKey(prefixOpening, session[:], binary.BigEndian.AppendUint32(nil, fetch))
}

package pcf

import (
	"bytes"
	"io"
	"slices"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// A Group is what the grants of one Consent have in common: the first 15 bytes of their ids. The last
// byte is the part. A grant that was made otherwise is a Consent of its own.
type Group [15]byte

func groupOf(id consent.GrantID) (g Group) { copy(g[:], id[:]); return g }

func (g Group) part(n byte) (id consent.GrantID) {
	copy(id[:], g[:])
	id[15] = n
	return id
}

// A Plan comes from what stands to what is wished: what is to be revoked and given, in the order of the ids.
type Plan struct {
	Patient tx.Account
	Revoke  []consent.GrantID
	Give    []consent.Grant
}

// Message is what must be signed: one message, so that all of the plan holds or nothing. ok is false if nothing is
// to be done.
func (p *Plan) Message() (kind tx.Kind, m tx.Message, ok bool) {
	switch {
	case len(p.Revoke)+len(p.Give) == 0:
		return "", nil, false
	case len(p.Revoke) == 0 && len(p.Give) == 1:
		return consent.KindGrant, &consent.Give{Patient: p.Patient, Grant: p.Give[0]}, true
	case len(p.Revoke) == 1 && len(p.Give) == 0:
		return consent.KindRevoke, &consent.Revoke{Patient: p.Patient, ID: p.Revoke[0]}, true
	}
	return consent.KindChange, &consent.Change{Patient: p.Patient, Revoke: p.Revoke, Give: p.Give}, true
}

// planning is what a plan is made of.
type planning struct {
	patient  tx.Account
	group    Group
	slots    *record.SlotMap
	random   io.Reader
	recorded bool
	document tx.Hash
	same     bool           // the document is the one that stands
	used     [maxParts]bool // parts that were used before
}

// plan goes from the grants that stand of a group to the wishes, which are canonical.
func (p *planning) plan(standing []consent.Standing, wishes []Wish) (*Plan, error) {
	type part struct {
		grant consent.Grant
		wish  Wish
		kept  bool
	}
	var old []part
	for _, s := range standing {
		w, err := WishOf(&s.Grant, p.slots)
		if err != nil {
			return nil, err
		}
		old = append(old, part{grant: s.Grant, wish: w})
		p.used[s.Grant.ID[15]] = true
	}
	out := &Plan{Patient: p.patient}
	var fresh []Wish
	for _, w := range wishes { // in place where only the labels change
		i := slices.IndexFunc(old, func(o part) bool { return !o.kept && o.wish.frame() == w.frame() && o.wish.Uses == w.Uses })
		if i < 0 {
			fresh = append(fresh, w)
			continue
		}
		if old[i].kept = true; old[i].wish == w {
			continue
		}
		if err := p.put(out, old[i].grant.ID, old[i].grant.Version, w); err != nil {
			return nil, err
		}
	}
	for _, w := range fresh {
		n := slices.Index(p.used[:], false)
		if n < 0 {
			return nil, &Refusal{[]Issue{{"error", "too-costly", CodeParts, "the Consent was changed too often; revoke it and make a new one", "Consent"}}}
		}
		p.used[n] = true
		if err := p.put(out, p.group.part(byte(n)), 0, w); err != nil {
			return nil, err
		}
	}
	for _, o := range old {
		if !o.kept {
			out.Revoke = append(out.Revoke, o.grant.ID)
		}
	}
	// The newest grant names the document: if none is put, one is put again.
	if i := slices.IndexFunc(old, func(o part) bool { return o.kept }); i >= 0 && len(out.Give) == 0 && !p.same && p.document != (tx.Hash{}) {
		if err := p.put(out, old[i].grant.ID, old[i].grant.Version, old[i].wish); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out.Revoke, func(a, b consent.GrantID) int { return bytes.Compare(a[:], b[:]) })
	slices.SortFunc(out.Give, func(a, b consent.Grant) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, nil
}

// put gives the next version of a grant.
func (p *planning) put(to *Plan, id consent.GrantID, version uint64, w Wish) error {
	g, err := w.Grant(p.random, p.slots)
	if err != nil {
		return err
	}
	g.ID, g.Version, g.Recorded, g.Document = id, version+1, p.recorded, p.document
	to.Give = append(to.Give, g)
	return nil
}

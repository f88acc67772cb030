package pcf

import (
	"cmp"
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

// A Step is one message to sign and submit.
type Step struct {
	Kind    tx.Kind
	Message tx.Message
}

// A Plan comes from what stands to what is wished. Submit its steps in their order: what narrows
// comes first, so that after each of them no more is open than before the first or after the last.
type Plan struct {
	Steps []Step
}

// stages of a plan, in their order.
const (
	stageDeny   = iota // a new grant that only denies
	stageNarrow        // a replacement that takes away
	stageEnd           // the end of a grant that only allowed
	stageHold          // what a grant denies, before it allows or ends
	stageOpen          // the rest
	stageLift          // the end of a grant that denied
)

type stagedStep struct {
	stage int
	Step
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
	steps    []stagedStep
}

// plan makes the steps from the grants that stand of a group to the wishes, which are canonical.
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
	several := len(old) > 1 || len(wishes) > 1
	var fresh []Wish
	for _, w := range wishes { // in place where only the labels change
		i := slices.IndexFunc(old, func(o part) bool { return !o.kept && o.wish.frame() == w.frame() && o.wish.Uses == w.Uses })
		if i < 0 {
			fresh = append(fresh, w)
			continue
		}
		old[i].kept = true
		if old[i].wish == w {
			continue
		}
		if old[i].wish.narrows(&w) {
			err := p.put(stageNarrow, old[i].grant.ID, old[i].grant.Version, w)
			if err != nil {
				return nil, err
			}
			continue
		}
		// What both allow and what either denies, before anything opens.
		hold := w
		hold.Deny |= old[i].wish.Deny
		hold.Allow &= old[i].wish.Allow &^ hold.Deny
		if several && hold != old[i].wish {
			if err := p.put(stageHold, old[i].grant.ID, old[i].grant.Version, hold); err != nil {
				return nil, err
			}
			old[i].grant.Version++
		}
		if err := p.put(stageOpen, old[i].grant.ID, old[i].grant.Version, w); err != nil {
			return nil, err
		}
	}
	for _, w := range fresh {
		if err := p.fresh(w, several); err != nil {
			return nil, err
		}
	}
	for _, o := range old {
		if !o.kept {
			stage := stageEnd
			if o.wish.Deny != 0 {
				stage = stageLift
			}
			if hold := o.wish; stage == stageLift && hold.Allow != 0 && several {
				hold.Allow = 0
				if err := p.put(stageHold, o.grant.ID, o.grant.Version, hold); err != nil {
					return nil, err
				}
			}
			p.steps = append(p.steps, stagedStep{stage, Step{consent.KindRevoke, &consent.Revoke{Patient: p.patient, ID: o.grant.ID}}})
		}
	}
	// The newest grant names the document: if none is put, one is put again.
	put := slices.ContainsFunc(p.steps, func(s stagedStep) bool { return s.Kind == consent.KindGrant })
	if i := slices.IndexFunc(old, func(o part) bool { return o.kept }); i >= 0 && !put && !p.same && p.document != (tx.Hash{}) {
		if err := p.put(stageNarrow, old[i].grant.ID, old[i].grant.Version, old[i].wish); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(p.steps, func(a, b stagedStep) int { return cmp.Compare(a.stage, b.stage) })
	out := &Plan{}
	for _, s := range p.steps {
		out.Steps = append(out.Steps, s.Step)
	}
	return out, nil
}

// fresh puts a new grant. If it both allows and denies and is not alone, its denials come first, so
// that no sibling opens what it denies.
func (p *planning) fresh(w Wish, several bool) error {
	n := slices.Index(p.used[:], false)
	if n < 0 {
		return &Refusal{[]Issue{{"error", "too-costly", CodeParts, "the Consent was changed too often; revoke it and make a new one", "Consent"}}}
	}
	p.used[n] = true
	id := p.group.part(byte(n))
	switch {
	case w.Allow == 0:
		return p.put(stageDeny, id, 0, w)
	case w.Deny != 0 && several:
		hold := w
		hold.Allow = 0
		if err := p.put(stageHold, id, 0, hold); err != nil {
			return err
		}
		return p.put(stageOpen, id, 1, w)
	}
	return p.put(stageOpen, id, 0, w)
}

func (p *planning) put(stage int, id consent.GrantID, version uint64, w Wish) error {
	g, err := w.Grant(p.random, p.slots)
	if err != nil {
		return err
	}
	g.ID, g.Version, g.Recorded, g.Document = id, version+1, p.recorded, p.document
	p.steps = append(p.steps, stagedStep{stage, Step{consent.KindGrant, &consent.Give{Patient: p.patient, Grant: g}}})
	return nil
}

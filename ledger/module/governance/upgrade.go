package governance

import (
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Upgrade sets the block from which the network runs by the rules of the next
// state-machine version. Whoever's program does not know it stops before that
// block. At most one upgrade waits at a time.
type Upgrade struct {
	Version uint64  `cbor:"1,keyasint" json:"version"` // one more than the present one
	Height  uint64  `cbor:"2,keyasint" json:"height"`  // first block of the new rules
	Name    string  `cbor:"3,keyasint" json:"name"`    // of the release, for people
	Digest  tx.Hash `cbor:"4,keyasint" json:"digest"`  // SHA-256 of the release or of its notes, as the members agreed
}

// CancelUpgrade takes back the upgrade that waits, before its block.
type CancelUpgrade struct {
	Proposal tx.Hash `cbor:"1,keyasint" json:"proposal"` // which decided on it
}

// Planned is the upgrade that waits.
type Planned struct {
	Upgrade  Upgrade `cbor:"1,keyasint" json:"upgrade"`
	Proposal tx.Hash `cbor:"2,keyasint" json:"proposal"`
}

// EntryUpgraded is appended by the first block of a new version; its payload is
// Planned.
const EntryUpgraded ledger.EntryKind = Prefix<<8 | 3

func (a *Upgrade) validate() error {
	switch {
	case a.Version < 2:
		return ErrVersion
	case a.Height > 1<<62:
		return ErrNotice
	case !validName(a.Name):
		return ErrName
	case a.Digest == (tx.Hash{}):
		return ErrDigest
	}
	return nil
}

// LookupPlan returns the upgrade that waits.
func LookupPlan(r state.Reader) (Planned, bool) { return plan.Get(r, nil) }

// LedgerPlan is what the state machine itself must know of it.
func LedgerPlan(r state.Reader) (ledger.Plan, bool) {
	p, ok := plan.Shared(r, nil)
	return ledger.Plan{Version: p.Upgrade.Version, Height: int64(p.Upgrade.Height), Name: p.Upgrade.Name}, ok
}

// upgradable says whether the upgrade may be set now. Members need time to
// install what knows the new rules, so its block must be far enough away also
// when the last vote is counted.
func upgradable(c *ledger.Context, a *Upgrade) error {
	if _, waits := LookupPlan(c.State); waits {
		return ErrPlanned
	}
	if a.Version != max(c.Version, 1)+1 {
		return ErrVersion
	}
	if a.Height < uint64(c.Height)+ParamsOf(c.State).UpgradeNotice {
		return ErrNotice
	}
	return nil
}

// cancellable: until the end of the block before it, an upgrade can be taken back.
func cancellable(c *ledger.Context, a *CancelUpgrade) error {
	if p, waits := LookupPlan(c.State); !waits || p.Proposal != a.Proposal {
		return ErrNoPlan
	}
	return nil
}

// begin notes in the first block of a new version that the upgrade has happened.
func begin(c *ledger.Context) error {
	p, waits := LookupPlan(c.State)
	if !waits || uint64(c.Height) < p.Upgrade.Height {
		return nil
	}
	plan.Delete(c.State, nil)
	c.Append(EntryUpgraded, p)
	c.Emit("governance.upgraded", p.Proposal.String())
	return nil
}

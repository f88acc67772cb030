package pcf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A Chart is what stands on the ledger about one patient's consents.
type Chart struct {
	consent.Basis
	Erased    bool // no session gets anything of hers any more
	Steward   tx.Account
	Members   []governance.Member // active ones
	Community []tx.Account        // those of them that are not clinical
	Height    uint64
	Time      uint64 // of the block, unix seconds
}

// A Change is one entry of the patient's audit chain that is about a grant.
type Change struct {
	Index  uint64 // in the ledger's log
	Height uint64
	Time   uint64 // unix seconds
	Tx     tx.Hash
	By     tx.Account
	ID     consent.GrantID  // zero: every grant that the signer may revoke
	Grant  consent.Standing // the new version; zero if revoked
}

// Revoked says whether the change took a grant away.
func (c *Change) Revoked() bool { return c.Grant.Grant.Version == 0 }

// A Chain is what the service asks of the ledger.
type Chain interface {
	Chart(ctx context.Context, patient tx.Account) (Chart, error)
	// Changes returns everything that happened to the patient's grants, oldest first.
	Changes(ctx context.Context, patient tx.Account) ([]Change, error)
	// Asker returns somebody as they stand now, to ask about the patient for the purpose; one who is refused
	// whatever was consented to is not active. Error: ErrNotFound.
	Asker(ctx context.Context, patient, account tx.Account, purpose consent.Purpose) (identity.Principal, governance.Member, error)
}

// Replica is the Chain of this node's own replica.
type Replica struct{ View func() *state.View }

// Chart implements Chain.
func (r Replica) Chart(_ context.Context, patient tx.Account) (Chart, error) {
	v := r.View()
	defer v.Close()
	p, ok := identity.Lookup(v, patient)
	if !ok || p.Class != ledger.ClassPatient {
		return Chart{}, ErrNotFound
	}
	c := Chart{Basis: consent.BasisOf(v, patient), Erased: erasure.PatientErased(v, patient), Steward: p.Member, Height: uint64(v.Meta().Height), Time: v.Meta().Time}
	c.Members = governance.Active(v)
	for _, m := range c.Members {
		if !m.Clinical {
			c.Community = append(c.Community, m.Account)
		}
	}
	return c, nil
}

// Asker implements Chain, by the rule of access.request.
func (r Replica) Asker(_ context.Context, patient, account tx.Account, purpose consent.Purpose) (identity.Principal, governance.Member, error) {
	v := r.View()
	defer v.Close()
	return askerIn(v, patient, account, purpose, v.Meta().Time)
}

func askerIn(r state.Reader, patient, account tx.Account, purpose consent.Purpose, now uint64) (identity.Principal, governance.Member, error) {
	if _, ok := identity.Lookup(r, account); !ok {
		return identity.Principal{}, governance.Member{}, ErrNotFound
	}
	p, m, err := access.Asker(r, patient, account, purpose, now)
	if err != nil {
		p.Active = false
	}
	return p, m, nil
}

var errLog = errors.New("pcf: the log does not hold the grant that the audit chain names")

// Changes implements Chain. Each version of a grant is the log entry just before its audit entry.
func (r Replica) Changes(_ context.Context, patient tx.Account) (out []Change, err error) {
	v := r.View()
	defer v.Close()
	at, entries, err := client.AuditEntries(v, patient)
	if err != nil {
		return nil, fmt.Errorf("pcf: %w", err)
	}
	links, err := audit.VerifyChain(patient, entries, at)
	if err != nil {
		return nil, fmt.Errorf("pcf: access log: %w", err)
	}
	for _, l := range links {
		c := Change{Index: l.Index, Height: l.Height, Time: l.Time, Tx: l.Tx, By: l.Record.Actor, ID: consent.GrantID(l.Record.Ref[:16])}
		switch l.Record.Action {
		case audit.ConsentRevoked:
		case audit.ConsentGranted, audit.ConsentChanged:
			if c.Grant, err = given(v, l); err != nil {
				return nil, err
			}
		default:
			continue
		}
		out = append(out, c)
	}
	return out, nil
}

func given(v *state.View, l audit.Link) (consent.Standing, error) {
	var g consent.Given
	if l.Index == 0 {
		return g.Standing, errLog
	}
	e, err := ledger.EntryAt(v, l.Index-1)
	if err != nil || e.Kind != consent.EntryGrant || tx.DecodeAny(e.Payload, &g, len(e.Payload)) != nil {
		return g.Standing, errLog
	}
	id, version := consent.GrantID(l.Record.Ref[:16]), binary.BigEndian.Uint64(l.Record.Ref[16:])
	if g.Patient != l.Record.Patient || g.Standing.Grant.ID != id || g.Standing.Grant.Version != version {
		return g.Standing, errLog
	}
	return g.Standing, nil
}

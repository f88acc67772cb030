package ledger

import (
	"salus/ledger/tx"
)

// Params are the parameters the state machine itself obeys. Members set them
// by vote; those in force when a block begins hold for all of it.
type Params struct {
	MaxTxBytes    uint64 // bytes of one transaction; at most tx.MaxTx
	MaxBlockBytes uint64 // bytes of one block with everything in it

	// There is no gas and no token; what bounds use is a quota per block.
	MemberTxs   uint64 // transactions per sponsoring member
	MemberBytes uint64 // bytes per sponsoring member
	PatientTxs  uint64 // transactions per pseudonym, within her steward's quota

	MaxExpiry uint64 // blocks ahead that a transaction may expire

	RetainBlocks     int64 // blocks a node keeps; 0 = all
	SnapshotInterval int64 // heights between snapshots for state sync; 0 = none

	Origins []string // web origins whose passkey assertions count
}

// DefaultParams is what an App without Config.Params obeys.
func DefaultParams() Params {
	return Params{
		MaxTxBytes:       tx.MaxTx,
		MaxBlockBytes:    2 << 20,
		MemberTxs:        2000,
		MemberBytes:      1 << 20,
		PatientTxs:       32,
		MaxExpiry:        10_000,
		RetainBlocks:     500_000,
		SnapshotInterval: 10_000,
	}
}

// A quota counts what one block took from each member and pseudonym.
type quota struct {
	members  map[tx.Account]use
	patients map[tx.Account]uint64
}

type use struct{ txs, bytes uint64 }

func newQuota() *quota {
	return &quota{members: map[tx.Account]use{}, patients: map[tx.Account]uint64{}}
}

// fits reports ErrQuota if a transaction of that many bytes would be more than
// the signer's share of a block.
func (q *quota) fits(p *Params, s Signer, bytes int) error {
	u := q.members[s.Member]
	if u.txs >= p.MemberTxs || u.bytes+uint64(bytes) > p.MemberBytes {
		return errQuota
	}
	if s.Class == ClassPatient && q.patients[s.Account] >= p.PatientTxs {
		return errQuota
	}
	return nil
}

// take counts the transaction.
func (q *quota) take(s Signer, bytes int) {
	u := q.members[s.Member]
	q.members[s.Member] = use{u.txs + 1, u.bytes + uint64(bytes)}
	if s.Class == ClassPatient {
		q.patients[s.Account]++
	}
}

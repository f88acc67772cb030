package custody

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"salus/exchange"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// reason is why nothing is released; it labels a metric and never leaves the process.
type reason string

func (r reason) Error() string { return string(r) }

const (
	notFresh     = reason("replica_stale")
	noSession    = reason("session")
	wrongKey     = reason("reader_key")
	wrongList    = reason("list")
	notSeated    = reason("committee")
	notReported  = reason("receipts_lost")
	tooFast      = reason("rate")
	notActive    = reason("not_active")
	wrongEpoch   = reason("epoch")
	notHeld      = reason("not_held")
	notYet       = reason("not_ingested")
	otherPatient = reason("patient")
	notListed    = reason("index")
	notAllowed   = reason("slot")
	failed       = reason("failed")
)

// skew is how much the session's end by block time may lie behind this machine's clock.
const skew = 2 * time.Second

// standing is what the committed state says about a session, now.
type standing struct {
	session access.Session
	allowed uint64 // slots, by consent and the reader's standing at the last block
	epoch   committee.Epoch
	index   int // this custodian's in it
}

func headOf(v *state.View) ledger.Head {
	m := v.Meta()
	return ledger.Head{Height: m.Height, Time: m.Time, AppHash: m.AppHash}
}

// decide is the rule of custody.md B.2, applied to one committed state. It returns this
// custodian's index. Nothing of it can be left out by a request.
func (c *Custodian) decide(v *state.View, h ledger.Head, req *exchange.ReleaseRequest, root [32]byte, parts []*part) (int, error) {
	s, err := c.admit(v, h, req, root)
	if err != nil {
		return 0, err
	}
	for _, p := range parts {
		if err := s.check(v, p); err != nil {
			return 0, err
		}
	}
	return s.index, nil
}

// admit checks everything that does not depend on a record: session, fetch, committee.
func (c *Custodian) admit(v *state.View, h ledger.Head, req *exchange.ReleaseRequest, root [32]byte) (*standing, error) {
	s, err := c.session(v, h, req.Session, req.ReaderKey)
	if err != nil {
		return nil, err
	}
	f, ok := access.LookupFetch(v, req.Session, req.Fetch)
	if !ok || f.Count != uint32(len(req.List.Items)) || subtle.ConstantTimeCompare(f.Root[:], root[:]) != 1 {
		return nil, wrongList
	}
	if s.epoch, err = holding(v, req.Epoch); err != nil {
		return nil, err
	}
	if s.index, ok = s.epoch.IndexOf(c.Self); !ok {
		return nil, notSeated
	}
	if m, ok := governance.LookupMember(v, c.Self); !ok || !m.Active {
		return nil, notSeated
	}
	// The ledger knows of receipts that this log has lost: the next ones would take their
	// numbers, and nobody could tell that from a lie.
	if access.ReleasedBy(v, c.Self).Next > c.wal.last()+1 {
		return nil, notReported
	}
	return s, nil
}

// session checks who asks, and that the state which says so is fresh.
func (c *Custodian) session(v *state.View, h ledger.Head, id tx.Hash, readerKey []byte) (*standing, error) {
	now := c.Now()
	lease := time.Duration(governance.ParamsOf(v).LeaseSeconds) * time.Second
	// A head from the future means that this clock is wrong, and no clock means no lease.
	if age := now.Sub(time.Unix(int64(h.Time), 0)); age > lease || age < -lease {
		return nil, notFresh
	}
	if c.behind(v) {
		return nil, notFresh
	}
	s, allowed, err := access.Open(v, id, h.Time)
	if err != nil {
		return nil, noSession
	}
	// Expiry needs no transaction, so a stalled chain must not stretch a session (B.6).
	if now.After(time.Unix(int64(s.Expires), 0).Add(skew)) {
		return nil, noSession
	}
	if hash := sha256.Sum256(readerKey); subtle.ConstantTimeCompare(hash[:], s.ReaderKey[:]) != 1 {
		return nil, wrongKey
	}
	return &standing{session: s, allowed: allowed}, nil
}

// check decides about the records of one batch.
func (s *standing) check(v *state.View, p *part) error {
	b, ok := anchor.Lookup(v, p.hash)
	if !ok || b.Active == 0 {
		return notActive
	}
	// Shares of two epochs never go together: at this height the batch belongs to one.
	if e := anchor.EpochOf(v, &b); e != s.epoch.Epoch || p.epoch != e || p.index != s.index {
		return wrongEpoch
	}
	if seal.PatientCommit(s.session.Patient, p.opening) != p.header.PatientCommit {
		return otherPatient
	}
	if !p.stands(v) {
		return notHeld
	}
	for _, slots := range p.slots {
		if !releasable(slots, s.allowed) {
			return notAllowed
		}
	}
	return nil
}

// stands reports whether no tombstone names any record of the part.
func (p *part) stands(v *state.View) bool {
	if erasure.Erased(v, p.hash, tx.Hash{}) {
		return false
	}
	if erasure.ErasedRecords(v, p.hash) == 0 {
		return true
	}
	for _, i := range p.indices {
		// Without leaves the tombstone came after the part was read.
		if i >= len(p.leaves) || erasure.Erased(v, p.hash, p.leaves[i]) {
			return false
		}
	}
	return true
}

// load reads a part. The header comes from the own replica's log and is taken by its hash;
// the entries were checked against its manifest root when the batch was ingested.
func (c *Custodian) load(v *state.View, hash [32]byte, indices []int) (*part, error) {
	b, ok := anchor.Lookup(v, hash)
	if !ok {
		return nil, notActive
	}
	put, err := exchange.PutAt(v, b)
	if err != nil {
		return nil, err
	}
	if put.Header.Hash() != hash {
		return nil, exchange.ErrLog
	}
	epoch := anchor.EpochOf(v, &b)
	row, err := c.rows.batchIn(hash, epoch)
	if errors.Is(err, errAbsent) && c.rows.has(rowKey(prefixBatch, hash[:])) {
		return nil, wrongEpoch
	}
	if errors.Is(err, errAbsent) && c.rows.has(rowKey(prefixWanted, hash[:])) {
		return nil, notYet
	}
	if errors.Is(err, errAbsent) {
		return nil, notHeld
	}
	if err != nil {
		return nil, err
	}
	defer row.wipe()
	var leaves [][32]byte
	if erasure.ErasedRecords(v, hash) > 0 {
		m, err := c.rows.manifest(hash)
		if err != nil {
			return nil, err
		}
		leaves = m.leaves()
	}
	p := &part{
		leaves: leaves,
		header: &put.Header, hash: hash, epoch: epoch, indices: indices, index: int(row.Index), opening: row.Opening,
		slots: make([]uint64, len(indices)), shares: make([]threshold.Share, len(indices)),
	}
	for k, i := range indices {
		if i >= len(row.Slots) {
			wipe([]*part{p})
			return nil, notListed
		}
		p.slots[k], p.shares[k] = row.Slots[i], row.Shares[i+1] // number 0 is the blinding share
	}
	return p, nil
}

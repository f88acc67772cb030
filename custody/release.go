package custody

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// Codes of the custodian: prefix 0x21 is no ledger module's.
var (
	// ErrNotReleased is the one answer to everything that the committed state does not
	// allow: unknown, expired, revoked, not in the list, no such record, stale replica.
	ErrNotReleased = tx.Refuse(0x2101, "custody: nothing to release for this request")
	// ErrMalformed is for requests that no state could allow.
	ErrMalformed = tx.Refuse(0x2102, "custody: the request is malformed")
	// ErrParcel refuses a parcel whose parts do not fit together.
	ErrParcel = tx.Refuse(0x2103, "custody: the parcel's parts do not fit its header")
	// ErrNoParcel: this custodian does not hold the parcel asked for.
	ErrNoParcel = tx.Refuse(0x2104, "custody: no such parcel here")
	// ErrNoKey: this custodian does not know the custody key asked for.
	ErrNoKey = tx.Refuse(0x2105, "custody: no such custody key here")
)

// skew is how much the session's end by block time may lie behind this machine's clock.
const skew = 2 * time.Second

// decision is what the committed state says about a request; shares are read under it.
type decision struct {
	epoch  committee.Epoch
	index  int
	height uint64
	time   uint64
	parts  []decidedPart
}

type decidedPart struct {
	header  *seal.Header
	hash    [32]byte
	indices []int
	row     *batchRow
}

// Release decides from the custodian's own committed state, writes the receipt ahead, and
// only then seals the shares to the session's key.
// Errors: ErrMalformed, or ErrNotReleased whatever the reason.
func (c *Custodian) Release(ctx context.Context, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	if err := req.List.Validate(); err != nil || len(req.ReaderKey) != seal.PublicKeySize {
		return nil, ErrMalformed
	}
	root := req.List.Root()
	var d *decision
	receipt := &ReleaseReceipt{Session: req.Session, Fetch: req.Fetch, List: root}
	// The receipt is written inside the lock: a block that revokes cannot be executed
	// between the decision and its record.
	err := c.Ledger.Hold(func(v *state.View, h ledger.Head) error {
		var why error
		if d, why = c.decide(v, h, req, root); why != nil {
			c.metrics.refusals.WithLabelValues(why.Error()).Inc()
			return ErrNotReleased
		}
		receipt.Height, receipt.Time = d.height, d.time
		return c.wal.append(receipt)
	})
	if err != nil {
		if !errors.Is(err, ErrNotReleased) {
			c.Log.ErrorContext(ctx, "release_failed", "err", err)
		}
		return nil, ErrNotReleased
	}
	if err := c.keepOpening(req); err != nil {
		c.Log.ErrorContext(ctx, "opening_not_kept", "err", err)
		return nil, ErrNotReleased
	}
	reply := &exchange.ReleaseReply{Custodian: uint8(d.index), Sequence: receipt.Sequence, Height: d.height}
	for _, p := range d.parts {
		part, err := c.sealPart(req, d.index, p)
		if err != nil {
			c.Log.ErrorContext(ctx, "release_failed", "err", err)
			return nil, ErrNotReleased
		}
		reply.Parts = append(reply.Parts, part)
	}
	digest := exchange.ReplyDigest(c.Chain, req.Session, root, reply)
	reply.Signature = ed25519.Sign(c.Sign, digest[:])
	c.metrics.released.Add(float64(len(req.List.Items)))
	return reply, nil
}

func (c *Custodian) sealPart(req *exchange.ReleaseRequest, index int, p decidedPart) (exchange.ReleasedPart, error) {
	shares := make([]threshold.Share, len(p.indices))
	for k, i := range p.indices {
		shares[k] = p.row.Shares[i+1] // number 0 is the blinding share
	}
	sealed, err := seal.Release(req.ReaderKey, req.Session, index, p.hash, p.indices, shares)
	if err != nil {
		return exchange.ReleasedPart{}, errorf("seal", err)
	}
	part := exchange.ReleasedPart{Header: p.hash, Sealed: sealed}
	if req.Proofs {
		part.Proofs, err = seal.ReleaseProofs(req.ReaderKey, req.Session, index, p.header, p.indices, p.row.Shares)
	}
	return part, err
}

// reason is why nothing is released; it labels a metric and never leaves the process.
type reason string

func (r reason) Error() string { return string(r) }

const (
	notFresh     = reason("replica_stale")
	noSession    = reason("session")
	wrongKey     = reason("reader_key")
	wrongList    = reason("list")
	wrongEpoch   = reason("epoch")
	notActive    = reason("not_active")
	notHeld      = reason("not_held")
	otherPatient = reason("patient")
	notAllowed   = reason("slot")
	notListed    = reason("index")
)

// decide is the rule of custody.md B.2: every input but ids comes from the own replica.
func (c *Custodian) decide(v *state.View, h ledger.Head, req *exchange.ReleaseRequest, root [32]byte) (*decision, error) {
	s, allowed, err := c.session(v, h, req.Session, req.ReaderKey)
	if err != nil {
		return nil, err
	}
	f, ok := access.LookupFetch(v, req.Session, req.Fetch)
	if !ok || f.Count != uint32(len(req.List.Items)) || subtle.ConstantTimeCompare(f.Root[:], root[:]) != 1 {
		return nil, wrongList
	}
	epoch, err := committee.Current(v)
	if err != nil {
		return nil, wrongEpoch
	}
	index, ok := epoch.IndexOf(c.Self)
	if !ok {
		return nil, wrongEpoch
	}
	d := &decision{epoch: epoch, index: index, height: uint64(h.Height), time: h.Time}
	for header, indices := range req.List.Groups() {
		p, err := c.decidePart(v, s, allowed, epoch, index, header, indices)
		if err != nil {
			return nil, err
		}
		d.parts = append(d.parts, p)
	}
	return d, nil
}

// session checks everything about the session that does not depend on a record.
func (c *Custodian) session(v *state.View, h ledger.Head, id tx.Hash, readerKey []byte) (access.Session, uint64, error) {
	now := c.Now()
	lease := time.Duration(governance.ParamsOf(v).LeaseSeconds) * time.Second
	if now.Sub(time.Unix(int64(h.Time), 0)) > lease {
		return access.Session{}, 0, notFresh
	}
	s, allowed, err := access.Open(v, id, h.Time)
	if err != nil {
		return s, 0, noSession
	}
	// Expiry needs no transaction, so a stalled chain must not stretch a session (B.6).
	if now.After(time.Unix(int64(s.Expires), 0).Add(skew)) {
		return s, 0, noSession
	}
	if hash := sha256.Sum256(readerKey); subtle.ConstantTimeCompare(hash[:], s.ReaderKey[:]) != 1 {
		return s, 0, wrongKey
	}
	return s, allowed, nil
}

func (c *Custodian) decidePart(v *state.View, s access.Session, allowed uint64, epoch committee.Epoch, index int, header [32]byte, indices []int) (p decidedPart, err error) {
	b, ok := anchor.Lookup(v, header)
	if !ok || b.Active == 0 {
		return p, notActive
	}
	if b.Epoch != epoch.Epoch {
		return p, wrongEpoch
	}
	put, err := exchange.PutAt(v, b)
	if err != nil {
		return p, notHeld
	}
	row, err := c.rows.batch(header)
	if err != nil || int(row.Index) != index {
		return p, notHeld
	}
	if seal.PatientCommit([16]byte(s.Patient), row.Opening) != put.Header.PatientCommit {
		return p, otherPatient
	}
	for _, i := range indices {
		// The entries were checked against the manifest root when the batch was ingested.
		if i >= len(row.Entries) {
			return p, notListed
		}
		if row.Entries[i].Slots&^allowed != 0 {
			return p, notAllowed
		}
	}
	return decidedPart{&put.Header, header, indices, row}, nil
}

// keepOpening keeps which records a fetch named, for the patient alone to ask.
func (c *Custodian) keepOpening(req *exchange.ReleaseRequest) error {
	k := rowKey(prefixOpening, req.Session[:], binary.BigEndian.AppendUint32(nil, req.Fetch))
	if c.rows.has(k) {
		return nil
	}
	b, err := tx.Encode(&req.List)
	if err != nil {
		return errorf("opening", err)
	}
	if err := c.rows.db.Set(k, c.rows.wrap(k, b), pebble.Sync); err != nil {
		return errorf("opening", err)
	}
	return nil
}

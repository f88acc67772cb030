package custody

import (
	"context"
	"crypto/ed25519"
	"crypto/hpke"
	"errors"
	"time"

	"salus/exchange"
	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// Codes of the custodian: prefix 0x21 is no ledger module's.
var (
	// ErrNotReleased is the one answer to everything that the committed state does not
	// allow: unknown, expired, revoked, not in the list, no such record, stale replica.
	ErrNotReleased = exchange.ErrNotReleased
	// ErrMalformed is for requests that no state could allow.
	ErrMalformed = tx.Refuse(0x2102, "custody: the request is malformed")
	// ErrParcel refuses a parcel whose parts do not fit together.
	ErrParcel = tx.Refuse(0x2103, "custody: the parcel's parts do not fit its header")
	// ErrNoParcel: this custodian has no parcel for who asks.
	ErrNoParcel = tx.Refuse(0x2104, "custody: no such parcel here")
	// ErrNoKey: this custodian does not know the custody key asked for.
	ErrNoKey = tx.Refuse(0x2105, "custody: no such custody key here")
	// ErrBusy: the author has too much waiting here that is not on the ledger.
	ErrBusy = tx.Refuse(0x2106, "custody: too many parcels wait for their headers; send this one again later")
)

// A part is what a release needs of one batch and no block can change: the header by its
// hash, and what ingest verified against it.
type part struct {
	header  *seal.Header
	hash    [32]byte
	epoch   uint64 // that the shares are of
	indices []int  // positions of the records asked for
	index   int    // this custodian's in the batch's epoch
	opening [32]byte
	leaves  [][32]byte        // of the manifest; none if no record of the batch was erased by itself
	slots   []uint64          // of the records asked for
	shares  []threshold.Share // of the records asked for
}

// Release decides from the custodian's own committed state, writes the receipt ahead, and
// only then seals the shares to the session's key.
// Errors: ErrMalformed; exchange.ErrNotNow; ErrNotReleased whatever else the reason.
func (c *Custodian) Release(ctx context.Context, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	if req.List.Validate() != nil || !validKey(req.ReaderKey) {
		return nil, ErrMalformed
	}
	root := req.List.Root()
	// Shares are fetched before, so that blocks wait only for the decision and its receipt,
	// and not at all for somebody without a session.
	parts, err := c.prepare(req, root)
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	defer wipe(parts)
	receipt := &ReleaseReceipt{Session: req.Session, Fetch: req.Fetch, List: root}
	index := 0
	// Decision and receipt are one step between two blocks: once a block that revokes is
	// being executed, everything that was decided before it is on disk under a lower height.
	err = c.Ledger.Hold(func(v *state.View, h ledger.Head) error {
		defer c.metrics.held(time.Now())
		var err error
		if index, err = c.decide(v, h, req, root, parts); err != nil {
			return err
		}
		receipt.Height, receipt.Time = uint64(h.Height), h.Time
		return c.wal.append(receipt)
	})
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	reply, err := c.reply(req, root, receipt, index, parts)
	if err != nil {
		return nil, c.refuse(ctx, err)
	}
	c.metrics.released.Add(float64(len(req.List.Items)))
	return reply, nil
}

// refuse gives the one answer, and keeps the reason to itself. Only what has nothing to do with
// the request is told apart: else a reader would take a custodian that is behind for one that has
// nothing, and several of those for a patient without records: each of them may wait for another batch of one
// list. That it waits is on the ledger, where its receipt is missing.
func (c *Custodian) refuse(ctx context.Context, err error) error {
	var why reason
	if !errors.As(err, &why) {
		why = failed
		c.Log.ErrorContext(ctx, "release_failed", "err", err)
	}
	c.metrics.refusals.WithLabelValues(string(why)).Inc()
	if why == notFresh || why == tooFast || why == wrongEpoch || why == notYet {
		return exchange.ErrNotNow
	}
	return ErrNotReleased
}

// prepare reads the shares that are asked for, if there is a session to ask for them.
func (c *Custodian) prepare(req *exchange.ReleaseRequest, root [32]byte) ([]*part, error) {
	v := c.Ledger.View()
	defer v.Close()
	if _, err := c.admit(v, headOf(v), req, root); err != nil {
		return nil, err
	}
	if !c.pace.allow(req.Session, c.Now()) {
		return nil, tooFast
	}
	var parts []*part
	for header, indices := range req.List.Groups() {
		p, err := c.load(v, header, indices)
		if err != nil {
			wipe(parts)
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// reply keeps the opening, seals the shares and signs.
func (c *Custodian) reply(req *exchange.ReleaseRequest, root [32]byte, receipt *ReleaseReceipt, index int, parts []*part) (*exchange.ReleaseReply, error) {
	if err := c.keepOpening(req); err != nil {
		return nil, err
	}
	reply := &exchange.ReleaseReply{Custodian: uint8(index), Sequence: receipt.Sequence, Height: receipt.Height}
	for _, p := range parts {
		sealed, err := seal.Release(req.ReaderKey, req.Session, index, p.hash, p.indices, p.shares)
		if err != nil {
			return nil, errorf("seal", err)
		}
		out := exchange.ReleasedPart{Header: p.hash, Sealed: sealed}
		if req.Proofs {
			if out.Proofs, err = c.proofs(req, index, p); err != nil {
				return nil, err
			}
		}
		reply.Parts = append(reply.Parts, out)
	}
	digest := exchange.ReplyDigest(c.Chain, req.Session, root, reply)
	reply.Signature = ed25519.Sign(c.Sign, digest[:])
	return reply, nil
}

// proofs seals the paths that show the released shares to be the dealt ones. They need the
// whole share vector, which is read again: it is asked for only when somebody lied.
func (c *Custodian) proofs(req *exchange.ReleaseRequest, index int, p *part) ([]byte, error) {
	if p.epoch != p.header.Epoch {
		return nil, nil // the author committed to no shares of this epoch
	}
	row, err := c.rows.batchIn(p.hash, p.epoch)
	if err != nil {
		return nil, err
	}
	defer row.wipe()
	if row.partial() {
		return nil, nil // the paths go over shares that are destroyed
	}
	b, err := seal.ReleaseProofs(req.ReaderKey, req.Session, index, p.header, p.indices, row.Shares)
	if err != nil {
		return nil, errorf("seal", err)
	}
	return b, nil
}

func wipe(parts []*part) {
	for _, p := range parts {
		clear(p.shares)
	}
}

// validKey reports whether the bytes are a key that can be sealed to at all.
func validKey(b []byte) bool {
	if len(b) != seal.PublicKeySize {
		return false
	}
	_, err := hpke.MLKEM768X25519().NewPublicKey(b)
	return err == nil
}

// keepOpening keeps which records a fetch named, for the patient alone to ask.
func (c *Custodian) keepOpening(req *exchange.ReleaseRequest) error {
	k := openingKey(req.Session, req.Fetch)
	if c.rows.has(k) {
		return nil // the ledger binds fetch and list: it is the same one
	}
	b, err := tx.Encode(&req.List)
	if err != nil {
		return errorf("opening", err)
	}
	return c.rows.setWrapped(k, b)
}

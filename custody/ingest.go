package custody

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/vault"
)

var keyCursor = []byte{prefixMeta, 'c'}

// overdue is how long a committed batch may lack its parcel before this custodian asks for it.
const overdue = 2 * time.Second

// follow reads the ledger's log from a durable cursor, so that a crash, a late parcel or a
// long stop misses nothing: every batch header is first noted as wanted, then ingested.
func (c *Custodian) follow(ctx context.Context) error {
	asked := time.NewTicker(overdue)
	defer asked.Stop()
	for {
		changed := c.Changed()
		if err := c.readLog(); err != nil {
			return err
		}
		if err := c.ingestWanted(ctx); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-c.wake:
		case <-asked.C:
			if err := c.chase(ctx); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// readLog notes what the log has new: wanted batches of committees this member sits in.
func (c *Custodian) readLog() error {
	v := c.Ledger.View()
	defer v.Close()
	next := uint64(0)
	if b, err := c.rows.get(keyCursor); err == nil {
		next = binary.BigEndian.Uint64(b)
	} else if !errors.Is(err, errAbsent) {
		return err
	}
	if next >= v.Size() {
		return nil
	}
	b := c.rows.db.NewBatch()
	defer b.Close()
	for ; next < v.Size(); next++ {
		raw, ok := v.Entry(next)
		if !ok {
			return errorf("ledger log", errDamaged)
		}
		put, ok := exchange.DecodePut(raw)
		if !ok {
			continue
		}
		epoch, err := committee.At(v, put.Header.Epoch)
		if err != nil {
			continue
		}
		if _, ours := epoch.IndexOf(c.Self); !ours {
			continue
		}
		hh := put.Header.Hash()
		if err := b.Set(rowKey(prefixWanted, hh[:]), binary.BigEndian.AppendUint64(nil, next), nil); err != nil {
			return errorf("store", err)
		}
	}
	if err := b.Set(keyCursor, binary.BigEndian.AppendUint64(nil, next), nil); err != nil {
		return errorf("store", err)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return errorf("store", err)
	}
	return nil
}

// ingestWanted opens every wanted batch whose parcel is parked.
func (c *Custodian) ingestWanted(ctx context.Context) error {
	var ready [][32]byte
	err := c.rows.scan([]byte{prefixWanted}, func(rest, _ []byte) (bool, error) {
		if c.rows.has(rowKey(prefixParked, rest)) {
			ready = append(ready, [32]byte(rest))
		}
		return len(ready) < 256, nil
	})
	if err != nil {
		return err
	}
	for _, hh := range ready {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.ingest(ctx, hh); err != nil {
			return err
		}
	}
	if len(ready) == 256 {
		nudge(c.wake)
	}
	return nil
}

// ingest verifies one batch against the header in the own replica and stores its shares.
// A parcel that does not verify is dropped and complained about; the batch stays wanted,
// because another member may relay the true one.
func (c *Custodian) ingest(ctx context.Context, hh [32]byte) error {
	v := c.Ledger.View()
	defer v.Close()
	row, parcel, err := c.verify(v, hh)
	if err != nil {
		c.metrics.rejected.Inc()
		c.Log.WarnContext(ctx, "parcel_rejected", "err", err)
		if derr := c.rows.db.Delete(rowKey(prefixParked, hh[:]), pebble.Sync); derr != nil {
			return errorf("store", derr)
		}
		var fault *seal.EnvelopeError
		if errors.As(err, &fault) && fault.Complaint() {
			return c.markDue(hh, dueComplaint+complaint(fault.Check))
		}
		return nil
	}
	b := c.rows.db.NewBatch()
	defer b.Close()
	if err := c.rows.putBatch(b, hh, row); err != nil {
		return err
	}
	relay, err := tx.Encode(parcel)
	if err != nil {
		return errorf("encode", err)
	}
	for _, s := range []struct{ k, v []byte }{
		{rowKey(prefixPatient, row.Patient[:], binary.BigEndian.AppendUint64(nil, row.LogIndex)), hh[:]},
		{rowKey(prefixPack, row.Pack[:]), hh[:]},
		{rowKey(prefixRelay, hh[:]), relay},
		{rowKey(prefixDue, hh[:]), []byte{dueReceipt}},
	} {
		if err := b.Set(s.k, s.v, nil); err != nil {
			return errorf("store", err)
		}
	}
	for _, prefix := range []byte{prefixParked, prefixWanted} {
		if err := b.Delete(rowKey(prefix, hh[:]), nil); err != nil {
			return errorf("store", err)
		}
	}
	// The receipt promises that the shares are on disk.
	if err := b.Commit(pebble.Sync); err != nil {
		return errorf("store", err)
	}
	c.metrics.ingested.Inc()
	nudge(c.due)
	return nil
}

func (c *Custodian) verify(v *state.View, hh [32]byte) (*batchRow, *exchange.Parcel, error) {
	at, err := c.rows.get(rowKey(prefixWanted, hh[:]))
	if err != nil {
		return nil, nil, err
	}
	b, ok := anchor.Lookup(v, hh)
	if !ok {
		return nil, nil, errors.New("custody: a wanted batch is not on the ledger")
	}
	put, err := exchange.PutAt(v, b)
	if err != nil {
		return nil, nil, err
	}
	header := &put.Header
	epoch, err := committee.At(v, header.Epoch)
	if err != nil {
		return nil, nil, err
	}
	index, ok := epoch.IndexOf(c.Self)
	if !ok {
		return nil, nil, errors.New("custody: not a custodian of this batch")
	}
	p, err := c.parked(hh)
	if err != nil {
		return nil, nil, err
	}
	if p.Pack != [32]byte(put.Pack) || len(p.Envelopes) != len(epoch.Members) || len(p.KeyEpochs) != len(epoch.Members) || seal.EnvelopesHash(p.Envelopes) != [32]byte(put.Envelopes) {
		return nil, nil, errors.New("custody: parcel and header do not belong together")
	}
	if err := seal.VerifyManifest(header, p.Entries); err != nil {
		return nil, nil, err
	}
	key, err := c.rows.seed(p.KeyEpochs[index-1])
	if err != nil {
		return nil, nil, err
	}
	sk, err := seal.CustodyKeyFromSeed(seal.Seed(key.Seed))
	if err != nil {
		return nil, nil, err
	}
	open, err := seal.OpenEnvelope(sk, index, key.Epoch, header, p.ShareRoots, p.Commitments, p.Envelopes[index-1])
	if err != nil {
		return nil, nil, err
	}
	return &batchRow{
		Index: uint8(index), LogIndex: binary.BigEndian.Uint64(at), Patient: open.Patient, Opening: open.Opening,
		Shares: open.Shares, Entries: p.Entries, ShareRoots: p.ShareRoots, Pack: p.Pack,
	}, p, nil
}

func (c *Custodian) parked(hh [32]byte) (*exchange.Parcel, error) {
	b, err := c.rows.get(rowKey(prefixParked, hh[:]))
	if err != nil {
		return nil, err
	}
	p := new(exchange.Parcel)
	if err := tx.DecodeAny(b, p, len(b)); err != nil {
		return nil, errDamaged
	}
	return p, nil
}

// complaint gives a failed check of the envelope its reason on the ledger.
func complaint(c seal.Check) byte {
	switch c {
	case seal.CheckPatient:
		return anchor.BadOpening
	case seal.CheckShareRoot:
		return anchor.BadShareRoot
	case seal.CheckCommitment:
		return anchor.BadCommitment
	default:
		return anchor.BadEnvelope
	}
}

// chase asks others for parcels that should have come, and drops relays nobody needs.
func (c *Custodian) chase(ctx context.Context) error {
	v := c.Ledger.View()
	defer v.Close()
	now := v.Meta().Time
	var missing [][32]byte
	if err := c.rows.scan([]byte{prefixWanted}, func(rest, _ []byte) (bool, error) {
		missing = append(missing, [32]byte(rest))
		return len(missing) < 64, nil
	}); err != nil {
		return err
	}
	for _, hh := range missing {
		b, ok := anchor.Lookup(v, hh)
		if !ok || now < b.Time+uint64(overdue/time.Second) {
			continue
		}
		if epoch, err := committee.At(v, b.Epoch); err == nil {
			c.fetchParcel(ctx, hh, b.Author, epoch)
		}
	}
	return c.dropRelays(v)
}

// dropRelays deletes the envelopes of batches that every custodian has receipted.
func (c *Custodian) dropRelays(v *state.View) error {
	var done [][]byte
	if err := c.rows.scan([]byte{prefixRelay}, func(rest, _ []byte) (bool, error) {
		b, ok := anchor.Lookup(v, [32]byte(rest))
		if !ok {
			return true, nil
		}
		if epoch, err := committee.At(v, b.Epoch); err == nil && b.Received() == len(epoch.Members) {
			done = append(done, rowKey(prefixRelay, rest))
		}
		return len(done) < 1024, nil
	}); err != nil {
		return err
	}
	for _, k := range done {
		if err := c.rows.db.Delete(k, pebble.NoSync); err != nil {
			return errorf("store", err)
		}
	}
	return nil
}

// PackArrived tells the custodian that the own vault now holds a pack: its receipt may
// then say so. The vault calls it after its own fsync.
func (c *Custodian) PackArrived(pack vault.PackID) error {
	hh, err := c.rows.get(rowKey(prefixPack, pack[:]))
	if errors.Is(err, errAbsent) {
		return nil // ingest will ask the vault
	}
	if err != nil {
		return err
	}
	return c.markDue([32]byte(hh), dueReceipt)
}

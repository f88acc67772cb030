package record

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/seal"
)

// The outbox holds every batch from the moment it is dealt until the ledger says
// ACTIVE. Its sequence is gap-free, hash-chained and signed by the member, so that
// nothing acknowledged can be dropped without leaving a hole that the organisation's
// own check finds.

// parcelRow is one batch in delivery.
type parcelRow struct {
	Seq       uint64          `cbor:"1,keyasint"`
	Prev      [32]byte        `cbor:"2,keyasint"`
	Parcel    exchange.Parcel `cbor:"3,keyasint"`
	Records   []ID            `cbor:"4,keyasint"` // in manifest order, index records left out as zero ids
	Signature []byte          `cbor:"5,keyasint"`
}

// doneRow stays when a parcel is ACTIVE: the chain without the load.
type doneRow struct {
	Seq    uint64   `cbor:"1,keyasint"`
	Prev   [32]byte `cbor:"2,keyasint"`
	Digest [32]byte `cbor:"3,keyasint"`
	Header [32]byte `cbor:"4,keyasint"`
}

// outboxHead is the end of the chain.
type outboxHead struct {
	Next uint64   `cbor:"1,keyasint"`
	Hash [32]byte `cbor:"2,keyasint"`
}

type outbox struct {
	store *store
	sign  ed25519.PrivateKey

	mu   sync.Mutex // guards head; held over the append's fsync so the chain has one order
	head outboxHead
}

func doneKey(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{prefixDone}, seq) }

var keyHead = []byte{prefixMeta, 'h'}

// ErrOutbox means that the outbox has a gap or a foreign signature.
var ErrOutbox = errors.New("record: the outbox is damaged")

func openOutbox(s *store, sign ed25519.PrivateKey) (*outbox, error) {
	o := &outbox{store: s, sign: sign}
	if err := s.get(keyHead, &o.head); err != nil && !errors.Is(err, errNotFound) {
		return nil, err
	}
	return o, nil
}

func outboxKey(seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixOutbox}, seq)
}

func (p *parcelRow) digest() [32]byte {
	hh := p.Parcel.Header.Hash()
	ids := make([]byte, 0, 16*len(p.Records))
	for _, id := range p.Records {
		ids = append(ids, id[:]...)
	}
	return seal.Sum("outbox", binary.BigEndian.AppendUint64(nil, p.Seq), p.Prev[:], hh[:], ids)
}

// append adds a parcel and everything else in b with one fsync; update gives the caller's
// rows the final sequence before they are written.
func (o *outbox) append(b *pebble.Batch, p *parcelRow) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	p.Seq, p.Prev = o.head.Next, o.head.Hash
	d := p.digest()
	p.Signature = ed25519.Sign(o.sign, d[:])
	head := outboxHead{Next: p.Seq + 1, Hash: d}
	if err := o.store.put(b, outboxKey(p.Seq), p); err != nil {
		return err
	}
	if err := o.store.put(b, keyHead, head); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("record: outbox: %w", err)
	}
	o.head = head
	return nil
}

// pending returns the parcels still in delivery, oldest first, each checked.
func (o *outbox) pending() ([]*parcelRow, error) {
	var out []*parcelRow
	err := o.store.scan([]byte{prefixOutbox}, func(rest, value []byte) error {
		p := new(parcelRow)
		if err := o.store.open(append([]byte{prefixOutbox}, rest...), value, p); err != nil {
			return err
		}
		d := p.digest()
		if p.Seq != binary.BigEndian.Uint64(rest) || p.Seq >= o.head.Next || !ed25519.Verify(o.sign.Public().(ed25519.PublicKey), d[:], p.Signature) {
			return ErrOutbox
		}
		if n := len(out); n > 0 && out[n-1].Seq+1 == p.Seq {
			if prev := out[n-1].digest(); prev != p.Prev {
				return ErrOutbox
			}
		}
		out = append(out, p)
		return nil
	})
	return out, err
}

// done replaces a delivered parcel by its row in the chain, together with what is in b.
func (o *outbox) done(b *pebble.Batch, p *parcelRow) error {
	if err := b.Delete(outboxKey(p.Seq), nil); err != nil {
		return fmt.Errorf("record: outbox: %w", err)
	}
	if err := o.store.put(b, doneKey(p.Seq), doneRow{p.Seq, p.Prev, p.digest(), p.Parcel.Header.Hash()}); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return fmt.Errorf("record: outbox: %w", err)
	}
	return nil
}

// check walks the whole chain from the first sequence to the head and calls f with each
// batch's header hash; pending is false for what was ACTIVE when it left the outbox.
func (o *outbox) check(f func(header [32]byte, pending bool) error) error {
	o.mu.Lock()
	head := o.head
	o.mu.Unlock()
	var prev [32]byte
	for seq := range head.Next {
		var d doneRow
		pending := false
		err := o.store.get(doneKey(seq), &d)
		if errors.Is(err, errNotFound) {
			var p parcelRow
			if err = o.store.get(outboxKey(seq), &p); err == nil {
				pending, d = true, doneRow{p.Seq, p.Prev, p.digest(), p.Parcel.Header.Hash()}
			}
		}
		if err != nil || d.Seq != seq || d.Prev != prev {
			return fmt.Errorf("%w: sequence %d", ErrOutbox, seq)
		}
		if err := f(d.Header, pending); err != nil {
			return err
		}
		prev = d.Digest
	}
	if prev != head.Hash {
		return fmt.Errorf("%w: the end of the chain", ErrOutbox)
	}
	return nil
}

package record

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/seal"
)

// The outbox holds every batch from the moment it is dealt until the ledger says
// ACTIVE. Its sequence is gap-free, hash-chained and signed by the member, so that
// nothing acknowledged can be dropped without leaving a hole that the organisation's
// own check finds.
//
// A delivered parcel leaves its link behind, with the signature: the chain stays whole.

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
	// Signature is the member's over Digest.
	Signature []byte `cbor:"5,keyasint"`
}

// outboxHead is the end of the chain.
type outboxHead struct {
	Next uint64   `cbor:"1,keyasint"`
	Hash [32]byte `cbor:"2,keyasint"`
}

type outbox struct {
	store *store
	sign  ed25519.PrivateKey
	// earlier lists further keys that may have signed: the member's service keys before sign.
	earlier func() []ed25519.PublicKey

	mu   sync.Mutex // guards head; held from a link to its place in the write-ahead log, so that the chain has one order
	head outboxHead
}

func doneKey(seq uint64) []byte { return binary.BigEndian.AppendUint64([]byte{prefixDone}, seq) }

var keyHead = []byte{prefixMeta, 'h'}

// ErrOutbox means that the outbox has a gap or a foreign signature.
var ErrOutbox = errors.New("record: the outbox is damaged")

func openOutbox(s *store, sign ed25519.PrivateKey, earlier func() []ed25519.PublicKey) (*outbox, error) {
	o := &outbox{store: s, sign: sign, earlier: earlier}
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

// link is what stays of the parcel in the chain.
func (p *parcelRow) link() doneRow {
	return doneRow{Seq: p.Seq, Prev: p.Prev, Digest: p.digest(), Header: p.Parcel.Header.Hash(), Signature: p.Signature}
}

// chain writes a parcel, and everything else in b, at the end: links one after the other. A crash takes it away only
// with all that came after, until the store is synced.
func (o *outbox) chain(b *pebble.Batch, p *parcelRow) error {
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
	if err := b.Commit(pebble.NoSync); err != nil {
		return fmt.Errorf("record: outbox: %w", err)
	}
	o.head = head
	return nil
}

// signed reports whether the member made the signature.
func (o *outbox) signed(digest [32]byte, signature []byte) bool {
	own := o.sign.Public().(ed25519.PublicKey)
	if ed25519.Verify(own, digest[:], signature) {
		return true
	}
	return slices.ContainsFunc(o.earlier(), func(k ed25519.PublicKey) bool { return ed25519.Verify(k, digest[:], signature) })
}

// load reads one parcel that is in delivery and checks it.
func (o *outbox) load(seq uint64) (*parcelRow, error) {
	p := new(parcelRow)
	if err := o.store.get(outboxKey(seq), p); err != nil {
		return nil, err
	}
	if p.Seq != seq || !o.signed(p.digest(), p.Signature) {
		return nil, fmt.Errorf("%w: sequence %d", ErrOutbox, seq)
	}
	return p, nil
}

// pending lists the parcels still in delivery, oldest first, each checked. It keeps none: a
// long outage leaves more than fits into memory.
func (o *outbox) pending() ([]uint64, error) {
	var out []uint64
	var last [32]byte
	err := o.store.scan([]byte{prefixOutbox}, func(rest, _ []byte) error {
		if len(rest) != 8 {
			return ErrOutbox
		}
		seq := binary.BigEndian.Uint64(rest)
		p, err := o.load(seq)
		if err != nil {
			return err
		}
		if n := len(out); seq >= o.head.Next || n > 0 && out[n-1]+1 == seq && last != p.Prev {
			return fmt.Errorf("%w: sequence %d", ErrOutbox, seq)
		}
		out, last = append(out, seq), p.digest()
		return nil
	})
	return out, err
}

// done replaces a delivered parcel by its row in the chain, together with what is in b. It needs no fsync: the ledger
// knows what became of the parcel, and a delivery that a crash brings back finds it there.
func (o *outbox) done(b *pebble.Batch, p *parcelRow) error {
	if err := b.Delete(outboxKey(p.Seq), nil); err != nil {
		return fmt.Errorf("record: outbox: %w", err)
	}
	if err := o.store.put(b, doneKey(p.Seq), p.link()); err != nil {
		return err
	}
	if err := b.Commit(pebble.NoSync); err != nil {
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
				pending, d = true, p.link()
			} else if errors.Is(err, errNotFound) {
				err = o.store.get(doneKey(seq), &d) // delivered between the two reads
			}
		}
		if err != nil || d.Seq != seq || d.Prev != prev || !o.signed(d.Digest, d.Signature) {
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

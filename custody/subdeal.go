package custody

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/module/erasure"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// A dealing is drawn from one secret of its pass, batch by batch. So nothing of it has to be
// kept but that secret and a hash per batch: what is asked for is dealt again, the same to
// the byte, also after a crash.

const (
	dealGroup  = 64      // leaves of one write
	pageBytes  = 1 << 20 // of one answer, about
	dealtCache = 64      // batches whose dealing is kept for the next who asks
)

// dealing is what this custodian deals in one pass.
type dealing struct {
	name  reshare.Name
	list  [][32]byte // batches, in order
	leafs []tx.Hash
	tree  *reshare.Tree

	mu    sync.Mutex // guards ready
	ready map[[32]byte]*subdealing
}

// A subdealing is the dealing of one batch, and what says whether it is erased.
type subdealing struct {
	*threshold.Subdealing
	patient tx.Account
}

// stream is the randomness of one batch's dealing: AES-256-CTR under a key of its own.
func stream(seed, hh [32]byte) io.Reader {
	key := seal.Sum("subdeal-stream", seed[:], hh[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("custody: AES-256 takes keys of 32 bytes") // it does
	}
	return cipher.StreamReader{S: cipher.NewCTR(block, make([]byte, aes.BlockSize)), R: zeros{}}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// dealtSeed returns the secret of a pass, drawn when it is first asked for and then kept.
func (c *Custodian) dealtSeed(n reshare.Name) (seed [32]byte, err error) {
	k := rowKey(prefixDealing, passKey(n))
	b, err := c.rows.unwrapped(k)
	if errors.Is(err, errAbsent) {
		_, _ = rand.Read(seed[:]) // crypto/rand never fails on supported systems
		return seed, c.rows.setWrapped(k, seed[:])
	}
	if err == nil && len(b) != 32 {
		err = errDamaged
	}
	if err != nil {
		return seed, err
	}
	return [32]byte(b), nil
}

// subdeal deals one batch; nil if this custodian does not hold its shares. What is dealt follows from the height at which the
// pass began: what was erased until then is not there, and what is erased later changes nothing (erased.go).
func (c *Custodian) subdeal(h *change, pass int, seed, hh [32]byte) (*subdealing, error) {
	since := h.since(pass)
	if erasure.ErasedBy(h.v, hh, tx.Hash{}, since) {
		return nil, nil
	}
	row, err := c.rows.batchIn(hh, h.row.To-1)
	if errors.Is(err, errAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer row.wipe()
	if erasure.PatientErasedBy(h.v, row.Patient, since) {
		return nil, nil
	}
	if partly(h.v, hh) {
		if err := c.withoutErased(h.v, hh, row, since); err != nil {
			return nil, err
		}
	}
	d, err := threshold.Subdeal(stream(seed, hh), row.Shares, int(h.row.N), int(h.row.T))
	if err != nil {
		return nil, errorf("deal", err)
	}
	return &subdealing{Subdealing: d, patient: row.Patient}, nil
}

// withoutErased takes the shares of records that were erased up to a height out of a row that was read: the tombstone counts,
// whether this custodian has destroyed them yet or not. A batch that is not here has none.
func (c *Custodian) withoutErased(v *state.View, hh [32]byte, row *batchRow, since uint64) error {
	m, err := c.rows.manifest(hh)
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return err
	}
	for i, leaf := range m.leaves() {
		if i+1 < len(row.Shares) && erasure.ErasedBy(v, hh, leaf, since) {
			row.Slots[i], row.Shares[i+1], row.Shares[0] = 0, threshold.Share{}, threshold.Share{}
		}
	}
	return nil
}

func dealtLeaf(hh [32]byte, d *subdealing) (leaf tx.Hash, sums []tx.Hash) {
	if d == nil {
		return reshare.DealtLeaf(hh, nil, nil), nil
	}
	for _, v := range d.Shares {
		sums = append(sums, reshare.ShareSum(v))
	}
	return reshare.DealtLeaf(hh, d.Commitments, sums), sums
}

// dealPass deals every batch of the pass and commits to it on the ledger, once.
func (c *Custodian) dealPass(ctx context.Context, h *change, pass int) error {
	p := &h.row.Passes[pass-1]
	if _, dealt := p.DealOf(h.deals); dealt || p.Count == 0 {
		return nil
	}
	if err := c.dealLeaves(ctx, h, pass); err != nil {
		return err
	}
	d, err := c.dealt(h, pass)
	if err != nil {
		return err
	}
	_, err = c.Submit.Submit(ctx, reshare.KindDeal, &reshare.DealAll{Name: h.name(pass), Count: p.Count, Root: d.tree.Root()})
	if errors.Is(err, reshare.ErrDealt) {
		return nil
	}
	return err
}

// dealLeaves makes the leaves that are not there yet.
func (c *Custodian) dealLeaves(ctx context.Context, h *change, pass int) error {
	name := h.name(pass)
	seed, err := c.dealtSeed(name)
	if err != nil {
		return err
	}
	for group := range slices.Chunk(h.batches(pass), dealGroup) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.dealGroup(h, pass, seed, group); err != nil {
			return err
		}
	}
	// What is committed to on the ledger must not be dealt otherwise after a crash.
	return c.rows.update(func(b *pebble.Batch) error {
		return b.Set(rowKey(prefixMeta, []byte{'r'}), passKey(name), nil)
	})
}

func (c *Custodian) dealGroup(h *change, pass int, seed [32]byte, group [][32]byte) error {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	return c.rows.updateLazy(func(b *pebble.Batch) error {
		for _, hh := range group {
			k := rowKey(prefixDealt, passKey(h.name(pass)), hh[:])
			if c.rows.has(k) {
				continue
			}
			d, err := c.subdeal(h, pass, seed, hh)
			if err != nil {
				return err
			}
			leaf, _ := dealtLeaf(hh, d)
			if err := b.Set(k, leaf[:], nil); err != nil {
				return errorf("store", err)
			}
		}
		return nil
	})
}

// dealt returns what was dealt in a pass.
func (c *Custodian) dealt(h *change, pass int) (*dealing, error) {
	if d := c.dealing.Load(); d != nil && d.name == h.name(pass) {
		return d, nil
	}
	list := h.batches(pass)
	leaves := make([]tx.Hash, len(list))
	for i, hh := range list {
		b, err := c.rows.get(rowKey(prefixDealt, passKey(h.name(pass)), hh[:]))
		if err != nil {
			return nil, err
		}
		if len(b) != 32 {
			return nil, errDamaged
		}
		leaves[i] = tx.Hash(b)
	}
	d := &dealing{name: h.name(pass), list: list, leafs: leaves, tree: reshare.NewTree(leaves), ready: map[[32]byte]*subdealing{}}
	c.dealing.Store(d)
	return d, nil
}

// Subdealt hands over what this custodian dealt to a recipient, or fetches it from the dealer
// for one that cannot. Only custodians of the next epoch get anything, and only the recipient
// can open it.
// Errors: ErrNoParcel, whatever the reason.
func (c *Custodian) Subdealt(ctx context.Context, from tx.Account, q *exchange.SubdealRequest) (*exchange.Sealed, error) {
	v := c.Ledger.View()
	defer v.Close()
	h, ok := c.changeAt(v)
	if !ok || q.Name != h.name(int(q.Name.Pass)) || int(q.Name.Pass) > len(h.row.Passes) || q.Name.Pass == 0 {
		return nil, ErrNoParcel
	}
	if _, seated := h.next.IndexOf(from); !seated || q.Dealer < 1 || q.Dealer > h.old.N || q.Recipient < 1 || q.Recipient > h.next.N {
		return nil, ErrNoParcel
	}
	if q.Dealer != h.deals {
		if h.takes == 0 || h.next.Members[q.Recipient-1] != from {
			return nil, ErrNoParcel
		}
		out := new(exchange.Sealed)
		return out, c.Links.Call(ctx, h.old.Members[q.Dealer-1], exchange.PathSubdeal, q, out)
	}
	if !ownKeyOf(v, h.next.Members[q.Recipient-1], q.Key) {
		return nil, ErrNoParcel
	}
	page, err := c.page(h, q)
	if err != nil {
		return nil, err
	}
	defer func() {
		for i := range page.Items {
			clear(page.Items[i].Shares)
		}
	}()
	plain, err := tx.Encode(page)
	if err != nil {
		return nil, errorf("encode", err)
	}
	defer clear(plain)
	box, err := seal.Box(q.Key, exchange.SubdealInfo(c.Chain, q), plain)
	if err != nil {
		return nil, ErrNoParcel
	}
	return &exchange.Sealed{Box: box}, nil
}

// ownKeyOf reports whether the public key is one of the member's last two custody keys.
func ownKeyOf(v *state.View, member tx.Account, public []byte) bool {
	hash := tx.Hash(sha256.Sum256(public))
	last, ok := committee.Latest(v, member)
	if ok && last.Hash == hash {
		return true
	}
	before, ok := committee.Key(v, member, last.KeyEpoch-1)
	return ok && before.Hash == hash
}

// page makes the run of dealings that is asked for.
func (c *Custodian) page(h *change, q *exchange.SubdealRequest) (*exchange.Subdealings, error) {
	p := &h.row.Passes[q.Name.Pass-1]
	if _, dealt := p.DealOf(h.deals); !dealt {
		return nil, ErrNoParcel
	}
	all, err := c.dealt(h, int(q.Name.Pass))
	if err != nil {
		return nil, err
	}
	seed, err := c.dealtSeed(q.Name)
	if err != nil {
		return nil, err
	}
	page := &exchange.Subdealings{}
	size := 0
	for at := q.From; at < p.Count && at < q.From+q.Count && size < pageBytes; at++ {
		item, err := c.item(h, q, seed, all, int(at))
		if err != nil {
			return nil, err
		}
		page.Items = append(page.Items, *item)
		size += len(item.Shares) + 32*(len(item.Commitments)+len(item.Sums)+len(item.Path))
		if item.Card != nil {
			size += len(item.Card.Manifest)
		}
	}
	if len(page.Items) == 0 {
		return nil, ErrNoParcel
	}
	return page, nil
}

func (c *Custodian) item(h *change, q *exchange.SubdealRequest, seed [32]byte, all *dealing, at int) (*exchange.Subdealing, error) {
	hh, leaf := all.list[at], all.leafs[at]
	d, err := c.dealtAgain(h, int(q.Name.Pass), seed, all, hh)
	if err != nil {
		return nil, err
	}
	now, sums := dealtLeaf(hh, d)
	item := &exchange.Subdealing{Sums: sums, Path: all.tree.Path(at)}
	none, _ := dealtLeaf(hh, nil)
	switch {
	case leaf == none:
		item.Sums = nil // if it is here, it came after the dealing
		return item, nil
	case now == leaf:
		item.Commitments = d.Commitments
	default: // it, or a record of it, was destroyed after the dealing: what is public of that was kept
		p, err := c.rows.public(h.name(int(q.Name.Pass)), hh)
		if errors.Is(err, errAbsent) {
			return &exchange.Subdealing{Gone: true}, nil
		}
		if err != nil {
			return nil, err
		}
		item.Commitments, item.Sums = p.Commitments, p.Sums
	}
	if d == nil || gone(h.v, hh) || erasure.PatientErased(h.v, d.patient) {
		item.Gone = true
		return item, nil
	}
	item.Shares = concat(d.Shares[q.Recipient-1])
	if partly(h.v, hh) {
		if item.Partly, err = c.blank(h, int(q.Name.Pass), hh, item.Shares); err != nil {
			return nil, err
		}
	}
	if q.Cards {
		if item.Card, err = c.card(h, hh); err != nil {
			return nil, err
		}
	}
	return item, nil
}

// dealtAgain deals a batch as it was dealt, or takes it from the ones that are kept.
func (c *Custodian) dealtAgain(h *change, pass int, seed [32]byte, all *dealing, hh [32]byte) (*subdealing, error) {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	all.mu.Lock()
	d, ready := all.ready[hh]
	all.mu.Unlock()
	if ready {
		return d, nil
	}
	d, err := c.subdeal(h, pass, seed, hh)
	if err == nil {
		all.keep(hh, d)
	}
	return d, err
}

// forgetDealing forgets what was dealt of a batch, which is in no store but leads to its shares.
func (c *Custodian) forgetDealing(hh [32]byte) {
	d := c.dealing.Load()
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.ready, hh)
}

// keep keeps a dealing for the next recipient who asks; a few batches at a time.
func (a *dealing) keep(hh [32]byte, d *subdealing) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ready) >= dealtCache {
		clear(a.ready)
	}
	a.ready[hh] = d
}

func concat(shares []threshold.Share) []byte {
	b := make([]byte, 0, 32*len(shares))
	for i := range shares {
		b = append(b, shares[i][:]...)
	}
	return b
}

// card is what a newcomer needs of a batch besides shares.
func (c *Custodian) card(h *change, hh [32]byte) (*exchange.Card, error) {
	row, err := c.rows.batchIn(hh, h.row.To-1)
	if err != nil {
		return nil, err
	}
	defer row.wipe()
	m, err := c.rows.open(prefixManifest, hh)
	if err != nil {
		return nil, err
	}
	p, err := c.rows.commitments(hh)
	if err != nil {
		return nil, err
	}
	return &exchange.Card{Patient: row.Patient, Opening: row.Opening, Manifest: m, Previous: p.Commitments, Since: p.Since}, nil
}

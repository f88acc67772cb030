package custody

import (
	"bytes"
	"context"
	"errors"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/erasure"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// window is how many batches are taken over in one step, with one fsync.
const window = 32

// taking is one step of a take-over.
type taking struct {
	*change
	pass int
	keys []ownKey
	key  []byte       // public custody key that dealers seal to
	late []tx.Account // who kept silent when asked for a page
}

// takePass takes over every batch of a pass, and confirms it on the ledger.
func (c *Custodian) takePass(ctx context.Context, h *change, pass int) error {
	p := &h.row.Passes[pass-1]
	list := h.batches(pass)
	if uint64(len(list)) != p.Count {
		return errorf("resharing", errDamaged)
	}
	if p.Count > 0 && len(p.Sound()) < int(h.row.OldT) {
		return errWaits
	}
	t := &taking{change: h, pass: pass}
	var err error
	if t.keys, err = c.openKeys(); err != nil {
		return err
	}
	seeds, err := c.rows.seeds()
	if err != nil {
		return err
	}
	for i := range seeds { // the newest that the ledger knows of
		if ownKeyOf(h.v, c.Self, seeds[i].Public) {
			t.key = seeds[i].Public
		}
	}
	if t.key == nil && p.Count > 0 {
		return errWaits // rotate will publish one
	}
	for from := 0; from < len(list); from += window {
		if err := c.takeWindow(ctx, t, list, from, min(from+window, len(list))); err != nil {
			return err
		}
	}
	return c.confirm(ctx, h, pass, list)
}

// fits reports whether what is staged of a batch is of this resharing and uses nobody who is
// left out. The order of dealers only grows, so then it is what everybody makes of it.
func (t *taking) fits(s *stagedRow) bool {
	return s.Name == t.name(t.pass) && s.Used&t.row.Passes[t.pass-1].Left == 0
}

// takeWindow takes over batches from..to that are not here yet.
func (c *Custodian) takeWindow(ctx context.Context, t *taking, list [][32]byte, from, to int) error {
	missing := map[int]bool{}
	cards := false
	for i := from; i < to; i++ {
		s, err := c.rows.staged(list[i])
		if err != nil && !errors.Is(err, errAbsent) {
			return err
		}
		if err == nil && t.fits(s) {
			continue
		}
		if e, err := c.rows.epochOf(list[i]); err == nil && e == t.row.To {
			continue // moved already
		}
		missing[i] = true
		cards = cards || !c.rows.has(rowKey(prefixManifest, list[i][:])) || !c.rows.has(rowKey(prefixCommit, list[i][:]))
	}
	if len(missing) == 0 {
		return nil
	}
	got, none := map[int][]given{}, map[int]int{}
	claims := map[int][]reshare.Deal{} // dealers that say they destroyed it after they dealt it
	for _, d := range t.row.Passes[t.pass-1].Sound() {
		need := false
		for i := range missing {
			need = need || len(got[i]) < int(t.row.OldT) && !t.never(list[i])
		}
		if !need {
			break
		}
		if err := c.fetchDealt(ctx, t, list, d, from, to, cards, missing, got, none, claims); err != nil {
			return err
		}
	}
	var rows []*stagedRow
	var of [][32]byte
	defer func() {
		for _, g := range got {
			for i := range g {
				clear(g[i].Shares)
			}
		}
	}()
	for i := from; i < to; i++ {
		if !missing[i] {
			continue
		}
		row, err := c.combine(t, list[i], got[i], none[i])
		if err != nil {
			return err
		}
		if row == nil || !row.Gone && len(claims[i]) > 0 {
			// The others hold it still. Either they will destroy it too, or the claim is false: whoever
			// makes it has as long as a dealer that hands over nothing.
			return c.reportClaim(ctx, t, claims[i][0])
		}
		rows, of = append(rows, row), append(of, list[i])
	}
	// Of what was erased while this was fetched nothing is kept.
	c.keeping.Lock()
	defer c.keeping.Unlock()
	now := c.Ledger.View()
	defer now.Close()
	for i, row := range rows {
		if err := row.without(now, of[i]); err != nil {
			return err
		}
	}
	return c.rows.update(func(b *pebble.Batch) error {
		for i, row := range rows {
			if err := c.rows.putStaged(b, of[i], row); err != nil {
				return errorf("store", err)
			}
		}
		return nil
	})
}

// without takes what is erased out of what was taken over of a batch.
func (s *stagedRow) without(v *state.View, hh [32]byte) error {
	if s.Gone {
		return nil
	}
	row, ok := decodeBatch(s.Row)
	if !ok {
		return errDamaged
	}
	defer row.wipe()
	if gone(v, hh) || erasure.PatientErased(v, row.Patient) {
		clear(s.Row)
		*s = stagedRow{Name: s.Name, Used: s.Used, Gone: true, Commitments: s.Commitments}
		return nil
	}
	if !partly(v, hh) {
		return nil
	}
	m, ok := decodeManifest(s.Manifest)
	if !ok {
		return errDamaged
	}
	changed := false
	for i, leaf := range m.leaves() {
		if erasure.Erased(v, hh, leaf) { // the own manifest may say so already, and the shares be new
			if !m.gone(i) {
				m.erase(i, leaf)
			}
			row.Slots[i], row.Shares[i+1], row.Shares[0] = 0, threshold.Share{}, threshold.Share{}
			changed = true
		}
	}
	if changed {
		clear(s.Row)
		s.Row, s.Manifest = row.encode(), m.encode()
	}
	return nil
}

// never reports whether the batch was erased before the pass began: then nobody deals it.
func (t *taking) never(hh [32]byte) bool {
	return erasure.ErasedBy(t.v, hh, tx.Hash{}, t.since(t.pass))
}

// combine makes the own shares of a batch in the next epoch. none is how many dealers have dealt nothing
// of it: of an ACTIVE batch at most f honest ones never held it, and at most f lie, so of more than 2f
// one had destroyed it when the pass began. A patient's tombstone does not name her batches.
// Of more than f that say it was erased after that one is honest. nil: some say so, and it is not to be believed yet.
func (c *Custodian) combine(t *taking, hh [32]byte, from []given, none int) (*stagedRow, error) {
	row := &stagedRow{Name: t.name(t.pass)}
	if t.never(hh) || none > 2*t.old.F() && !partly(t.v, hh) {
		row.Gone = true
		return row, nil
	}
	if len(from) < int(t.row.OldT) {
		return nil, errWaits
	}
	from = from[:t.row.OldT]
	claims := 0
	for i := range from {
		if from[i].destroyed {
			claims++
		}
	}
	var used []int
	var lists [][][32]byte
	var subs []threshold.Received
	for _, g := range from {
		row.Used |= 1 << (g.From - 1)
		used, lists, subs = append(used, g.From), append(lists, g.Commitments), append(subs, g.Received)
	}
	var shares []threshold.Share
	var err error
	if row.Commitments, err = threshold.NextCommitments(used, lists); err != nil {
		return nil, errorf("combine", err)
	}
	if gone(t.v, hh) || claims > t.old.F() || c.rows.has(rowKey(prefixErased, hh[:])) {
		row.Gone = true
		return row, nil
	}
	if claims > 0 {
		return nil, nil
	}
	if shares, err = threshold.CombineVerified(subs); err != nil {
		return nil, errorf("combine", err)
	}
	defer clear(shares)
	b, ok := anchor.Lookup(t.v, hh)
	if !ok {
		return nil, errorf("a batch to take over is not on the ledger", errDamaged)
	}
	own := &batchRow{Index: t.takes, LogIndex: b.Index, Shares: shares}
	if err := c.describe(t, hh, &b, own, row, from); err != nil {
		return nil, err
	}
	row.Row = own.encode()
	return row, nil
}

// describe fills in whose batch it is and what is in it: from the own store, or from the first
// card that checks out against the header.
func (c *Custodian) describe(t *taking, hh [32]byte, b *anchor.Batch, own *batchRow, row *stagedRow, from []given) error {
	if here, err := c.rows.batch(hh); err == nil {
		here.wipe()
		if row.Manifest, err = c.rows.open(prefixManifest, hh); err != nil {
			return err
		}
		own.Patient, own.Opening, own.Slots = here.Patient, here.Opening, here.Slots
		return nil
	} else if !errors.Is(err, errAbsent) {
		return err
	}
	put, err := exchange.PutAt(t.v, *b)
	if err != nil {
		return err
	}
	for _, g := range from {
		if g.card == nil || seal.PatientCommit(g.card.Patient, g.card.Opening) != put.Header.PatientCommit {
			continue
		}
		m, ok := decodeManifest(g.card.Manifest)
		if !ok || !bytes.Equal(m.Pack[:], b.Pack[:]) || !manifestOf(m, &put.Header) {
			continue
		}
		own.Patient, own.Opening, row.Manifest = g.card.Patient, g.card.Opening, g.card.Manifest
		own.Slots = make([]uint64, len(m.Entries))
		for i := range own.Slots {
			own.Slots[i] = m.Entries[i].Slots
		}
		return nil
	}
	return errWithheld
}

// manifestOf reports whether the manifest is the one that the header commits to.
func manifestOf(m *manifestRow, h *seal.Header) bool {
	n := len(m.Entries)
	return n > 0 && n == int(h.Count) && climb(m.leaves(), make([][][32]byte, n)) == h.ManifestRoot && seal.ShareRootsHash(m.ShareRoots) == h.ShareRoots
}

// confirm tells the ledger that everything of the pass is here.
func (c *Custodian) confirm(ctx context.Context, h *change, pass int, list [][32]byte) error {
	leaves := make([]tx.Hash, len(list))
	for i, hh := range list {
		s, err := c.rows.staged(hh)
		if errors.Is(err, errAbsent) {
			if own, cerr := c.rows.commitments(hh); cerr == nil && own.Epoch == h.row.To {
				leaves[i] = reshare.NextLeaf(hh, own.Commitments)
				continue
			}
		}
		if err != nil {
			return err
		}
		leaves[i] = reshare.NextLeaf(hh, s.Commitments)
		clear(s.Row)
	}
	p := &h.row.Passes[pass-1]
	tree := reshare.NewTree(leaves)
	_, err := c.Submit.Submit(ctx, reshare.KindConfirm, &reshare.ConfirmAll{Name: h.name(pass), Left: p.Left, Root: tree.Root()})
	if errors.Is(err, reshare.ErrNoNews) {
		return errWaits // the others have confirmed another root, or not yet
	}
	return err
}

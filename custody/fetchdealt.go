package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/anchor"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

var (
	// errWithheld means that a dealer does not hand over what it committed to.
	errWithheld = errors.New("custody: a dealer does not hand over what it committed to")
	// errDestroyed means that a dealer says it has destroyed a batch after it dealt it, of which
	// the ledger's tombstones do not tell: they name a patient and no batches.
	errDestroyed = errors.New("custody: a dealer has destroyed what it dealt")
	// errAccused means that a complaint was made and the dealers are to be looked up again.
	errAccused = errors.New("custody: a dealer was accused on the ledger")
)

// relayNext is how long a dealer may take for a page before another custodian is asked for it as well, which asks the same
// dealer: longer than for what others have themselves.
const relayNext = 3 * time.Second

// given is what one dealer gave of one batch, verified.
type given struct {
	threshold.Received
	card     *exchange.Card
	previous [][32]byte
	since    reshare.Place
	// destroyed says that there are no shares: the batch was erased after the pass began.
	destroyed bool
}

// fetchDealt fetches and verifies one dealer's dealings of a window. A wrong one becomes a
// complaint; what is not handed over, a report when its time has come.
func (c *Custodian) fetchDealt(ctx context.Context, t *taking, list [][32]byte, d reshare.Deal, from, to int, cards bool, missing map[int]bool, got map[int][]given, none map[int]int, claims map[int][]reshare.Deal) error {
	for at := from; at < to; {
		if !missing[at] || len(got[at]) >= int(t.row.OldT) || t.never(list[at]) {
			at++
			continue
		}
		page, err := c.fetchPage(ctx, t, d, at, to-at, cards)
		if err != nil {
			return c.report(ctx, t, d)
		}
		for k := range page.Items {
			i := at + k
			if i >= to {
				break
			}
			if !missing[i] || len(got[i]) >= int(t.row.OldT) {
				continue
			}
			g, err := c.verifyDealt(ctx, t, list[i], d, i, &page.Items[k])
			if errors.Is(err, errWithheld) {
				return c.report(ctx, t, d)
			}
			if errors.Is(err, errDestroyed) {
				claims[i] = append(claims[i], d)
			} else if err != nil {
				return err
			}
			if g != nil {
				got[i] = append(got[i], *g)
			} else {
				none[i]++
			}
		}
		at += len(page.Items)
	}
	return nil
}

// fetchPage asks the dealer, then the other new custodians for the dealer's answer: each when those before it failed or
// kept silent for a moment.
func (c *Custodian) fetchPage(ctx context.Context, t *taking, d reshare.Deal, at, count int, cards bool) (*exchange.Subdealings, error) {
	q := &exchange.SubdealRequest{
		Name: t.name(t.pass), Dealer: d.Dealer, Recipient: t.takes, From: uint64(at), Count: uint64(count), Key: t.key, Cards: cards,
	}
	dealer := t.old.Members[d.Dealer-1]
	whom := []tx.Account{dealer}
	if dealer != c.Self {
		for _, m := range t.next.Members {
			if m != c.Self && m != dealer {
				whom = append(whom, m)
			}
		}
	}
	if slices.Contains(t.late, dealer) { // not to lose that time with each page
		whom = append(whom[1:], dealer)
	}
	type answer struct {
		page *exchange.Subdealings
		size int
	}
	got, err := hedge.First(ctx, whom, relayNext, func(ctx context.Context, m tx.Account) (a answer, err error) {
		box := new(exchange.Sealed)
		if m == c.Self {
			box, err = c.Subdealt(ctx, m, q)
		} else {
			ask, cancel := context.WithTimeout(ctx, askFor)
			defer cancel()
			err = c.Links.Call(ask, m, exchange.PathSubdeal, q, box)
		}
		if err != nil {
			return a, err
		}
		if a.page, a.size = t.openPage(c.Chain, q, box), len(box.Box); a.page == nil {
			return a, errWithheld
		}
		return a, nil
	}, func(m tx.Account) { t.late = append(t.late, m) })
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, errWithheld
	}
	return got.page, c.slow(ctx, got.size)
}

// openPage opens an answer; nil if it is none.
func (t *taking) openPage(chain string, q *exchange.SubdealRequest, box *exchange.Sealed) *exchange.Subdealings {
	for _, k := range t.keys {
		if sum := sha256.Sum256(t.key); sha256.Sum256(k.private.PublicKey().Bytes()) != sum {
			continue
		}
		plain, err := seal.Unbox(k.private, exchange.SubdealInfo(chain, q), box.Box)
		if err != nil {
			return nil
		}
		page := new(exchange.Subdealings)
		if tx.DecodeAny(plain, page, len(plain)) != nil || len(page.Items) == 0 || uint64(len(page.Items)) > q.Count {
			return nil
		}
		return page
	}
	return nil
}

// slow keeps to the bound on bytes fetched.
func (c *Custodian) slow(ctx context.Context, n int) error {
	c.metrics.reshared.Add(float64(n))
	if c.ReshareRate <= 0 {
		return nil
	}
	if !sleep(ctx, time.Duration(float64(n)/float64(c.ReshareRate)*float64(time.Second))) {
		return ctx.Err()
	}
	return nil
}

// verifyDealt checks one batch of a dealer. nil without an error: the dealer does not hold it.
func (c *Custodian) verifyDealt(ctx context.Context, t *taking, hh [32]byte, d reshare.Deal, at int, item *exchange.Subdealing) (*given, error) {
	p := &t.row.Passes[t.pass-1]
	if item.Gone && len(item.Commitments) == 0 {
		return nil, errWithheld
	}
	if !reshare.VerifyPath(d.Root, reshare.DealtLeaf(hh, item.Commitments, item.Sums), uint64(at), p.Count, item.Path) {
		return nil, errWithheld
	}
	if len(item.Commitments) == 0 {
		return nil, nil
	}
	if item.Gone { // there is nothing to take, and nothing to check but what is public
		if len(item.Commitments) != int(t.row.T) {
			return nil, errWithheld
		}
		g := &given{destroyed: true}
		g.Received = threshold.Received{From: int(d.Dealer), Commitments: item.Commitments}
		return g, errDestroyed
	}
	b, ok := anchor.Lookup(t.v, hh)
	if !ok {
		return nil, errorf("a batch to take over is not on the ledger", errDamaged)
	}
	put, err := exchange.PutAt(t.v, b)
	if err != nil {
		return nil, err
	}
	g := &given{card: item.Card}
	if g.previous, g.since, err = c.previous(t, hh, &put.Header, &b, item.Card); err != nil {
		return nil, err
	}
	shares := reshare.Vector(item.Shares)
	if item.Partly { // what is left of the vector is not proved any more
		if len(item.Sums) != int(t.row.N) || len(item.Commitments) != int(t.row.T) || len(shares) != int(put.Header.Count)+1 {
			return nil, errWithheld
		}
		g.Received = threshold.Received{From: int(d.Dealer), Commitments: item.Commitments, Shares: shares}
		if !partly(t.v, hh) {
			return g, errDestroyed
		}
		return g, nil
	}
	wrong := len(item.Sums) != int(t.row.N)
	if !wrong {
		if reshare.ShareSum(shares) != item.Sums[t.takes-1] {
			return nil, errWithheld
		}
		wrong = len(item.Commitments) != int(t.row.T) || len(shares) != int(put.Header.Count)+1
	}
	if !wrong {
		previous := g.previous
		if partly(t.v, hh) {
			previous = item.Commitments[:1]
		}
		wrong = threshold.VerifySubdeal(previous, int(d.Dealer), item.Commitments, int(t.takes), shares) != nil
	}
	if wrong {
		_, err := c.Submit.Submit(ctx, reshare.KindComplain, &reshare.Complain{
			Name: t.name(t.pass), Dealer: d.Dealer, Header: put.Header, Previous: reshare.Slices(g.previous), Since: g.since,
			Commitments: reshare.Slices(item.Commitments), Sums: item.Sums, At: reshare.Place{Number: uint64(at), Path: item.Path}, Shares: item.Shares,
		})
		c.Log.WarnContext(ctx, "dealer_accused", "dealer", d.Dealer)
		return nil, errors.Join(errAccused, err)
	}
	g.Received = threshold.Received{From: int(d.Dealer), Commitments: item.Commitments, Shares: shares}
	return g, nil
}

// previous returns the commitments of a batch in the old epoch, from the own store or from a
// card, proved either way. A card that proves nothing counts as withheld.
func (c *Custodian) previous(t *taking, hh [32]byte, h *seal.Header, b *anchor.Batch, card *exchange.Card) ([][32]byte, reshare.Place, error) {
	if own, err := c.rows.commitments(hh); err == nil && own.Epoch == t.row.To-1 {
		return own.Commitments, own.Since, nil
	} else if err != nil && !errors.Is(err, errAbsent) {
		return nil, reshare.Place{}, err
	}
	if card == nil {
		return nil, reshare.Place{}, errWithheld
	}
	root, size, moved := reshare.Before(t.v, t.row.To-1, h, b)
	sound := seal.CommitmentsHash(card.Previous) == h.VSSRoot
	if moved {
		sound = reshare.VerifyPath(root, reshare.NextLeaf(hh, card.Previous), card.Since.Number, size, card.Since.Path)
	}
	if !sound {
		return nil, reshare.Place{}, errWithheld
	}
	return card.Previous, card.Since, nil
}

// report says that a dealer withholds, when it has had its time, and waits.
func (c *Custodian) report(ctx context.Context, t *taking, d reshare.Deal) error {
	if t.row.Open() == t.pass && t.v.Meta().Time >= d.Time+governance.ParamsOf(t.v).ReshareWait {
		_, err := c.Submit.Submit(ctx, reshare.KindReport, &reshare.ReportDealer{Name: t.name(t.pass), Dealer: d.Dealer})
		if err != nil && !errors.Is(err, reshare.ErrNoNews) {
			return err
		}
	}
	return errWaits
}

// reportClaim reports a dealer whose claim nobody shares, when that has lasted.
func (c *Custodian) reportClaim(ctx context.Context, t *taking, d reshare.Deal) error {
	k := claim{t.name(t.pass), d.Dealer}
	now := t.v.Meta().Time
	c.mu.Lock()
	since, ok := c.claims[k]
	if !ok {
		since = now
		c.claims[k] = now
	}
	c.mu.Unlock()
	d.Time = max(d.Time, since)
	return c.report(ctx, t, d)
}

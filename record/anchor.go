package record

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
	"salus/vault"
)

// deliver brings one parcel of the outbox to ACTIVE in the background: header to the ledger,
// parcel to every custodian, pack to the replicas. Each step may be repeated any number of
// times: the ledger knows the header by its hash, custodians and vaults know what they have.
func (s *Service) deliver(seq uint64) {
	s.metrics.outbox.Inc()
	s.work.Go(func() {
		defer s.metrics.outbox.Dec()
		start := time.Now()
		for {
			n, err := s.attempt(s.ctx, seq)
			if err == nil {
				s.metrics.active.Observe(time.Since(start).Seconds())
				s.metrics.records.Add(float64(n))
				return
			}
			if s.ctx.Err() != nil {
				return
			}
			if stands(err) { // said once, by the node, and not for every batch
				if !s.nextBlock() {
					return
				}
				continue
			}
			s.metrics.retries.WithLabelValues("deliver").Inc()
			s.Log.WarnContext(s.ctx, "delivery_waits", "sequence", seq, "err", err)
			if !pause(s.ctx, retryPause) {
				return
			}
		}
	})
}

// stands reports whether an error says that the ledger stands still.
func stands(err error) bool {
	return errors.Is(err, client.ErrNoQuorum) || errors.Is(err, client.ErrUnsettled)
}

// nextBlock waits for one; false means that the service stops.
func (s *Service) nextBlock() bool {
	select {
	case <-s.Changed():
		return true
	case <-s.ctx.Done():
		return false
	}
}

// attempt is one round of a delivery, in one of the places for it.
func (s *Service) attempt(ctx context.Context, seq uint64) (records int, err error) {
	leave, err := enter(ctx, s.delivering)
	if err != nil {
		return 0, err
	}
	defer leave()
	p, err := s.outbox.load(seq)
	if err != nil {
		return 0, err
	}
	if s.lapsed(p) {
		return 0, s.again(p)
	}
	if err := s.deliverOnce(ctx, p); err != nil {
		if ctx.Err() == nil && s.lapsed(p) { // meanwhile: its readers need not wait for the next round
			return 0, s.again(p)
		}
		return 0, err
	}
	s.wake(p.Records)
	return len(p.Records), nil
}

// attemptTime bounds one round of a delivery; what is missing then is sent again.
const attemptTime = 15 * time.Second

func (s *Service) deliverOnce(ctx context.Context, p *parcelRow) error {
	hh := p.Parcel.Header.Hash()
	if b, ok := s.anchored(hh); ok && b.Active > 0 {
		return s.finish(p)
	}
	part, err := tx.Encode(&p.Parcel)
	if err != nil {
		return fmt.Errorf("record: parcel: %w", err)
	}
	round, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	g, gctx := errgroup.WithContext(round)
	g.Go(func() error { return s.put(gctx, p) })
	// A custodian or replica that is down must not hold up the others, nor the ACTIVE
	// that 2f+1 of them can give: their errors only end up in the retry count.
	var links errgroup.Group
	for _, to := range s.custodiansWithout(hh, &p.Parcel.Header) {
		links.Go(func() error { return s.count("parcel", s.bring(gctx, to, part)) })
	}
	short := make(chan struct{}, 1)
	links.Go(func() error { return s.replicate(gctx, hh, &p.Parcel.Header, p.Parcel.Pack, short) })
	g.Go(func() error { return s.awaitActive(gctx, p, short) })
	err = g.Wait()
	cancel()
	_ = links.Wait() // counted above; ACTIVE is what decides
	if err != nil {
		return err
	}
	return s.finish(p)
}

func (s *Service) count(step string, err error) error {
	if err != nil {
		s.metrics.retries.WithLabelValues(step).Inc()
	}
	return err
}

// put commits the header; that it is there already is success.
func (s *Service) put(ctx context.Context, p *parcelRow) error {
	hh := p.Parcel.Header.Hash()
	if _, ok := s.anchored(hh); ok {
		return nil
	}
	if err := s.enrolLate(ctx, p.Records); err != nil {
		return err
	}
	_, err := s.Submit.Submit(ctx, anchor.KindPut, &anchor.Put{Header: p.Parcel.Header, Envelopes: seal.EnvelopesHash(p.Parcel.Envelopes), Pack: tx.Hash(p.Parcel.Pack)})
	if errors.Is(err, anchor.ErrKnown) {
		return nil
	}
	return err
}

func (s *Service) anchored(hh [32]byte) (anchor.Batch, bool) {
	v := s.Ledger.View()
	defer v.Close()
	return anchor.Lookup(v, hh)
}

// errLapsed ends a delivery that no block can bring to ACTIVE any more.
var errLapsed = errors.New("record: the committee changed, or its keys ended, before the batch was active")

// awaitActive waits for a batch, and says to short when it has receipts enough but not the copies.
func (s *Service) awaitActive(ctx context.Context, p *parcelRow, short chan<- struct{}) error {
	hh := p.Parcel.Header.Hash()
	var late <-chan time.Time
	for {
		changed := s.Changed()
		v := s.Ledger.View()
		b, anchored := anchor.Lookup(v, hh)
		lapsed := b.Active == 0 && s.lapsedIn(v, p, b, anchored)
		v.Close()
		switch {
		case b.Active > 0:
			return nil
		case lapsed:
			return errLapsed
		case late == nil && b.Received() >= int(p.Parcel.Header.T):
			late = time.Tick(holdTime)
		}
		select {
		case <-changed:
		case <-late:
			select {
			case short <- struct{}{}:
			default:
			}
		case <-ctx.Done():
			return fmt.Errorf("record: not active yet: %w", ctx.Err())
		}
	}
}

// custodiansWithout lists the custodians of the batch's epoch that have no receipt on the ledger.
func (s *Service) custodiansWithout(hh [32]byte, h *seal.Header) []tx.Account {
	v := s.Ledger.View()
	defer v.Close()
	epoch, err := committee.At(v, h.Epoch)
	if err != nil {
		return nil
	}
	b, _ := anchor.Lookup(v, hh)
	var out []tx.Account
	for i, m := range epoch.Members {
		if b.Receipts&(1<<i) == 0 {
			out = append(out, m)
		}
	}
	return out
}

// holdTime is how long a custodian that took a pack has to say on the ledger that it holds it, when
// nothing else is missing.
const holdTime = 3 * time.Second

// replicate puts the ciphertext on as many other members as make f+1 copies with the
// author's own. Members are chosen by rendezvous hashing, so that load spreads and every
// member computes the same order; one that does not take the pack is passed over, and so is one
// that takes it and does not say so on the ledger: short tells when. It ends when nobody is left, or with ctx.
func (s *Service) replicate(ctx context.Context, hh [32]byte, h *seal.Header, pack vault.PackID, short <-chan struct{}) error {
	v := s.Ledger.View()
	epoch, err := committee.At(v, h.Epoch)
	b, _ := anchor.Lookup(v, hh)
	v.Close()
	if err != nil {
		return err
	}
	copies := epoch.F() // besides the author's
	if !slices.Contains(epoch.Members, s.Self) {
		copies++ // only custodians' copies are counted on the ledger
	}
	order := ReplicaOrder(epoch.Members, s.Self, hh)
	for {
		missing := copies
		for _, m := range epoch.Members {
			if m != s.Self && holds(&epoch, &b, m) {
				missing--
			}
		}
		for missing > 0 && len(order) > 0 {
			m := order[0]
			order = order[1:]
			if !holds(&epoch, &b, m) && s.count("pack", s.sendPack(ctx, m, pack)) == nil {
				missing--
			}
		}
		if len(order) == 0 {
			return nil
		}
		select {
		case <-short:
			b, _ = s.anchored(hh)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func holds(e *committee.Epoch, b *anchor.Batch, m tx.Account) bool {
	return b.Holds&(1<<slices.Index(e.Members, m)) != 0
}

// ReplicaOrder ranks the members other than the author for the ciphertext of one batch.
func ReplicaOrder(members []tx.Account, author tx.Account, hh [32]byte) []tx.Account {
	type ranked struct {
		m tx.Account
		h [32]byte
	}
	var all []ranked
	for _, m := range members {
		if m != author {
			all = append(all, ranked{m, seal.Sum("replica", hh[:], m[:])})
		}
	}
	slices.SortFunc(all, func(a, b ranked) int { return bytes.Compare(a.h[:], b.h[:]) })
	out := make([]tx.Account, len(all))
	for i, r := range all {
		out[i] = r.m
	}
	return out
}

func (s *Service) sendPack(ctx context.Context, to tx.Account, pack vault.PackID) error {
	b, err := s.Vault.ReadPack(ctx, pack)
	if err != nil {
		return err
	}
	return s.Links.Upload(ctx, to, exchange.PathPack, hex.EncodeToString(pack[:]), bytes.NewReader(b), int64(len(b)))
}

// finish marks the batch's records active and takes the parcel out of the outbox.
func (s *Service) finish(p *parcelRow) error {
	b := s.store.db.NewBatch()
	defer b.Close()
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, id := range p.Records {
		r, err := s.store.record(id)
		if err != nil {
			return err
		}
		r.Status = Active
		if err := s.store.put(b, key(prefixRecord, id[:]), r); err != nil {
			return err
		}
	}
	return s.outbox.done(b, p)
}

package chart

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
)

const (
	maxCharts = 1024             // open at once
	fresh     = time.Second      // for how long the custodians' answer to "which records?" is used
	openTime  = 20 * time.Second // to open a session and read what it may
)

// errCharts: too many charts are open.
var errCharts = errors.New("chart: too many charts are open")

// A chartKey is who reads whose record, and what for.
type chartKey struct {
	name    string
	patient tx.Account
	purpose consent.Purpose
}

type charts struct {
	mu   sync.Mutex // guards open
	open map[chartKey]*chart
}

// A chart is an open session with what it has opened.
type chart struct {
	key chartKey
	ref string // the patient, as this organisation refers to her

	mu      sync.Mutex // guards what follows; held while the custodians are asked
	session *record.Session
	allowed uint64 // the mask under which scope was filled
	scope   store.Scope
	loaded  map[exchange.Item]bool
	state   map[store.Key]standing
	asked   time.Time // when the custodians were last asked
}

// A standing is which of a resource's records is the one to be seen.
type standing struct {
	vid  int64
	log  uint64
	gone bool
}

// chart returns the part of the store with what a caller's session may open now, store.Own if that
// is nothing. It opens the session if there is none.
func (s *Service) chart(ctx context.Context, key chartKey, ref string) (store.Scope, error) {
	c, err := s.charts.get(key, ref)
	if err != nil {
		return store.Own, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := s.check(ctx, c); err != nil {
		return store.Own, err
	}
	if c.session == nil && key.purpose == consent.BTG {
		return store.Own, nil // nobody declared an emergency here: as if there were no records
	}
	if c.session == nil {
		if err := s.begin(ctx, c); err != nil {
			return store.Own, err
		}
	}
	if c.allowed == 0 {
		return store.Own, nil // as if there were no records
	}
	if time.Since(c.asked) < fresh {
		return c.scope, nil
	}
	if err := s.load(ctx, c); err != nil {
		return store.Own, err
	}
	return c.scope, nil
}

// opened returns what the open charts of a caller hold, as far as their sessions still allow it.
func (s *Service) opened(ctx context.Context, name string, purpose consent.Purpose) (scopes []store.Scope) {
	for _, c := range s.charts.list() {
		if c.key.name != name || c.key.purpose != purpose {
			continue
		}
		c.mu.Lock()
		if err := s.check(ctx, c); err == nil && c.session != nil && c.scope != store.Own {
			scopes = append(scopes, c.scope)
		}
		c.mu.Unlock()
	}
	slices.Sort(scopes)
	return scopes
}

func (cs *charts) get(key chartKey, ref string) (*chart, error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.open[key]
	if c == nil {
		if len(cs.open) >= maxCharts {
			return nil, errCharts
		}
		c = &chart{key: key, ref: ref}
		cs.open[key] = c
	}
	return c, nil
}

// keep puts a chart back that was dropped while it was waited for.
func (cs *charts) keep(c *chart) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.open[c.key] = c
}

func (cs *charts) list() []*chart {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	out := make([]*chart, 0, len(cs.open))
	for _, c := range cs.open {
		out = append(out, c)
	}
	return out
}

// begin opens a session. The caller holds c.mu.
func (s *Service) begin(ctx context.Context, c *chart) error {
	by, err := s.Signer(c.key.name)
	if err != nil {
		return err
	}
	x, err := record.OpenSession(ctx, s.Record.Reading(), s.Client.As(by), c.key.patient, c.key.purpose, s.Lasts)
	if err != nil {
		return err
	}
	c.session = x
	_, c.allowed = s.standing(c)
	return nil
}

// standing asks the ledger whether a chart's session is good and what it allows. The session also
// ends by this machine's clock: a ledger that stands still must not keep it open. One that was
// opened under earlier consents is not good: it allows at most what they did. An emergency hangs on none.
func (s *Service) standing(c *chart) (good bool, allowed uint64) {
	v := s.View()
	defer v.Close()
	now := max(v.Meta().Time, uint64(time.Now().Unix()))
	x, allowed, err := access.Open(v, c.session.ID, now)
	current := c.key.purpose == consent.BTG || consent.HeadOf(v, c.key.patient).Version <= x.Consent
	return err == nil && !x.Closed && now < x.Expires && current, allowed
}

// check throws away what a chart holds if its session has ended or allows something else than
// before. The caller holds c.mu.
func (s *Service) check(ctx context.Context, c *chart) error {
	if c.session == nil {
		return nil
	}
	good, allowed := s.standing(c)
	if !good {
		c.session, c.allowed = nil, 0
		return s.empty(ctx, c)
	}
	if allowed != c.allowed {
		c.allowed = allowed
		return s.empty(ctx, c)
	}
	return nil
}

// empty removes what a chart has opened. The caller holds c.mu. After an error nothing of it is
// seen either: no leave names its scope any more, and the next start removes it.
func (s *Service) empty(_ context.Context, c *chart) error {
	scope := c.scope
	c.scope, c.loaded, c.state, c.asked = store.Own, nil, nil, time.Time{}
	if scope == store.Own {
		return nil
	}
	return s.Store.EndScope(context.WithoutCancel(context.Background()), scope)
}

// watch empties charts whose session ends or is narrowed, at the block that does it, and forgets
// those that are over.
func (s *Service) watch(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		changed := s.Changed()
		for _, c := range s.charts.list() {
			if !c.mu.TryLock() {
				continue // in use: whoever holds it has checked, and checks again at the next request
			}
			if err := s.check(ctx, c); err != nil && ctx.Err() == nil {
				s.Log.ErrorContext(ctx, "chart_not_emptied", "err", err)
			}
			if c.session == nil {
				s.charts.drop(c)
			}
			c.mu.Unlock()
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (cs *charts) drop(c *chart) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.open[c.key] == c {
		delete(cs.open, c.key)
	}
}

// load asks which records the session may open and opens those that are new. The caller holds c.mu.
func (s *Service) load(ctx context.Context, c *chart) error {
	found, err := c.session.Locate(ctx)
	if err != nil {
		return err
	}
	if c.scope == store.Own {
		c.scope, c.loaded, c.state = s.Store.NewScope(), map[exchange.Item]bool{}, map[store.Key]standing{}
	}
	wanted := slices.DeleteFunc(found, func(l record.Located) bool {
		return !l.Clinical() || c.loaded[l.Item] || l.Author == s.Self
	})
	for part := range slices.Chunk(wanted, 500) {
		res, err := c.session.Read(ctx, part)
		if err != nil {
			return err
		}
		for _, b := range res.Bad {
			s.Log.WarnContext(ctx, "custodian_found_out", "custodian", b.Account.String())
		}
		if err := s.place(ctx, c, res.Records); err != nil {
			return err
		}
		for _, l := range part {
			c.loaded[l.Item] = true
		}
	}
	c.asked = time.Now()
	return nil
}

// arrival is one record as it goes into a chart's scope.
type arrival struct {
	put    store.Put
	gone   bool
	log    uint64
	batch  tx.Hash
	author tx.Account
	index  uint16
}

// place writes opened records into a chart's scope. The caller holds c.mu.
func (s *Service) place(ctx context.Context, c *chart, opened []record.Opened) error {
	_, err := s.Store.Read(ctx, store.Key{Type: "Patient", ID: c.ref[len("Patient/"):]})
	adopts := errors.Is(err, store.ErrNotFound)
	var in []arrival
	for i := range opened {
		a, ok := s.arrive(c, &opened[i], adopts)
		if ok {
			in = append(in, a)
		}
	}
	slices.SortStableFunc(in, func(a, b arrival) int { // versions in their order; a deletion before what is seen again
		switch {
		case a.put.VID != b.put.VID:
			return int(max(-1, min(1, a.put.VID-b.put.VID)))
		case a.gone != b.gone && a.gone:
			return -1
		case a.gone != b.gone:
			return 1
		}
		return int(max(-1, min(1, int64(a.log)-int64(b.log))))
	})
	for part := range slices.Chunk(in, 100) {
		if err := s.Store.Write(ctx, func(t *store.Tx) error {
			for i := range part {
				if err := c.write(t, &part[i]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return s.placeProvenance(ctx, c, in)
}

// write puts one arrival into the scope unless something newer stands there.
func (c *chart) write(t *store.Tx, a *arrival) error {
	was, known := c.state[a.put.Key]
	newer := !known || a.put.VID > was.vid || a.put.VID == was.vid && (was.gone && !a.gone || was.gone == a.gone && a.log > was.log)
	if !newer {
		return nil
	}
	p := a.put
	if known && p.VID <= was.vid {
		p.VID = was.vid + 1 // an author that counts no versions
	}
	if a.gone {
		if !known || was.gone {
			c.state[p.Key] = standing{p.VID, a.log, true}
			return nil
		}
		_, err := t.Delete(p)
		c.state[p.Key] = standing{p.VID, a.log, true}
		return err
	}
	_, err := t.Put(p)
	c.state[p.Key] = standing{p.VID, a.log, false}
	return err
}

// arrive reads one opened record; ok is false if it is no resource.
func (s *Service) arrive(c *chart, o *record.Opened, adopts bool) (a arrival, ok bool) {
	r, err := fhir.Parse(o.Body)
	if err != nil {
		return a, false // a faulty author's, or no FHIR: the record is there to be opened all the same
	}
	t := &translator{author: o.Author, ours: c.ref, adopts: adopts, notices: s.Notices}
	t.theirs, _ = r.Patient()
	a = arrival{log: o.Log, batch: o.Item.Header, author: o.Author, index: o.Item.Index}
	if g, is := deletionOf(r); is {
		a.gone = true
		a.put = store.Put{Key: store.Key{Scope: c.scope, Type: g.Type, ID: t.id(g.Type, g.ID)}, VID: g.VID, Updated: g.At, Owner: c.ref, Expect: store.Any}
		return a, true
	}
	body, err := t.body(r)
	if err != nil {
		return a, false
	}
	moved, err := fhir.Parse(body)
	if err != nil {
		return a, false
	}
	entries, err := s.Index.Entries(moved)
	if err != nil {
		return a, false
	}
	vid, at := versionOf(r, o.Time)
	a.put = store.Put{
		Key: store.Key{Scope: c.scope, Type: r.Type(), ID: t.id(r.Type(), r.ID())}, Body: body, Owner: c.ref, Record: o.Item.Header.String(),
		Entries: entries, VID: vid, Updated: at, Expect: store.Any,
	}
	return a, true
}

// maxVersion is the highest version of a resource that an author is taken at its word for: those after it have numbers too.
const maxVersion = 1 << 40

// versionOf is the author's version of a resource, or the first at the time of its block.
func versionOf(r fhir.Resource, block uint64) (vid int64, at time.Time) {
	vid, err := strconv.ParseInt(r.VersionID(), 10, 64)
	if err != nil || vid < 1 || vid > maxVersion {
		vid = 1
	}
	at, ok := r.LastUpdated()
	if !ok {
		at = time.Unix(int64(block), 0)
	}
	return vid, at.UTC()
}

// placeProvenance says of what was placed where it is on the ledger, and who wrote it.
func (s *Service) placeProvenance(ctx context.Context, c *chart, in []arrival) error {
	places := map[tx.Hash][]string{}
	firsts := map[tx.Hash]arrival{}
	var order []tx.Hash
	for _, a := range in {
		if a.gone {
			continue
		}
		if _, ok := firsts[a.batch]; !ok {
			firsts[a.batch] = a
			order = append(order, a.batch)
		}
		places[a.batch] = append(places[a.batch], versionRef(a.put.Type, a.put.ID, a.put.VID))
	}
	puts := make([]store.Put, 0, len(order))
	for _, h := range order {
		f := firsts[h]
		p, err := s.provenance(f.author, c.ref, anchored{h, f.index, store.Create}, places[h])
		if err != nil {
			return err
		}
		p.Scope = c.scope
		puts = append(puts, p)
	}
	return s.Store.Write(ctx, func(t *store.Tx) error {
		for _, p := range puts {
			if _, err := t.Put(p); err != nil {
				return err
			}
		}
		return nil
	})
}

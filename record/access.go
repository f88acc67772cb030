package record

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/seal"
)

// Custodians answers a reader's questions: over the members' links for an organisation,
// through its node for a wallet. No answer is believed before it is checked.
type Custodians interface {
	Locate(ctx context.Context, custodian tx.Account, req *exchange.LocateRequest) (*exchange.Sealed, error)
	Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error)
	// Ciphertext fetches one ciphertext of a pack from whoever holds it.
	Ciphertext(ctx context.Context, holders []tx.Account, address [32]byte) ([]byte, error)
}

// Reading is what a Reader needs of its surroundings.
type Reading struct {
	ChainID    string
	Chain      Chain
	Custodians Custodians
}

// A Session is an open ledger session with the key that makes its answers readable.
// Everything released to it dies with the process: the key is never written down.
type Session struct {
	ID      tx.Hash
	Patient tx.Account
	Purpose consent.Purpose
	Expires uint64 // block time, unix seconds
	Opened  client.Committed

	reading Reading
	submit  Submitter
	key     hpke.PrivateKey
	public  []byte

	seen  atomic.Int64 // height of the last committed list
	mu    sync.Mutex   // guards fetch
	fetch uint32       // number of the last committed list
}

// OpenSession asks the ledger for a session. It succeeds whether or not anything is allowed:
// what a refused reader can fetch is nothing, as if there were no records.
func OpenSession(ctx context.Context, r Reading, submit Submitter, patient tx.Account, purpose consent.Purpose, ttl time.Duration) (*Session, error) {
	seed, public, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("record: session key: %w", err)
	}
	key, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("record: session key: %w", err)
	}
	got, err := submit.Submit(ctx, access.KindRequest, &access.Request{
		Patient: patient, Purpose: purpose, Mask: ^uint64(0), ReaderKey: sha256.Sum256(public), TTL: uint64(ttl / time.Second),
	})
	if err != nil {
		return nil, err
	}
	s := &Session{ID: got.ID, Patient: patient, Purpose: purpose, Opened: got, reading: r, submit: submit, key: key, public: public}
	row, err := r.Chain.Session(ctx, got.ID)
	if err != nil {
		return nil, err
	}
	s.Expires = row.Expires
	return s, nil
}

// A Located record is one that the session may open.
type Located struct {
	Item    exchange.Item
	Entry   seal.Entry
	Author  tx.Account
	Time    uint64 // block time of its anchor
	Log     uint64 // index of its header in the ledger's log
	header  *seal.Header
	roots   [][32]byte
	holders []tx.Account
}

// Clinical reports whether it is a record and not an index of records.
func (l *Located) Clinical() bool { return l.Entry.Kind == seal.KindRecord }

// Locate asks every custodian which records the session may open and returns the union of
// what checks out against the ledger. It needs t answers: fewer could hide a record together.
func (s *Session) Locate(ctx context.Context) ([]Located, error) {
	c, err := s.reading.Chain.Committee(ctx)
	if err != nil {
		return nil, err
	}
	epoch := c.Epoch
	answers := make([][]exchange.LocatedBatch, len(epoch.Members))
	errs := make([]error, len(epoch.Members))
	var wg sync.WaitGroup
	for i, m := range epoch.Members {
		wg.Go(func() { answers[i], errs[i] = s.locateAt(ctx, m) })
	}
	wg.Wait()
	answered := 0
	found := map[exchange.Item]Located{}
	for i, batches := range answers {
		if errs[i] != nil {
			continue
		}
		answered++
		for _, b := range batches {
			s.merge(ctx, found, &b)
		}
	}
	if answered < int(epoch.T) {
		if refused(errs, epoch) {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: %d of %d custodians answered, %d needed: %w", ErrTooFew, answered, epoch.N, epoch.T, errors.Join(errs...))
	}
	out := make([]Located, 0, len(found))
	for _, l := range found {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Located) int { return a.Item.Compare(b.Item) })
	return out, nil
}

// refused reports whether so many custodians had nothing to release that no t of them could
// release together: the session has ended or allows nothing, which looks like no data.
func refused(errs []error, epoch committee.Epoch) bool {
	n := 0
	for _, err := range errs {
		if errors.Is(err, exchange.ErrNotReleased) {
			n++
		}
	}
	return n > epoch.F()
}

// ErrTooFew: fewer custodians than the threshold could be reached.
var ErrTooFew = errors.New("record: too few custodians")

func (s *Session) locateAt(ctx context.Context, custodian tx.Account) ([]exchange.LocatedBatch, error) {
	var out []exchange.LocatedBatch
	for after := uint64(0); ; {
		box, err := s.reading.Custodians.Locate(ctx, custodian, &exchange.LocateRequest{Session: s.ID, ReaderKey: s.public, After: after, Height: uint64(s.Opened.Height)})
		if err != nil {
			return nil, err
		}
		var page exchange.Located
		if err := s.open("locate", box, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Batches...)
		if page.Next == 0 || page.Next <= after {
			return out, nil
		}
		after = page.Next
	}
}

// open decrypts an answer to the session's key.
func (s *Session) open(what string, box *exchange.Sealed, v any) error {
	plain, err := seal.Unbox(s.key, exchange.AnswerInfo(what, s.ID), box.Box)
	if err != nil {
		return fmt.Errorf("record: a custodian's answer does not open: %w", err)
	}
	return tx.DecodeAny(plain, v, len(plain))
}

// merge adds the entries of one batch that verify against the header on the ledger.
func (s *Session) merge(ctx context.Context, found map[exchange.Item]Located, b *exchange.LocatedBatch) {
	fresh := slices.DeleteFunc(b.Entries, func(e exchange.LocatedEntry) bool {
		_, known := found[exchange.Item{Header: b.Header, Index: e.Index}]
		return known
	})
	if len(fresh) == 0 {
		return
	}
	a, err := s.reading.Chain.Anchored(ctx, b.Header)
	if err != nil || seal.ShareRootsHash(b.ShareRoots) != a.Put.Header.ShareRoots || tx.Hash(a.Put.Header.Hash()) != b.Header {
		return
	}
	header := &a.Put.Header
	for _, e := range fresh {
		if seal.VerifyEntry(header.ManifestRoot, int(e.Index), int(header.Count), &e.Entry, e.Path) != nil {
			continue
		}
		item := exchange.Item{Header: b.Header, Index: e.Index}
		found[item] = Located{Item: item, Entry: e.Entry, Author: a.Batch.Author, Time: a.Batch.Time, Log: a.Batch.Index, header: header, roots: b.ShareRoots, holders: a.Holders}
	}
}

// Commit puts the list of records on the ledger, before any custodian will release them.
func (s *Session) Commit(ctx context.Context, records []Located) (uint32, *exchange.List, error) {
	list := &exchange.List{}
	if _, err := rand.Read(list.Salt[:]); err != nil {
		return 0, nil, fmt.Errorf("record: random numbers: %w", err)
	}
	for _, l := range records {
		list.Items = append(list.Items, l.Item)
	}
	slices.SortFunc(list.Items, exchange.Item.Compare)
	if err := list.Validate(); err != nil {
		return 0, nil, err
	}
	s.mu.Lock() // fetch numbers are counted by the ledger; one at a time keeps ours equal
	defer s.mu.Unlock()
	got, err := s.submit.Submit(ctx, access.KindFetch, &access.CommitFetch{Session: s.ID, Root: list.Root(), Count: uint32(len(list.Items))})
	if err != nil {
		return 0, nil, err
	}
	s.seen.Store(got.Height)
	s.fetch++
	return s.fetch, list, nil
}

// Close ends the session on the ledger; custodians release nothing more to it.
func (s *Session) Close(ctx context.Context) error {
	_, err := s.submit.Submit(ctx, access.KindClose, &access.Close{Session: s.ID})
	return err
}

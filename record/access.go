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
	// Arrived is told what became of each committed list before anything of it is handed on; what it returns
	// an error for is not. Nil: nobody is told.
	Arrived func(ctx context.Context, a Arrival) error
}

// A Session is an open ledger session with the key that makes its answers readable.
// Everything released to it dies with the process: the key is never written down.
type Session struct {
	ID      tx.Hash
	Patient tx.Account
	Purpose consent.Purpose
	Expires uint64 // block time, unix seconds
	Latest  uint64 // when it ends if it is extended, which somebody else does
	Opened  client.Committed

	reading Reading
	submit  Submitter
	opened  uint64 // block time
	key     hpke.PrivateKey
	public  []byte

	seen  atomic.Int64 // height of the last committed list
	mu    sync.Mutex   // guards fetch and lost
	fetch uint32       // number of the last committed list
	lost  bool         // the ledger may count other lists than fetch does
}

// OpenSession asks the ledger for a session. It succeeds whether or not anything is allowed:
// what a refused reader can fetch is nothing, as if there were no records.
func OpenSession(ctx context.Context, r Reading, submit Submitter, patient tx.Account, purpose consent.Purpose, ttl time.Duration) (*Session, error) {
	key, public, err := sessionKey()
	if err != nil {
		return nil, err
	}
	got, err := submit.Submit(ctx, access.KindRequest, &access.Request{
		Patient: patient, Purpose: purpose, Mask: ^uint64(0), ReaderKey: sha256.Sum256(public), TTL: uint64(ttl / time.Second),
	})
	if err != nil {
		return nil, err
	}
	return readBack(ctx, r, submit, got, key, public)
}

// Spent is what is left of an expired session: all but its key, which opens nothing any more.
// It finds nothing, as custodians would answer, and says what the ledger says when it is closed.
func (s *Session) Spent() *Session {
	if s.key == nil {
		return s
	}
	return &Session{ID: s.ID, Patient: s.Patient, Purpose: s.Purpose, Expires: s.Expires, Latest: s.Latest, Opened: s.Opened, opened: s.opened, reading: s.reading, submit: s.submit}
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
	epoch   uint64 // custody epoch that held the shares when it was located
}

// Clinical reports whether it is a record and not an index of records.
func (l *Located) Clinical() bool { return l.Entry.Kind == seal.KindRecord }

// ErrSessionLost: nobody said whether a record list of this session was committed, so the
// ledger's count of them is not known here any more. Open another session.
var ErrSessionLost = errors.New("record: a record list's fate is unknown; open another session")

// Commit puts the list of records on the ledger, before any custodian will release them. With ErrSessionLost
// it returns the list that may be there. Errors: *tx.Refusal, ErrSessionLost, or what kept the transaction from being sent.
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
	if s.lost {
		return 0, nil, ErrSessionLost
	}
	got, err := s.submit.Submit(ctx, access.KindFetch, &access.CommitFetch{Session: s.ID, Root: list.Root(), Count: uint32(len(list.Items))})
	if errors.Is(err, client.ErrUncertain) {
		s.lost = true
		return 0, list, fmt.Errorf("%w: %w", ErrSessionLost, err)
	}
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

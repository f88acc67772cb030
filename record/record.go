// Package record is the life of a record, a file per step: ingest, encrypt,
// anchor, consent, access, release, decrypt, audit. `ls record` is that list.
//
//	ingest   validate, label, store durably ("stored")          ingest.go, import.go
//	encrypt  compress, pad, deal shares, seal the batch          encrypt.go, fold.go
//	anchor   header to the ledger, parcel to the custodians,
//	         ciphertext to the vaults, until "active"            anchor.go, courier.go, outbox.go
//	consent  the patient's words as masks on the ledger          consent.go, slots.go
//	access   a session and its committed record list             access.go, locate.go, index.go, arrival.go
//	release  shares from the custodians                          release.go
//	decrypt  combine, open, compare with the anchor              decrypt.go
//	audit    who looked, complete and with proofs                audit.go
//
// Patients come by enrol.go, steward.go and wallet.go; the own encrypted store is store.go,
// own.go and check.go; chain.go, links.go and holders.go are the ways to ledger and members.
//
// Contract: what Put has acknowledged survives a crash of this node; what Wait has
// reported active survives the loss of any f members. A record's exact bytes come
// back, or an error. The room does no cryptography of its own (seal and threshold
// do). It must never log, name or return in an error anything a record says.
package record

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

// Ledger is this node's replica.
type Ledger interface {
	View() *state.View
	Head() ledger.Head
}

// Submitter signs as this member and waits for the commit.
type Submitter interface {
	Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error)
}

// Links reaches the other members.
type Links interface {
	Call(ctx context.Context, to tx.Account, path string, req, resp any) error
	Upload(ctx context.Context, to tx.Account, path, arg string, body io.Reader, size int64) error
	Download(ctx context.Context, to tx.Account, path, arg string) (io.ReadCloser, int64, error)
}

// Config is what the room needs; every field is required but Arrived and Metrics.
type Config struct {
	Self     tx.Account
	Chain    string
	Dir      string   // of the organisation's own store
	StoreKey [32]byte // AES-256 key of that store
	Sign     ed25519.PrivateKey
	Ledger   Ledger
	Changed  func() <-chan struct{} // closed at the next commit
	Submit   Submitter
	Links    Links
	Vault    *vault.Store
	Fold     time.Duration
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	// Arrived is told what came of each list that this organisation's sessions asked for (Reading.Arrived).
	Arrived func(ctx context.Context, a Arrival) error
}

// Service runs the life of records for one organisation.
type Service struct {
	Config
	store   *store
	outbox  *outbox
	keys    *custodyKeys
	metrics *metrics
	free    func() (int64, error) // bytes on the store's disk

	ctx    context.Context //nolint:containedctx // the service's life; requests have their own
	cancel context.CancelFunc
	fold   *folder
	work   sync.WaitGroup // deliveries

	// Places: how many dealings, which need processors, and deliveries, which need memory and
	// the network, are under way at once. What waits for a place is on disk.
	dealing, delivering chan struct{}

	tardy tardy // holders of ciphertexts

	// Whoever changes rows that are there, or writes for a patient who is, holds changing from reading to the commit: an
	// erasure that comes between would be undone. What takes long is outside, and the fsync of what many do at once.
	changing  sync.Mutex
	enrolling sync.Mutex // a reference gets one pseudonym
	claims    claims     // on bytes that are being stored, and on patients who are being registered
	overdue   overdue
	couriers  couriers

	mu      sync.Mutex           // guards waiting
	waiting map[ID]chan struct{} // closed when a record becomes active
}

// maxDeliveries is how many batches are on their way at once.
const maxDeliveries = 64

// Inspect opens the store of a stopped node without delivering anything: Check, Rebuild and
// reading work, Put does not.
func Inspect(c Config) (*Service, error) {
	s, err := open(context.Background(), c)
	if err != nil {
		return nil, err
	}
	s.cancel()
	return s, nil
}

// Open opens the store and takes up every delivery that a stop or a crash interrupted.
func Open(ctx context.Context, c Config) (*Service, error) {
	s, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.resume(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func open(ctx context.Context, c Config) (*Service, error) {
	if c.Ledger == nil || c.Submit == nil || c.Links == nil || c.Vault == nil || c.Log == nil || c.Changed == nil {
		return nil, errors.New("record: configuration is incomplete")
	}
	st, err := openStore(c.Dir, c.StoreKey)
	if err != nil {
		return nil, err
	}
	out, err := openOutbox(st, c.Sign, func() []ed25519.PublicKey { return serviceKeys(c.Ledger, c.Self) })
	if err != nil {
		return nil, errors.Join(err, st.close())
	}
	s := &Service{
		Config: c, store: st, outbox: out, metrics: newMetrics(c.Metrics), free: freeOn(c.Dir), waiting: map[ID]chan struct{}{},
		dealing: make(chan struct{}, runtime.GOMAXPROCS(0)), delivering: make(chan struct{}, maxDeliveries),
	}
	s.claims.taken = map[string]chan struct{}{}
	s.overdue.since = map[uint64]uint64{}
	s.couriers.at = map[tx.Account]*courier{}
	s.keys = newCustodyKeys(c.Ledger, c.Links)
	s.ctx, s.cancel = context.WithCancel(ctx)
	s.fold = newFolder(s.ctx, c.Fold, s.deal)
	return s, nil
}

// Close stops deliveries where they are; the next Open takes them up again.
func (s *Service) Close() error {
	s.cancel()
	s.fold.stop()
	s.work.Wait()
	return s.store.close()
}

// resume puts interrupted deliveries back to work and deals what was only stored.
func (s *Service) resume() error {
	pending, err := s.outbox.pending()
	if err != nil {
		return err
	}
	// Gathered before a delivery runs: what that takes back to be dealt again, it queues itself. And by
	// patient: what one has waiting goes into as few batches as it can.
	stored := map[tx.Account][]ID{}
	err = s.store.scan([]byte{prefixStored}, func(rest, _ []byte) error {
		r, err := s.store.record(ID(rest))
		if errors.Is(err, errDamaged) || errors.Is(err, errNotFound) {
			// One damaged record must not keep the others, and the node, from working.
			s.Log.Error("stored_record_damaged")
			return nil
		}
		if err != nil {
			return err
		}
		stored[r.Patient] = append(stored[r.Patient], r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	for _, seq := range pending {
		s.deliver(seq)
	}
	s.work.Go(s.copies)
	for patient, ids := range stored {
		s.fold.add(patient, ids...)
	}
	return nil
}

// ErrClosed: the service stopped; what was stored is safe and goes on at the next start.
var ErrClosed = errors.New("record: the node is stopping")

// Wait returns when all the records are active, with ctx's error, or with ErrClosed.
func (s *Service) Wait(ctx context.Context, ids ...ID) error {
	for _, id := range ids {
		done, err := s.watch(id)
		if err != nil {
			return err
		}
		if done == nil {
			continue
		}
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ctx.Done():
			return ErrClosed
		}
	}
	return nil
}

// watch returns a channel that closes when the record is active, nil if it is.
func (s *Service) watch(id ID) (<-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.store.record(id)
	if err != nil {
		return nil, err
	}
	if r.Status == Active {
		return nil, nil
	}
	ch := s.waiting[id]
	if ch == nil {
		ch = make(chan struct{})
		s.waiting[id] = ch
	}
	return ch, nil
}

func (s *Service) wake(ids []ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if ch := s.waiting[id]; ch != nil {
			close(ch)
			delete(s.waiting, id)
		}
	}
}

// Status of one record in this organisation's store.
func (s *Service) Status(id ID) (Status, error) {
	r, err := s.store.record(id)
	if err != nil {
		return 0, err
	}
	return r.Status, nil
}

// serviceKeys are the member's Ed25519 keys that the ledger still shows.
func serviceKeys(l Ledger, member tx.Account) []ed25519.PublicKey {
	v := l.View()
	defer v.Close()
	m, _ := governance.LookupMember(v, member)
	var out []ed25519.PublicKey
	for _, k := range m.Keys {
		if k.Public.Alg == tx.AlgEd25519 {
			out = append(out, k.Public.Key)
		}
	}
	return out
}

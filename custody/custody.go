// Package custody is the custodian: it keeps one share of every record key and
// hands it out only against an access entry that it finds committed in its own
// replica of the ledger.
//
//	accept    park what an author sends until its header is committed   accept.go, parking.go
//	follow    read the ledger's log for batches to hold                 follow.go
//	ingest    open the envelope, verify everything, store, receipt      ingest.go
//	chase     ask for what is missing, relay to who misses it           chase.go
//	receipts  fold custody receipts into few transactions               receipts.go
//	locate    which records a session may see                           locate.go
//	release   decide, write the receipt ahead, seal the shares          release.go, decide.go, wal.go
//	openings  tell a patient which records were opened                  openings.go
//	reshare   deal to the next committee, take over, destroy            reshare.go, subdeal.go, fetchdealt.go, takeover.go, move.go
//	rotate    a fresh HPKE key every week, the old one destroyed        rotate.go, keys.go
//	erase     what a tombstone names, then sign                         erase.go, certify.go
//	at rest   shares and keys, deletion that is real                    store.go, batch.go, roots.go
//	lookup    evaluate identifiers, keep and open pointers              lookup.go, lookupkey.go, lookupshares.go, lookuprows.go
//	check     everything stored against the ledger                      check.go
//
// Contract: a request carries only ids and openings; session, consent, committee,
// epoch, record list and freshness come from the committed state, inside a lock
// that no commit can pass (custody.md B.2, B.6). No reply leaves before its receipt
// is on disk. Every refusal of a release looks the same from outside. The room must
// never import the gateway, never see a plaintext or a ciphertext, and never log a
// session, a pseudonym or a record id. Messages, rules and the format at rest are
// spec/custody.md.
package custody

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/committee"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/vault"
)

// Ledger is the custodian's own replica.
type Ledger interface {
	View() *state.View
	Head() ledger.Head
	// Hold runs f while no block can be executed or committed.
	Hold(f func(*state.View, ledger.Head) error) error
}

// Submitter signs as this member and waits for the commit.
type Submitter interface {
	Submit(ctx context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error)
}

// Links reaches the other members.
type Links interface {
	Call(ctx context.Context, to tx.Account, path string, req, resp any) error
}

// Config is what a custodian needs; every field is required but FS and Metrics.
type Config struct {
	Self         tx.Account
	Chain        string
	Dir          string
	FS           vfs.FS // the operating system's files if nil
	Ledger       Ledger
	Changed      func() <-chan struct{} // closed at the next commit
	Submit       Submitter
	Links        Links
	Sign         ed25519.PrivateKey // the member's service key
	HasPack      func(vault.PackID) bool
	Outside      Outside       // nil: this member keeps nothing but shares
	ReshareRate  int64         // bytes a second that this custodian fetches in a resharing; 0 sets no bound
	CompactEvery time.Duration // how long a root lasts; at most, and if 0, a day
	Now          func() time.Time
	Log          *slog.Logger
	Metrics      prometheus.Registerer
}

// Custodian runs one member's custody.
type Custodian struct {
	Config
	rows    *rows
	wal     *wal
	parking *parking
	pace    *pace
	metrics *metrics

	// wake tells the ingest loop that a parcel may have work for it, due the receipt loop;
	// both hold at most one token.
	wake, due chan struct{}
	erased    chan struct{} // something was destroyed; at most one token

	// keeping orders what is destroyed with what is taken over, moved and dealt, so that none of these brings back
	// what is gone.
	keeping sync.Mutex
	tidied  reshare.Name // the resharing before which nothing is left of what came to nothing; of the reshare loop

	began, beganAt uint64 // the ceremony that this custodian last began, and the block time then; of the lookup loop

	dueMu   sync.Mutex // orders changes of the due rows with what they are decided from
	batches atomic.Uint64
	// read is how many entries of the ledger's log this custodian has read. A replica that has
	// fewer was lost and is fetched again; what it lacks may be a revocation.
	read atomic.Uint64

	mu     sync.Mutex         // guards copies and claims
	copies map[tx.Hash][]byte // the other custodians' public custody keys by hash
	claims map[claim]uint64   // when a dealer was first heard to have destroyed a batch that others hold

	dealing atomic.Pointer[dealing] // what this custodian deals in the open pass
}

// compactEvery is the longest a root may last (B.8).
const compactEvery = 24 * time.Hour

// Open opens the custodian's store in c.Dir. Only one process may have it open.
func Open(c Config) (*Custodian, error) {
	if c.Ledger == nil || c.Submit == nil || c.Links == nil || c.HasPack == nil || c.Now == nil || c.Log == nil || c.Changed == nil ||
		c.Chain == "" || c.Dir == "" || c.Self.IsZero() || len(c.Sign) != ed25519.PrivateKeySize {
		return nil, errors.New("custody: configuration is incomplete")
	}
	if c.CompactEvery <= 0 || c.CompactEvery > compactEvery {
		c.CompactEvery = compactEvery
	}
	r, err := openRows(disk{c.FS}, c.Dir, uint64(c.Now().Unix()))
	if err != nil {
		return nil, err
	}
	v := c.Ledger.View()
	reported := access.ReleasedBy(v, c.Self).Next
	v.Close()
	w, err := openWAL(disk{c.FS}, filepath.Join(c.Dir, "receipts.wal"), reported)
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	out := &Custodian{
		Config: c, rows: r, wal: w, pace: newPace(), metrics: newMetrics(c.Metrics),
		wake: make(chan struct{}, 1), due: make(chan struct{}, 1), erased: make(chan struct{}, 1), copies: map[tx.Hash][]byte{}, claims: map[claim]uint64{},
	}
	if out.parking, err = openParking(r, defaultParking); err == nil {
		var n uint64
		n, err = r.count(prefixPatient)
		out.batches.Store(n)
	}
	if err == nil {
		var n uint64
		n, err = out.cursor()
		out.read.Store(n)
	}
	if err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// Run ingests, sends receipts and rotates keys until ctx ends.
func (c *Custodian) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context) error{c.follow, c.chase, c.sendReceipts, c.sendRoots, c.rotate, c.compactions, c.attend, c.lookups, c.reshare} {
		g.Go(func() error { return loop(ctx) })
	}
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Close closes the store; nothing may run any more.
func (c *Custodian) Close() error { return errors.Join(c.wal.close(), c.rows.close()) }

// nudge puts a token into a signal channel.
func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Status is what an operator sees.
type Status struct {
	Batches   uint64 `json:"batches"`   // held, with verified shares
	Wanted    uint64 `json:"wanted"`    // committed, shares not here yet
	Releases  uint64 `json:"releases"`  // receipts in the write-ahead log
	KeyEpoch  uint64 `json:"keyEpoch"`  // newest custody key
	KeptFrom  uint64 `json:"keptFrom"`  // oldest custody key that is not destroyed
	Custodian int    `json:"custodian"` // index in the current committee, 0 if none
}

// Status counts what the store holds.
func (c *Custodian) Status() (Status, error) {
	s := Status{Batches: c.batches.Load(), Releases: c.wal.last()}
	var err error
	if s.Wanted, err = c.rows.count(prefixWanted); err != nil {
		return s, err
	}
	seeds, err := c.rows.seeds()
	if err != nil {
		return s, err
	}
	if len(seeds) > 0 {
		s.KeyEpoch, s.KeptFrom = seeds[len(seeds)-1].Epoch, seeds[0].Epoch
	}
	v := c.Ledger.View()
	defer v.Close()
	if e, err := committee.Current(v); err == nil {
		s.Custodian, _ = e.IndexOf(c.Self)
	}
	return s, nil
}

func errorf(step string, err error) error { return fmt.Errorf("custody: %s: %w", step, err) }

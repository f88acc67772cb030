// Package custody is the custodian: it keeps one share of every record key and
// hands it out only against an access entry that it finds committed in its own
// replica of the ledger.
//
//	accept    park what an author sends until its header is committed   accept.go
//	ingest    open the envelope, verify everything, store, receipt      ingest.go
//	receipts  fold custody receipts into few transactions               receipts.go
//	locate    which records a session may see                           locate.go
//	release   decide, write the receipt ahead, seal the shares          release.go, wal.go
//	keystore  shares and keys at rest, deletion that is real            keystore.go
//	rotate    a fresh HPKE key every week, the old one destroyed        rotate.go
//	check     everything stored against the ledger                      check.go
//
// Contract: a request carries only ids and openings; session, consent, committee,
// epoch, record list and freshness come from the committed state, inside a lock
// that no commit can pass (custody.md B.2, B.6). No reply leaves before its receipt
// is on disk. Every refusal of a release looks the same from outside. The room must
// never import the gateway, never see a plaintext or a ciphertext, and never log a
// session, a pseudonym or a record id.
package custody

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/committee"
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

// Config is what a custodian needs; every field is required but Metrics.
type Config struct {
	Self         tx.Account
	Chain        string
	Dir          string
	Ledger       Ledger
	Changed      func() <-chan struct{} // closed at the next commit
	Submit       Submitter
	Links        Links
	Sign         ed25519.PrivateKey // the member's service key
	HasPack      func(vault.PackID) bool
	CompactEvery time.Duration
	Now          func() time.Time
	Log          *slog.Logger
	Metrics      prometheus.Registerer
}

// Custodian runs one member's custody.
type Custodian struct {
	Config
	rows    *rows
	wal     *wal
	metrics *metrics

	// wake tells the ingest loop that a parcel or a block may have work for it, due
	// the receipt loop; both hold at most one token.
	wake, due chan struct{}

	mu     sync.Mutex         // guards copies
	copies map[tx.Hash][]byte // the other custodians' public custody keys by hash
}

// Open opens the custodian's store in c.Dir.
func Open(c Config) (*Custodian, error) {
	if c.Ledger == nil || c.Submit == nil || c.Links == nil || c.HasPack == nil || c.Now == nil || c.Log == nil || c.Changed == nil {
		return nil, errors.New("custody: configuration is incomplete")
	}
	r, err := openRows(c.Dir)
	if err != nil {
		return nil, err
	}
	w, err := openWAL(filepath.Join(c.Dir, "receipts.wal"))
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	return &Custodian{
		Config: c, rows: r, wal: w, metrics: newMetrics(c.Metrics),
		wake: make(chan struct{}, 1), due: make(chan struct{}, 1), copies: map[tx.Hash][]byte{},
	}, nil
}

// Run ingests, sends receipts and rotates keys until ctx ends.
func (c *Custodian) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.follow(ctx) })
	g.Go(func() error { return c.sendReceipts(ctx) })
	g.Go(func() error { return c.rotate(ctx) })
	g.Go(func() error { return c.sendRoots(ctx) })
	g.Go(func() error { return c.compact(ctx) })
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
	Custodian int    `json:"custodian"` // index in the current committee, 0 if none
}

// Status counts what the store holds.
func (c *Custodian) Status() (Status, error) {
	var s Status
	var err error
	if s.Batches, err = c.rows.count(prefixBatch); err != nil {
		return s, err
	}
	if s.Wanted, err = c.rows.count(prefixWanted); err != nil {
		return s, err
	}
	s.Releases = c.wal.next()
	if k, err := c.rows.newestKey(); err == nil {
		s.KeyEpoch = k.Epoch
	}
	v := c.Ledger.View()
	defer v.Close()
	if e, err := committee.Current(v); err == nil {
		s.Custodian, _ = e.IndexOf(c.Self)
	}
	return s, nil
}

func errorf(step string, err error) error { return fmt.Errorf("custody: %s: %w", step, err) }

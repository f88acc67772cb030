package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"salus/client"
	"salus/config"
	"salus/custody"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
	"salus/vault"
)

// A CheckReport is what `salus node fsck` found.
type CheckReport struct {
	Height int64       `json:"height"`
	Parts  []PartCheck `json:"parts"`
}

// PartCheck is one store's result; Damage is empty when it is clean.
type PartCheck struct {
	Name   string `json:"name"`
	Damage string `json:"damage,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Clean reports whether nothing is damaged.
func (r *CheckReport) Clean() bool {
	for _, p := range r.Parts {
		if p.Damage != "" {
			return false
		}
	}
	return true
}

func (r *CheckReport) add(name string, err error, detail string) {
	p := PartCheck{Name: name, Detail: detail}
	if err != nil {
		p.Damage = err.Error()
	}
	r.Parts = append(r.Parts, p)
}

// stopped opens a node's stores for inspection, without links or consensus.
type stopped struct {
	app     *ledger.App
	store   *state.Store
	vault   *vault.Store
	custody *custody.Custodian
	record  *record.Service
	close   []func() error
}

var errOffline = errors.New("node: this node is stopped")

// nobody is every link and submitter of a stopped node.
type nobody struct{}

func (nobody) Call(context.Context, tx.Account, string, any, any) error { return errOffline }
func (nobody) Upload(context.Context, tx.Account, string, string, io.Reader, int64) error {
	return errOffline
}
func (nobody) Download(context.Context, tx.Account, string, string) (io.ReadCloser, int64, error) {
	return nil, 0, errOffline
}
func (nobody) Submit(context.Context, tx.Kind, tx.Message) (client.Committed, error) {
	return client.Committed{}, errOffline
}

func openStopped(ctx context.Context, c *config.Config, log *slog.Logger) (*stopped, error) {
	s := &stopped{}
	keys, err := loadKeys(c)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*stopped, error) { return nil, errors.Join(err, s.shut()) }
	if s.store, err = state.Open(c.Data("ledger"), state.Options{}); err != nil {
		return fail(fmt.Errorf("node: ledger (is the node running?): %w", err))
	}
	s.app, err = ledger.New(ledger.Config{Modules: Modules(), Store: s.store, Params: governance.LedgerParams, Authenticate: identity.Authenticate})
	if err != nil {
		return fail(errors.Join(err, s.store.Close()))
	}
	s.close = append(s.close, s.app.Close)
	if s.vault, err = vault.Open(c.Data("vault"), vault.Options{}); err != nil {
		return fail(err)
	}
	s.close = append(s.close, s.vault.Close)
	hub := client.NewHub()
	chain := s.app.Head().Chain
	s.custody, err = custody.Open(custody.Config{
		Self: c.Member, Chain: chain, Dir: c.Data("custody"), Ledger: s.app, Changed: hub.Changed, Submit: nobody{}, Links: nobody{},
		Sign: keys.member, HasPack: s.vault.HasPack, CompactEvery: time.Hour, Now: time.Now, Log: log,
	})
	if err != nil {
		return fail(err)
	}
	s.close = append(s.close, s.custody.Close)
	s.record, err = record.Inspect(record.Config{
		Self: c.Member, Chain: chain, Dir: c.Data("record"), StoreKey: keys.store, Sign: keys.member, Ledger: s.app, Changed: hub.Changed,
		Submit: nobody{}, Links: nobody{}, Vault: s.vault, Log: log,
	})
	if err != nil {
		return fail(err)
	}
	s.close = append(s.close, s.record.Close)
	return s, ctx.Err()
}

func (s *stopped) shut() error {
	var err error
	for i := len(s.close) - 1; i >= 0; i-- {
		err = errors.Join(err, s.close[i]())
	}
	return err
}

// Check verifies everything a stopped node keeps: the ledger's tree and log recomputed from
// their rows, custody's shares against the headers, the vault's bytes against their
// addresses, the own store against the outbox and the ledger. Damage is in the report.
func Check(ctx context.Context, c *config.Config, log *slog.Logger, progress func(string)) (*CheckReport, error) {
	s, err := openStopped(ctx, c, log)
	if err != nil {
		return nil, err
	}
	rep := &CheckReport{Height: s.app.Head().Height}
	progress("ledger: tree and log")
	rep.add("ledger", s.store.Check(func(string) {}), fmt.Sprintf("height %d", rep.Height))
	progress("custody: shares against the headers")
	cs, serr := s.custody.Status()
	rep.add("custody", errors.Join(serr, s.custody.Check(ctx)), fmt.Sprintf("%d batches, %d on their way", cs.Batches, cs.Wanted))
	progress("vault: every ciphertext against its address")
	scrub, verr := s.vault.Scrub(ctx, nil)
	if verr == nil && len(scrub.Corrupt)+len(scrub.Suspect) > 0 {
		verr = fmt.Errorf("%d packs are damaged or lost", len(scrub.Corrupt)+len(scrub.Suspect))
	}
	rep.add("vault", verr, fmt.Sprintf("%d packs, %d ciphertexts", scrub.Packs, scrub.Blobs))
	progress("record: own store, outbox and ledger")
	pending, perr := s.record.Pending()
	rep.add("record", errors.Join(perr, s.record.Check(ctx)), fmt.Sprintf("%d batches on their way", pending))
	return rep, s.shut()
}

// A RebuildReport is what `salus node rebuild` made again.
type RebuildReport struct {
	Packs   int64 `json:"packs"`
	Batches int   `json:"batches"`
	Records int   `json:"records"`
}

// Rebuild throws away a stopped node's indexes and makes them again: the vault's from its
// segments, custody's by patient and pack from the batches, the record store's from its rows.
func Rebuild(ctx context.Context, c *config.Config, log *slog.Logger) (*RebuildReport, error) {
	if err := os.RemoveAll(vault.IndexDir(c.Data("vault"))); err != nil {
		return nil, fmt.Errorf("node: vault index: %w", err)
	}
	s, err := openStopped(ctx, c, log)
	if err != nil {
		return nil, err
	}
	rep := &RebuildReport{Packs: s.vault.Stats().Packs}
	if rep.Batches, err = s.custody.Rebuild(); err == nil {
		rep.Records, err = s.record.Rebuild()
	}
	return rep, errors.Join(err, s.shut())
}

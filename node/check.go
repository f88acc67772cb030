package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"salus/client"
	"salus/config"
	"salus/custody"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/governance"
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

// stopped is a node's stores opened for inspection, without links or consensus. A store that
// does not open is nil, and why is in errs.
type stopped struct {
	app     *ledger.App
	store   *state.Store
	vault   *vault.Store
	custody *custody.Custodian
	record  *record.Service
	errs    map[string]error
	close   []func() error
}

// errLedgerFirst: what a store should hold is only known from the ledger.
var errLedgerFirst = errors.New("node: not checked, because the ledger cannot be read")

func openStopped(ctx context.Context, c *config.Config, log *slog.Logger) (*stopped, error) {
	keys, err := loadKeys(c)
	if err != nil {
		return nil, err
	}
	s := &stopped{errs: map[string]error{}}
	if s.vault, err = vault.Open(c.Data("vault"), vault.Options{}); err != nil {
		s.errs["vault"] = err
	} else {
		s.close = append(s.close, s.vault.Close)
	}
	if err := s.openLedger(c.Data("ledger")); err != nil {
		s.errs["ledger"], s.errs["custody"], s.errs["record"] = err, errLedgerFirst, errLedgerFirst
		return s, ctx.Err()
	}
	hub, chain := client.NewHub(), s.app.Head().Chain
	s.custody, err = custody.Open(custody.Config{
		Self: c.Member, Chain: chain, Dir: c.Data("custody"), Ledger: s.app, Changed: hub.Changed, Submit: nobody{}, Links: nobody{},
		Sign: keys.member, HasPack: s.hasPack, CompactEvery: time.Hour, Now: time.Now, Log: log,
	})
	if err != nil {
		s.custody, s.errs["custody"] = nil, err
	} else {
		s.close = append(s.close, s.custody.Close)
	}
	if s.vault == nil {
		s.errs["record"] = errors.New("node: not checked, because the vault cannot be read")
		return s, ctx.Err()
	}
	s.record, err = record.Inspect(record.Config{
		Self: c.Member, Chain: chain, Dir: c.Data("record"), StoreKey: keys.store, Sign: keys.member, Ledger: s.app, Changed: hub.Changed,
		Submit: nobody{}, Links: nobody{}, Vault: s.vault, Log: log,
	})
	if err != nil {
		s.record, s.errs["record"] = nil, err
	} else {
		s.close = append(s.close, s.record.Close)
	}
	return s, ctx.Err()
}

// openLedger reads the ledger's last block; a damaged row stops the state machine with a
// panic, because a node must halt then, and here it is what was looked for.
func (s *stopped) openLedger(dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("node: ledger: %v", p)
		}
	}()
	if s.store, err = state.Open(dir, state.Options{}); err != nil {
		return err
	}
	s.app, err = ledger.New(ledger.Config{
		Modules: Modules(), Store: s.store, Params: governance.LedgerParams, Plan: governance.LedgerPlan, Authenticate: access.Authenticate,
	})
	if err != nil {
		return errors.Join(err, s.store.Close())
	}
	s.close = append(s.close, s.app.Close)
	return nil
}

func (s *stopped) hasPack(id vault.PackID) bool { return s.vault != nil && s.vault.HasPack(id) }

func (s *stopped) shut() error {
	var err error
	for _, v := range slices.Backward(s.close) {
		err = errors.Join(err, v())
	}
	return err
}

// damage runs one part's check; a corrupt row found by a panic is damage like any other.
func (s *stopped) damage(part string, check func() error) (err error) {
	if err := s.errs[part]; err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("node: %s: %v", part, p)
		}
	}()
	return check()
}

// ErrRunning means that a node's stores are in use.
var ErrRunning = errors.New("node: this node is running; stop it first")

// Check verifies everything a stopped node keeps: the ledger's tree and log recomputed from
// their rows, the blocks and what they say of the ledger, custody's shares against the
// headers, the vault's bytes against their addresses, the own store against the outbox and the
// ledger, the clinical store's index and versions against its resources, the gateway's journal
// against its heads. Damage is in the report, for every store that can be opened.
func Check(ctx context.Context, c *config.Config, log *slog.Logger, progress func(string)) (*CheckReport, error) {
	unlock, err := lockHome(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unlock() }() // the lock goes with the process anyway
	// Before the stores are opened, because opening one may already rewrite it.
	rows := map[string]error{}
	for name, dir := range map[string]string{"ledger": "ledger", "blocks": "comet", "custody": "custody", "record": "record"} {
		rows[name] = (&stopped{}).damage(name, func() error { return checkRows(ctx, c.Data(dir)) })
	}
	s, err := openStopped(ctx, c, log)
	if err != nil {
		return nil, err
	}
	rep, detail := &CheckReport{}, ""
	part := func(name, what string, check func() error) {
		progress(name + ": " + what)
		detail = ""
		err := s.damage(name, check)
		if err == nil {
			err = rows[name]
		}
		rep.add(name, err, detail)
	}
	part("ledger", "tree and log", func() error {
		rep.Height = s.app.Head().Height
		detail = fmt.Sprintf("height %d", rep.Height)
		return s.store.Check(func(string) {})
	})
	part("blocks", "every block, and what it says of the ledger", func() (err error) {
		detail, err = s.checkBlocks(ctx, c)
		return err
	})
	part("custody", "shares against the headers", func() error {
		st, err := s.custody.Status()
		detail = fmt.Sprintf("%d batches, %d on their way", st.Batches, st.Wanted)
		return errors.Join(err, s.custody.Check(ctx))
	})
	part("vault", "every ciphertext against its address", func() error {
		scrub, err := s.vault.Scrub(ctx, nil)
		detail = fmt.Sprintf("%d packs, %d ciphertexts", scrub.Packs, scrub.Blobs)
		if n := len(scrub.Corrupt) + len(scrub.Suspect); err == nil && n > 0 {
			err = fmt.Errorf("%d packs are damaged or lost", n)
		}
		return err
	})
	part("record", "own store, outbox and ledger", func() error {
		pending, err := s.record.Pending()
		detail = fmt.Sprintf("%d batches on their way, %d records in none yet", pending.Batches, pending.Stored)
		return errors.Join(err, s.record.Check(ctx))
	})
	part("fhir", "clinical store: its versions and index against its resources", func() (err error) {
		detail, err = s.checkFHIR(ctx, c)
		return err
	})
	part("journal", "the gateway's audit events against their heads on the ledger", func() (err error) {
		detail, err = s.checkJournal(ctx, c)
		return err
	})
	part("feeds", "journals of HL7 v2 feeds", func() (err error) {
		detail, err = checkFeeds(c)
		return err
	})
	return rep, errors.Join(ctx.Err(), s.shut())
}

// A RebuildReport is what `salus node rebuild` made again.
type RebuildReport struct {
	Packs   int64 `json:"packs"`
	Batches int   `json:"batches"`
	Records int   `json:"records"`
	// Versions of FHIR resources in the clinical store.
	Versions int `json:"versions"`
	// Unrecorded are those of them that are in no record yet: the store had them before.
	Unrecorded int `json:"unrecorded"`
	// Unread says that the store before could not be read. What it had that was in no record yet is lost.
	Unread bool `json:"unread"`
}

// Rebuild throws away a stopped node's indexes and makes them again: the vault's from its
// segments, custody's by patient and pack from the batches, the record store's from its rows, and
// the whole clinical store from the records, and from itself what is in none yet.
func Rebuild(ctx context.Context, c *config.Config, log *slog.Logger) (*RebuildReport, error) {
	unlock, err := lockHome(c)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unlock() }() // the lock goes with the process anyway
	if err := os.RemoveAll(vault.IndexDir(c.Data("vault"))); err != nil {
		return nil, fmt.Errorf("node: vault index: %w", err)
	}
	s, err := openStopped(ctx, c, log)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.errs["ledger"], s.errs["vault"], s.errs["custody"], s.errs["record"]); err != nil {
		return nil, errors.Join(err, s.shut())
	}
	rep := &RebuildReport{Packs: s.vault.Stats().Packs}
	if rep.Batches, err = s.custody.Rebuild(); err == nil {
		rep.Records, err = s.record.Rebuild()
	}
	if err == nil {
		err = rebuildFHIR(ctx, c, s, rep)
	}
	return rep, errors.Join(err, s.shut())
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/gateway"
	"salus/ledger/tx"
	"salus/record"
)

// compare looks, after the load, whether everything that was acknowledged is there.
func (w *world) compare(ctx context.Context, patients []*patient) {
	have, err := w.everything(ctx, patients)
	w.check("everything acknowledged is there", err, fmt.Sprintf("%d records of %d patients, active; the bytes of a tenth of them compared", have, len(patients)))
	n, err := w.noFork(ctx)
	w.check("no fork", err, fmt.Sprintf("%d blocks compared on four nodes, and the app hash of every head that was seen", n))
	n, err = w.receipts(ctx, patients)
	w.check("receipts verify", err, fmt.Sprintf("%d access logs, with nothing but the genesis file", n))
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	w.check("all four stop when told to", w.net.Interrupt(limit, w.run.Orgs...), "exit code 0")
	var g errgroup.Group
	g.SetLimit(2)
	for _, org := range w.run.Orgs {
		g.Go(func() error {
			r, err := w.net.CLI(ctx, org, "node", "fsck")
			if err == nil && r.Code != 0 {
				err = fmt.Errorf("%s: exit code %d: %s", org, r.Code, strings.TrimSpace(r.Out+r.Err))
			}
			return err
		})
	}
	w.check("fsck is clean on all four", g.Wait(), "exit code 0")
}

// everything counts the records of each patient at her author.
func (w *world) everything(ctx context.Context, patients []*patient) (have int, err error) {
	for _, p := range patients {
		if p.account.IsZero() {
			continue
		}
		var rs []record.Owned
		if err := w.api[p.author].JSON(ctx, "GET", "/v1/patients/"+p.account.String()+"/records", nil, &rs); err != nil {
			return have, err
		}
		active := 0
		for _, r := range rs {
			if strings.HasPrefix(r.Type, "x-") || made(r) { // the slot map
				continue
			}
			if r.Status == "active" {
				active++
			}
			if active%10 != 1 {
				continue
			}
			b, err := w.api[p.author].Bytes(ctx, "GET", "/v1/records/"+r.ID.String(), nil)
			if err != nil {
				return have, err
			}
			if !p.knows(b) {
				return have, errors.New("a record has other bytes than were written")
			}
		}
		if active < p.acked || active > p.tried {
			return have, fmt.Errorf("a patient has %d active records; %d were acknowledged, %d sent", active, p.acked, p.tried)
		}
		have += active
	}
	return have, nil
}

// noFork compares the blocks of all nodes, some sixty over the whole chain, by their app hash.
func (w *world) noFork(ctx context.Context) (n int, err error) {
	var s gateway.Status
	if err := w.api["hospital"].JSON(ctx, "GET", "/v1/status", nil, &s); err != nil {
		return 0, err
	}
	top := s.Height
	step := max(1, top/60)
	for h := top; h > 0; h -= step {
		var first string
		for i, org := range w.run.Orgs {
			hash, err := w.block(ctx, i, h)
			if err != nil {
				return n, fmt.Errorf("%s: block %d: %w", org, h, err)
			}
			if i == 0 {
				first = hash
			} else if hash != first {
				return n, fmt.Errorf("%s has another block %d", org, h)
			}
		}
		n++
	}
	return n, nil
}

// block is the id of a block on the i-th node; a node may be a moment behind the first one.
func (w *world) block(ctx context.Context, i int, height int64) (string, error) {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var b struct {
			ID struct {
				Hash string `json:"hash"`
			} `json:"block_id"`
		}
		err := w.net.RPC(limit, i, fmt.Sprintf("/block?height=%d", height), &b)
		if err == nil && b.ID.Hash != "" {
			return b.ID.Hash, nil
		}
		if !pause(limit, 100*time.Millisecond) {
			return "", errors.Join(err, limit.Err())
		}
	}
}

// receipts verifies the access logs of up to a hundred patients. They are asked for together:
// each waits for the next block, which signs what it proves.
func (w *world) receipts(ctx context.Context, patients []*patient) (int, error) {
	var known []*patient
	for _, p := range patients {
		if p.account != (tx.Account{}) && len(known) < 100 {
			known = append(known, p)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, p := range known {
		g.Go(func() error {
			b, err := w.api[w.run.Orgs[i%len(w.run.Orgs)]].Bytes(gctx, "GET", "/v1/receipts/audit/"+p.account.String(), nil)
			if err == nil {
				err = w.verify(b, p.account)
			}
			return err
		})
	}
	return len(known), g.Wait()
}

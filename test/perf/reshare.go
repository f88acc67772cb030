package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"salus/client"
	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/reshare"
	"salus/ledger/tx"
)

// measureReshare passes the shares of all records from four custodians to five, again and again: from the
// order to the moment at which the old epoch holds nothing. Between, one leaves, and the same number of records
// as at first is taken in anew.
func measureReshare(ctx context.Context, b *bench) (out []Result, err error) {
	lab := devnet.Org{Name: "lab", Title: "Sample Laboratory", Class: governance.Lab}
	w, err := startWorldOf(ctx, filepath.Join(b.dir, "reshare"), append(devnet.Orgs(), lab))
	if err != nil {
		return nil, err
	}
	defer func() {
		if stop := w.net.StopAll(); err == nil {
			err = stop
		}
	}()
	if w.org["lab"], err = devnet.API(devnet.Home(w.dir, "lab")); err != nil {
		return nil, err
	}
	if err := w.enlist(ctx); err != nil {
		return nil, err
	}
	five, err := w.committee(ctx)
	if err != nil {
		return nil, err
	}
	c, err := w.net.Config("lab")
	if err != nil {
		return nil, err
	}
	const each = 100
	patients, runs := pick(b, 20, 2), pick(b, 3, 1)
	var rates, first, sizes []float64
	records := 0
	for run := range runs {
		if err := w.pass(ctx, five.Epoch+uint64(2*run)+1, c.Member); err != nil {
			return nil, err
		}
		start := time.Now()
		for i := range patients {
			rep, err := w.put(ctx, "ndjson", bytes.TrimSpace(sample.NDJSON(uint64(9_000_000+run*1000+i), each)))
			if err != nil {
				return nil, err
			}
			records += rep.Records
		}
		first = append(first, float64(patients*each)/time.Since(start).Seconds())
		before, err := w.fetched(ctx)
		if err != nil {
			return nil, err
		}
		start = time.Now()
		if err := w.pass(ctx, five.Epoch+uint64(2*run)+2); err != nil {
			return nil, err
		}
		rates = append(rates, float64(records)/time.Since(start).Seconds())
		after, err := w.fetched(ctx)
		if err != nil {
			return nil, err
		}
		sizes = append(sizes, (after-before)/float64(records)/5)
	}
	return []Result{
		newResult("reshare.rate", "records/s", "ratio >= 0.5", rates, first).
			about("a resharing of everything from four custodians to five, from the order to the end of the old epoch", "records of the same kind taken in the first time, from the import to active"),
		newResult("reshare.bytes", "B/record", "value <= 400", sizes, nil).
			about("what one of the five fetches: dealings of three custodians for each batch, sealed", ""),
	}, nil
}

// pass orders a resharing without these members and waits until its epoch alone holds everything.
func (w *world) pass(ctx context.Context, to uint64, without ...tx.Account) error {
	var p client.Committed
	if err := w.org["hospital"].JSON(ctx, "POST", "/v1/submit/"+string(governance.KindPropose), &governance.Propose{Action: governance.Action{Reshare: &governance.Reshare{Without: without}}}, &p); err != nil {
		return err
	}
	for _, name := range []string{"clinic", "insurer", "institute"} {
		if err := w.org[name].JSON(ctx, "POST", "/v1/submit/"+string(governance.KindVote), &governance.Vote{Proposal: p.ID, Approve: true}, nil); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); {
		var a reshare.Answer
		err := w.query(ctx, "reshare/status", reshare.ByEpoch{}, &a)
		if code, refused := tx.CodeOf(err); err != nil && (!refused || code != reshare.ErrUnknown.Code) {
			return err // unknown: the hospital has not seen the last vote yet
		}
		if r := &a.Resharing; r.To == to && r.Phase == reshare.Done && r.Wiped() == int(r.Old) {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("epoch %d does not come", to)
}

func (w *world) committee(ctx context.Context) (e committee.Epoch, err error) {
	return e, w.query(ctx, "committee/epoch", committee.ByEpoch{}, &e)
}

// query asks the hospital's replica.
func (w *world) query(ctx context.Context, path string, arg, out any) error {
	var hexed struct {
		Answer string `json:"answer"`
	}
	if err := w.org["hospital"].JSON(ctx, "GET", "/v1/query/"+path+"?arg="+hex.EncodeToString(tx.MustEncode(arg)), nil, &hexed); err != nil {
		return err
	}
	raw, err := hex.DecodeString(hexed.Answer)
	if err != nil {
		return err
	}
	return tx.DecodeAny(raw, out, len(raw))
}

// fetched is how many bytes of dealings all custodians have fetched so far.
func (w *world) fetched(ctx context.Context) (sum float64, err error) {
	const name = "salus_custody_reshare_fetched_bytes_total"
	for org, api := range w.org {
		raw, err := api.Bytes(ctx, "GET", "/metrics", nil)
		if err != nil {
			return 0, err
		}
		found := false
		for line := range bytes.Lines(raw) {
			rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(name))
			if !ok || len(rest) == 0 {
				continue
			}
			fields := bytes.Fields(rest)
			n, err := strconv.ParseFloat(string(fields[len(fields)-1]), 64)
			if err != nil {
				return 0, err
			}
			sum, found = sum+n, true
		}
		if !found {
			return 0, errors.New(org + " does not count what it fetches")
		}
	}
	return sum, nil
}

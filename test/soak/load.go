package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/client"
	"salus/gateway"
	"salus/internal/sample"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// workers work at the same time, each for patients of its own, so that each knows what to expect.
const workers = 4

// lines is how many resources each patient has; the first of them come as an import.
const lines = 400

// A patient is one of whom a worker knows everything that was acknowledged.
type patient struct {
	author, reader string // organisations
	lines          [][]byte
	acked          int // of lines
	tried          int // of lines
	account        tx.Account

	code    *record.ClaimCode
	wallet  *record.Wallet
	claimed bool
	slots   *record.SlotMap
	submit  record.Submitter

	grant   consent.GrantID
	version uint64
	state   grantState
	session *gateway.SessionInfo
	places  []gateway.RecordPlace // of the session, not yet read
}

// grantState is what the reader's organisation may see.
type grantState uint8

const (
	none grantState = iota
	full
	narrow
	unsure // the answer of the last change was lost
)

// A worker does one operation after the other.
type worker struct {
	*world
	id       int
	r        *rand.Rand
	patients []*patient
	next     uint64 // seed of the next patient
}

// drive loads the network until ctx ends; what is under way then may end within live.
func (w *world) drive(ctx, live context.Context) (all []*patient, err error) {
	g, gctx := errgroup.WithContext(ctx)
	ws := make([]*worker, workers)
	for i := range ws {
		x := &worker{world: w, id: i, r: rand.New(rand.NewPCG(w.opts.seed, uint64(i))), next: w.opts.seed*1_000_000 + uint64(i)*100_000} //nolint:gosec // a test's choices
		ws[i] = x
		g.Go(func() error {
			for gctx.Err() == nil {
				step, cancel := context.WithTimeout(live, patience)
				x.step(step)
				cancel()
				pause(gctx, time.Duration(float64(time.Second)*float64(workers)/w.opts.rate*(0.5+x.r.Float64())))
			}
			return nil
		})
	}
	err = g.Wait()
	for _, x := range ws {
		all = append(all, x.patients...)
	}
	return all, errors.Join(err, live.Err())
}

// importShare of all operations make a new patient known.
const importShare = 0.04

// step does one operation, the kind drawn by weight, for one of the latest patients or, now and
// then, any.
func (x *worker) step(ctx context.Context) {
	if len(x.patients) == 0 || x.r.Float64() < importShare {
		x.admit(ctx)
		return
	}
	p := x.patients[len(x.patients)-1-x.r.IntN(min(len(x.patients), 8))]
	if x.r.IntN(5) == 0 {
		p = x.patients[x.r.IntN(len(x.patients))]
	}
	if p.account.IsZero() {
		x.importSome(ctx, p, p.tried)
		return
	}
	if !p.claimed && x.r.IntN(2) == 0 {
		x.claim(ctx, p)
		return
	}
	if p.claimed && p.state == none && x.r.IntN(3) == 0 {
		x.consent(ctx, p)
		return
	}
	switch n := x.r.IntN(100); {
	case n < 28:
		x.write(ctx, p)
	case n < 50:
		x.read(ctx, p)
	case n < 66:
		x.readNext(ctx, p)
	case n < 74 && p.claimed:
		x.consent(ctx, p)
	case n < 79 && p.claimed:
		x.revoke(ctx, p)
	case n < 86:
		x.accessLog(ctx, p)
	case n < 90:
		x.receipt(ctx, p)
	case n < 95:
		x.refused(ctx, p)
	default:
		x.bad(ctx)
	}
}

// admit makes a new patient known with the first part of her record.
func (x *worker) admit(ctx context.Context) {
	author := authors[x.r.IntN(len(authors))]
	p := &patient{author: author, reader: authors[0]}
	if author == authors[0] {
		p.reader = authors[1]
	}
	x.next++
	for line := range splitLines(sample.NDJSON(x.next, lines)) {
		if !bytes.HasPrefix(line, []byte(`{"resourceType":"Organization"`)) && !bytes.HasPrefix(line, []byte(`{"resourceType":"Practitioner"`)) { // which are nobody's record
			p.lines = append(p.lines, line)
		}
	}
	x.patients = append(x.patients, p)
	x.importSome(ctx, p, 20+x.r.IntN(60))
}

// importSome imports the first n lines, again if an earlier answer was lost.
func (x *worker) importSome(ctx context.Context, p *patient, n int) {
	p.tried = max(p.tried, n)
	_ = x.op("import", func() error { return x.put(ctx, p, p.lines[:n], n) })
}

// write adds one resource to a patient's record.
func (x *worker) write(ctx context.Context, p *patient) {
	if p.acked == len(p.lines) {
		return
	}
	p.tried = max(p.tried, p.acked+1)
	_ = x.op("write", func() error { return x.put(ctx, p, p.lines[p.acked:p.acked+1], p.acked+1) })
}

// put sends lines and counts them as acknowledged up to n once they are active.
func (x *worker) put(ctx context.Context, p *patient, body [][]byte, n int) error {
	rep, err := x.send(ctx, p.author, joinLines(body))
	if err != nil {
		return err
	}
	if rep.Records+rep.Duplicates != len(body) || len(rep.Rejected) > 0 || len(rep.Patients) != 1 {
		x.finding(fmt.Sprintf("an import of %d records was acknowledged as %d new, %d known, %d rejected, %d patients", len(body), rep.Records, rep.Duplicates, len(rep.Rejected), len(rep.Patients)))
		return errOdd
	}
	if p.account.IsZero() {
		p.account = rep.Patients[0]
	} else if p.account != rep.Patients[0] {
		x.finding("a patient got a second pseudonym from the same organisation")
	}
	x.acked(n - p.acked)
	p.acked = n
	return nil
}

// claim makes the patient's wallet.
func (x *worker) claim(ctx context.Context, p *patient) {
	api := x.api[p.author]
	_ = x.op("claim", func() error {
		cl := client.New(api, x.chain)
		if p.wallet == nil {
			var code record.ClaimCode
			if err := api.JSON(ctx, "POST", "/v1/patients/"+p.account.String()+"/claim", struct{}{}, &code); err != nil {
				return err
			}
			wallet, err := record.WalletFor(x.chain, code)
			if err != nil {
				return err
			}
			p.code, p.wallet = &code, wallet
			if p.slots, err = wallet.SlotMap(); err != nil {
				return err
			}
		}
		err := p.wallet.Claim(ctx, *p.code, func(s ...tx.Signer) record.Submitter { return cl.As(s...) })
		// A refusal after a lost answer: the key is there already.
		if _, ok := errors.AsType[*tx.Refusal](err); err == nil || ok {
			p.claimed, p.submit = true, cl.As(p.wallet.Signer())
		}
		return err
	})
}

// consent grants the reader's organisation everything, or narrows what it has.
func (x *worker) consent(ctx context.Context, p *patient) {
	wish := record.Wish{Grantee: consent.Grantee{Kind: consent.OfMember, Account: x.member[p.reader]}, Purposes: consent.PurposesOf(consent.TREAT)}
	switch p.state {
	case none:
		p.grant, p.version = newGrant(x.r), 0
		p.change(x.op("grant", func() error { return p.give(ctx, wish) }), full)
	case full:
		wish.Without = sensitive(x.r)
		p.change(x.op("narrow", func() error { return p.give(ctx, wish) }), narrow)
	case narrow, unsure:
		x.revoke(ctx, p)
	}
}

func (p *patient) give(ctx context.Context, w record.Wish) error {
	_, err := record.Grant(ctx, p.submit, p.account, p.slots, p.grant, p.version, w)
	if err == nil {
		p.version++
	}
	return err
}

// change notes the state of a grant after an answer, or that there was none.
func (p *patient) change(err error, to grantState) {
	if p.state = to; err != nil {
		p.state = unsure
	}
}

// revoke ends all grants; from then on an open session opens nothing any more.
func (x *worker) revoke(ctx context.Context, p *patient) {
	if p.state == none {
		return
	}
	before := p.state
	err := x.op("revoke", func() error {
		_, err := record.Revoke(ctx, p.submit, p.account, consent.GrantID{})
		if _, ok := errors.AsType[*tx.Refusal](err); ok && before == unsure {
			err = nil // there was nothing to end
		}
		return err
	})
	p.change(err, none)
	if err != nil || p.session == nil || len(p.places) == 0 {
		return
	}
	s, place := *p.session, p.places[0]
	p.session = nil
	_ = x.op("read after revocation", func() error {
		res, err := x.open(ctx, p.reader, s, place)
		if err == nil && len(res.Records) > 0 {
			x.finding("a session opened a record after its revocation was acknowledged")
		}
		return err
	})
}

// digests of what a patient's author was ever given.
func (p *patient) knows(body []byte) bool {
	if bytes.Contains(body, []byte(record.SummaryID)) {
		return true // the author's node made it of them
	}
	want := sha256.Sum256(sample.Sent(body))
	for _, l := range p.lines[:p.tried] {
		if sha256.Sum256(sample.Sent(l)) == want {
			return true
		}
	}
	return false
}

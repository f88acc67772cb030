package portal

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	cmttypes "github.com/cometbft/cometbft/types"

	"salus/client"
	"salus/exchange"
	"salus/ledger/ledgertest"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/receipt"
	"salus/record"
)

var rewrite = flag.Bool("vectors", false, "rewrite spec/vectors/receipt/facts.json")

// factsVector is shared with the wallet: answers of POST /api/proofs, and what a wallet must say of each.
type factsVector struct {
	About   string          `json:"about"`
	Genesis json.RawMessage `json:"genesis"`
	// What the ledger says: record.Committee, and exchange.Anchored of each header.
	Committee string            `json:"committee"`
	Anchored  map[string]string `json:"anchored"`
	Absent    []string          `json:"absent"` // headers of batches that are not ACTIVE, or not there
	Cases     []factsCase       `json:"cases"`
}

type factsCase struct {
	Name    string `json:"name"`
	Request string `json:"request"` // as the wallet must encode it
	Answer  string `json:"answer"`
	Now     int64  `json:"now"`   // unix seconds by the wallet's clock
	Fault   string `json:"fault"` // "": it is believed
}

func (p *proving) vector() *factsVector {
	c := p.as(p.tb.(*testing.T), session{account: tx.Account{1}, role: patient})
	out := &factsVector{
		About:   "Answers of POST /api/proofs about a sample chain: public facts, each proven under one block. fault: what a wallet finds wrong, empty when it believes the answer.",
		Genesis: p.genesis, Anchored: map[string]string{},
	}
	absent := tx.Hash(digest("no batch"))
	q := &FactsAsked{Least: uint64(p.Head().Height - 1), Rows: [][]byte{pointerKey, p.batchKey(0), p.batchKey(1), p.batchKey(2), anchor.BatchKey(absent)}, Entries: []uint64{}}
	now := int64(ledgertest.Start) + p.Head().Height + 2
	rec := p.facts(c, q)
	if rec.Code != 200 {
		p.tb.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	add := func(name, fault string, raw []byte) {
		out.Cases = append(out.Cases, factsCase{name, hex.EncodeToString(tx.MustEncode(q)), hex.EncodeToString(raw), now, fault})
	}
	read := func(raw []byte) *client.Claims {
		var cl client.Claims
		if err := tx.DecodeAny(raw, &cl, len(raw)); err != nil {
			p.tb.Fatal(err)
		}
		return &cl
	}
	good := bytes.Clone(rec.Body.Bytes())
	edit := func(name, fault string, change func(*client.Claims)) {
		cl := read(good)
		change(cl)
		add(name, fault, tx.MustEncode(cl))
	}
	row := func(cl *client.Claims, key []byte) *receipt.RowClaim {
		return &cl.Rows[slices.IndexFunc(cl.Rows, func(r receipt.RowClaim) bool { return bytes.Equal(r.Key, key) })]
	}
	add("facts", "", good)
	member := governance.MemberKey(ledgertest.Account("clinic"))
	edit("another service key of a custodian", "committee", func(cl *client.Claims) {
		r := row(cl, member)
		old, other := ledgertest.Public("clinic").Key, ledgertest.Public("somebody else").Key
		if r.Value = bytes.Replace(r.Value, old, other, 1); !bytes.Contains(r.Value, other) {
			p.tb.Fatal("the member's row does not hold its key")
		}
	})
	edit("another committee", "committee", func(cl *client.Claims) {
		var e committee.Epoch
		r := row(cl, committee.EpochKey(1))
		if tx.DecodeAny(r.Value, &e, len(r.Value)) != nil {
			p.tb.Fatal("no epoch")
		}
		e.Members[0] = ledgertest.Account("somebody else")
		r.Value = tx.MustEncode(&e)
	})
	edit("another epoch in force", "committee", func(cl *client.Claims) { row(cl, pointerKey).Value[len(row(cl, pointerKey).Value)-1]++ })
	edit("a batch said to be active", "batch", func(cl *client.Claims) {
		var b anchor.Batch
		r := row(cl, p.batchKey(2))
		if tx.DecodeAny(r.Value, &b, len(r.Value)) != nil {
			p.tb.Fatal("no batch")
		}
		b.Receipts, b.Holds, b.Active = 15, 15, 9
		r.Value = tx.MustEncode(&b)
	})
	edit("the row of one batch under the name of another", "batch", func(cl *client.Claims) { row(cl, p.batchKey(2)).Value = row(cl, p.batchKey(0)).Value })
	edit("a batch that never was", "batch", func(cl *client.Claims) {
		r := row(cl, anchor.BatchKey(absent))
		r.Value, r.Absent = row(cl, p.batchKey(0)).Value, false
	})
	edit("the header of another transaction", "batch", func(cl *client.Claims) { cl.Entries[0].Entry[len(cl.Entries[0].Entry)-1] ^= 1 })
	edit("the header of another batch", "batch", func(cl *client.Claims) { cl.Entries[0].Index = cl.Entries[1].Index })
	edit("a batch said to be absent", "absent", func(cl *client.Claims) { r := row(cl, p.batchKey(0)); r.Value, r.Absent = nil, true })
	edit("a batch said to be absent, with the proof of another's absence", "absent", func(cl *client.Claims) {
		r := row(cl, p.batchKey(0))
		r.Value, r.Absent, r.Proof = nil, true, row(cl, anchor.BatchKey(absent)).Proof
	})
	edit("a row without what was asked for", "answer", func(cl *client.Claims) { cl.Rows = cl.Rows[1:] })
	edit("of a later version", "answer", func(cl *client.Claims) { cl.Version = 2 })
	edit("of another chain", "block", func(cl *client.Claims) { cl.Chain = "salus-other" })
	add("cut short", "answer", good[:len(good)-1])
	edit("signed by two of four", "block", func(cl *client.Claims) { cl.Block = p.unsigned() })
	later := slices.Clone(q.Rows)
	q.Least++
	add("a state from before the reader's session", "stale", good)
	q.Least--
	now += 3600
	add("a state of an hour ago", "stale", good)
	now -= 7200
	add("a state of an hour ahead", "stale", good)
	now += 3600
	// The root of an older state, whose rows hold there, under the block of a later one.
	old := read(good)
	p.do(identity.KindEnrol, &identity.Enrol{Patient: ledgertest.Account("patient-2"), Keys: []tx.PublicKey{ledgertest.Public("patient-2")}}, "hospital")
	p.block()
	fresh := read(p.facts(c, &FactsAsked{Least: uint64(p.Head().Height - 1), Rows: later}).Body.Bytes())
	old.Block, old.Trail = fresh.Block, fresh.Trail
	add("rows of an older state under a later block", "committee", tx.MustEncode(old))
	p.said(out, absent)
	return out
}

// unsigned is the block of the last state but one, signed by too few.
func (p *proving) unsigned() []byte {
	p.away = organisations[:2]
	defer func() { p.away = nil }()
	height := p.Head().Height
	c, err := p.Commit(context.Background(), &height)
	if err != nil {
		p.tb.Fatal(err)
	}
	b, err := receipt.EncodeBlock(&cmttypes.LightBlock{SignedHeader: &c.SignedHeader, ValidatorSet: validators()})
	if err != nil {
		p.tb.Fatal(err)
	}
	return b
}

// said is what the ledger says, by the replica that members read.
func (p *proving) said(out *factsVector, absent tx.Hash) {
	v := p.chain.App(0).View()
	defer v.Close()
	e, err := committee.Current(v)
	if err != nil {
		p.tb.Fatal(err)
	}
	com := record.Committee{Epoch: e}
	for _, m := range e.Members {
		row, _ := governance.LookupMember(v, m)
		com.Keys = append(com.Keys, [][]byte{row.Keys[0].Public.Key})
	}
	out.Committee = hex.EncodeToString(tx.MustEncode(&com))
	for _, b := range p.batches[:2] {
		h := tx.Hash(b.Header.Hash())
		row, _ := anchor.Lookup(v, h)
		out.Anchored[h.String()] = hex.EncodeToString(tx.MustEncode(&exchange.Anchored{Put: *b, Batch: row, Holders: anchor.Holders(v, h)}))
	}
	out.Absent = []string{tx.Hash(p.batches[2].Header.Hash()).String(), absent.String()}
}

const factsFile = "../../spec/vectors/receipt/facts.json"

func TestFactsVectorsAreWhatThePortalAnswers(t *testing.T) {
	b, err := json.MarshalIndent(newProving(t, 2).vector(), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *rewrite {
		if err := os.WriteFile(factsFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(factsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Error("the answers are not those of the vectors; -vectors writes them anew")
	}
}

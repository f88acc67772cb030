package portal

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/governance"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A public fact is a row that says nothing of any patient: the network's parameters, its members, the
// custody committees, and that a batch is anchored. publicRow reports whether a key is one of those.
func publicRow(key []byte) bool {
	if len(key) < 2 {
		return false
	}
	switch [2]byte(key) {
	case [2]byte{governance.Prefix, 0x01}:
		return len(key) == 2+len(tx.Account{})
	case [2]byte{governance.Prefix, 0x02}, [2]byte{committee.Prefix, 0x02}:
		return len(key) == 2
	case [2]byte{committee.Prefix, 0x01}:
		return len(key) == 2+8
	case [2]byte{anchor.Prefix, 0x01}:
		return len(key) == 2+len(tx.Hash{})
	}
	return false
}

// publicEntry reports whether a log entry is one of a public kind: the header of a batch.
func publicEntry(raw []byte) bool {
	var e ledger.Entry
	return tx.DecodeAny(raw, &e, len(raw)) == nil && e.Kind == anchor.EntryHeader
}

// rowProof answers a receipt over a row of public facts, or over its absence. Of other rows it is
// not said whether they are there.
func (p *Portal) rowProof(w http.ResponseWriter, r *http.Request, s *session) error {
	key, err := hex.DecodeString(r.PathValue("key"))
	if err != nil {
		return errArgument
	}
	if !publicRow(key) {
		return errUnknown
	}
	if !p.budgets.take(s.account, 1, p.Now()) {
		return errRate
	}
	ctx, cancel := context.WithTimeout(r.Context(), proofTime)
	defer cancel()
	return sendReceipt(w)(p.Prover.Row(ctx, key))
}

// factEntryProof answers a receipt over a log entry of a public kind.
func (p *Portal) factEntryProof(w http.ResponseWriter, r *http.Request, s *session) error {
	index, err := strconv.ParseUint(r.PathValue("index"), 10, 64)
	if err != nil {
		return errArgument
	}
	if raw, ok := p.Ledger.Entry(index); !ok || !publicEntry(raw) {
		return errUnknown
	}
	if !p.budgets.take(s.account, 1, p.Now()) {
		return errRate
	}
	ctx, cancel := context.WithTimeout(r.Context(), proofTime)
	defer cancel()
	return sendReceipt(w)(p.Prover.Entry(ctx, index))
}

// maxClaims is how many rows or entries one request names.
const maxClaims = 512

// FactsAsked is the body of POST /api/proofs, canonical CBOR: many facts under one block. The answer is
// a client.Claims, of a state of height Least or later. It holds, beside what is named, what a
// reader asks for next: with the pointer to the current epoch that epoch and its members, with a
// batch its epoch and, if it is ACTIVE, the log's entry of its header.
type FactsAsked struct {
	Least   uint64   `cbor:"1,keyasint"`
	Rows    [][]byte `cbor:"2,keyasint"`
	Entries []uint64 `cbor:"3,keyasint"`
}

func (p *Portal) factProofs(w http.ResponseWriter, r *http.Request, s *session) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	var q FactsAsked
	if tx.DecodeAny(b, &q, len(b)) != nil || len(q.Rows)+len(q.Entries) == 0 || len(q.Rows) > maxClaims || len(q.Entries) > maxClaims {
		return errArgument
	}
	head := p.Ledger.Head().Height
	if q.Least > uint64(max(head, 0)) {
		return errUnknown
	}
	for _, key := range q.Rows {
		if !publicRow(key) {
			return errUnknown
		}
	}
	if !p.budgets.take(s.account, len(q.Rows)+len(q.Entries), p.Now()) {
		return errRate
	}
	ctx, cancel := context.WithTimeout(r.Context(), proofTime)
	defer cancel()
	c, err := p.Prover.Claims(ctx, int64(q.Least), q.choose)
	if err != nil {
		return err
	}
	return encoded(w, c)
}

// choose names what is asked for and what follows from it, each once. An entry of another kind is errUnknown.
func (q *FactsAsked) choose(v *state.View) (rows [][]byte, entries []uint64, err error) {
	seen, named := map[string]bool{}, map[uint64]bool{}
	row := func(key []byte) {
		if !seen[string(key)] {
			seen[string(key)] = true
			rows = append(rows, key)
		}
	}
	entry := func(index uint64) {
		if !named[index] {
			named[index] = true
			entries = append(entries, index)
		}
	}
	for _, key := range q.Rows {
		row(key)
		switch [2]byte(key) {
		case [2]byte{committee.Prefix, 0x02}:
			if e, err := committee.Current(v); err == nil {
				row(committee.EpochKey(e.Epoch))
				for _, m := range e.Members {
					row(governance.MemberKey(m))
				}
			}
		case [2]byte{anchor.Prefix, 0x01}:
			if b, ok := anchor.Lookup(v, tx.Hash(key[2:])); ok {
				row(committee.EpochKey(b.Epoch))
				if b.Active != 0 {
					entry(b.Index)
				}
			}
		}
	}
	for _, index := range q.Entries {
		if raw, ok := v.Entry(index); !ok || !publicEntry(raw) {
			return nil, nil, errUnknown
		}
		entry(index)
	}
	return rows, entries, nil
}

// How many facts one account has proven to it in a window, a request counting as requestCost.
const (
	factsPerWindow = 12_000
	requestCost    = 20
)

// budgets count what was proven to each account in windows of a minute.
type budgets struct {
	mu    sync.Mutex
	since time.Time
	of    map[tx.Account]int
}

func (b *budgets) take(who tx.Account, facts int, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil || now.Sub(b.since) >= window {
		b.of, b.since = map[tx.Account]int{}, now
	}
	if b.of[who]+requestCost+facts > factsPerWindow {
		return false
	}
	b.of[who] += requestCost + facts
	return true
}

var _ Prover = (*client.Prover)(nil)

package record

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"
	"time"

	"salus/client"
	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/consent"
	"salus/ledger/module/lookup"
	"salus/ledger/tx"
	"salus/threshold/oprf"
)

// Lookups of patients by identifiers, spec/lookup.md section 5.

// A Match is one patient whom identifiers led to.
type Match struct {
	Patient tx.Account `json:"patient"`
	By      []int      `json:"by"`    // which of the identifiers led to her, from 0
	Grade   string     `json:"grade"` // FHIR match-grade: certain, probable, possible
	Score   float64    `json:"score"` // above 0 to 1
}

// How long custodians may take to answer, how long the others after t did, and how long all may take to open what
// was found on the ledger.
const (
	evaluateTime = 10 * time.Second
	otherTime    = 2 * time.Second
	resolveTime  = 30 * time.Second
)

var (
	// ErrTwoIdentifiers: an emergency is no reason to browse.
	ErrTwoIdentifiers = tx.Refuse(0x2802, "record: in an emergency two identifiers are needed that lead to one patient")
	// ErrNoEvaluation: too few custodians evaluated.
	ErrNoEvaluation = tx.Refuse(0x2803, "record: too few custodians answered the lookup; try again")
)

// lookupRow is where an identifier's pointers are and what opens them.
type lookupRow struct{ address, key [32]byte }

// evaluate commits to a blinded identifier and lets the custodians evaluate it.
func (s *Service) evaluate(ctx context.Context, submit Submitter, ask lookup.Ask, id Identifier) (got client.Committed, row lookupRow, err error) {
	kind, text, err := id.Normal()
	if err != nil {
		return got, row, err
	}
	input := []byte("salus/lookup/v1\x00" + s.Chain + "\x00" + kind + "\x00" + text)
	blind, element, err := oprf.BlindInput(rand.Reader, input)
	if err != nil {
		return got, row, fmt.Errorf("record: lookup: %w", err)
	}
	ask.Element = lookup.ElementHash(element)
	if got, err = submit.Submit(ctx, lookup.KindAsk, &ask); err != nil {
		return got, row, err
	}
	key, err := s.lookupKey()
	if err != nil {
		return got, row, err
	}
	whole, err := s.combine(ctx, key, element, &exchange.EvaluateRequest{Entry: got.ID, Element: element, Height: uint64(got.Height)})
	if err != nil {
		return got, row, err
	}
	out, err := oprf.Finalize(input, blind, whole)
	if err != nil {
		return got, row, fmt.Errorf("record: lookup: %w", err)
	}
	b, err := hkdf.Key(sha512.New, out[:], nil, "salus/lookup/v1/row", 64)
	if err != nil {
		return got, row, fmt.Errorf("record: lookup: %w", err)
	}
	return got, lookupRow{[32]byte(b[:32]), [32]byte(b[32:])}, nil
}

func (s *Service) lookupKey() (lookup.Key, error) {
	v := s.Ledger.View()
	defer v.Close()
	k, ok := lookup.Current(v)
	if !ok {
		return k, lookup.ErrNoKey
	}
	return k, nil
}

// asked are the answers of those who hold the key: of t, and of the others who answer for as long as moment after that.
// One that keeps silent must not hold up who looks for somebody in an emergency.
func asked[R any](ctx context.Context, key lookup.Key, moment time.Duration, call func(ctx context.Context, custodian tx.Account) (R, error)) ([]R, error) {
	ctx, cancel := context.WithTimeout(ctx, evaluateTime)
	defer cancel()
	return hedge.Most(ctx, key.Members, int(key.T), moment, call)
}

func (s *Service) combine(ctx context.Context, key lookup.Key, in oprf.Element, req *exchange.EvaluateRequest) (oprf.Element, error) {
	all := key.Evaluators()
	parts, failed := asked(ctx, key, 0, func(ctx context.Context, m tx.Account) (oprf.Partial, error) {
		var r exchange.EvaluateReply
		if err := s.Links.Call(ctx, m, exchange.PathEvaluate, req, &r); err != nil {
			return oprf.Partial{}, err
		}
		if r.Key != key.Number || len(r.Proof) != len(oprf.Proof{}) || int(r.Index) != key.IndexOf(m) {
			return oprf.Partial{}, errors.New("record: a part of another key")
		}
		p := oprf.Partial{Index: int(r.Index), Element: r.Element, Proof: oprf.Proof(r.Proof)}
		err := all.VerifyPartial(in, &p)
		if err != nil {
			s.Log.WarnContext(ctx, "lookup_part_unsound", "custodian", m)
		}
		return p, err
	})
	whole, _, err := all.Combine(in, parts)
	if err != nil {
		s.Log.WarnContext(ctx, "lookup_not_evaluated", "err", errors.Join(failed, err))
		return whole, ErrNoEvaluation
	}
	return whole, nil
}

// EnrolIdentifier makes an identifier of a patient whom this organisation stewards lead to
// her, and returns the entry by which it is forgotten again.
func (s *Service) EnrolIdentifier(ctx context.Context, patient tx.Account, id Identifier) (tx.Hash, error) {
	got, row, err := s.evaluate(ctx, s.Submit, lookup.Ask{Use: lookup.Enrol, Purpose: consent.PATADMIN, Patient: patient}, id)
	if err != nil {
		return got.ID, err
	}
	key, err := s.lookupKey()
	if err != nil {
		return got.ID, err
	}
	p, err := oprf.SealPointer(rand.Reader, oprf.Element(key.Open), lookup.Label(s.Chain), got.ID)
	if err != nil {
		return got.ID, fmt.Errorf("record: lookup: %w", err)
	}
	box, err := row.seal(got.ID, p)
	if err != nil {
		return got.ID, err
	}
	req := &exchange.PointRequest{Entry: got.ID, Address: row.address, Box: box, Height: uint64(got.Height)}
	for {
		kept, failed := asked(ctx, key, otherTime, func(ctx context.Context, m tx.Account) (struct{}, error) {
			return struct{}{}, s.Links.Call(ctx, m, exchange.PathPoint, req, &struct{}{})
		})
		if len(kept) < int(key.T) {
			return got.ID, errors.Join(ErrNoEvaluation, failed)
		}
		// If the key passed to others meanwhile, they may have taken the rows over without this one.
		now, err := s.lookupKey()
		if err != nil || now.Number == key.Number {
			return got.ID, err
		}
		key = now
	}
}

// ForgetIdentifier ends an enrolment; the custodians destroy its rows.
func ForgetIdentifier(ctx context.Context, submit Submitter, entry tx.Hash) (client.Committed, error) {
	return submit.Submit(ctx, lookup.KindForget, &lookup.Forget{Entry: entry})
}

// LookUp looks up 1 to 4 identifiers, each with an entry of its own, and returns whom they lead
// to, the best match first. Nobody found is no error. For BTG and ETREAT it needs two that lead to one
// patient. Every patient whom one of them led to finds it in her log.
func (s *Service) LookUp(ctx context.Context, submit Submitter, purpose consent.Purpose, ids []Identifier) ([]Match, error) {
	urgent := purpose == consent.BTG || purpose == consent.ETREAT
	if urgent && len(ids) < 2 {
		return nil, ErrTwoIdentifiers
	}
	if len(ids) == 0 || len(ids) > 4 {
		return nil, ErrIdentifier
	}
	seen := map[string]bool{}
	for _, id := range ids { // all of them before the first entry
		kind, text, err := id.Normal()
		if err != nil {
			return nil, err
		}
		if seen[kind+"\x00"+text] {
			return nil, ErrTwoIdentifiers
		}
		seen[kind+"\x00"+text] = true
	}
	var out []Match
	for i, id := range ids {
		found, err := s.findOne(ctx, submit, purpose, id)
		if err != nil {
			return nil, err
		}
		for _, patient := range found {
			at := slices.IndexFunc(out, func(m Match) bool { return m.Patient == patient })
			if at < 0 {
				at, out = len(out), append(out, Match{Patient: patient})
			}
			out[at].By = append(out[at].By, i)
		}
	}
	if urgent {
		out = slices.DeleteFunc(out, func(m Match) bool { return len(m.By) < 2 })
	}
	grade(out, ids)
	return out, nil
}

// grade orders matches. All identifiers, one of them of a system, and nobody else: certain.
func grade(out []Match, ids []Identifier) {
	for k := range out {
		m := &out[k]
		m.Score = float64(len(m.By)) / float64(len(ids))
		system := slices.ContainsFunc(m.By, func(i int) bool { return !ids[i].Traits() })
		switch {
		case system && len(m.By) == len(ids) && len(out) == 1:
			m.Grade = "certain"
		case system:
			m.Grade, m.Score = "probable", m.Score*0.9
		default:
			m.Grade, m.Score = "possible", m.Score*0.6
		}
	}
	slices.SortStableFunc(out, func(a, b Match) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
}

func (s *Service) findOne(ctx context.Context, submit Submitter, purpose consent.Purpose, id Identifier) ([]tx.Account, error) {
	got, row, err := s.evaluate(ctx, submit, lookup.Ask{Use: lookup.Find, Purpose: purpose}, id)
	if err != nil {
		return nil, err
	}
	pointers, err := s.pointers(ctx, got, row)
	if err != nil || len(pointers) == 0 {
		return nil, err
	}
	if _, err := submit.Submit(ctx, lookup.KindResolve, &lookup.Resolve{Entry: got.ID, Pointers: pointers}); err != nil {
		return nil, err
	}
	return s.resolved(ctx, got.ID)
}

// pointers asks every custodian for the rows at the address: one may have missed some.
func (s *Service) pointers(ctx context.Context, got client.Committed, row lookupRow) ([]lookup.Pointer, error) {
	key, err := s.lookupKey()
	if err != nil {
		return nil, err
	}
	rows, failed := asked(ctx, key, otherTime, func(ctx context.Context, m tx.Account) (r exchange.PointersReply, err error) {
		err = s.Links.Call(ctx, m, exchange.PathPointers, &exchange.PointersRequest{Entry: got.ID, Address: row.address, Height: uint64(got.Height)}, &r)
		return r, err
	})
	if len(rows) < int(key.T) { // fewer could hide an enrolment together
		return nil, errors.Join(ErrNoEvaluation, failed)
	}
	found := map[tx.Hash]lookup.Pointer{}
	for _, r := range rows {
		for _, x := range r.Rows[:min(len(r.Rows), lookup.MaxPointers)] {
			if p, err := row.open(x.Entry, x.Box); err == nil && p.Validate(lookup.Label(s.Chain)) == nil {
				found[x.Entry] = lookup.PointerOf(p)
			}
		}
	}
	var out []lookup.Pointer
	for _, p := range found {
		if len(out) < lookup.MaxPointers {
			out = append(out, p)
		}
	}
	return out, nil
}

// resolved waits until the custodians have opened the pointers on the ledger.
func (s *Service) resolved(ctx context.Context, entry tx.Hash) ([]tx.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTime)
	defer cancel()
	for {
		changed := s.Changed()
		v := s.Ledger.View()
		e, ok := lookup.Lookup(v, entry)
		v.Close()
		if ok && e.Standing == lookup.Resolved {
			return e.Found, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ErrNoEvaluation
		}
	}
}

func (r lookupRow) aead() (cipher.AEAD, error) {
	b, err := aes.NewCipher(r.key[:])
	if err != nil {
		return nil, fmt.Errorf("record: lookup: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(b)
}

func (r lookupRow) seal(entry tx.Hash, p oprf.Pointer) ([]byte, error) {
	a, err := r.aead()
	if err != nil {
		return nil, err
	}
	plain := slices.Concat(p.Seal[:], p.Twin[:], p.Body[:], p.Proof[:])
	return a.Seal(nil, nil, plain, slices.Concat(r.address[:], entry[:])), nil
}

func (r lookupRow) open(entry tx.Hash, box []byte) (p oprf.Pointer, err error) {
	a, err := r.aead()
	if err != nil {
		return p, err
	}
	b, err := a.Open(nil, nil, box, slices.Concat(r.address[:], entry[:]))
	if err != nil || len(b) != 160 {
		return p, errors.New("record: lookup: a row that does not open")
	}
	copy(p.Seal[:], b)
	copy(p.Twin[:], b[32:])
	copy(p.Body[:], b[64:])
	copy(p.Proof[:], b[96:])
	return p, nil
}

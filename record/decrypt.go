package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"salus/exchange"
	"salus/ledger/tx"
	"salus/seal"
	"salus/seal/compress"
)

// maxPlain bounds a decompressed record; the FHIR parser refuses larger ones on the way in.
const maxPlain = 16 << 20

// An Opened record is a plaintext with what proves it.
type Opened struct {
	Located
	Body []byte // the author's exact bytes
}

// A Result is what a read gave: the records, and every custodian that was found out on the way.
type Result struct {
	Records []Opened
	Fetch   uint32
	Bad     []BadCustodian
}

// Read commits to the records, collects their shares, opens them and compares each with its
// anchor. A custodian whose share is wrong is named in the result and its share left out. What became
// of each list is told (Reading.Arrived) before its records are returned. No
// records at all is no error: neither is asking for none, nor that they were withdrawn since.
// Errors: those of Commit, ErrTooFew when fewer than t custodians released, or what the
// ciphertext failed on.
func (s *Session) Read(ctx context.Context, records []Located) (*Result, error) {
	all := &Result{}
	for some := range together(records) {
		fetch, list, err := s.Commit(ctx, some)
		if err != nil {
			if list != nil { // the ledger may have it
				err = errors.Join(err, s.arrived(ctx, list, nil, err))
			}
			return nil, err
		}
		res, err := s.ReadFetch(ctx, fetch, list, some)
		if terr := s.arrived(ctx, list, res, err); terr != nil {
			return nil, terr
		}
		if moved, merr := s.moved(ctx, some); err != nil && moved != nil && merr == nil {
			// The committee changed between: the same records once more, from who holds them now.
			return s.Read(ctx, append(moved, afterList(records, some)...))
		}
		if res != nil {
			all.Records, all.Fetch = append(all.Records, res.Records...), res.Fetch
			s.blame(all, res.Bad...)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// ReadFetch does what Read does for a list that is committed already; records are the list's.
func (s *Session) ReadFetch(ctx context.Context, fetch uint32, list *exchange.List, records []Located) (*Result, error) {
	byItem := map[exchange.Item]Located{}
	for _, l := range records {
		byItem[l.Item] = l
	}
	for _, x := range list.Items {
		if l, ok := byItem[x]; !ok || l.header == nil {
			return nil, errNotLocated
		}
	}
	if len(list.Items) != len(records) {
		return nil, errNotLocated
	}
	got, err := s.release(ctx, fetch, list, epochOf(records), false)
	if errors.Is(err, errNothing) {
		// Revoked, expired or closed between the list and the release: no data.
		return &Result{Fetch: fetch}, nil
	}
	if err != nil {
		return nil, err
	}
	res := &Result{Fetch: fetch, Bad: got.bad}
	sealed, errs := s.ciphertexts(ctx, records)
	for i, l := range records {
		if errs[i] == nil {
			errs[i] = l.Entry.Learn(sealed[i]) // the commitment that the key has to prove
		}
		byItem[l.Item] = l
	}
	keys, err := s.keys(ctx, res, fetch, list, byItem, got)
	if errors.Is(err, errNothing) {
		return &Result{Fetch: fetch}, nil
	}
	if err != nil {
		return res, err
	}
	res.Records = make([]Opened, len(records))
	for i, l := range records {
		res.Records[i].Located = l
		if errs[i] == nil {
			res.Records[i].Body, errs[i] = decrypt(l, keys[l.Item], sealed[i])
		}
	}
	return res, errors.Join(errs...)
}

// ciphertexts fetches each record's, or says why not.
func (s *Session) ciphertexts(ctx context.Context, records []Located) ([][]byte, []error) {
	sealed, errs := make([][]byte, len(records)), make([]error, len(records))
	var wg sync.WaitGroup
	limit := make(chan struct{}, 8)
	for i, l := range records {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			sealed[i], errs[i] = s.ciphertext(ctx, l)
		})
	}
	wg.Wait()
	return sealed, errs
}

var errNotLocated = errors.New("record: the list and the records located do not fit together")

// keys combines the shares of every batch of the fetch. When a key commitment does not fit,
// it asks all custodians again for share proofs and goes on with the shares that prove true.
func (s *Session) keys(ctx context.Context, res *Result, fetch uint32, list *exchange.List, byItem map[exchange.Item]Located, got *released) (map[exchange.Item]seal.Key, error) {
	keys := map[exchange.Item]seal.Key{}
	proven := false
	for header, indices := range list.Groups() {
		first := byItem[exchange.Item{Header: header, Index: uint16(indices[0])}]
		entries := make([]seal.Entry, len(indices))
		for i, x := range indices {
			entries[i] = byItem[exchange.Item{Header: header, Index: uint16(x)}].Entry
		}
		h := got.header(first.header)
		found, err := seal.Combine(h, entries, indices, got.shares[header])
		disputed := errors.Is(err, seal.ErrMismatch) || errors.Is(err, seal.ErrTooFew) || errors.Is(err, seal.ErrDisputed)
		moved := h != first.header
		if moved {
			// The author committed to no shares of this committee: whoever is found out is so by the
			// shares alone, of all custodians if those of the first t do not fit together.
			disputed = disputed && found == nil
		}
		if disputed && !proven {
			if got, err = s.release(ctx, fetch, list, got.com.Epoch.Epoch, true); err != nil {
				return nil, err
			}
			proven = true
			s.blame(res, got.bad...)
		}
		switch {
		case disputed && moved:
			found, err = seal.Combine(h, entries, indices, got.shares[header])
		case disputed:
			found, err = s.combineProven(first, entries, indices, got, header)
		}
		if liars, ok := errors.AsType[*seal.BadShare](err); ok {
			s.blameShares(&got.com, res, liars.Custodians)
		}
		if found == nil {
			return nil, fmt.Errorf("record: combine: %w", err)
		}
		for i, x := range indices {
			keys[exchange.Item{Header: header, Index: uint16(x)}] = found[i]
		}
	}
	return keys, nil
}

// combineProven keeps the custodians whose shares prove against the share roots that the
// author committed to on the ledger, and names the others.
func (s *Session) combineProven(l Located, entries []seal.Entry, indices []int, got *released, header tx.Hash) ([]seal.Key, error) {
	proofs := map[int]seal.Proofs{}
	for index, sealed := range got.proofs[header] {
		// Proofs that do not open count as none: their custodian is named.
		if p, err := seal.OpenReleaseProofs(s.key, s.ID, index, l.header, indices, sealed); err == nil {
			proofs[index] = p
		}
	}
	return seal.CombineProven(l.header, entries, l.roots, indices, got.shares[header], proofs)
}

func (s *Session) blameShares(c *Committee, res *Result, custodians []int) {
	for _, i := range custodians {
		if i >= 1 && i <= len(c.Epoch.Members) {
			s.blame(res, BadCustodian{Index: i, Account: c.Epoch.Members[i-1], Why: "its share is not the one that the author dealt to it"})
		}
	}
}

// blame adds custodians to the result, each once.
func (s *Session) blame(res *Result, bad ...BadCustodian) {
	for _, b := range bad {
		if slices.ContainsFunc(res.Bad, func(o BadCustodian) bool { return o.Index == b.Index }) {
			continue
		}
		res.Bad = append(res.Bad, b)
	}
	slices.SortFunc(res.Bad, func(a, b BadCustodian) int { return a.Index - b.Index })
}

func (s *Session) ciphertext(ctx context.Context, l Located) ([]byte, error) {
	holders := l.holders
	if !slices.Contains(holders, l.Author) { // an author that is no custodian has it all the same
		holders = append(slices.Clone(holders), l.Author)
	}
	ct, err := s.reading.Custodians.Ciphertext(ctx, holders, l.Entry.Ciphertext)
	if err != nil {
		return nil, fmt.Errorf("record: ciphertext: %w", err)
	}
	return ct, nil
}

// decrypt opens one record: ciphertext by its address, key by its commitment, plaintext
// by the authentication tag, all of them bound to the header in the ledger.
func decrypt(l Located, key seal.Key, ct []byte) ([]byte, error) {
	packed, err := seal.Decrypt(l.header, &l.Entry, key, ct)
	if err != nil {
		return nil, fmt.Errorf("record: decrypt: %w", err)
	}
	body, err := compress.Decompress(packed, maxPlain)
	if err != nil {
		return nil, fmt.Errorf("record: decompress: %w", err)
	}
	return body, nil
}

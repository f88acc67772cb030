package record

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"salus/exchange"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// A BadCustodian is one whose answer did not verify: named by index, never guessed.
type BadCustodian struct {
	Index   int // 1-based in the committee
	Account tx.Account
	Why     string
}

// released are the shares of one fetch: by batch, by custodian index, in the order of the
// batch's indices.
type released struct {
	shares map[tx.Hash]map[int][]threshold.Share
	proofs map[tx.Hash]map[int][]byte // sealed
	bad    []BadCustodian
	errs   []error
}

// errNothing: the custodians release nothing for this list any more.
var errNothing = errors.New("record: nothing to release")

// release asks all custodians at once, so that nobody learns a choice and one that is down
// costs nothing, and waits until enough have answered that the rest cannot matter.
func (s *Session) release(ctx context.Context, fetch uint32, list *exchange.List, proofs bool) (*released, error) {
	com, err := s.reading.Chain.Committee(ctx)
	if err != nil {
		return nil, err
	}
	epoch := com.Epoch
	req := &exchange.ReleaseRequest{Session: s.ID, Fetch: fetch, ReaderKey: s.public, List: *list, Proofs: proofs, Height: uint64(s.seen.Load())}
	out := &released{shares: map[tx.Hash]map[int][]threshold.Share{}, proofs: map[tx.Hash]map[int][]byte{}}
	// With t answers the others are only waited for when somebody must be found out.
	ctx, enough := context.WithCancel(ctx)
	defer enough()
	var mu sync.Mutex
	var wg sync.WaitGroup
	answered := 0
	for i, m := range epoch.Members {
		wg.Go(func() {
			reply, err := s.reading.Custodians.Release(ctx, m, req)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.errs = append(out.errs, fmt.Errorf("custodian %d: %w", i+1, err))
				return
			}
			if err := out.take(s, &com, i+1, list, reply); err != nil {
				out.bad = append(out.bad, BadCustodian{Index: i + 1, Account: m, Why: err.Error()})
				return
			}
			if answered++; answered >= int(epoch.T) && !proofs {
				enough()
			}
		})
	}
	wg.Wait()
	if answered < int(epoch.T) {
		if refused(out.errs, epoch) {
			return out, errNothing
		}
		return out, fmt.Errorf("%w: %d of %d released, %d needed: %w", ErrTooFew, answered, epoch.N, epoch.T, errors.Join(out.errs...))
	}
	return out, nil
}

// take checks one custodian's reply and keeps its shares.
func (r *released) take(s *Session, com *Committee, index int, list *exchange.List, reply *exchange.ReleaseReply) error {
	if int(reply.Custodian) != index {
		return errors.New("answered under another custodian's index")
	}
	if !com.signed(index, exchange.ReplyDigest(s.reading.ChainID, s.ID, list.Root(), reply), reply.Signature) {
		return errors.New("its receipt is not signed by its member")
	}
	type part struct {
		header tx.Hash
		shares []threshold.Share
		proofs []byte
	}
	var parts []part
	n := 0
	for header, indices := range list.Groups() {
		if n >= len(reply.Parts) || reply.Parts[n].Header != header {
			return errors.New("left out a batch it was asked for")
		}
		shares, err := seal.OpenRelease(s.key, s.ID, index, header, indices, reply.Parts[n].Sealed)
		if err != nil {
			return errors.New("its shares do not open")
		}
		parts = append(parts, part{header, shares, reply.Parts[n].Proofs})
		n++
	}
	for _, p := range parts {
		if r.shares[p.header] == nil {
			r.shares[p.header], r.proofs[p.header] = map[int][]threshold.Share{}, map[int][]byte{}
		}
		r.shares[p.header][index] = p.shares
		r.proofs[p.header][index] = p.proofs
	}
	return nil
}

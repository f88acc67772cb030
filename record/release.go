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
	com    Committee // whose shares they are
}

// errNothing: the custodians release nothing for this list any more.
var errNothing = errors.New("record: nothing to release")

// release asks all custodians and waits until enough have answered that the rest cannot
// matter: with proofs, when somebody must be found out, a little longer.
// Errors: ErrTooFew; errNothing when so many had nothing to release that no t of the others
// could: the session has ended or allows this no longer, which looks like no data.
func (s *Session) release(ctx context.Context, fetch uint32, list *exchange.List, epoch uint64, proofs bool) (*released, error) {
	com, err := s.reading.Chain.Committee(ctx)
	if err != nil {
		return nil, err
	}
	if com, err = com.of(epoch); err != nil {
		return nil, err
	}
	req := &exchange.ReleaseRequest{Session: s.ID, Fetch: fetch, ReaderKey: s.public, List: *list, Proofs: proofs, Height: uint64(s.seen.Load()), Epoch: com.Epoch.Epoch}
	h := hurry{settled: true}
	if proofs {
		h.grace = graceAnswers
	}
	out := &released{com: com, shares: map[tx.Hash]map[int][]threshold.Share{}, proofs: map[tx.Hash]map[int][]byte{}}
	var mu sync.Mutex // guards out
	errs := ask(ctx, com.Epoch, h, func(ctx context.Context, i int, m tx.Account) error {
		reply, err := s.reading.Custodians.Release(ctx, m, req)
		if err != nil {
			return fmt.Errorf("custodian %d: %w", i+1, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if err := out.take(s, &com, i+1, list, reply); err != nil {
			out.bad = append(out.bad, BadCustodian{Index: i + 1, Account: m, Why: err.Error()})
			return errAnswer
		}
		return nil
	})
	answered, refused := 0, 0
	for _, err := range errs {
		switch {
		case err == nil:
			answered++
		case errors.Is(err, exchange.ErrNotReleased):
			refused++
		}
	}
	switch {
	case answered >= int(com.Epoch.T):
		return out, nil
	case refused > com.Epoch.F():
		return out, errNothing
	}
	return out, fmt.Errorf("%w: %d of %d released, %d needed: %w", ErrTooFew, answered, com.Epoch.N, com.Epoch.T, errors.Join(errs...))
}

// errAnswer stands for an answer that does not verify; whose is in released.bad.
var errAnswer = errors.New("record: a custodian's answer does not verify")

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

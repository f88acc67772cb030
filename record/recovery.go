package record

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/access"
	"salus/ledger/module/audit"
	"salus/ledger/tx"
)

// OpenRecovery opens the session in which a patient who has got new keys gets back what only
// her wallet held. submit signs with one of the keys that the finished case brought.
func OpenRecovery(ctx context.Context, r Reading, submit Submitter, patient tx.Account, recovery tx.Hash, ttl time.Duration) (*Session, error) {
	key, public, err := sessionKey()
	if err != nil {
		return nil, err
	}
	got, err := submit.Submit(ctx, access.KindRecover, &access.Recover{
		Patient: patient, Case: recovery, ReaderKey: sha256.Sum256(public), TTL: uint64(ttl / time.Second),
	})
	if err != nil {
		return nil, err
	}
	return readBack(ctx, r, submit, got, key, public)
}

// ErrNoSlotMap: the patient's slot map is in no record that her session may open. It is as old
// as her enrolment and not active yet, or it was erased.
var ErrNoSlotMap = errors.New("record: no slot map of her steward is among the records")

// SlotMap reads the patient's slot map out of her record, in a session of her own. It believes
// her steward alone, and the newest of its maps; and a map only if it lies in the slot that it
// gives itself: an author cannot hand her another under which her grants would mean
// something else.
// Errors: ErrNoSlotMap and those of Locate and Read.
func (s *Session) SlotMap(ctx context.Context) (*SlotMap, []byte, error) {
	row, err := s.reading.Chain.Session(ctx, s.ID)
	if err != nil {
		return nil, nil, err
	}
	found, err := s.Locate(ctx)
	if err != nil {
		return nil, nil, err
	}
	var maps []Located
	for _, l := range found {
		if l.Clinical() && l.Author == row.Member && bits.OnesCount64(l.Entry.Slots) == 1 {
			maps = append(maps, l)
		}
	}
	slices.SortFunc(maps, func(a, b Located) int { return int(int64(b.Log) - int64(a.Log)) })
	// Only the steward's map lies alone in its slot, but a map is asked for alone all the same: the
	// rest of her record is no business of this session.
	for _, slot := range slotsOf(maps) {
		same := slices.DeleteFunc(slices.Clone(maps), func(l Located) bool { return l.Entry.Slots != slot })
		res, err := s.Read(ctx, same[:min(len(same), maxMaps)])
		if err != nil {
			return nil, nil, err
		}
		for _, o := range newest(res.Records) {
			var m SlotMap
			if tx.DecodeAny(o.Body, &m, len(o.Body)) != nil || m.Validate() != nil {
				continue
			}
			if own, err := m.Mask([]fhir.Label{StewardLabel}); err == nil && own == slot {
				return &m, o.Body, nil
			}
		}
	}
	return nil, nil, ErrNoSlotMap
}

// maxMaps is how many records of one slot are opened in search of a map.
const maxMaps = 16

// slotsOf lists the slots in which records lie, the one with the fewest first: a slot map has
// its own.
func slotsOf(records []Located) []uint64 {
	count := map[uint64]int{}
	var slots []uint64
	for _, l := range records {
		if count[l.Entry.Slots]++; count[l.Entry.Slots] == 1 {
			slots = append(slots, l.Entry.Slots)
		}
	}
	slices.SortStableFunc(slots, func(a, b uint64) int { return count[a] - count[b] })
	return slots
}

func newest(records []Opened) []Opened {
	out := slices.Clone(records)
	slices.SortFunc(out, func(a, b Opened) int { return int(int64(b.Log) - int64(a.Log)) })
	return out
}

// Restore gives a wallet its slot map back, in a session of the patient.
func (w *Wallet) Restore(ctx context.Context, s *Session) error {
	_, encoded, err := s.SlotMap(ctx)
	if err != nil {
		return err
	}
	if len(w.Slots) > 0 && !bytes.Equal(w.Slots, encoded) {
		return errors.New("record: this wallet has another slot map than the record; nothing was changed")
	}
	w.Slots = encoded
	return nil
}

// An Opener answers a patient's question which records were named to whom. The custodians of
// a node and a wallet's relay do.
type Opener interface {
	Openings(ctx context.Context, custodian tx.Account, req *exchange.OpeningsRequest) (*exchange.Sealed, error)
}

// A Disclosure is one list of records that custodians released to somebody.
type Disclosure struct {
	Session tx.Hash
	Fetch   uint32 // number of the list in its session
	List    exchange.List
}

// Disclosures returns what was released in the sessions of a patient's log, oldest first: each
// list is compared with its commitment on the ledger, so no custodian can tell her another.
// Lists that were committed to and never released are left out. sign is a live key of the
// patient. Error: ErrTooFew.
func (s *Session) Disclosures(ctx context.Context, ways Opener, log []audit.Link, sign tx.Signer) ([]Disclosure, error) {
	com, err := s.reading.Chain.Committee(ctx)
	if err != nil {
		return nil, err
	}
	var out []Disclosure
	for _, id := range sessionsOf(log) {
		sig, err := sign.Sign(exchange.OpeningsDigest(s.reading.ChainID, id, s.public))
		if err != nil {
			return nil, fmt.Errorf("record: sign: %w", err)
		}
		roots, lists := rootsOf(log, id), map[uint32]exchange.List{}
		answered, failed := 0, []error{}
		for _, m := range com.Epoch.Members {
			if len(lists) == len(roots) {
				break
			}
			if err := s.openingsAt(ctx, ways, m, id, sig, roots, lists); err != nil {
				failed = append(failed, err)
				continue
			}
			answered++
		}
		if len(lists) < len(roots) && answered <= com.Epoch.F() {
			return nil, fmt.Errorf("%w: %w", ErrTooFew, errors.Join(failed...))
		}
		for n := range uint32(len(roots)) + 1 {
			if l, ok := lists[n]; ok {
				out = append(out, Disclosure{Session: id, Fetch: n, List: l})
			}
		}
	}
	return out, nil
}

// openingsAt asks one custodian and keeps the lists that are what the ledger says.
func (s *Session) openingsAt(ctx context.Context, ways Opener, custodian tx.Account, id tx.Hash, sig tx.Signature, roots map[uint32]tx.Hash, lists map[uint32]exchange.List) error {
	after := uint32(0)
	for range maxPages {
		box, err := ways.Openings(ctx, custodian, &exchange.OpeningsRequest{Session: id, ReaderKey: s.public, Signature: sig, After: after})
		if err != nil {
			return err
		}
		var page exchange.Openings
		if err := s.openOf("openings", id, box, &page); err != nil {
			return err
		}
		for _, l := range page.Lists {
			if l.List.Validate() == nil && l.List.Root() == roots[l.Fetch] {
				lists[l.Fetch] = l.List
			}
		}
		if page.Next <= after {
			return nil
		}
		after = page.Next
	}
	return nil
}

// sessionsOf lists the sessions of a log in which lists were committed to.
func sessionsOf(log []audit.Link) []tx.Hash {
	var ids []tx.Hash
	for _, l := range log {
		if l.Record.Root != (tx.Hash{}) && committed(l.Record.Action) && !slices.Contains(ids, l.Record.Ref) {
			ids = append(ids, l.Record.Ref)
		}
	}
	return ids
}

func committed(a audit.Action) bool { return a == audit.SessionOpened || a == audit.FetchCommitted }

// rootsOf returns the lists that a session committed to, by number: 0 with its request, 1, 2 and
// so on after it.
func rootsOf(log []audit.Link, session tx.Hash) map[uint32]tx.Hash {
	roots, n := map[uint32]tx.Hash{}, uint32(0)
	for _, l := range log {
		switch r := &l.Record; {
		case r.Ref != session:
		case r.Action == audit.SessionOpened && r.Count > 0:
			roots[0] = r.Root
		case r.Action == audit.FetchCommitted:
			n++
			roots[n] = r.Root
		}
	}
	return roots
}

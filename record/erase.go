package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble"

	"salus/fhir"
	"salus/ledger/tx"
	"salus/seal/compress"
)

// ErrErased: the record was here and is erased.
var ErrErased = errors.New("record: erased")

// A Named version is a resource of the clinical store that a record holds; Version 0 is none.
type Named struct {
	Type    string `cbor:"1,keyasint"`
	ID      string `cbor:"2,keyasint"`
	Version int64  `cbor:"3,keyasint"`
}

// Named returns what the records hold that the clinical store may have too, those that are erased already
// included; of records that are not here, nothing.
func (s *Service) Named(ids []ID) (out []Named, err error) {
	for _, id := range ids {
		r, err := s.store.record(id)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n, _, err := r.named()
		if err != nil {
			return nil, err
		}
		if n.Version > 0 {
			out = append(out, n)
		}
	}
	return out, nil
}

// named reads the resource in the row; nil for a row that holds none, as an index record, or that is erased.
func (r *row) named() (Named, *fhir.Resource, error) {
	if r.Erased != nil {
		return *r.Erased, nil, nil
	}
	b, err := compress.Decompress(r.Body, maxPlain)
	if err != nil {
		return Named{}, nil, errDamaged
	}
	res, err := fhir.Parse(b)
	if err != nil {
		return Named{}, nil, nil //nolint:nilerr // it is not one
	}
	n := Named{Type: res.Type(), ID: res.ID()}
	var meta struct {
		Meta struct {
			Version string `json:"versionId"`
		} `json:"meta"`
	}
	if r.Version && json.Unmarshal(b, &meta) == nil {
		n.Version, _ = strconv.ParseInt(meta.Meta.Version, 10, 64) // 0: none
	}
	return n, &res, nil
}

// OfPatient lists the ids of a patient's records here.
func (s *Service) OfPatient(patient tx.Account) (ids []ID, err error) {
	err = s.store.scan(key(prefixOf, patient[:]), func(rest, _ []byte) error {
		ids = append(ids, ID(rest))
		return nil
	})
	return ids, err
}

// Erase destroys what these records say: body, labels, summary, and what finds a record by its bytes. What stays
// is that there was a record of this id in this batch. Records that are not here are none of its business. When it
// returns nil that is durable and in no table of the store any more.
func (s *Service) Erase(ctx context.Context, ids []ID) error { return s.erase(ctx, nil, ids) }

// ErasePatient is Erase of all records of a patient, and of all else that is kept of her: her label map, her
// reference, the steward's half of her claim code. Who comes under that reference again is a new patient.
func (s *Service) ErasePatient(ctx context.Context, patient tx.Account) error {
	ids, err := s.OfPatient(patient)
	if err != nil {
		return err
	}
	return s.erase(ctx, &patient, ids)
}

func (s *Service) erase(ctx context.Context, patient *tx.Account, ids []ID) error {
	changed, err := s.stub(patient, ids)
	if err != nil || !changed {
		return errors.Join(err, ctx.Err())
	}
	return errors.Join(s.store.scour(), ctx.Err())
}

// stub replaces what is to be erased, durably.
func (s *Service) stub(patient *tx.Account, ids []ID) (changed bool, err error) {
	b := s.store.db.NewBatch()
	defer b.Close()
	s.changing.Lock()
	defer s.changing.Unlock()
	for _, id := range ids {
		if err := s.eraseRow(b, id); err != nil {
			return false, err
		}
	}
	if patient != nil {
		var p patientRow
		k := key(prefixPatient, patient[:])
		err := s.store.get(k, &p)
		if err != nil && !errors.Is(err, errNotFound) {
			return false, err
		}
		if err == nil {
			link := key(prefixLink, s.store.hash([]byte("reference"), []byte(p.Reference)))
			if err := errors.Join(b.Delete(k, nil), b.Delete(link, nil)); err != nil {
				return false, fmt.Errorf("record: erase: %w", err)
			}
		}
	}
	if b.Empty() {
		return false, nil
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return false, fmt.Errorf("record: erase: %w", err)
	}
	return true, nil
}

// eraseRow leaves a stub of a record.
func (s *Service) eraseRow(b *pebble.Batch, id ID) error {
	r, err := s.store.record(id)
	if errors.Is(err, errNotFound) || err == nil && r.Erased != nil {
		return nil
	}
	if err != nil {
		return err
	}
	n, res, err := r.named()
	if err != nil {
		return err
	}
	if res != nil {
		if err := b.Delete(key(prefixSame, []byte(s.same(r.Patient, *res))), nil); err != nil {
			return fmt.Errorf("record: erase: %w", err)
		}
	}
	stub := row{ID: r.ID, Patient: r.Patient, Status: r.Status, Kind: r.Kind, Batch: r.Batch, Index: r.Index, Version: r.Version, Erased: &n}
	return errors.Join(b.Delete(key(prefixStored, id[:]), nil), s.store.put(b, key(prefixRecord, id[:]), &stub))
}

// scour rewrites the tables, so that what was replaced is in none of them.
func (s *store) scour() error {
	if err := s.db.Flush(); err != nil {
		return fmt.Errorf("record: erase: %w", err)
	}
	if err := s.db.Compact([]byte{0}, []byte{0xff}, false); err != nil {
		return fmt.Errorf("record: erase: %w", err)
	}
	return nil
}

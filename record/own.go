package record

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/tx"
	"salus/seal/compress"
)

// ErrUnknownRecord: no record of that id in this organisation's own store.
var ErrUnknownRecord = errNotFound

// An Owned record is one line of the organisation's own store.
type Owned struct {
	ID      ID              `json:"id"`
	Patient tx.Account      `json:"patient"`
	Type    string          `json:"type"`
	Status  string          `json:"status"`
	Labels  []string        `json:"labels"`
	Summary json.RawMessage `json:"summary"`
	Batch   tx.Hash         `json:"batch"`
	Index   uint16          `json:"index"`
	Bytes   int             `json:"bytes"` // compressed
	Erased  bool            `json:"erased,omitempty"`
}

// MarshalText is the id's hex form.
func (id ID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", id[:]), nil }

// String is the id's hex form.
func (id ID) String() string { return fmt.Sprintf("%x", id[:]) }

// UnmarshalText reads the hex form.
func (id *ID) UnmarshalText(b []byte) (err error) { *id, err = ParseID(string(b)); return err }

var errID = errors.New("record: a record id is 32 hex digits")

// ParseID reads the hex form.
func ParseID(s string) (id ID, err error) {
	if len(s) != 2*len(id) {
		return id, errID
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return id, errID
	}
	return id, nil
}

func (r *row) owned() Owned {
	return Owned{ID: r.ID, Patient: r.Patient, Type: r.Type, Status: r.Status.String(), Labels: r.Labels, Summary: r.Summary, Batch: r.Batch, Index: r.Index, Bytes: len(r.Body), Erased: r.Erased != nil}
}

// Records lists what this organisation wrote about a patient, in the order of their ids.
func (s *Service) Records(patient tx.Account) ([]Owned, error) {
	out := []Owned{}
	err := s.store.scan(key(prefixOf, patient[:]), func(rest, _ []byte) error {
		r, err := s.store.record(ID(rest))
		if err == nil {
			out = append(out, r.owned())
		}
		return err
	})
	return out, err
}

// PatientOf returns whose a record of this organisation is, also an erased one. Error: ErrUnknownRecord.
func (s *Service) PatientOf(id ID) (tx.Account, error) {
	r, err := s.store.record(id)
	if err != nil {
		return tx.Account{}, err
	}
	return r.Patient, nil
}

// Body returns the exact bytes of a record of this organisation.
func (s *Service) Body(id ID) ([]byte, Owned, error) {
	r, err := s.store.record(id)
	if err != nil {
		return nil, Owned{}, err
	}
	if r.Erased != nil {
		return nil, Owned{}, ErrErased
	}
	b, err := compress.Decompress(r.Body, maxPlain)
	if err != nil {
		return nil, Owned{}, errDamaged
	}
	return b, r.owned(), nil
}

// Find returns the record that holds exactly these bytes of a patient. Error: ErrUnknownRecord.
func (s *Service) Find(patient tx.Account, r fhir.Resource) (Owned, error) {
	var id ID
	if err := s.store.get(key(prefixSame, []byte(s.same(patient, r))), &id); err != nil {
		return Owned{}, err
	}
	w, err := s.store.record(id)
	if err != nil {
		return Owned{}, err
	}
	return w.owned(), nil
}

// Record returns one record of this organisation. Error: ErrUnknownRecord.
func (s *Service) Record(id ID) (Owned, error) {
	r, err := s.store.record(id)
	if err != nil {
		return Owned{}, err
	}
	return r.owned(), nil
}

// Versions calls f with each record that PutVersions took, its patient's reference, and its exact
// bytes, in the order of patients and ids.
func (s *Service) Versions(f func(reference string, o Owned, body []byte) error) error {
	return s.versions(func(reference string, r *row) error {
		if r.Erased != nil {
			return nil
		}
		b, err := compress.Decompress(r.Body, maxPlain)
		if err != nil {
			return errDamaged
		}
		return f(reference, r.owned(), b)
	})
}

// ErasedVersions calls f with what those records held that PutVersions took and that are erased. An erased patient's
// reference is erased as well: what was her Patient resource tells it, and of one who had none here nothing is told.
func (s *Service) ErasedVersions(f func(reference string, o Owned, n Named) error) error {
	err := s.versions(func(reference string, r *row) error {
		if r.Erased == nil {
			return nil
		}
		return f(reference, r.owned(), *r.Erased)
	})
	if err != nil {
		return err
	}
	gone, err := s.gone()
	if err != nil {
		return err
	}
	for _, rows := range gone {
		reference := ""
		for _, r := range rows {
			if r.Erased.Type == "Patient" {
				reference = "Patient/" + r.Erased.ID
			}
		}
		if reference == "" {
			continue
		}
		for _, r := range rows {
			if err := f(reference, r.owned(), *r.Erased); err != nil {
				return err
			}
		}
	}
	return nil
}

// gone are the erased versions of patients who are erased altogether.
func (s *Service) gone() (map[tx.Account][]*row, error) {
	rows := map[tx.Account][]*row{}
	known := map[tx.Account]bool{}
	patients, err := s.Patients()
	if err != nil {
		return nil, err
	}
	for _, p := range patients {
		known[p.Patient] = true
	}
	err = s.store.scan([]byte{prefixOf}, func(rest, _ []byte) error {
		patient := tx.Account(rest[:len(tx.Account{})])
		if known[patient] {
			return nil
		}
		r, err := s.store.record(ID(rest[len(patient):]))
		if err == nil && r.Version && r.Erased != nil {
			rows[patient] = append(rows[patient], r)
		}
		return err
	})
	return rows, err
}

func (s *Service) versions(f func(reference string, r *row) error) error {
	patients, err := s.Patients()
	if err != nil {
		return err
	}
	for _, p := range patients {
		err := s.store.scan(key(prefixOf, p.Patient[:]), func(rest, _ []byte) error {
			r, err := s.store.record(ID(rest))
			if err != nil || !r.Version {
				return err
			}
			return f(p.Reference, r)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Known returns the pseudonym of a patient whom this organisation knows by a FHIR reference, and
// enrols nobody. Error: ErrUnknownPatient.
func (s *Service) Known(reference string) (patient tx.Account, err error) {
	err = s.store.get(key(prefixLink, s.store.hash([]byte("reference"), []byte(reference))), &patient)
	if errors.Is(err, errNotFound) {
		err = ErrUnknownPatient
	}
	return patient, err
}

// Reference is how this organisation refers to a patient; it is empty for one who enrolled herself and was not adopted
// yet. Error: ErrUnknownPatient.
func (s *Service) Reference(patient tx.Account) (string, error) {
	p, err := s.patient(patient)
	if err != nil {
		return "", err
	}
	return p.Reference, nil
}

// A Patient is one that this organisation knows.
type Patient struct {
	Patient   tx.Account `json:"patient"`
	Steward   tx.Account `json:"steward"`
	Reference string     `json:"reference"`
}

// Patients lists them.
func (s *Service) Patients() ([]Patient, error) {
	out := []Patient{}
	err := s.store.scan([]byte{prefixPatient}, func(rest, value []byte) error {
		var p patientRow
		if err := s.store.open(key(prefixPatient, rest), value, &p); err != nil {
			return err
		}
		out = append(out, Patient{p.Patient, p.Steward, p.Reference})
		return nil
	})
	slices.SortFunc(out, func(a, b Patient) int {
		if a.Reference < b.Reference {
			return -1
		}
		return 1
	})
	return out, err
}

// Pending is what was acknowledged and is not active yet.
type Pending struct {
	Stored  int // records that no batch holds yet: custodians' keys are waited for, or a fold
	Batches int // in the outbox
}

// Pending counts both as of one moment: what is sealed, or dealt again, between the two would be in neither.
func (s *Service) Pending() (p Pending, err error) {
	now := s.store.db.NewSnapshot()
	defer func() { err = errors.Join(err, now.Close()) }()
	for prefix, n := range map[byte]*int{prefixStored: &p.Stored, prefixOutbox: &p.Batches} {
		if err := scan(now, []byte{prefix}, func(_, _ []byte) error { *n++; return nil }); err != nil {
			return p, err
		}
	}
	return p, nil
}

// Openings relays a patient's question which records a session's fetches named.
func (s *Service) Openings(ctx context.Context, custodian tx.Account, req *exchange.OpeningsRequest) (*exchange.Sealed, error) {
	var out exchange.Sealed
	return &out, s.Links.Call(ctx, custodian, exchange.PathOpenings, req, &out)
}

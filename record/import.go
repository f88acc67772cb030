package record

import (
	"context"
	"io"

	"salus/fhir"
	"salus/ledger/tx"
)

// Progress of an import, called after each group of records.
type Progress struct {
	Records, Duplicates, Rejected, Patients int
}

// A Report is what an import did.
type Report struct {
	Progress
	IDs      []ID
	Reject   []fhir.Rejected
	Accounts []tx.Account // the patients, in the order of the input
}

// Import stores every resource of a FHIR Bundle or NDJSON stream with its patient, enrolling
// patients this organisation has not seen. Resources that cannot be taken are in the report;
// the others are stored all the same.
func (s *Service) Import(ctx context.Context, format string, r io.Reader, enrol EnrolFunc, progress func(Progress)) (*Report, error) {
	items := fhir.ReadBundle(r)
	if format == "ndjson" {
		items = fhir.ReadNDJSON(r)
	}
	groups, rejected, err := fhir.GroupByPatient(items)
	if err != nil {
		return nil, err
	}
	rep := &Report{Reject: rejected, Progress: Progress{Rejected: len(rejected)}}
	for _, g := range groups {
		patient, err := s.Enrol(ctx, g.Reference(), enrol)
		if err != nil {
			return rep, err
		}
		rep.Patients++
		rep.Accounts = append(rep.Accounts, patient)
		for rest := g.Resources(); len(rest) > 0; {
			n := min(len(rest), 200)
			acks, err := s.Put(ctx, patient, rest[:n])
			if err != nil {
				return rep, err
			}
			rest = rest[n:]
			for _, a := range acks {
				if a.Duplicate {
					rep.Duplicates++
				} else {
					rep.Records++
				}
				rep.IDs = append(rep.IDs, a.ID)
			}
			if progress != nil {
				progress(rep.Progress)
			}
		}
	}
	return rep, nil
}

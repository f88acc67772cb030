package record

import (
	"errors"
	"testing"

	"salus/fhir"
)

// Storing ends before the disk does, with nothing half stored, and goes on when there is space.
func TestStoringLeavesAReserve(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	r := []fhir.Resource{observation(t, "a", "first")}
	for _, tt := range []struct {
		free int64
		err  error
		want error
	}{
		{reserve, nil, ErrNoSpace},
		{0, nil, ErrNoSpace},
		{1 << 40, errNotFound, errNotFound},
	} {
		s.free = func() (int64, error) { return tt.free, tt.err }
		if acks, err := s.Put(t.Context(), p.Patient, r); !errors.Is(err, tt.want) || acks != nil {
			t.Errorf("%d free, %v: got %v, %v; want %v", tt.free, tt.err, acks, err, tt.want)
		}
	}
	s.free = func() (int64, error) { return reserve + 1<<20, nil }
	ids := w.put(p.Patient, r...)
	w.active(ids...)
	if owned, err := s.Records(p.Patient); err != nil || len(owned) != 2 { // with the slot map
		t.Errorf("got %d records, %v; want the one and the slot map", len(owned), err)
	}
}

package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"salus/fhir"
	"salus/ledger/tx"
)

// bundle is an import of one patient.
func bundle(t *testing.T, patient string, rs ...fhir.Resource) []byte {
	t.Helper()
	type entry struct {
		Resource json.RawMessage `json:"resource"`
	}
	all := []entry{{json.RawMessage(`{"resourceType":"Patient","id":"` + patient + `"}`)}}
	for _, r := range rs {
		all = append(all, entry{bytes.ReplaceAll(r.Raw(), []byte("Patient/p"), []byte("Patient/"+patient))})
	}
	b, err := json.Marshal(map[string]any{"resourceType": "Bundle", "type": "collection", "entry": all})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestImportEnrolsStoresAndReports(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	in := bundle(t, "zero", observation(t, "a", "first"), observation(t, "b", "second"))
	var last Progress
	rep, err := s.Import(t.Context(), "", bytes.NewReader(in), h.enrol, func(p Progress) { last = p })
	if err != nil || rep.Records != 3 || rep.Patients != 1 || rep.Duplicates != 0 || len(rep.IDs) != 3 || last != rep.Progress {
		t.Fatalf("got %+v, %v; last progress %+v", rep, err, last)
	}
	w.active(rep.IDs...)
	again, err := s.Import(t.Context(), "", bytes.NewReader(in), h.enrol, nil)
	if err != nil || again.Records != 0 || again.Duplicates != 3 || again.Accounts[0] != rep.Accounts[0] {
		t.Errorf("again: got %+v, %v", again, err)
	}
	ps, err := s.Patients()
	if err != nil || len(ps) != 1 || ps[0].Reference != "Patient/zero" || ps[0].Steward != account("hospital") {
		t.Errorf("got %+v, %v", ps, err)
	}
	lines := `{"resourceType":"Patient","id":"one"}` + "\n" + `{"resourceType":"NoSuchThing"}` + "\n" +
		strings.ReplaceAll(string(observation(t, "c", "third").Raw()), "Patient/p", "Patient/one") + "\n"
	rep, err = s.Import(t.Context(), "ndjson", strings.NewReader(lines), h.enrol, nil)
	if err != nil || rep.Records != 2 || rep.Rejected != 1 || len(rep.Reject) != 1 {
		t.Errorf("ndjson: got %+v, %v", rep, err)
	}
	for _, bad := range []string{"", "{", `{"resourceType":"Patient"`, "[]"} {
		if rep, err := s.Import(t.Context(), "", strings.NewReader(bad), h.enrol, nil); err == nil && rep.Rejected == 0 {
			t.Errorf("%q: got %+v", bad, rep)
		}
	}
	refused := errors.New("no")
	if _, err := s.Import(t.Context(), "", bytes.NewReader(bundle(t, "two")), func(context.Context, tx.Account, tx.Hash) error { return refused }, nil); !errors.Is(err, refused) {
		t.Errorf("enrolment refused: got %v", err)
	}
}

// An enrolment that was cut short goes on with the same pseudonym.
func TestEnrolmentIsRepeatedWithTheSamePseudonym(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	away := errors.New("away")
	var asked []tx.Account
	fail := func(_ context.Context, p tx.Account, _ tx.Hash) error { asked = append(asked, p); return away }
	if _, err := s.Enrol(t.Context(), "Patient/p", fail); !errors.Is(err, away) {
		t.Fatalf("got %v", err)
	}
	h.close()
	s = h.open("")
	unheard := func(ctx context.Context, p tx.Account, c tx.Hash) error {
		asked = append(asked, p)
		return errors.Join(h.enrol(ctx, p, c), away)
	}
	p, err := s.Enrol(t.Context(), "Patient/p", unheard)
	if err != nil || len(asked) != 2 || asked[0] != p || asked[1] != p {
		t.Errorf("got %v, %v; asked for %v", p, err, asked)
	}
	if again, err := s.Enrol(t.Context(), "Patient/p", fail); err != nil || again != p || len(asked) != 2 {
		t.Errorf("again: got %v, %v", again, err)
	}
	var wg sync.WaitGroup
	found := make([]tx.Account, 8)
	for i := range found {
		wg.Go(func() { found[i], _ = s.Enrol(t.Context(), "Patient/q", h.enrol) })
	}
	wg.Wait()
	for _, f := range found {
		if f != found[0] || f.IsZero() || f == p {
			t.Errorf("one reference got the pseudonyms %v", found)
		}
	}
}

package record

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/access"
)

// Nothing allowed, withdrawn, ended and nothing there are the same answer.
func TestRefusedLooksLikeNoData(t *testing.T) {
	s := newScene(t)
	empty := s.patient("Patient/empty")
	s.grant(empty)
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fetch, list, err := session.Commit(t.Context(), clinical(found))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Revoke(t.Context(), s.as(s.p.Signer()), s.p.Patient, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	// The session of before, at every stage.
	if res, err := session.ReadFetch(t.Context(), fetch, list, clinical(found)); err != nil || !cmp.Equal(res, &Result{Fetch: fetch}) {
		t.Errorf("committed before: got %v, %v; want no data", res, err)
	}
	if res, err := session.Read(t.Context(), clinical(found)); err != nil || len(res.Records)+len(res.Bad) != 0 {
		t.Errorf("located before: got %v, %v; want no data", res, err)
	}
	if got, err := session.Index(t.Context(), found); err != nil || len(got) != 0 {
		t.Errorf("index: got %v, %v; want no data", got, err)
	}
	stranger := s.patient("Patient/stranger") // no grant at all, and no records
	for rule, session := range map[string]*Session{
		"a patient without records": s.session(empty, s.ways()), "revoked": session, "opened after": s.session(s.p, s.ways()), "never granted": s.session(stranger, s.ways()),
	} {
		got, err := session.Locate(t.Context())
		if err != nil || got == nil || len(got) != 0 {
			t.Errorf("%s: got %#v, %v; want an empty list", rule, got, err)
		}
		res, err := session.Read(t.Context(), got)
		if err != nil || !cmp.Equal(res, &Result{}) {
			t.Errorf("%s: got %#v, %v; want an empty result", rule, res, err)
		}
	}
	if err := session.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := session.Locate(t.Context()); err != nil || got == nil || len(got) != 0 {
		t.Errorf("closed: got %#v, %v; want an empty list", got, err)
	}
}

// An expired session's key opens nothing any more, so its gateway need not keep it.
func TestSpentSessionHasNoKeyAndFindsNothing(t *testing.T) {
	s := newScene(t)
	session := s.session(s.p, s.ways())
	if got, err := session.Locate(t.Context()); err != nil || len(got) == 0 {
		t.Fatalf("got %d records, %v; want some before", len(got), err)
	}
	spent := session.Spent()
	if spent.key != nil || spent.public != nil || spent.Spent() != spent || spent.ID != session.ID || spent.Expires != session.Expires {
		t.Errorf("got another session, or one with a key")
	}
	got, err := spent.Locate(t.Context())
	if err != nil || got == nil || len(got) != 0 {
		t.Errorf("got %#v, %v; want an empty list", got, err)
	}
	if res, err := spent.Read(t.Context(), got); err != nil || !cmp.Equal(res, &Result{}) {
		t.Errorf("got %#v, %v; want an empty result", res, err)
	}
	if err := spent.Close(t.Context()); err != nil {
		t.Errorf("closing it: %v", err)
	}
}

func TestWithheldLabelLeavesNoTrace(t *testing.T) {
	s := newScene(t)
	whole, err := s.session(s.p, s.ways()).Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Revoke(t.Context(), s.as(s.p.Signer()), s.p.Patient, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	s.grant(s.p, "PSY")
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil || len(clinical(found)) != 2 {
		t.Fatalf("got %d records, %v; want the two without PSY", len(clinical(found)), err)
	}
	res, err := session.Read(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range res.Records {
		if bytes.Contains(o.Body, []byte("second")) || !o.Clinical() && bytes.Count(o.Body, []byte(`"i":`)) != 1 {
			t.Errorf("something withheld shows in %s", o.Body)
		}
	}
	// Naming what was withheld, from knowledge of another time, gives no data, as a whole.
	if res, err := session.Read(t.Context(), clinical(whole)); err != nil || len(res.Records) != 0 {
		t.Errorf("got %v, %v; want no data", res, err)
	}
}

func TestIndexTellsWithoutOpening(t *testing.T) {
	s := newScene(t)
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := session.Index(t.Context(), found)
	if err != nil || len(got) != len(s.rs) {
		t.Fatalf("got %d entries, %v", len(got), err)
	}
	if d := cmp.Diff(items(clinical(found)), func() (out []exchange.Item) {
		for _, e := range got {
			out = append(out, e.Item)
		}
		return out
	}()); d != "" {
		t.Error(d)
	}
	for _, e := range got {
		if e.Summary != fhir.Summarize(s.rs[0]) || e.Author != account("hospital") { // all three are heart rates
			t.Errorf("got %+v", e.Summary)
		}
	}
	v := s.app.View()
	defer v.Close()
	row, ok := access.LookupFetch(v, session.ID, 1)
	if !ok || int(row.Count) != len(found)-len(s.rs) {
		t.Errorf("got %+v; want the index records, and they alone, on the ledger", row)
	}
}

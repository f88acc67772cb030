package record

import (
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/fhir"
	"salus/ledger"
	"salus/ledger/module/emergency"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

func TestDirectivesHaveTheirShapeAndOpenWhatTheySay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, err := NewSlotMap(random(rapid.Uint64().Draw(t, "map")))
		if err != nil {
			t.Fatal(err)
		}
		without := rapid.SliceOfNDistinct(rapid.SampledFrom(fhir.AllLabels()), 0, 24, rapid.ID).Draw(t, "without")
		if len(without) == 24 && !slices.Contains(without, fhir.PSYTHPN) {
			t.Skip("more than there are")
		}
		d, err := m.Directive(random(rapid.Uint64().Draw(t, "dummies")), without)
		if err != nil {
			t.Fatal(err)
		}
		if bits.OnesCount64(d.Set) != 32 || bits.OnesCount64(d.More) != 32 || bits.OnesCount64(d.Except) != 24 {
			t.Fatalf("got %d, %d and %d bits", bits.OnesCount64(d.Set), bits.OnesCount64(d.More), bits.OnesCount64(d.Except))
		}
		row := emergency.Directive{Set: d.Set, More: d.More, Except: d.Except}
		for _, l := range append(fhir.AllLabels(), StewardLabel, EmergencyLabel) {
			slot, ok := m.Slot(l)
			if !ok {
				t.Fatalf("%s has no slot", l)
			}
			never := l == StewardLabel || l == fhir.PSYTHPN || slices.Contains(without, l) || l == EmergencyLabel && slices.ContainsFunc(without, beyondTheSet)
			for _, widened := range []bool{false, true} {
				want := !never && (widened || slices.Contains(EmergencySet(), l))
				if got := row.Mask(widened)&(1<<slot) != 0; got != want {
					t.Fatalf("%s, second step %v: got %v, want %v", l, widened, got, want)
				}
			}
		}
	})
}

func TestAnEmergencyReadsWithoutTheWalletOrAnyGrant(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	w.must("clinic", identity.KindRegister, &identity.Register{
		Account: account("emergency doctor"), Class: ledger.ClassPractitioner, Keys: []tx.PublicKey{public("emergency doctor")}, Privileges: identity.PrivRead | identity.PrivEmergency,
	})
	allergy := resource(t, `{"resourceType":"AllergyIntolerance","id":"x","patient":{"reference":"Patient/p"},"code":{"text":"Penicillin"}}`)
	secret := resource(t, `{"resourceType":"AllergyIntolerance","id":"y","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]},"patient":{"reference":"Patient/p"},"code":{"text":"Lithium"}}`)
	notes := observation(t, "c", "session", "PSYTHPN")
	w.active(w.put(p.Patient, allergy, secret, observation(t, "a", "pulse"), notes)...)
	r := Reading{ChainID: chainID, Chain: Replica{w.app.View}, Custodians: w.ways()}
	s, err := OpenEmergency(w.Context(), r, w.as(signer("emergency doctor")), p.Patient, emergency.OVRINCOMP, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if s.Latest != s.Expires+600 {
		t.Errorf("got an end of %d, or %d if extended", s.Expires, s.Latest)
	}
	read := func() (out []string) {
		t.Helper()
		found, err := s.Locate(w.Context())
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Read(w.Context(), clinical(found))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range res.Records {
			out = append(out, string(o.Body))
		}
		return out
	}
	if got := read(); len(got) != 1 || !strings.Contains(got[0], "Penicillin") {
		t.Errorf("the first step: got %q", got)
	}
	if err := s.Widen(w.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(read(), "\n"); strings.Count(got, "\n") != 2 || !strings.Contains(got, "Lithium") || strings.Contains(got, "session") {
		t.Errorf("the second step: got %q", got)
	}
	// She excludes the sensitive ones, and they are closed to the same session.
	v := w.app.View()
	d, _ := emergency.LookupDirective(v, p.Patient)
	v.Close()
	if d.By != account("hospital") {
		t.Errorf("the directive is by %s", d.By)
	}
	if _, err := Direct(w.Context(), w.as(p.Signer()), p.Patient, p.slots, d.Version, []fhir.Label{fhir.PSY}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(read(), "\n"); strings.Contains(got, "Lithium") || !strings.Contains(got, "pulse") {
		t.Errorf("after she excluded it: got %q", got)
	}
}

func TestStatementsAreSalted(t *testing.T) {
	a, b := Statement([32]byte{1}, []byte("text")), Statement([32]byte{2}, []byte("text"))
	if a == b || a == Statement([32]byte{1}, []byte("texts")) || a != Statement([32]byte{1}, []byte("text")) {
		t.Error("a statement is not bound to its salt and text")
	}
}

func resource(t testing.TB, raw string) fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

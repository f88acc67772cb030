package record

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// A patient is one with a wallet.
type patient struct {
	*Wallet
	slots *SlotMap
}

// patient enrols somebody at the hospital, who claims her pseudonym with a wallet, and returns
// when her slot map is active.
func (w *world) patient(reference string) *patient {
	w.Helper()
	s := w.orgs["hospital"].record
	id, err := s.Enrol(w.Context(), reference, w.orgs["hospital"].enrol)
	if err != nil {
		w.Fatal(err)
	}
	code, err := s.ClaimCode(id)
	if err != nil {
		w.Fatal(err)
	}
	wallet, err := ClaimWallet(w.Context(), chainID, code, w.as)
	if err != nil {
		w.Fatal(err)
	}
	slots, err := wallet.SlotMap()
	if err != nil {
		w.Fatal(err)
	}
	own, err := s.Records(id) // the slot map alone: the sequences that follow are the test's
	if err != nil || len(own) != 1 || own[0].Type != TypeSlotMap {
		w.Fatalf("got %v, %v; want the slot map alone", own, err)
	}
	w.active(own[0].ID)
	return &patient{wallet, slots}
}

// grant lets the clinic read for treatment.
func (w *world) grant(p *patient, without ...fhir.Label) consent.GrantID {
	w.Helper()
	id, err := NewGrantID()
	if err != nil {
		w.Fatal(err)
	}
	if _, err := Grant(w.Context(), w.as(p.Signer()), p.Patient, p.slots, id, 0, Wish{
		Grantee: consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}, Purposes: consent.PurposesOf(consent.TREAT), Without: without,
	}); err != nil {
		w.Fatal(err)
	}
	return id
}

// session opens a session of the clinic's doctor, whose questions go through ways.
func (w *world) session(p *patient, ways Custodians) *Session {
	w.Helper()
	r := Reading{ChainID: chainID, Chain: Replica{w.app.View}, Custodians: ways}
	s, err := OpenSession(w.Context(), r, w.as(signer("doctor")), p.Patient, consent.TREAT, 10*time.Minute)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// ways reaches custodians and vaults as the clinic does.
func (w *world) ways() Custodians {
	return memberLinks{&Service{Config: Config{Self: account("clinic"), Ledger: w.app, Links: w.orgs["clinic"], Vault: w.orgs["clinic"].vault}}}
}

// read opens everything clinical that a new session of the doctor may see.
func (w *world) read(p *patient) []string {
	w.Helper()
	s := w.session(p, w.ways())
	found, err := s.Locate(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	res, err := s.Read(w.Context(), clinical(found))
	if err != nil {
		w.Fatal(err)
	}
	if len(res.Bad) != 0 {
		w.Fatalf("custodians blamed: %v", res.Bad)
	}
	for _, o := range res.Records {
		out = append(out, string(o.Body))
	}
	return out
}

func clinical(found []Located) []Located {
	var out []Located
	for _, l := range found {
		if l.Clinical() {
			out = append(out, l)
		}
	}
	return out
}

// observation makes a small resource of the patient's; note goes into its text.
func observation(t testing.TB, id, note string, security ...string) fhir.Resource {
	t.Helper()
	var labels []string
	for _, s := range security {
		labels = append(labels, `{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"`+s+`"}`)
	}
	raw := fmt.Sprintf(`{"resourceType":"Observation","id":%q,"meta":{"security":[%s]},"status":"final",`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}]},"subject":{"reference":"Patient/p"},`+
		`"effectiveDateTime":"2024-05-01","note":[{"text":%q}]}`, id, strings.Join(labels, ","), note)
	r, err := fhir.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// put stores resources at the hospital and returns the ids.
func (w *world) put(p tx.Account, rs ...fhir.Resource) []ID {
	w.Helper()
	acks, err := w.orgs["hospital"].record.Put(w.Context(), p, rs)
	if err != nil {
		w.Fatal(err)
	}
	ids := make([]ID, len(acks))
	for i, a := range acks {
		ids[i] = a.ID
	}
	return ids
}

func (w *world) active(ids ...ID) {
	w.Helper()
	if err := w.orgs["hospital"].record.Wait(w.Context(), ids...); err != nil {
		w.Fatal(err)
	}
}

// copyDir makes an image of a directory as a crash would leave it.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, "image"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "image")
}

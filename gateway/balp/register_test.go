package balp

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
	"salus/internal/durable"
	"salus/ledger/module/consent"
)

func register(t testing.TB, file string) *Register {
	t.Helper()
	r, err := OpenRegister(file, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func suspend(t testing.TB, r *Register, s Suspension) {
	t.Helper()
	if err := r.Change(func(k *Kept) error { k.Suspensions = append(k.Suspensions, s); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsKeptIsSealedAndWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "accounting")
	r := register(t, file)
	s := Suspension{Number: 1, Patient: alice.Reference, Recipient: "Sample Agency", From: at, Oral: true, By: "a sample official"}
	suspend(t, r, s)
	before := r.Kept()
	if err := r.Change(func(k *Kept) error {
		k.Studies["S"], k.Addresses["Sample Agency"] = Study{Name: "S", From: at}, "1 Sample Street"
		k.Suspensions[0].Ended = at
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(before.Studies)+len(before.Addresses) != 0 || !before.Suspensions[0].Ended.IsZero() {
		t.Error("what was read before a change changed with it")
	}
	// A change that fails changes nothing, nor does one that a crash cut off.
	if err := r.Change(func(k *Kept) error { k.Studies["T"] = Study{}; return ErrEvent }); !errors.Is(err, ErrEvent) {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(file+durable.Suffix, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.Kept(), register(t, file).Kept()); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(file + durable.Suffix); err != nil { // which would be in the way of a folder of that name
		t.Fatal(err)
	}
	if err := os.Mkdir(file+durable.Suffix, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.Change(func(k *Kept) error { k.Studies["T"] = Study{}; return nil }); err == nil || len(r.Kept().Studies) != 1 {
		t.Errorf("what could not be written is kept in memory: %v", err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"alice", "Sample", "suspensions"} {
		if bytes.Contains(raw, []byte(plain)) {
			t.Errorf("%s is readable on disk", plain)
		}
	}
	if _, err := OpenRegister(file, [32]byte{2}); !errors.Is(err, ErrRegister) {
		t.Errorf("got %v, want %v", err, ErrRegister)
	}
	raw[len(raw)/2] ^= 1
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRegister(file, [32]byte{1}); !errors.Is(err, ErrRegister) {
		t.Errorf("got %v, want %v", err, ErrRegister)
	}
}

// Her own log does not tell a patient what her accounting withholds, nor how many there are; the ledger's entries stay.
func TestHerLogWithholdsWhatHerAccountingDoes(t *testing.T) {
	r := newReader(t)
	r.Register = register(t, filepath.Join(t.TempDir(), "accounting"))
	refused, visit := disclosure(agency, at, consent.PUBHLTH), wholeEvent(Read)
	refused.Outcome = Serious
	visit.Recipient, visit.Client = Who{}, agency // it came itself
	r.record(t, disclosure(court, at, consent.HLEGAL), disclosure(agency, at, consent.PUBHLTH), refused, visit)
	ids := func(p *Page) (out []string) {
		for _, id := range p.IDs {
			if slices.Contains([]string{"local-1", "local-2", "local-3", "local-4"}, id) {
				out = append(out, id)
			}
		}
		return out
	}
	if got := ids(search(t, r, subject, "_sort=date")); len(got) != 4 {
		t.Fatalf("got %v, want all four before a suspension", got)
	}
	total := search(t, r, subject, "").Total
	s := Suspension{Patient: alice.Reference, Recipient: agency.Reference, From: at, Until: at.AddDate(0, 1, 0)}
	suspend(t, r.Register, s)
	p := search(t, r, subject, "")
	if got := ids(p); !slices.Equal(got, []string{"local-1"}) || p.Total != total+1-3 { // and the search before
		t.Errorf("got %v of %d, want the court's alone", got, p.Total)
	}
	for _, id := range []string{"local-2", "local-3", "local-4"} {
		if _, err := r.Read(t.Context(), subject, id, herself); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: got %v, want %v", id, err, ErrNotFound)
		}
	}
	if _, err := r.Read(t.Context(), subject, "local-1", herself); err != nil {
		t.Error(err)
	}
	if got := ids(search(t, r, subject, "_id=ledger-104,local-2")); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	// The operator sees them, of her and in the whole journal.
	officer := Event{Organization: clinic}
	for _, who := range []Subject{subject, {}} {
		q, err := ParseQuery(nil)
		if err != nil {
			t.Fatal(err)
		}
		p, err := r.Search(t.Context(), who, q, officer)
		if err != nil || len(ids(p)) != 4 {
			t.Errorf("the operator sees %v, %v", p, err)
		}
	}
	// The ledger's entries have a chain of their own.
	links := Ledger{Chain: r.Chain, Patient: alice}.Events(links())
	i := slices.IndexFunc(links, func(e Event) bool { return e.Kind == Disclose })
	before := search(t, r, subject, "_count=1000").IDs
	s.Recipient = links[i].recipient().key()
	suspend(t, r.Register, s)
	after := search(t, r, subject, "_count=1000").IDs
	ledgers := func(ids []string) (n int) {
		for _, id := range ids {
			if strings.HasPrefix(id, "ledger-") {
				n++
			}
		}
		return n
	}
	if got, want := ledgers(after), ledgers(before); got != want || want == 0 {
		t.Errorf("got %d entries of the ledger, want %d", got, want)
	}
	// The accounting withholds both, also the report of every access.
	for _, every := range []bool{false, true} {
		tt := terms()
		tt.To, tt.Requested, tt.Everything, tt.Officer = at.Add(24*time.Hour), at.Add(24*time.Hour), every, true
		a, err := r.Accounting(t.Context(), subject, tt, officer)
		if err != nil || a.Withheld == 0 {
			t.Fatalf("got %+v, %v", a, err)
		}
		for _, i := range a.Items {
			if i.who.is(agency.Reference) || i.who.is(s.Recipient) {
				t.Errorf("got %+v, want it withheld", i)
			}
		}
	}
}

// What was recorded later is in the accounting by its day, and in the journal, whose order it leaves alone, by when that was.
func TestADisclosureThatWasRecordedLater(t *testing.T) {
	r := newReader(t)
	letter := disclosure(Who{Display: "Sample Sheriff"}, time.Time{}, consent.HLEGAL)
	letter.On, letter.What, letter.Resources = at.AddDate(0, -3, 0).Format(time.DateOnly), "a letter", nil
	call := letter
	call.Recipient, call.What = Who{Display: "Sample Registry"}, "by telephone"
	soon := disclosure(Who{Display: "Sample Sheriff"}, at, consent.HLEGAL)
	r.record(t, soon, letter, call)
	got, ok, err := r.Recorder.Journal.Read(2)
	if err != nil || !ok || !got.Time.Equal(r.Recorder.Now()) {
		t.Fatalf("got %+v, %v: its time is not that of recording", got, err)
	}
	day := got.On
	body, err := site.AuditEvent(&got.Event, "local-2")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"period":{"start":"` + day + `","end":"` + day + `"}`, `"recorded":"` + got.Time.Format(instant) + `"`, `"description":"a letter"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("got %s, want %s", body, want)
		}
	}
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := fhir.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range v.Validate(t.Context(), parsed) {
		if i.Severity == validate.Error && i.Code != validate.CodeProfileUnknown {
			t.Errorf("%+v", i)
		}
	}
	if p := search(t, r, subject, "date=ge"+got.Time.Format(time.RFC3339)+"&type=110106"); p.Total != 2 {
		t.Errorf("got %d by when they were recorded, want 2", p.Total)
	}
	tt := terms()
	tt.To, tt.Requested = r.Recorder.Now(), r.Recorder.Now()
	a, err := r.Accounting(t.Context(), Subject{Ref: alice.Reference}, tt, herself)
	if err != nil || len(a.Items) != 2 {
		t.Fatalf("got %+v, %v, want one for each recipient, who have no reference", a, err)
	}
	i := a.Items[0] // the sheriff's: the letter and what this node sent
	if i.Number != 2 || i.First.Format(time.DateOnly) != day || !i.Last.Equal(at) {
		t.Errorf("got %+v", i)
	}
	tt.From = at.AddDate(0, -1, 0)
	if a, err = r.Accounting(t.Context(), Subject{Ref: alice.Reference}, tt, herself); err != nil || len(a.Items) != 1 || a.Items[0].Number != 1 {
		t.Errorf("got %+v, %v, want what happened in the period, not what was recorded in it", a, err)
	}
}

// What is withheld from her is found by the name that the officer entered, whatever name she is told.
func TestAPseudonymDoesNotEndASuspension(t *testing.T) {
	r := newReader(t)
	r.Register = register(t, filepath.Join(t.TempDir(), "accounting"))
	r.Alias = func(Who) Who { return Who{Value: "someone"} }
	visit := wholeEvent(Read)
	visit.User = agency
	r.record(t, visit)
	if p := search(t, r, subject, "_id=local-1"); p.Total != 1 {
		t.Fatalf("got %d events before a suspension, want 1", p.Total)
	}
	suspend(t, r.Register, Suspension{Patient: alice.Reference, Recipient: agency.Reference, From: at, Until: at.AddDate(0, 1, 0)})
	if p := search(t, r, subject, "_id=local-1"); p.Total != 0 {
		t.Errorf("got %d events while it is suspended, want none", p.Total)
	}
	if p := searchAs(t, r, Event{User: clinic}, subject, "_id=local-1"); p.Total != 1 {
		t.Errorf("the organisation finds %d, want 1", p.Total)
	}
}

package summary

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"salus/fhir"
	"salus/ledger"
	"salus/ledger/module/emergency"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/record"
)

// shelf is a Records for one patient.
type shelf struct {
	mu      sync.Mutex
	slots   *record.SlotMap
	without []fhir.Label
	last    record.Summary
	docs    []string
	labels  [][]fhir.Label
	unknown bool
}

func (s *shelf) Known(ref string) (tx.Account, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unknown || ref != "Patient/a" {
		return tx.Account{}, record.ErrUnknownPatient
	}
	return tx.Account{1}, nil
}

func (s *shelf) Reference(tx.Account) (string, error) { return "Patient/a", nil }

func (s *shelf) Reach(context.Context, tx.Account, []fhir.Label) (*record.Reach, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.slots.Directive(rand.Reader, s.without)
	return record.NewReach(s.slots, emergency.Directive{Set: d.Set, More: d.More, Except: d.Except}), err
}

func (s *shelf) LastSummary(tx.Account) (record.Summary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, nil
}

func (s *shelf) PutSummary(_ context.Context, _ tx.Account, doc fhir.Resource, labels []fhir.Label, digest [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = record.Summary{Number: s.last.Number + 1, Digest: digest}
	s.docs, s.labels = append(s.docs, string(doc.Raw())), append(s.labels, labels)
	return nil
}

func (s *shelf) NoSummary(_ tx.Account, digest [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.Digest = digest
	return nil
}

func (s *shelf) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.docs)
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	m, err := record.NewSlotMap(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{slots: m}
}

// keeper keeps the summaries of a world; keep does what is due at once.
func (w *world) keeper(s *shelf) *Keeper {
	w.t.Helper()
	st, err := state.Open("ledger", state.Options{FS: vfs.NewMem()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := st.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return &Keeper{KeeperConfig: KeeperConfig{
		Config: Config{Author: "Salus", Custodian: "Sample Clinic"}, Store: w.st, Records: s, View: st.View, Changed: func() <-chan struct{} { return nil },
		Quiet: time.Second, Now: time.Now, Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)),
	}}
}

func (w *world) keep(k *Keeper) {
	w.t.Helper()
	if err := k.keep(w.t.Context(), "Patient/a"); err != nil {
		w.t.Fatal(err)
	}
}

const (
	lithium = `{"resourceType":"MedicationRequest","id":"mp","status":"active","intent":"order","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"PSY"}]},"medicationCodeableConcept":{"text":"Lithium"},"subject":{"reference":"Patient/a"}}`
	surgery = `{"resourceType":"Procedure","id":"pa","status":"completed","code":{"text":"Pacemaker"},"subject":{"reference":"Patient/a"}}`
	other   = `{"resourceType":"AllergyIntolerance","id":"ab","code":{"text":"Latex"},"patient":{"reference":"Patient/a"}}`
)

func TestASummaryForEmergenciesTellsNothingSensitiveAndNothingOfOthers(t *testing.T) {
	w, s := seeded(t), newShelf(t)
	w.put(thing{body: lithium}, false)
	w.put(thing{body: surgery}, false)
	w.put(thing{body: other, hidden: true}, true) // another organisation's, in a session's scope
	w.keep(w.keeper(s))
	if len(s.docs) != 1 {
		t.Fatalf("got %d summaries", len(s.docs))
	}
	doc := s.docs[0]
	for text, want := range map[string]bool{"Asthma": true, "Nuts": true, "Salbutamol": true, "Pacemaker": true, "Lithium": false, "Gout": false, "Latex": false, `"id":"emergency-summary"`: true, `"versionId":"1"`: true} {
		if strings.Contains(doc, text) != want {
			t.Errorf("%q in the summary: got %v", text, !want)
		}
	}
	if want := []fhir.Label{record.EmergencyLabel, "administrative", "allergy", "condition", "medication"}; !slices.Equal(s.labels[0], want) {
		t.Errorf("got labels %v, want %v: procedures are told under the emergency's own", s.labels[0], want)
	}
}

func TestASummaryIsWrittenOnlyWhenItSaysSomethingElse(t *testing.T) {
	w, s := seeded(t), newShelf(t)
	k := w.keeper(s)
	w.keep(k)
	w.keep(k)
	w.keep(w.keeper(s)) // after a restart
	w.put(thing{body: lithium}, false)
	w.keep(k)
	if len(s.docs) != 1 {
		t.Fatalf("got %d summaries that say the same", len(s.docs))
	}
	w.put(thing{body: other}, false)
	w.keep(k)
	if len(s.docs) != 2 || !strings.Contains(s.docs[1], "Latex") || !strings.Contains(s.docs[1], `"versionId":"2"`) {
		t.Errorf("got %d summaries, the last %s", len(s.docs), s.docs[len(s.docs)-1])
	}
}

func TestWhatThePatientExcludesIsInNoSummary(t *testing.T) {
	w := seeded(t)
	w.put(thing{body: surgery}, false)
	for _, c := range []struct {
		without fhir.Label
		text    string // that is not told
		labels  []fhir.Label
	}{
		{"allergy", "Nuts", []fhir.Label{record.EmergencyLabel, "administrative", "condition", "medication"}},
		{"procedure", "Pacemaker", []fhir.Label{"administrative", "allergy", "condition", "medication"}},
		{"laboratory", "Pacemaker", []fhir.Label{"administrative", "allergy", "condition", "medication"}},
		{fhir.PSY, "Lithium", []fhir.Label{record.EmergencyLabel, "administrative", "allergy", "condition", "medication"}},
		{"administrative", "", nil},
	} {
		s := newShelf(t)
		s.without = []fhir.Label{c.without}
		w.keep(w.keeper(s))
		switch {
		case c.labels == nil:
			if len(s.docs) != 0 {
				t.Errorf("without %s: got a summary", c.without)
			}
		case len(s.docs) != 1 || strings.Contains(s.docs[0], c.text) || !slices.Equal(s.labels[0], c.labels):
			t.Errorf("without %s: got %v %s", c.without, s.labels, s.docs)
		}
	}
}

// Writes that follow each other are one summary, and one that cannot be written yet is written later.
func TestASummaryWaitsForQuietAndForTheLedger(t *testing.T) {
	w, s := seeded(t), newShelf(t)
	k, now := w.keeper(s), time.Unix(1_800_000_000, 0)
	k.Now = func() time.Time { return now }
	k.due, k.next = map[string]*due{}, now
	if err := k.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.unknown = true
	if got := k.marks(); got[0] != 0 {
		t.Errorf("got %v before anything is settled", got)
	}
	for range 3 {
		now = now.Add(600 * time.Millisecond)
		k.touch("Patient/a", k.read, none)
		k.settle(t.Context())
	}
	if got := k.due["Patient/a"]; got == nil || s.count() != 0 {
		t.Fatalf("got %d summaries while she is written to", s.count())
	}
	now = now.Add(2 * time.Second)
	k.settle(t.Context())
	if k.due["Patient/a"] == nil {
		t.Fatal("a patient who is not enrolled is forgotten")
	}
	s.unknown = false
	now = now.Add(2 * time.Second)
	k.settle(t.Context())
	if s.count() != 1 || k.due["Patient/a"] != nil {
		t.Errorf("got %d summaries", s.count())
	}
	for range 100 { // who never comes to rest is not waited for for ever
		now = now.Add(600 * time.Millisecond)
		k.touch("Patient/a", k.read, none)
		w.put(thing{body: strings.ReplaceAll(other, `"Latex"`, fmt.Sprintf("%q", now))}, false)
		k.settle(t.Context())
	}
	if n := s.count(); n < 3 || n > 8 {
		t.Errorf("got %d summaries of a patient who changes all the time for a minute", n)
	}
}

// What is refused again and again is tried less and less often, until something changes.
func TestASummaryThatIsRefusedIsTriedLessOften(t *testing.T) {
	w, s := seeded(t), newShelf(t)
	k, now := w.keeper(s), time.Unix(1_800_000_000, 0)
	k.Now = func() time.Time { return now }
	k.due, k.next = map[string]*due{}, now
	if err := k.follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.unknown = true
	tries := func(d time.Duration) (n int) {
		for end := now.Add(d); now.Before(end); now = now.Add(time.Second) {
			before := k.due["Patient/a"].resume
			k.settle(t.Context())
			if k.due["Patient/a"].resume != before {
				n++
			}
		}
		return n
	}
	if n := tries(24 * time.Hour); n < 24 || n > 40 {
		t.Errorf("got %d tries in a day, want one an hour after the first dozen", n)
	}
	s.unknown = false
	k.touch("Patient/a", k.read, none)
	now = now.Add(2 * time.Second)
	k.settle(t.Context())
	if s.count() != 1 {
		t.Errorf("got %d summaries after a change, want 1 at once", s.count())
	}
}

// refusing fails for some patients.
type refusing struct{ *shelf }

func (r refusing) Known(ref string) (tx.Account, error) {
	if strings.HasPrefix(ref, "Patient/refused") {
		return tx.Account{}, errors.New("refused")
	}
	return r.shelf.Known(ref)
}

func TestWhySummariesWaitIsSaidOnceAPass(t *testing.T) {
	w, s := seeded(t), newShelf(t)
	k := w.keeper(s)
	var log bytes.Buffer
	k.Records, k.due = refusing{s}, map[string]*due{}
	k.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	now := time.Now()
	k.Now = func() time.Time { return now }
	for i := range 40 {
		k.due[fmt.Sprint("Patient/new", i)] = &due{entry: none}
	}
	for i := range 3 {
		k.due[fmt.Sprint("Patient/refused", i)] = &due{entry: none}
	}
	k.due["Patient/a"] = &due{entry: none}
	k.settle(t.Context())
	want := `level=WARN msg=summary_waits patients=3 err=refused
level=INFO msg=summary_waits patients=40 err="summary: the patient is not enrolled yet"
`
	if log.String() != want || len(k.due) != 43 || s.count() != 1 {
		t.Errorf("got %d who wait, %d summaries and\n%swant\n%s", len(k.due), s.count(), &log, want)
	}
	k.settle(t.Context()) // their time has not come again
	if log.String() != want {
		t.Errorf("got\n%s", &log)
	}
	ctx, cancel := context.WithCancel(t.Context())
	now = now.Add(time.Hour)
	cancel()
	k.settle(ctx)
	if log.String() != want {
		t.Errorf("at the end of the node: got\n%s", &log)
	}
}

// What a log of many entries told before the store was there is not read: the store says of whom to tell. What comes
// after is, however much it is.
func TestTheLogIsFollowedFromWhereTheStoreBegins(t *testing.T) {
	w, s := seeded(t), newShelf(t)
	st, err := state.Open("ledger", state.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	add := func(entries ...[]byte) {
		t.Helper()
		v := st.View()
		defer v.Close()
		c := state.NewCache(v)
		for _, e := range entries {
			c.Append(e)
		}
		if _, err := st.Stage(state.Block{Height: st.Last().Height + 1, Time: 1_800_000_000, Changes: c}); err != nil {
			t.Fatal(err)
		}
		if err := st.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	directive := tx.MustEncode(ledger.Entry{Kind: emergency.EntryDirective, Height: 1, Payload: tx.MustEncode(emergency.Set{Patient: tx.Account{1}})})
	follow := func(k *Keeper) *due {
		t.Helper()
		k.due = map[string]*due{}
		if err := k.follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		v := st.View()
		defer v.Close()
		if k.log != v.Size() {
			t.Errorf("followed to entry %d of %d", k.log, v.Size())
		}
		return k.due["Patient/a"]
	}
	k := w.keeper(s)
	k.View = st.View
	if d := follow(k); d == nil || k.log != 0 {
		t.Fatal("the patient of the store is not told of while the ledger has no entry")
	}

	add([]byte("an entry that nobody reads"), directive)
	if d := follow(k); d == nil || d.entry != none || d.seq == 0 {
		t.Errorf("got %+v, want the store's word alone", d)
	}
	if d := follow(k); d != nil {
		t.Errorf("got %+v, want nothing that was seen before", d)
	}
	many := make([][]byte, 2*ledger.EntriesAtOnce+3)
	for i := range many {
		many[i] = tx.MustEncode(ledger.Entry{Kind: emergency.EntryDirective + 1, Height: 2, Payload: []byte{0xa0}})
	}
	many[len(many)-1] = directive
	add(many...)
	if d := follow(k); d == nil || d.entry != uint64(1+len(many)) {
		t.Errorf("got %+v, want the last entry", d)
	}
	add([]byte("an entry that cannot be read"))
	if err := k.follow(t.Context()); err == nil {
		t.Error("an entry that cannot be read is passed over")
	}
}

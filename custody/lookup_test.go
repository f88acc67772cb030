package custody

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/lookup"
	"salus/ledger/tx"
	"salus/record" //nolint:depguard // the tests play both sides of a lookup
	"salus/threshold/oprf"
)

// lookupWorld has a lookup key that all four custodians made.
func lookupWorld(t *testing.T) *world {
	w := newWorld(t)
	w.must("hospital", lookup.KindBegin, &lookup.Begin{Number: 1})
	w.lookups()
	w.lookups()
	w.lookups()
	v := w.nodes[0].View()
	defer v.Close()
	run, _ := lookup.LastCeremony(v)
	if _, ok := lookup.Current(v); !ok || run.Agreed != 15 {
		t.Fatalf("got no key of all four custodians: phase %d", run.Phase)
	}
	return w
}

// lookups lets every custodian that runs do once what lookups ask of it, and makes a block.
func (w *world) lookups() {
	w.Helper()
	for _, m := range w.nodes {
		if m.Custodian != nil && !m.down {
			if err := m.lookupOnce(context.Background()); err != nil {
				w.Logf("%s: %v", m.name, err)
			}
		}
	}
	w.advance(time.Second)
	w.block()
}

// A seat is an organisation's record room as far as lookups need it.
type seat struct{ *member }

func (seat) Upload(context.Context, tx.Account, string, string, io.Reader, int64) error {
	return errors.New("no uploads here")
}

func (seat) Download(context.Context, tx.Account, string, string) (io.ReadCloser, int64, error) {
	return nil, 0, errors.New("no downloads here")
}

func (m *member) records() *record.Service {
	return &record.Service{Config: record.Config{
		Self: account(m.name), Chain: chainID, Ledger: m, Changed: m.hub.Changed, Submit: m, Links: seat{m},
		Log: slog.New(slog.NewTextHandler(m.w.Output(), nil)),
	}}
}

// A signer submits as somebody, and lets the custodians work before it returns.
type signer struct {
	w    *world
	name string
}

func (s signer) Submit(_ context.Context, kind tx.Kind, msg tx.Message) (client.Committed, error) {
	id, err := s.w.do(s.name, kind, msg)
	if err == nil && kind == lookup.KindResolve {
		s.w.lookups()
	}
	return client.Committed{ID: id, Height: s.w.nodes[0].Head().Height}, err
}

var (
	national = record.Identifier{System: "urn:oid:2.999.1", Value: "12-345 678"}
	person   = record.Identifier{Family: "Müller-Sample", Given: "Anna Maria", Born: "1980-02-29", Sex: "female"}
)

func (w *world) enrolIdentifier(patient string, id record.Identifier) tx.Hash {
	w.Helper()
	entry, err := w.node("hospital").records().EnrolIdentifier(context.Background(), account(patient), id)
	if err != nil {
		w.Fatal(err)
	}
	return entry
}

func (w *world) chainOf(patient string) uint64 {
	v := w.nodes[0].View()
	defer v.Close()
	at, _ := audit.At(v, account(patient))
	return at.Seq
}

func TestIdentifierLeadsToThePatientAndHerLogSaysSo(t *testing.T) {
	w := lookupWorld(t)
	w.enrolIdentifier("alice", national)
	w.enrolIdentifier("alice", person)
	clinic := w.node("clinic").records()
	before := w.chainOf("alice")
	// Written otherwise, as another register would.
	got, err := clinic.LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{
		{System: "2.999.1", Value: "12345678"}, {Family: "MULLER SAMPLE", Given: "anna", Born: "1980-02-29", Sex: "Female"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Patient != account("alice") || got[0].Grade != "certain" || !slices.Equal(got[0].By, []int{0, 1}) {
		t.Fatalf("got %+v, want her with certainty", got)
	}
	if after := w.chainOf("alice"); after != before+2 {
		t.Errorf("her chain: got %d more entries, want one for each lookup", after-before)
	}
	got, err = clinic.LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{{System: "urn:oid:2.999.1", Value: "87654321"}})
	if err != nil || len(got) != 0 {
		t.Errorf("an identifier of nobody: got %v %v, want nobody", got, err)
	}
}

func TestLookupWorksWithoutOneCustodianAndNamesALiar(t *testing.T) {
	w := lookupWorld(t)
	w.enrolIdentifier("alice", national)
	w.node("lab").down = true
	got, err := w.node("clinic").records().LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{national})
	if err != nil || len(got) != 1 {
		t.Fatalf("one of four down: got %v %v, want her", got, err)
	}
	w.node("insurer").down = true
	if _, err := w.node("clinic").records().LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{national}); !errors.Is(err, record.ErrNoEvaluation) {
		t.Fatalf("two of four down: got %v, want ErrNoEvaluation", err)
	}
}

// Who enrols or looks for somebody waits a moment for a custodian that takes the question and keeps silent: what is asked
// of it is called off, long before it has taken too long.
func TestASilentCustodianHoldsUpNoLookup(t *testing.T) {
	w := lookupWorld(t)
	lab := w.node("lab")
	lab.silent = true
	w.enrolIdentifier("alice", national)
	got, err := w.node("clinic").records().LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{national})
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v %v, want her", got, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for path, times := range map[string]int{exchange.PathEvaluate: 2, exchange.PathPoint: 1, exchange.PathPointers: 1} {
		if left := lab.left[path]; len(left) != times {
			t.Errorf("%s: got %d questions, want %d", path, len(left), times)
		} else if i := slices.IndexFunc(left, func(err error) bool { return !errors.Is(err, context.Canceled) }); i >= 0 {
			t.Errorf("%s: given up with %v, want it called off", path, left[i])
		}
	}
}

func TestEmergencyNeedsTwoIdentifiersOfOnePatient(t *testing.T) {
	w := lookupWorld(t)
	w.enrolIdentifier("alice", national)
	w.enrolIdentifier("bob", person)
	clinic, ctx := w.node("clinic").records(), context.Background()
	before := len(w.blocks)
	for _, ids := range [][]record.Identifier{{national}, {national, {System: "2.999.1", Value: "12345678"}}} {
		if _, err := clinic.LookUp(ctx, signer{w, "doctor"}, consent.BTG, ids); !errors.Is(err, record.ErrTwoIdentifiers) {
			t.Errorf("%d identifiers: got %v, want ErrTwoIdentifiers", len(ids), err)
		}
	}
	if len(w.blocks) != before {
		t.Error("a lookup that is refused here left an entry")
	}
	w.register("clinic", "emergency doctor", 5)
	got, err := clinic.LookUp(ctx, signer{w, "emergency doctor"}, consent.BTG, []record.Identifier{national, person})
	if err != nil || len(got) != 0 {
		t.Errorf("two identifiers of two patients: got %v %v, want nobody", got, err)
	}
	w.enrolIdentifier("alice", person)
	got, err = clinic.LookUp(ctx, signer{w, "emergency doctor"}, consent.BTG, []record.Identifier{national, person})
	if err != nil || len(got) != 1 || got[0].Patient != account("alice") {
		t.Errorf("two identifiers of one patient: got %v %v, want her", got, err)
	}
}

func TestForgottenIdentifierLeadsNowhereAndItsRowsAreDestroyed(t *testing.T) {
	w := lookupWorld(t)
	entry := w.enrolIdentifier("alice", national)
	if n, err := w.node("lab").rows.count(prefixPointer); err != nil || n != 1 {
		t.Fatalf("got %d %v rows, want 1", n, err)
	}
	if _, err := record.ForgetIdentifier(context.Background(), signer{w, "alice"}, entry); err != nil {
		t.Fatal(err)
	}
	got, err := w.node("clinic").records().LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{national})
	if err != nil || len(got) != 0 {
		t.Errorf("got %v %v, want nobody", got, err)
	}
	w.lookups()
	for _, m := range w.nodes {
		if n, err := m.rows.count(prefixPointer); err != nil || n != 0 {
			t.Errorf("%s: got %d %v rows, want none", m.name, n, err)
		}
	}
}

// A dictionary of n guesses costs n entries, and the quota ends it.
func TestDictionaryCostsAnEntryForEachGuess(t *testing.T) {
	w := lookupWorld(t)
	w.enrolIdentifier("alice", national)
	ctx, lab := context.Background(), w.node("clinic")
	b, element, err := oprf.BlindInput(randomness{}, []byte("guess"))
	_ = b
	if err != nil {
		t.Fatal(err)
	}
	entry := w.must("doctor", lookup.KindAsk, &lookup.Ask{Use: lookup.Find, Purpose: consent.TREAT, Element: lookup.ElementHash(element)})
	if _, err := lab.Evaluate(ctx, &exchange.EvaluateRequest{Entry: entry, Element: element}); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Evaluate(ctx, &exchange.EvaluateRequest{Entry: entry, Element: element}); err != nil {
		t.Errorf("the same again: got %v, want the same answer", err)
	}
	_, other, err := oprf.BlindInput(randomness{}, []byte("another guess"))
	if err != nil {
		t.Fatal(err)
	}
	for what, req := range map[string]*exchange.EvaluateRequest{
		"another element under the entry": {Entry: entry, Element: other},
		"no entry":                        {Entry: digest("none"), Element: element},
	} {
		if _, err := lab.Evaluate(ctx, req); !errors.Is(err, ErrNotReleased) {
			t.Errorf("%s: got %v, want ErrNotReleased", what, err)
		}
	}
	if _, err := lab.Evaluate(ctx, &exchange.EvaluateRequest{Entry: entry}); !errors.Is(err, ErrMalformed) {
		t.Errorf("no element: got %v, want ErrMalformed", err)
	}
	// One address for each entry, and only for the member that asked.
	from := account("clinic")
	if _, err := lab.Pointers(ctx, account("lab"), &exchange.PointersRequest{Entry: entry, Address: digest("x")}); !errors.Is(err, ErrNotReleased) {
		t.Errorf("rows for another member: got %v, want ErrNotReleased", err)
	}
	if _, err := lab.Pointers(ctx, from, &exchange.PointersRequest{Entry: entry, Address: digest("x")}); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Pointers(ctx, from, &exchange.PointersRequest{Entry: entry, Address: digest("y")}); !errors.Is(err, ErrNotReleased) {
		t.Errorf("a second address under one entry: got %v, want ErrNotReleased", err)
	}
	// Neither after its time, nor from a replica that stands still.
	w.advance(lookup.Valid * time.Second)
	if _, err := lab.Evaluate(ctx, &exchange.EvaluateRequest{Entry: entry, Element: element}); !errors.Is(err, exchange.ErrNotNow) {
		t.Errorf("a stale replica: got %v, want ErrNotNow", err)
	}
	w.block()
	if _, err := lab.Evaluate(ctx, &exchange.EvaluateRequest{Entry: entry, Element: element}); !errors.Is(err, ErrNotReleased) {
		t.Errorf("an entry of before: got %v, want ErrNotReleased", err)
	}
	quota := governance.DefaultParams().LookupQuota
	for range quota - 1 {
		w.must("doctor", lookup.KindAsk, &lookup.Ask{Use: lookup.Find, Purpose: consent.TREAT, Element: digest("guess")})
	}
	if _, err := lab.records().LookUp(ctx, signer{w, "doctor"}, consent.TREAT, []record.Identifier{national}); !errors.Is(err, lookup.ErrQuota) {
		t.Errorf("after %d guesses: got %v, want ErrQuota", quota, err)
	}
}

func TestOnlyTheEnrollingMemberGivesRows(t *testing.T) {
	w := lookupWorld(t)
	ctx, lab := context.Background(), w.node("lab")
	entry := w.must("hospital", lookup.KindAsk, &lookup.Ask{Use: lookup.Enrol, Purpose: consent.PATADMIN, Element: digest("e"), Patient: account("alice")})
	good := exchange.PointRequest{Entry: entry, Address: digest("a"), Box: make([]byte, exchange.PointerBox)}
	short, none, moved := good, good, good
	short.Box, none.Entry, moved.Address = nil, digest("none"), digest("b")
	if err := lab.Point(ctx, account("clinic"), &good); !errors.Is(err, ErrNotReleased) {
		t.Errorf("another member: got %v, want ErrNotReleased", err)
	}
	if err := lab.Point(ctx, account("hospital"), &short); !errors.Is(err, ErrMalformed) {
		t.Errorf("a short box: got %v, want ErrMalformed", err)
	}
	if err := lab.Point(ctx, account("hospital"), &none); !errors.Is(err, ErrNotReleased) {
		t.Errorf("no enrolment: got %v, want ErrNotReleased", err)
	}
	for range 2 { // the second changes nothing
		if err := lab.Point(ctx, account("hospital"), &good); err != nil {
			t.Fatal(err)
		}
	}
	if err := lab.Point(ctx, account("hospital"), &moved); !errors.Is(err, ErrNotReleased) {
		t.Errorf("a second row for one enrolment: got %v, want ErrNotReleased", err)
	}
}

func TestLookupKeyPassesToTheNextEpochAndOldSharesAreDestroyed(t *testing.T) {
	w := lookupWorld(t)
	w.enrolIdentifier("alice", national)
	v := w.nodes[0].View()
	e, err := committee.Current(v)
	old, _ := lookup.Current(v)
	v.Close()
	if err != nil {
		t.Fatal(err)
	}
	e.Epoch++
	w.must("hospital", kindEpoch, &beginEpoch{Epoch: e})
	for range 4 {
		w.lookups() // begins by itself, deals, vouches, keeps
	}
	w.lookups()
	v = w.nodes[0].View()
	now, _ := lookup.Current(v)
	v.Close()
	if now.Epoch != e.Epoch || now.Eval != old.Eval || slices.Equal(now.Evals, old.Evals) {
		t.Fatalf("got key %d of epoch %d, want the same key in new shares of epoch %d", now.Number, now.Epoch, e.Epoch)
	}
	for _, m := range w.nodes {
		if _, err := m.rows.lookupShare(old.Number); !errors.Is(err, errAbsent) {
			t.Errorf("%s: got %v, want its old share destroyed", m.name, err)
		}
	}
	got, err := w.node("clinic").records().LookUp(context.Background(), signer{w, "doctor"}, consent.TREAT, []record.Identifier{national})
	if err != nil || len(got) != 1 {
		t.Fatalf("after the key was passed on: got %v %v, want her", got, err)
	}
}

func TestDealerThatIsSilentIsComplainedOfAndAnswers(t *testing.T) {
	w := newWorld(t)
	w.must("hospital", lookup.KindBegin, &lookup.Begin{Number: 1})
	w.lookups() // all deal
	w.node("lab").down = true
	w.lookups() // nobody gets the lab's shares: all wait
	w.advance(40 * time.Second)
	w.block()
	w.lookups() // late: the others vouch without it
	w.advance(30 * time.Second)
	w.block() // the lab has not vouched; its time is over
	w.node("lab").down = false
	for range 3 {
		w.lookups() // the lab opens what was complained of, on the ledger
	}
	v := w.nodes[0].View()
	defer v.Close()
	run, _ := lookup.LastCeremony(v)
	if run.Phase != lookup.Done || run.Agreed != 15 || run.Blamed != 0 {
		t.Fatalf("got phase %d, agreed %b, blamed %b; want done with all four", run.Phase, run.Agreed, run.Blamed)
	}
	w.lookups()
	for _, m := range w.nodes {
		if _, err := m.rows.lookupShare(1); err != nil {
			t.Errorf("%s: got %v, want its share", m.name, err)
		}
	}
}

// A dealer that commits to its shares, takes each question for them and keeps silent is not waited for until the time for
// vouching is over: else one custodian could keep all from ever having a key.
func TestADealerThatKeepsSilentHoldsUpNoCeremony(t *testing.T) {
	w := newWorld(t)
	phase := uint64(16)
	w.decide(governance.Action{SetParams: &governance.Changes{LookupPhase: &phase}}, "hospital", "clinic", "insurer")
	w.must("hospital", lookup.KindBegin, &lookup.Begin{Number: 1})
	w.lookups() // all deal
	lab := w.node("lab")
	lab.silent = true
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // as a call may take at last
	defer cancel()
	for range 2 {
		for _, m := range w.nodes {
			if err := m.lookupOnce(ctx); m != lab && err != nil {
				w.Logf("%s: %v", m.name, err)
			}
		}
		w.advance(7 * time.Second) // until half of the phase is over
		w.block()
	}
	if ctx.Err() != nil {
		t.Fatal("it was waited for as long as a call may take")
	}
	w.advance(20 * time.Second)
	w.block() // the time for the lab's answers is over
	w.block()
	v := w.nodes[0].View()
	defer v.Close()
	run, _ := lookup.LastCeremony(v)
	if _, ok := lookup.Current(v); !ok || run.Phase != lookup.Done || run.Agreed != 15&^(1<<(seatOf(run.Dealers, account("lab"))-1)) {
		t.Fatalf("got phase %d, agreed %b, vouched %b; want a key of the other three", run.Phase, run.Agreed, run.Vouched)
	}
}

// randomness is deterministic: what is blinded here is nobody's.
type randomness struct{}

func (randomness) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(i + 1)
	}
	return len(b), nil
}

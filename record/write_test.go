package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/seal"
)

// folded runs f beside a folder with a window of 5 ms and returns what was dealt: per fold
// the patient and the number of records.
func folded(t *testing.T, f func(*folder)) (out []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		ctx, cancel := context.WithCancel(t.Context())
		d := newFolder(ctx, 5*time.Millisecond, func(_ context.Context, p tx.Account, ids []ID) {
			mu.Lock()
			defer mu.Unlock()
			out = append(out, fmt.Sprint(p[0], ":", len(ids)))
		})
		f(d)
		<-time.After(time.Second) // of the bubble
		cancel()
		d.stop()
	})
	return out
}

func TestConcurrentWritesOfOnePatientShareABatch(t *testing.T) {
	got := folded(t, func(f *folder) {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() { f.add(tx.Account{1}, ID{byte(i)}); f.add(tx.Account{2}, ID{byte(i)}, ID{byte(i), 1}) })
		}
		wg.Wait()
	})
	if len(got) != 2 || !strings.Contains(fmt.Sprint(got), "1:50") || !strings.Contains(fmt.Sprint(got), "2:100") {
		t.Errorf("got %v, want one batch of 50 and one of 100", got)
	}
	got = folded(t, func(f *folder) {
		f.add(tx.Account{1}, ID{1})
		<-time.After(6 * time.Millisecond) // the window of the first has passed
		f.add(tx.Account{1}, ID{2})
	})
	if fmt.Sprint(got) != "[1:1 1:1]" {
		t.Errorf("got %v, want two batches of one", got)
	}
}

func TestFullBatchDoesNotWait(t *testing.T) {
	got := folded(t, func(f *folder) { f.add(tx.Account{1}, make([]ID, 2*maxBatch+3)...) })
	if len(got) != 3 || strings.Count(fmt.Sprint(got), fmt.Sprint("1:", maxBatch)) != 2 || !strings.Contains(fmt.Sprint(got), "1:3") {
		t.Errorf("got %v, want two full batches and one of 3", got)
	}
}

func TestStoppedFolderDealsNothing(t *testing.T) {
	got := folded(t, func(f *folder) {
		ctx, cancel := context.WithCancel(context.Background())
		f.ctx = ctx
		f.add(tx.Account{1}, ID{1})
		cancel()
		f.stop()
		f.add(tx.Account{1}, ID{2})
	})
	if len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestBatchFitsWithItsIndexRecords(t *testing.T) {
	distinct := func(n, body int) (rows []*row) {
		for i := range n {
			rows = append(rows, &row{Slots: uint64(i), Body: make([]byte, body)})
		}
		return rows
	}
	same := distinct(maxBatch, 10)
	for _, r := range same {
		r.Slots = 7
	}
	big := distinct(3, seal.MaxPlain)
	for _, c := range []struct {
		rule string
		rows []*row
		want int
	}{
		{"nothing", nil, 0},
		{"a full fold of one label", same, maxBatch},
		{"every record with an index record of its own", distinct(maxBatch, 10), seal.MaxRecords / 2},
		{"large ones", big, 2},
		{"one larger than a batch", []*row{{Body: make([]byte, maxBatchBytes+1)}}, 1},
	} {
		if got := fit(c.rows); got != c.want {
			t.Errorf("%s: got %d, want %d", c.rule, got, c.want)
		}
	}
}

// Records that do not fit into one batch go into several, each once.
func TestManyLabelsAreDealtInSeveralBatches(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	p := w.patient("Patient/p")
	reached, _ := gateAt(t, h, stepPut, stepParcel, stepPack)
	var rows []*row
	b := s.store.db.NewBatch()
	for i := range 600 {
		r := &row{ID: ID{byte(i), byte(i >> 8), 1}, Patient: p.Patient, Status: Stored, Type: "Observation", Slots: uint64(i), Summary: []byte(`{"type":"Observation"}`), Body: []byte{0}}
		rows = append(rows, r)
		if err := s.addRow(b, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(b.Commit(pebble.Sync), b.Close()); err != nil {
		t.Fatal(err)
	}
	<-reached // the slot map's delivery
	var ids []ID
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	s.deal(t.Context(), p.Patient, append(ids, ids[:5]...)) // named twice, dealt once
	dealt := map[ID]bool{}
	for seq := uint64(1); seq < 3; seq++ {
		parcel, err := s.outbox.load(seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range parcel.Records {
			if dealt[id] {
				t.Fatalf("%v is in two batches", id)
			}
			dealt[id] = true
		}
	}
	if n, err := s.Pending(); len(dealt) != len(rows) || n != 3 || err != nil {
		t.Errorf("got %d records in %d batches, want %d in two and the slot map's", len(dealt), n, len(rows))
	}
}

// The same bytes, brought many times at once, in any order, are one record.
func TestSameResourceIsStoredOnce(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	w.grant(p)
	a, b := observation(t, "a", "first"), observation(t, "b", "second")
	var mu sync.Mutex
	seen, fresh := map[string]map[ID]bool{"a": {}, "b": {}}, 0
	var wg sync.WaitGroup
	for i := range 16 {
		rs := []fhir.Resource{a, b, a}
		if i%2 == 1 {
			rs = []fhir.Resource{b, a}
		}
		wg.Go(func() {
			acks, err := s.Put(t.Context(), p.Patient, rs)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for i, k := range acks {
				seen[rs[i].ID()][k.ID] = true
				if !k.Duplicate {
					fresh++
				}
			}
		})
	}
	wg.Wait()
	if len(seen["a"]) != 1 || len(seen["b"]) != 1 || fresh != 2 || len(s.claims.taken) != 0 {
		t.Errorf("got %d and %d ids, %d fresh, %d claims left", len(seen["a"]), len(seen["b"]), fresh, len(s.claims.taken))
	}
	own, err := s.Records(p.Patient)
	if err != nil || len(own) != 3 { // and the slot map
		t.Errorf("got %d records, %v", len(own), err)
	}
	for _, o := range own {
		w.active(o.ID)
	}
	if got := w.read(p); len(got) != 2 {
		t.Errorf("a reader sees %d records, want 2", len(got))
	}
	// The same bytes are another record at another patient, and changed bytes are another record.
	q := w.patient("Patient/q")
	for rule, put := range map[string]func() ([]Ack, error){
		"another patient": func() ([]Ack, error) { return s.Put(t.Context(), q.Patient, []fhir.Resource{a}) },
		"changed bytes": func() ([]Ack, error) {
			return s.Put(t.Context(), p.Patient, []fhir.Resource{observation(t, "a", "1st")})
		},
	} {
		if acks, err := put(); err != nil || acks[0].Duplicate {
			t.Errorf("%s: got %+v, %v", rule, acks, err)
		}
	}
}

func TestClaimsEndWithTheirContext(t *testing.T) {
	c := &claims{taken: map[string]chan struct{}{}}
	free, err := c.take(t.Context(), []string{"b", "a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.take(ctx, []string{"0", "a"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if len(c.taken) != 2 {
		t.Errorf("got %d claims, want those of the first alone", len(c.taken))
	}
	free()
	if _, err := c.take(t.Context(), []string{"a"}); err != nil {
		t.Error(err)
	}
}

func TestPutRefusesWhatItCannotKeep(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	if _, err := s.Put(t.Context(), account("nobody"), []fhir.Resource{observation(t, "a", "x")}); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("got %v, want %v", err, ErrUnknownPatient)
	}
	p := w.patient("Patient/p")
	if acks, err := s.Put(t.Context(), p.Patient, nil); err != nil || len(acks) != 0 {
		t.Errorf("nothing: got %v, %v", acks, err)
	}
	if err := s.Wait(t.Context(), ID{1}); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("wait for nothing: got %v", err)
	}
	if _, _, err := s.Body(ID{1}); !errors.Is(err, ErrUnknownRecord) {
		t.Errorf("body of nothing: got %v", err)
	}
}

// What is written to disk says nothing about anybody: not the records, not who they are of.
func TestNoPlaintextOnDisk(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	s := h.open("")
	const secret, name, label = "zebra crossing at midnight", "Patient/quagga-7", "PSY"
	p := w.patient(name)
	w.grant(p)
	ids := w.put(p.Patient, observation(t, "okapi-id", secret, label))
	w.active(ids...)
	if got := w.read(p); len(got) != 1 || !strings.Contains(got[0], secret) {
		t.Fatalf("got %q", got)
	}
	if err := s.store.db.Flush(); err != nil {
		t.Fatal(err)
	}
	h.close()
	words := []string{secret, "zebra", name, "quagga", "okapi", "Observation", "Heart rate", "8867-4", label + `"`, TypeSlotMap}
	files := 0
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, word := range words {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s holds %q", strings.TrimPrefix(path, w.dir), word)
			}
			if strings.Contains(path, word) {
				t.Errorf("a file is called %s", path)
			}
		}
		return err
	})
	if err != nil || files < 4 {
		t.Fatalf("looked at %d files, %v", files, err)
	}
}

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

// The steward tells an author only what it needs, and only if the patient lets it treat her.
func TestSlotsAreToldToWhoTreats(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	p := w.patient("Patient/p")
	ask := func(from string, labels ...string) (*exchange.SlotsReply, error) {
		return s.Slots(t.Context(), account(from), &exchange.SlotsRequest{Patient: p.Patient, Labels: labels})
	}
	refused := func(rule string, want error, from string, labels ...string) {
		t.Helper()
		if got, err := ask(from, labels...); !errors.Is(err, want) || got != nil {
			t.Errorf("%s: got %v, %v; want %v", rule, got, err, want)
		}
	}
	refused("no grant", ErrNotAuthor, "clinic", "laboratory")
	grant := func(g consent.Grantee, purpose consent.Purpose, from, until time.Time) consent.GrantID {
		t.Helper()
		id, err := NewGrantID()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Grant(t.Context(), w.as(p.Signer()), p.Patient, p.slots, id, 0, Wish{Grantee: g, Purposes: consent.PurposesOf(purpose), From: from, Until: until}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	clinic := consent.Grantee{Kind: consent.OfMember, Account: account("clinic")}
	grant(clinic, consent.HPAYMT, time.Time{}, time.Time{})
	refused("a grant for another purpose", ErrNotAuthor, "clinic", "laboratory")
	grant(clinic, consent.TREAT, w.now().Add(time.Hour), time.Time{})
	refused("a grant of the future", ErrNotAuthor, "clinic", "laboratory")
	grant(clinic, consent.TREAT, time.Time{}, w.now().Add(3*time.Second))
	if _, err := ask("clinic", "laboratory"); err != nil {
		t.Errorf("a grant in force: %v", err)
	}
	for range 3 {
		w.block()
	}
	refused("a grant that has ended", ErrNotAuthor, "clinic", "laboratory")
	id := grant(clinic, consent.TREAT, time.Time{}, time.Time{})
	got, err := ask("clinic", "PSY", "laboratory")
	if err != nil || len(got.Slots) != 2 {
		t.Fatalf("got %v, %v", got, err)
	}
	for i, l := range []fhir.Label{"PSY", "laboratory"} {
		if want, _ := p.slots.Slot(l); got.Slots[i] != want {
			t.Errorf("%s: got slot %d, want %d", l, got.Slots[i], want)
		}
	}
	refused("the slot map's own", ErrLabel, "clinic", string(StewardLabel))
	refused("among others", ErrLabel, "clinic", "laboratory", string(StewardLabel))
	refused("no labels", ErrLabel, "clinic")
	refused("a label that does not exist", ErrLabel, "clinic", "gossip")
	refused("too many labels", ErrLabel, "clinic", strings.Split(strings.Repeat("laboratory ", 33), " ")[:33]...)
	refused("another member", ErrNotAuthor, "lab", "laboratory")
	refused("nobody", ErrNotAuthor, "stranger", "laboratory")
	if _, err := s.Slots(t.Context(), account("clinic"), &exchange.SlotsRequest{Patient: account("nobody"), Labels: []string{"laboratory"}}); !errors.Is(err, ErrNotSteward) {
		t.Errorf("an unknown patient: got %v", err)
	}
	if _, err := Revoke(t.Context(), w.as(p.Signer()), p.Patient, id); err != nil {
		t.Fatal(err)
	}
	refused("revoked", ErrNotAuthor, "clinic", "laboratory")
	// Any clinical member, by grantee kind.
	grant(consent.Grantee{Kind: consent.AnyClinical}, consent.TREAT, time.Time{}, time.Time{})
	if _, err := ask("lab", "laboratory"); err != nil {
		t.Errorf("any clinical: %v", err)
	}
	refused("any clinical, which an insurer is not", ErrNotAuthor, "insurer", "laboratory")
	grant(consent.Grantee{Kind: consent.OnePractitioner, Account: account("doctor")}, consent.TREAT, time.Time{}, time.Time{})
	if _, err := ask("clinic", "laboratory"); err != nil {
		t.Errorf("the practitioner's member: %v", err)
	}
}

// Another organisation writes about the patient, knowing only the slots it uses.
func TestAnotherAuthorLearnsOnlyItsSlots(t *testing.T) {
	w := newWorld(t)
	h, c := w.orgs["hospital"], w.orgs["clinic"]
	h.open("")
	s := c.open("")
	p := w.patient("Patient/p")
	if err := s.Adopt(account("nobody"), "Patient/9"); !errors.Is(err, ErrUnknownPatient) {
		t.Errorf("adopt nobody: got %v", err)
	}
	if err := s.Adopt(p.Patient, "Patient/9"); err != nil {
		t.Fatal(err)
	}
	if err := s.Adopt(p.Patient, "Patient/9"); err != nil {
		t.Errorf("adopt again: %v", err)
	}
	if err := s.Adopt(w.patient("Patient/q").Patient, "Patient/9"); !errors.Is(err, ErrReference) {
		t.Errorf("adopt another under the same reference: got %v, want %v", err, ErrReference)
	}
	r := observation(t, "a", "from the clinic", "PSY")
	if _, err := s.Put(t.Context(), p.Patient, []fhir.Resource{r}); !errors.Is(err, ErrNotAuthor) {
		t.Errorf("without a grant: got %v, want %v", err, ErrNotAuthor)
	}
	w.grant(p)
	acks, err := s.Put(t.Context(), p.Patient, []fhir.Resource{r})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(t.Context(), acks[0].ID); err != nil {
		t.Fatal(err)
	}
	row, err := s.patient(p.Patient)
	if err != nil {
		t.Fatal(err)
	}
	var m SlotMap
	if err := tx.DecodeAny(row.Slots, &m, len(row.Slots)); err != nil {
		t.Fatal(err)
	}
	if want := fhir.LabelsOf(r); len(m.Labels) != len(want) {
		t.Errorf("the clinic knows the slots of %v, want those of %v", m.Labels, want)
	}
	if _, err := s.ClaimCode(p.Patient); !errors.Is(err, ErrNotSteward) {
		t.Errorf("claim code: got %v, want %v", err, ErrNotSteward)
	}
	if got := w.read(p); len(got) != 1 || got[0] != string(r.Raw()) {
		t.Errorf("got %q", got)
	}
}

// A steward whose answer makes no sense is not believed.
func TestNonsenseFromTheStewardIsRefused(t *testing.T) {
	w := newWorld(t)
	w.orgs["hospital"].open("")
	c := w.orgs["clinic"]
	p := w.patient("Patient/p")
	w.grant(p)
	for rule, slots := range map[string][]uint8{"too few": {1}, "too many": {1, 2, 3, 4}, "one slot for two labels": {5, 5}, "beyond the last slot": {1, 64}} {
		cfg := c.config(t.TempDir())
		cfg.Links = steward{c, slots}
		s, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Adopt(p.Patient, "Patient/9"); err != nil {
			t.Fatal(err)
		}
		if acks, err := s.Put(t.Context(), p.Patient, []fhir.Resource{observation(t, "a", "x", "PSY")}); err == nil {
			t.Errorf("%s: got %v", rule, acks)
		}
		if own, err := s.Records(p.Patient); err != nil || len(own) != 0 {
			t.Errorf("%s: stored %d, %v", rule, len(own), err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

type steward struct {
	Links
	slots []uint8
}

func (s steward) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	if path == exchange.PathSlots {
		resp.(*exchange.SlotsReply).Slots = s.slots
		return nil
	}
	return s.Links.Call(ctx, to, path, req, resp)
}

func TestWalletClaimsOnce(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	id, err := s.Enrol(t.Context(), "Patient/p", w.orgs["hospital"].enrol)
	if err != nil {
		t.Fatal(err)
	}
	code, err := s.ClaimCode(id)
	if err != nil {
		t.Fatal(err)
	}
	for rule, damage := range map[string]func(c *ClaimCode){
		"no secret": func(c *ClaimCode) { c.Secret = nil }, "half a secret": func(c *ClaimCode) { c.Secret = c.Secret[:16] },
		"no slots": func(c *ClaimCode) { c.Slots = nil }, "another's secret": func(c *ClaimCode) { c.Secret = make([]byte, 32) },
		"another patient": func(c *ClaimCode) { c.Patient = account("nobody") },
	} {
		c := code
		damage(&c)
		if _, err := ClaimWallet(t.Context(), chainID, c, w.as); err == nil {
			t.Errorf("%s: the pseudonym was claimed", rule)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "wallet.json")
	wallet, err := WalletFor(chainID, code)
	if err != nil {
		t.Fatal(err)
	}
	if err := wallet.Save(path); err != nil { // before, so that a crash cannot lose the key
		t.Fatal(err)
	}
	loaded, err := LoadWallet(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Claim(t.Context(), code, w.as); err != nil {
		t.Fatal(err)
	}
	if _, err := ClaimWallet(t.Context(), chainID, code, w.as); err == nil {
		t.Error("the code worked twice")
	}
	v := w.app.View()
	pr, _ := identity.Lookup(v, id)
	v.Close()
	if len(pr.Keys) != 1 || pr.Keys[0].Public.ID() != wallet.Signer().Public().ID() {
		t.Errorf("keys on the ledger: %+v", pr.Keys)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if fmt.Sprint(wallet) != "wallet [sealed]" || fmt.Sprintf("%+v", wallet) != "wallet [sealed]" {
		t.Errorf("prints %v", wallet)
	}
	for rule, text := range map[string]string{"noise": "x", "no seed": "{}", "a short seed": `{"seed":"AAAA"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadWallet(path); err == nil {
			t.Errorf("%s was loaded", rule)
		}
	}
	if _, err := LoadWallet(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if err := wallet.Save(filepath.Join(dir, "no", "such", "folder")); err == nil {
		t.Error("saved into a folder that does not exist")
	}
}

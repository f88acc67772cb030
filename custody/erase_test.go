package custody

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
	"salus/vault"
)

// swept is a member's Outside: it drops from the vault and remembers the cases.
type swept struct {
	m     *member
	fails error
	packs []vault.PackID
	cases []tx.Hash
}

func (s *swept) Ciphertext(ctx context.Context, pack vault.PackID, blobs []vault.Address) error {
	if s.fails != nil {
		return s.fails
	}
	if blobs == nil {
		s.packs = append(s.packs, pack)
		return nil
	}
	return s.m.vault.Drop(ctx, blobs)
}

func (s *swept) Records(_ context.Context, c erasure.Case, _ []Blob) error {
	s.cases = append(s.cases, c.ID)
	return nil
}

// leafOf is the manifest leaf of the record at that position, as its author knows it.
func leafOf(b *seal.Batch, i int) tx.Hash { return b.Entries[i].Leaf(i) }

// ask lets a patient request an erasure when the retention period is over.
func (w *world) ask(patient string, m erasure.Request) tx.Hash {
	w.Helper()
	w.pass(retention * 1e9)
	m.Patient = account(patient)
	return w.must(patient, erasure.KindRequest, &m)
}

func (w *world) certificate(id tx.Hash) erasure.Certificate {
	w.Helper()
	v := w.nodes[0].app.View()
	defer v.Close()
	c, err := erasure.Certify(v, id)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

func (w *world) caseOf(id tx.Hash) erasure.Case {
	w.Helper()
	v := w.nodes[0].app.View()
	defer v.Close()
	c, ok := erasure.Lookup(v, id)
	if !ok {
		w.Fatal("no such case")
	}
	return c
}

func (w *world) outsides() map[string]*swept {
	out := map[string]*swept{}
	for _, m := range w.nodes {
		out[m.name] = &swept{m: m}
		m.Outside = out[m.name]
	}
	return out
}

func TestAnErasedBatchIsGoneFromEveryCustodian(t *testing.T) {
	s := newScene(t)
	s.outsides()
	s.released(t) // leaves an opening
	hh := s.batch.Header.Hash()
	kept := s.batchOf("alice", allowedSlot)
	type memory struct {
		shares []threshold.Share
		key    []byte
		roots  *roots
	}
	was, parcels := map[string]memory{}, map[string]*exchange.Parcel{}
	for _, m := range s.nodes {
		var err error
		if parcels[m.name], err = m.rows.relay(hh); err != nil {
			t.Fatal(err)
		}
		row, err := m.rows.batch(hh)
		if err != nil {
			t.Fatal(err)
		}
		key, err := m.rows.get(rowKey(prefixKey, hh[:]))
		if err != nil {
			t.Fatal(err)
		}
		old := &roots{}
		if err := old.decode(m.rows.roots.encode()); err != nil {
			t.Fatal(err)
		}
		was[m.name] = memory{row.Shares, key, old}
	}
	id := s.ask("alice", erasure.Request{Scope: erasure.Batch, Batch: hh})
	s.step() // findings
	if c := s.caseOf(id); !c.Stands() {
		t.Fatalf("got %s, want a tombstone", c.Status)
	}
	s.step() // destruction and receipts
	if c := s.certificate(id); c.Case.Status != erasure.Done || len(c.Keys) != 4 || len(c.Ciphertext) != 4 || len(c.Records) != 4 {
		t.Errorf("got %s, missing %d", c.Case.Status, len(c.Missing))
	}
	for _, m := range s.nodes {
		for _, prefix := range []byte{prefixBatch, prefixManifest, prefixRelay, prefixKey, prefixOwed, prefixParked, prefixWanted, prefixDue} {
			if m.rows.has(rowKey(prefix, hh[:])) {
				t.Errorf("%s: row %c is still there", m.name, prefix)
			}
		}
		if n, err := m.rows.count(prefixOpening); err != nil || n != 0 {
			t.Errorf("%s: %d openings, %v", m.name, n, err)
		}
		if err := m.Check(context.Background()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		old := was[m.name]
		for path, b := range contents(t, filepath.Join(s.dir, m.name)) {
			for i := range old.shares {
				if bytes.Contains(b, old.shares[i][:]) {
					t.Errorf("%s: a share is in %s", m.name, filepath.Base(path))
				}
			}
			if filepath.Ext(path) == ".sst" && bytes.Contains(b, old.key) {
				t.Errorf("%s: the wrapped key is in a table", m.name)
			}
			if bytes.Contains(b, old.roots.list[0].key[:]) {
				t.Errorf("%s: the old root is in %s", m.name, filepath.Base(path))
			}
		}
		// The old root opens nothing of what is left, and no root that is left opens the old key.
		for _, prefix := range wrapped {
			if err := m.rows.scan([]byte{prefix}, func(rest, value []byte) (bool, error) {
				if _, err := old.roots.unwrap(rowKey(prefix, rest), value); err == nil {
					t.Errorf("%s: the old root opens a row %c", m.name, prefix)
				}
				return true, nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := m.rows.roots.unwrap(rowKey(prefixKey, hh[:]), old.key); err == nil {
			t.Errorf("%s: the batch key can be unwrapped", m.name)
		}
		if _, err := m.rows.batch(kept.Header.Hash()); err != nil {
			t.Errorf("%s: another batch: %v", m.name, err)
		}
	}
	s.r = s.session("doctor", "alice")
	s.req = s.r.commit(items(s.batch, 0)...)
	s.refused(t, notHeld)
	for _, l := range s.r.locate(s.node("lab")) {
		if l.Header == tx.Hash(hh) {
			t.Error("an erased batch is located")
		}
	}
	// The parcel does not come back.
	for _, m := range s.nodes {
		if err := m.Accept(context.Background(), account("hospital"), parcels[m.name]); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	s.step()
	for _, m := range s.nodes {
		if m.rows.has(rowKey(prefixBatch, hh[:])) || m.parking.has(hh) {
			t.Errorf("%s: the batch is back", m.name)
		}
	}
}

// batchOf is batch, also for who is behind.
func (w *world) batchOf(patient string, slots ...uint64) *seal.Batch {
	w.Helper()
	p, b := w.deal("hospital", patient, slots...)
	w.deliver("hospital", p)
	w.put("hospital", p)
	w.step()
	return b
}

func TestARecordIsErasedAndTheOthersStillOpen(t *testing.T) {
	w := newWorld(t)
	w.outsides()
	b := w.batchOf("alice", allowedSlot, allowedSlot, allowedSlot)
	hh := tx.Hash(b.Header.Hash())
	w.grant("alice")
	old := w.session("doctor", "alice")
	gone, both := old.commit(items(b, 1)...), old.commit(items(b, 0, 1)...)
	shares := map[string]threshold.Share{}
	for _, m := range w.nodes {
		row, err := m.rows.batch(hh)
		if err != nil {
			t.Fatal(err)
		}
		shares[m.name] = row.Shares[2]
	}
	id := w.ask("alice", erasure.Request{Scope: erasure.Record, Batch: hh, Leaf: leafOf(b, 1)})
	w.step()
	// From the tombstone on, before anything is destroyed.
	late := w.session("doctor", "alice")
	lateReq := late.commit(items(b, 1)...)
	for _, m := range w.nodes {
		if _, err := m.Release(context.Background(), lateReq); !errors.Is(err, ErrNotReleased) {
			t.Errorf("%s: got %v, want %v", m.name, err, ErrNotReleased)
		}
	}
	w.step()
	if c := w.certificate(id); c.Case.Status != erasure.Done {
		t.Errorf("got %s, missing %d", c.Case.Status, len(c.Missing))
	}
	r := w.session("doctor", "alice")
	for _, m := range w.nodes {
		for _, req := range []*exchange.ReleaseRequest{gone, both} {
			if _, err := m.Release(context.Background(), req); !errors.Is(err, ErrNotReleased) {
				t.Errorf("%s: got %v, want %v", m.name, err, ErrNotReleased)
			}
		}
		row, err := m.rows.batch(hh)
		if err != nil {
			t.Fatal(err)
		}
		if row.Shares[2] != (threshold.Share{}) || row.Shares[0] != (threshold.Share{}) || row.Shares[1] == (threshold.Share{}) {
			t.Errorf("%s: the share is there, or more is gone than it and the blinding", m.name)
		}
		if err := m.Check(context.Background()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		for path, file := range contents(t, filepath.Join(w.dir, m.name)) {
			if s := shares[m.name]; bytes.Contains(file, s[:]) {
				t.Errorf("%s: the share is in %s", m.name, filepath.Base(path))
			}
		}
		found := r.locate(m)
		if len(found) != 1 || len(found[0].Entries) != 2 {
			t.Fatalf("%s: got %d batches", m.name, len(found))
		}
		for _, e := range found[0].Entries {
			if err := seal.VerifyEntry(b.Header.ManifestRoot, int(e.Index), 3, &e.Entry, e.Path); err != nil || e.Index == 1 {
				t.Errorf("%s: entry %d: %v", m.name, e.Index, err)
			}
		}
	}
	got, err := r.read(b, r.commit(items(b, 0, 2)...), w.nodes[:3]...)
	if err != nil || len(got) != 2 || !bytes.Equal(got[0], plain(0)) || !bytes.Equal(got[1], plain(2)) {
		t.Errorf("the others: got %d, %v", len(got), err)
	}
	// And again, from a store that was opened anew.
	for _, m := range w.nodes {
		m.reopen(filepath.Join(w.dir, m.name))
	}
	if _, err := r.read(b, r.commit(items(b, 0, 2)...), w.nodes[1:]...); err != nil {
		t.Error(err)
	}
	// The batch as a whole can go too.
	id = w.ask("alice", erasure.Request{Scope: erasure.Batch, Batch: hh})
	w.step()
	w.step()
	if c := w.caseOf(id); !c.Stands() || c.Destroyed() != 4 {
		t.Errorf("got %s by %d", c.Status, c.Destroyed())
	}
}

func TestAPatientIsErased(t *testing.T) {
	w := newWorld(t)
	swept := w.outsides()
	one, two, other := w.batchOf("alice", allowedSlot), w.batchOf("alice", deniedSlot), w.batchOf("bob", allowedSlot)
	id := w.ask("alice", erasure.Request{Scope: erasure.Patient})
	w.step()
	w.step()
	if c := w.certificate(id); c.Case.Status != erasure.Done || c.Left != 0 {
		t.Errorf("got %s, left %d", c.Case.Status, c.Left)
	}
	late := w.batchLate("alice")
	for _, m := range w.nodes {
		for _, b := range []*seal.Batch{one, two, late} {
			if _, err := m.rows.batch(b.Header.Hash()); !errors.Is(err, errAbsent) {
				t.Errorf("%s: got %v, want %v", m.name, err, errAbsent)
			}
		}
		if of, err := m.rows.ofPatient(account("alice")); err != nil || len(of) != 0 {
			t.Errorf("%s: %d batches are still hers, %v", m.name, len(of), err)
		}
		if _, err := m.rows.batch(other.Header.Hash()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if blobs, err := m.Blobs(); err != nil || len(blobs) != 3 {
			t.Errorf("%s: %d blobs, %v", m.name, len(blobs), err)
		}
		if err := m.Check(context.Background()); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
	if got := swept["lab"].cases; len(got) != 1 || got[0] != id {
		t.Errorf("got %d cases", len(got))
	}
}

// batchLate anchors a batch of somebody who is erased.
func (w *world) batchLate(patient string) *seal.Batch {
	w.Helper()
	p, b := w.deal("hospital", patient, allowedSlot)
	w.deliver("hospital", p)
	w.put("hospital", p)
	w.step()
	return b
}

func TestCustodiansFindWhatTheLedgerCannotKnow(t *testing.T) {
	w := newWorld(t)
	w.outsides()
	b := w.batchOf("alice", allowedSlot)
	hh := tx.Hash(b.Header.Hash())
	refused := func(id tx.Hash, want *tx.Refusal) {
		t.Helper()
		w.step()
		if c := w.caseOf(id); c.Status != erasure.Refused || c.Code != want.Code {
			t.Errorf("got %s, %#x; want %v", c.Status, c.Code, want)
		}
	}
	refused(w.must("alice", erasure.KindRequest, &erasure.Request{Patient: account("alice"), Scope: erasure.Patient}), erasure.ErrRetained)
	refused(w.ask("bob", erasure.Request{Scope: erasure.Batch, Batch: hh}), erasure.ErrNotHers)
	refused(w.ask("alice", erasure.Request{Scope: erasure.Record, Batch: hh, Leaf: digest("no such leaf")}), erasure.ErrNotHers)
	hold := governance.Hold{Batch: hh, Matter: digest("matter")}
	w.decide(governance.Action{Hold: &hold}, "hospital", "clinic", "lab")
	refused(w.ask("alice", erasure.Request{Scope: erasure.Patient}), erasure.ErrHeld)
	lift := hold
	lift.Lift = true
	w.decide(governance.Action{Hold: &lift}, "hospital", "clinic", "lab")
	w.decide(governance.Action{Hold: &governance.Hold{Patient: account("alice"), Matter: digest("matter")}}, "hospital", "clinic", "lab")
	// An order against a batch does not say whose it is: custodians know.
	w.decide(governance.Action{Erase: &governance.Erase{Batch: hh, Ground: digest("order")}}, "hospital", "clinic", "lab")
	v := w.nodes[0].app.View()
	open := erasure.OpenCases(v)
	v.Close()
	if len(open) != 1 {
		t.Fatalf("got %d open cases, want the order's", len(open))
	}
	refused(open[0].ID, erasure.ErrHeld)
	if !w.active(hh) {
		t.Error("the batch is gone")
	}
	if _, err := w.node("lab").rows.batch(hh); err != nil {
		t.Error(err)
	}
}

// A member that cannot destroy does not sign, and the case is not done.
func TestAMissingCustodianLeavesACaseIncomplete(t *testing.T) {
	w := newWorld(t)
	swept := w.outsides()
	b := w.batchOf("alice", allowedSlot)
	id := w.ask("alice", erasure.Request{Scope: erasure.Batch, Batch: tx.Hash(b.Header.Hash())})
	w.node("insurer").lags = true
	swept["lab"].fails = errors.New("disk full")
	w.node("hospital").step()
	w.node("clinic").step() // with its word the tombstone stands
	for _, m := range w.nodes[:3] {
		if err := m.readLog(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := m.destroyNoted(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := m.attendOnce(context.Background()); (err != nil) != (m.name == "lab") {
			t.Errorf("%s: got %v", m.name, err)
		}
	}
	if c := w.certificate(id); c.Case.Status != erasure.Executing || len(c.Keys) != 2 || len(c.Missing) != 2 {
		t.Errorf("got %s with %d", c.Case.Status, len(c.Keys))
	}
	swept["lab"].fails = nil
	w.step()
	if c := w.certificate(id); c.Case.Status != erasure.Certified || len(c.Missing) != 1 || c.Missing[0] != account("insurer") || c.Case.Status.String() != "incomplete" {
		t.Errorf("got %s, missing %d", c.Case.Status, len(c.Missing))
	}
	w.node("insurer").lags = false
	w.block()
	w.step()
	if c := w.certificate(id); c.Case.Status != erasure.Done {
		t.Errorf("got %s", c.Case.Status)
	}
}

// A copy of the store from before the erasure, put back afterwards, does not bring the batch back.
func TestARestoredCopyDoesNotResurrect(t *testing.T) {
	for _, scope := range []erasure.Scope{erasure.Record, erasure.Batch, erasure.Patient} {
		t.Run(scope.String(), func(t *testing.T) {
			w := newWorld(t)
			w.outsides()
			b := w.batchOf("alice", allowedSlot, allowedSlot)
			hh := tx.Hash(b.Header.Hash())
			m, dir, backup := w.node("lab"), filepath.Join(w.dir, "lab"), filepath.Join(w.dir, "backup")
			m.close()
			if err := os.CopyFS(backup, os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			m.reopen(dir)
			m.Outside = &swept{m: m}
			req := erasure.Request{Scope: scope}
			if scope != erasure.Patient {
				req.Batch = hh
			}
			if scope == erasure.Record {
				req.Leaf = leafOf(b, 0)
			}
			id := w.ask("alice", req)
			w.step()
			w.step()
			if c := w.certificate(id); c.Case.Status != erasure.Done {
				t.Fatalf("got %s", c.Case.Status)
			}
			m.reopen(backup)
			row, err := m.rows.batch(hh)
			if err != nil || row.Shares[1] == (threshold.Share{}) {
				t.Fatalf("the copy does not hold the share: %v", err)
			}
			// Before anything else it refuses, by the ledger alone.
			w.grant("alice")
			r := w.session("alice", "alice", func(a *access.Request) { a.Purpose = consent.PATRQT })
			if _, err := m.Release(context.Background(), r.commit(items(b, 0)...)); !errors.Is(err, ErrNotReleased) {
				t.Errorf("got %v, want %v", err, ErrNotReleased)
			}
			if err := m.Reconcile(context.Background()); err != nil {
				t.Fatal(err)
			}
			row, err = m.rows.batch(hh)
			if scope == erasure.Record {
				if err != nil || row.Shares[1] != (threshold.Share{}) || row.Shares[2] == (threshold.Share{}) {
					t.Errorf("after reconciling: %v", err)
				}
			} else if !errors.Is(err, errAbsent) {
				t.Errorf("got %v, want %v", err, errAbsent)
			}
			if blobs, err := m.Blobs(); err != nil || len(blobs) == 0 {
				t.Errorf("the vault's addresses are not known: %v", err)
			}
			w.step()
		})
	}
}

// A custodian that was behind gets no share of what was erased meanwhile.
func TestALateParcelIsErasedAsItComes(t *testing.T) {
	w := newWorld(t)
	w.outsides()
	m := w.node("insurer")
	m.lags = true
	b := w.batchOf("alice", allowedSlot, allowedSlot)
	hh := tx.Hash(b.Header.Hash())
	w.ask("alice", erasure.Request{Scope: erasure.Record, Batch: hh, Leaf: leafOf(b, 0)})
	w.step()
	w.step()
	m.lags = false
	w.block()
	if err := m.readLog(context.Background()); err != nil { // notes the tombstone and the batch at once
		t.Fatal(err)
	}
	m.step()
	if row, err := m.rows.batch(hh); err != nil || row.Shares[1] != (threshold.Share{}) || row.Slots[0] != 0 {
		t.Errorf("got %v, want the batch without the record", err)
	}
	if err := m.Check(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestErasedEntriesSurviveEncoding(t *testing.T) {
	w := newWorld(t)
	p, b := w.deal("hospital", "alice", allowedSlot, deniedSlot, allowedSlot)
	m := &manifestRow{Entries: p.Entries, ShareRoots: p.ShareRoots, Pack: p.Pack}
	leaves := m.leaves()
	for _, i := range []int{2, 0} {
		m.erase(i, leafOf(b, i))
	}
	got, ok := decodeManifest(m.encode())
	if !ok || !bytes.Equal(got.encode(), m.encode()) || len(got.Erased) != 2 || !got.gone(0) || got.gone(1) || len(got.blobs()) != 1 {
		t.Fatalf("got %+v, %v", got, ok)
	}
	for i, l := range got.leaves() {
		if l != leaves[i] {
			t.Errorf("leaf %d differs", i)
		}
	}
	bad := m.encode()
	bad[len(bad)-34+1] = 9 // the position of the last one
	if _, ok := decodeManifest(bad); ok {
		t.Error("an erased record outside the batch is read")
	}
}

package custody

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/tx"
	"salus/seal"
)

// snapshot copies the custodian's directory as it is, as a crash would leave it.
func (m *member) snapshot(name string) string {
	m.w.Helper()
	to := filepath.Join(m.w.dir, "crash", m.name, name)
	if err := os.CopyFS(to, os.DirFS(filepath.Join(m.w.dir, m.name))); err != nil {
		m.w.Fatal(err)
	}
	return to
}

var errCrash = errors.New("the process died here")

// P13: at no point between the receipt on disk and the reply's departure can a crash
// lead to a reply without a receipt, or to two replies under one number.
func TestNoReplyWithoutItsReceipt(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	if _, err := m.Release(context.Background(), s.req); err != nil {
		t.Fatal(err)
	}
	var before, written string
	m.beforeHold = func() { before = m.snapshot("before the decision") }
	m.afterHold = func() { written = m.snapshot("receipt written, no reply") }
	reply, err := m.Release(context.Background(), s.req)
	if err != nil {
		t.Fatal(err)
	}
	replied := m.snapshot("replied")
	m.beforeHold, m.afterHold = nil, nil
	if reply.Sequence != 2 {
		t.Fatalf("got sequence %d, want 2", reply.Sequence)
	}
	for dir, want := range map[string]uint64{before: 1, written: 2, replied: 2} {
		m.reopen(dir)
		if got := m.wal.last(); got != want {
			t.Errorf("%s: got %d receipts, want %d", filepath.Base(dir), got, want)
		}
		again, err := m.Release(context.Background(), s.req)
		if err != nil || again.Sequence != want+1 {
			t.Errorf("%s: got %v, %v, want sequence %d", filepath.Base(dir), again, err, want+1)
		}
		if err := m.Check(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// A reply whose receipt cannot be written does not leave; neither does one whose opening
// cannot be kept for the patient.
func TestNoReplyIfTheReceiptCannotBeWritten(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	m.wal.file.Close()
	if reply, err := m.Release(context.Background(), s.req); reply != nil || err != error(ErrNotReleased) {
		t.Errorf("got %v, %v, want nothing but %v", reply, err, ErrNotReleased)
	}
	m.Custodian.rows.close()
	m.Custodian = nil
}

// The life of a batch at a custodian, stopped at every step: whatever was on disk then, a
// restart brings the batch to ACTIVE with one receipt, and loses nothing.
func TestARestartAtAnyStepDrainsWithoutLossOrDuplicates(t *testing.T) {
	for _, step := range []string{"parcel parked", "header read", "shares stored", "before the receipt", "after the receipt", "settled"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			m := w.node("clinic")
			ctx := context.Background()
			p, b := w.deal("hospital", "alice", allowedSlot, deniedSlot)
			w.deliver("hospital", p)
			var dir string
			crash := func(at string) error {
				if at != step {
					return nil
				}
				dir = m.snapshot(at)
				return errCrash
			}
			m.beforeSubmit = func(kind tx.Kind) error { return crash("before the receipt") }
			m.afterSubmit = func(kind tx.Kind) error { return crash("after the receipt") }
			live := func() error {
				if err := crash("parcel parked"); err != nil {
					return err
				}
				w.put("hospital", p)
				if err := errors.Join(m.readLog(ctx), crash("header read")); err != nil {
					return err
				}
				if err := errors.Join(m.ingestReady(ctx), crash("shares stored")); err != nil {
					return err
				}
				if _, err := m.sendDue(ctx); err != nil {
					return err
				}
				return crash("settled")
			}
			if err := live(); !errors.Is(err, errCrash) {
				t.Fatalf("got %v, want a crash", err)
			}
			m.beforeSubmit, m.afterSubmit = nil, nil
			m.reopen(dir)
			if step == "parcel parked" {
				w.put("hospital", p)
			}
			w.step()
			w.step()
			hh := tx.Hash(b.Header.Hash())
			if row := w.row(hh); row.Received() != 4 || row.Active == 0 || row.Complaints != 0 {
				t.Errorf("got %d receipts, active %d, complaints %b", row.Received(), row.Active, row.Complaints)
			}
			if got := w.receiptsOf("clinic"); got != 1 {
				t.Errorf("got %d receipts of this custodian on the ledger, want 1", got)
			}
			for _, prefix := range []byte{prefixParked, prefixArrived, prefixWanted, prefixDue} {
				if n, err := m.rows.count(prefix); err != nil || n != 0 {
					t.Errorf("%d rows %c are left, %v", n, prefix, err)
				}
			}
			if err := m.Check(ctx); err != nil {
				t.Error(err)
			}
			if st, err := m.Status(); err != nil || st.Batches != 1 || st.Wanted != 0 {
				t.Errorf("got %+v, %v", st, err)
			}
		})
	}
}

// receiptsOf counts the receipts of one custodian on the ledger.
func (w *world) receiptsOf(name string) (n int) {
	w.Helper()
	v := w.nodes[0].app.View()
	defer v.Close()
	seat := w.seat(name)
	for i := range v.Size() {
		var r anchor.Receipted
		if w.entry(v, i, anchor.EntryReceipts, &r) && int(r.Custodian) == seat {
			n += len(r.Message.List)
		}
	}
	return n
}

// The roots of the release receipts go to the ledger without gap or repetition, whatever
// was lost on the way back.
func TestReceiptRootsReachTheLedgerOnce(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	ctx := context.Background()
	release := func(n int) {
		t.Helper()
		for range n {
			if _, err := m.Release(ctx, s.req); err != nil {
				t.Fatal(err)
			}
		}
	}
	next := func() uint64 {
		v := m.app.View()
		defer v.Close()
		return access.ReleasedBy(v, account("lab")).Next
	}
	release(3)
	m.afterSubmit = func(tx.Kind) error { return errCrash } // committed, and the answer lost
	if err := m.sendRoot(ctx); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	m.afterSubmit = nil
	if next() != 4 {
		t.Fatalf("got next %d, want 4", next())
	}
	if err := m.sendRoot(ctx); err != nil || next() != 4 {
		t.Fatalf("got next %d, %v", next(), err)
	}
	release(2)
	m.reopen(filepath.Join(s.dir, "lab"))
	release(1)
	if err := m.sendRoot(ctx); err != nil || next() != 7 {
		t.Fatalf("got next %d, %v, want 7", next(), err)
	}
}

// Everything that a fetch named is there for its patient, and for nobody else.
func TestOnlyThePatientLearnsWhatWasOpened(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	ctx := context.Background()
	second := s.r.commit(items(s.batch, 0)...)
	for _, req := range []*exchange.ReleaseRequest{s.req, second, s.req} {
		if _, err := m.Release(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	own := s.session("alice", "alice")
	ask := func(by string, change func(*exchange.OpeningsRequest)) (*exchange.Sealed, error) {
		req := &exchange.OpeningsRequest{Session: s.r.id, ReaderKey: own.public}
		digest := exchange.OpeningsDigest(chainID, req.Session, req.ReaderKey)
		sig, err := tx.NewEd25519Signer(account(by), private(by)).Sign(digest)
		if err != nil {
			t.Fatal(err)
		}
		req.Signature = sig
		if change != nil {
			change(req)
		}
		return m.Openings(ctx, req)
	}
	box, err := ask("alice", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got exchange.Openings
	b, err := seal.Unbox(own.private, exchange.AnswerInfo("openings", s.r.id), box.Box)
	if err == nil {
		err = tx.DecodeAny(b, &got, len(b))
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Lists) != 2 || got.Lists[0].Fetch != 1 || got.Lists[1].List.Root() != second.List.Root() {
		t.Errorf("got %+v", got)
	}
	for name, f := range map[string]func() (*exchange.Sealed, error){
		"the doctor":        func() (*exchange.Sealed, error) { return ask("doctor", nil) },
		"another patient":   func() (*exchange.Sealed, error) { return ask("bob", nil) },
		"in another's name": func() (*exchange.Sealed, error) { return ask("bob", asAlice) },
		"by her key in another's name": func() (*exchange.Sealed, error) {
			return ask("alice", func(r *exchange.OpeningsRequest) { r.Signature.Account = account("bob") })
		},
		"for another key": func() (*exchange.Sealed, error) {
			return ask("alice", func(r *exchange.OpeningsRequest) { r.ReaderKey = s.r.public })
		},
		"another session": func() (*exchange.Sealed, error) {
			return ask("alice", func(r *exchange.OpeningsRequest) { r.Session = own.id })
		},
	} {
		if _, err := f(); err != error(ErrNotReleased) {
			t.Errorf("%s: got %v, want %v", name, err, ErrNotReleased)
		}
	}
}

func asAlice(r *exchange.OpeningsRequest) { r.Signature.Account = account("alice") }

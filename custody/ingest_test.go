package custody

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
)

// spoil replaces custodian index's envelope by one that holds a changed plaintext under the
// same header: what only the author can do.
func (w *world) spoil(p *exchange.Parcel, name string, change func(plain []byte)) {
	w.Helper()
	m := w.node(name)
	index := w.seat(name)
	keys, err := m.openKeys()
	if err != nil {
		w.Fatal(err)
	}
	key := keys[len(keys)-1]
	hh := p.Header.Hash()
	info := seal.Sum("envelope", hh[:], binary.BigEndian.AppendUint32(nil, uint32(index)), binary.BigEndian.AppendUint64(nil, key.epoch))
	b, err := seal.Unbox(key.private, info, p.Envelopes[index-1])
	if err != nil {
		w.Fatal(err)
	}
	change(b)
	if p.Envelopes[index-1], err = seal.Box(key.private.PublicKey().Bytes(), info, b); err != nil {
		w.Fatal(err)
	}
}

func (w *world) seat(name string) int {
	v := w.nodes[0].app.View()
	defer v.Close()
	e, err := committee.Current(v)
	if err != nil {
		w.Fatal(err)
	}
	i, _ := e.IndexOf(account(name))
	return i
}

// A bad envelope that is on the ledger is complained about once, is never asked for again,
// and does not keep the others from making the batch ACTIVE.
func TestABadEnvelopeIsComplainedAbout(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world, *exchange.Parcel)
		reason byte
	}{
		"does not open": {func(w *world, p *exchange.Parcel) { p.Envelopes[w.seat("insurer")-1][1200] ^= 1 }, anchor.BadEnvelope},
		"is another custodian's": {func(w *world, p *exchange.Parcel) {
			p.Envelopes[w.seat("insurer")-1] = p.Envelopes[w.seat("clinic")-1]
		}, anchor.BadEnvelope},
		"holds another share": {func(w *world, p *exchange.Parcel) {
			w.spoil(p, "insurer", func(b []byte) { b[32] ^= 1 })
		}, anchor.BadShareRoot},
		"opens to another patient": {func(w *world, p *exchange.Parcel) {
			w.spoil(p, "insurer", func(b []byte) { b[len(b)-1] ^= 1 })
		}, anchor.BadOpening},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p, b := w.deal("hospital", "alice", allowedSlot)
			c.change(w, p)
			w.deliver("hospital", p)
			hh := w.put("hospital", p)
			w.step()
			row := w.row(hh)
			victim, bit := w.node("insurer"), uint64(1)<<(w.seat("insurer")-1)
			if row.Active == 0 || row.Receipts&bit != 0 || row.Complaints != bit {
				t.Fatalf("got active %d, receipts %b, complaints %b", row.Active, row.Receipts, row.Complaints)
			}
			if got := w.complaint(hh); got != c.reason {
				t.Errorf("got reason %d, want %d", got, c.reason)
			}
			w.advance(time.Minute)
			w.block()
			if err := victim.chaseOnce(context.Background(), map[[32]byte]asking{}); err != nil {
				t.Fatal(err)
			}
			w.step()
			if n := w.node("hospital").calls[exchange.PathParcelOf]; n != 0 {
				t.Errorf("a parcel that is bad for ever was asked for %d times", n)
			}
			if err := victim.Check(context.Background()); err != nil {
				t.Error(err)
			}
			// It still relays to others what is good for them.
			if got, err := victim.Parcel(context.Background(), account("clinic"), &exchange.ParcelRequest{Header: hh}); err != nil || got.Header.Hash() != b.Header.Hash() {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// complaint is the reason of the only complaint on the ledger.
func (w *world) complaint(hh tx.Hash) (reason byte) {
	w.Helper()
	v := w.nodes[0].app.View()
	defer v.Close()
	for i := range v.Size() {
		var c anchor.Complained
		if w.entry(v, i, anchor.EntryComplaint, &c) && c.Message.Header == hh {
			if reason != 0 {
				w.Error("complained more than once")
			}
			reason = c.Message.Reason
		}
	}
	return reason
}

// An author that sends one custodian another parcel than the committed one is complained
// about; the others relay the true one, and the receipt settles the complaint.
func TestAnotherParcelThanTheCommittedOneIsReplacedByARelay(t *testing.T) {
	w := newWorld(t)
	p, _ := w.deal("hospital", "alice", allowedSlot)
	w.deliver("hospital", p)
	bad := *p
	bad.Pack[0] ^= 1
	lab := w.node("lab")
	if err := lab.Accept(context.Background(), account("hospital"), &bad); err != nil {
		t.Fatal(err)
	}
	hh := w.put("hospital", p)
	w.step()
	bit := uint64(1) << (w.seat("lab") - 1)
	if row := w.row(hh); row.Complaints != bit || row.Receipts&bit != 0 || w.complaint(hh) != anchor.BadParcel {
		t.Fatalf("got receipts %b, complaints %b", row.Receipts, row.Complaints)
	}
	w.advance(overdue)
	w.block()
	if err := lab.chaseOnce(context.Background(), map[[32]byte]asking{}); err != nil {
		t.Fatal(err)
	}
	w.step()
	if row := w.row(hh); row.Complaints != 0 || row.Received() != 4 {
		t.Errorf("got receipts %b, complaints %b", row.Receipts, row.Complaints)
	}
}

// A custodian that missed the parcel gets it from another one, also if the author is down
// and the batch is long ACTIVE; then nobody keeps it for relay any more.
func TestALateCustodianIsServedByAnother(t *testing.T) {
	for name, hospital := range map[string]func(*member){
		"the author is down":   func(m *member) { m.down = true },
		"the author is silent": func(m *member) { m.silent = true },
	} {
		t.Run(name, func(t *testing.T) { lateCustodian(t, hospital) })
	}
}

func lateCustodian(t *testing.T, away func(*member)) {
	w := newWorld(t)
	late := w.node("insurer")
	late.down = true
	b := w.batch("alice", allowedSlot)
	hh := tx.Hash(b.Header.Hash())
	late.down = false
	away(w.node("hospital"))
	late.step()
	if st, err := late.Status(); err != nil || st.Wanted != 1 || st.Batches != 0 {
		t.Fatalf("got %+v, %v", st, err)
	}
	asked := map[[32]byte]asking{}
	if err := late.chaseOnce(context.Background(), asked); err != nil {
		t.Fatal(err)
	}
	w.advance(overdue)
	w.block()
	if err := late.chaseOnce(context.Background(), asked); err != nil {
		t.Fatal(err)
	}
	late.step()
	if row := w.row(hh); row.Received() != 4 {
		t.Fatalf("got %d receipts, want 4", row.Received())
	}
	for _, m := range w.nodes {
		if err := m.tidy(); err != nil {
			t.Fatal(err)
		}
		if n, err := m.rows.count(prefixRelay); err != nil || n != 0 {
			t.Errorf("%s keeps %d relays, %v", m.name, n, err)
		}
		if _, err := m.Parcel(context.Background(), account("clinic"), &exchange.ParcelRequest{Header: hh}); err != error(ErrNoParcel) {
			t.Errorf("%s: got %v, want %v", m.name, err, ErrNoParcel)
		}
	}
	w.grant("alice")
	r := w.session("doctor", "alice")
	if got, err := r.read(b, r.commit(items(b, 0)...), w.nodes[1:]...); err != nil || !bytes.Equal(got[0], plain(0)) {
		t.Errorf("got %q, %v", got, err)
	}
}

// The key epochs of a parcel are nobody's word: who relays cannot make the author guilty.
func TestAForgedKeyEpochDoesNotBlameTheAuthor(t *testing.T) {
	w := newWorld(t)
	late := w.node("insurer")
	late.down = true
	p, _ := w.deal("hospital", "alice", allowedSlot)
	w.deliver("hospital", p)
	hh := w.put("hospital", p)
	w.step()
	late.down = false
	late.step()
	forged := *p
	forged.KeyEpochs = []uint64{9, 9, 9, 9}
	if err := late.Accept(context.Background(), account("lab"), &forged); err != nil {
		t.Fatal(err)
	}
	late.step()
	if row := w.row(hh); row.Received() != 4 || row.Complaints != 0 {
		t.Errorf("got receipts %b, complaints %b", row.Receipts, row.Complaints)
	}
}

// Without the custody key that was valid when the batch was anchored, a custodian cannot
// tell whose fault it is, and blames nobody.
func TestALostCustodyKeyBlamesNobody(t *testing.T) {
	w := newWorld(t)
	m := w.node("insurer")
	p, _ := w.deal("hospital", "alice", allowedSlot)
	w.deliver("hospital", p)
	hh := w.put("hospital", p)
	seeds, err := m.rows.seeds()
	if err != nil || len(seeds) != 1 {
		t.Fatal(len(seeds), err)
	}
	if err := m.rows.drop(m.rows.update, seeds[0].key()); err != nil {
		t.Fatal(err)
	}
	if err := m.rotateOnce(context.Background()); err != nil { // a later key does not make it guilty either
		t.Fatal(err)
	}
	w.step()
	if row := w.row(hh); row.Received() != 3 || row.Complaints != 0 || row.Active == 0 {
		t.Errorf("got receipts %b, complaints %b", row.Receipts, row.Complaints)
	}
}

// A custodian that had no valid key when the batch was anchored blames nobody for an envelope
// that it cannot open.
func TestACustodianWithoutAKeyBlamesNobody(t *testing.T) {
	w := newWorld(t)
	m := w.node("insurer")
	m.down = true
	w.pass(week)
	for _, other := range w.nodes {
		if other != m {
			if err := other.rotateOnce(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	m.down = false
	b := w.batch("alice", allowedSlot)
	if row := w.row(b.Header.Hash()); row.Received() != 3 || row.Complaints != 0 {
		t.Errorf("got receipts %b, complaints %b", row.Receipts, row.Complaints)
	}
	if n, err := m.rows.count(prefixRefused); err != nil || n != 1 {
		t.Errorf("%d batches are refused, %v", n, err)
	}
}

func TestTheDoorIsForCustodiansAndAuthors(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	m := w.node("lab")
	p, b := w.deal("hospital", "alice", allowedSlot, deniedSlot)
	hh := tx.Hash(b.Header.Hash())
	refuse := func(name string, from string, change func(*exchange.Parcel)) {
		t.Helper()
		c := *p
		c.Envelopes, c.Entries = slices.Clone(p.Envelopes), slices.Clone(p.Entries)
		change(&c)
		if err := m.Accept(ctx, account(from), &c); err != error(ErrParcel) {
			t.Errorf("%s: got %v, want %v", name, err, ErrParcel)
		}
	}
	nothing := func(*exchange.Parcel) {}
	refuse("a stranger's batch before its header", "clinic", nothing)
	refuse("another chain", "hospital", func(c *exchange.Parcel) { c.Header.Chain = "other" })
	refuse("a missing envelope", "hospital", func(c *exchange.Parcel) { c.Envelopes = c.Envelopes[1:] })
	refuse("a long envelope", "hospital", func(c *exchange.Parcel) { c.Envelopes[2] = append(c.Envelopes[2], 0) })
	refuse("another manifest", "hospital", func(c *exchange.Parcel) { c.Entries[0].Slots = ^uint64(0) })
	refuse("a missing entry", "hospital", func(c *exchange.Parcel) { c.Entries = c.Entries[1:] })
	refuse("other share roots", "hospital", func(c *exchange.Parcel) { c.ShareRoots = slices.Repeat([][32]byte{{1}}, 4) })
	refuse("other commitments", "hospital", func(c *exchange.Parcel) { c.Commitments = slices.Repeat([][32]byte{{1}}, 3) })
	refuse("no key epochs", "hospital", func(c *exchange.Parcel) { c.KeyEpochs = nil })
	w.put("hospital", p)
	refuse("other envelopes than the committed", "clinic", func(c *exchange.Parcel) { c.Envelopes[0] = c.Envelopes[1] })
	refuse("another pack than the committed", "hospital", func(c *exchange.Parcel) { c.Pack = [32]byte{} })
	if err := m.Accept(ctx, account("insurer"), p); err != nil {
		t.Errorf("a relay of the committed parcel: %v", err)
	}
	if _, err := m.Parcel(ctx, account("clinic"), &exchange.ParcelRequest{Header: hh}); err != nil {
		t.Error(err)
	}
	for _, from := range []string{"doctor", "alice", "nobody"} {
		if _, err := m.Parcel(ctx, account(from), &exchange.ParcelRequest{Header: hh}); err != error(ErrNoParcel) {
			t.Errorf("%s: got %v, want %v", from, err, ErrNoParcel)
		}
	}
}

// Each parcel of a load is judged by itself, and answered by its own code.
func TestABadParcelHarmsNoOtherOfItsLoad(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	m := w.node("lab")
	var parcels []*exchange.Parcel
	for range 4 {
		p, _ := w.deal("hospital", "alice", allowedSlot)
		parcels = append(parcels, p)
	}
	foreign, _ := w.deal("clinic", "alice", allowedSlot)
	other := *parcels[2]
	other.Pack[0] ^= 1
	w.put("hospital", parcels[2])
	size := int64(len(tx.MustEncode(parcels[0])))
	l := &exchange.Load{Parts: [][]byte{
		tx.MustEncode(parcels[0]),
		{0xa0},
		tx.MustEncode(foreign), tx.MustEncode(&other), tx.MustEncode(parcels[2]),
		tx.MustEncode(parcels[0]), tx.MustEncode(parcels[1]), append(tx.MustEncode(parcels[1]), 0),
		{},
		tx.MustEncode(parcels[3]),
	}}
	bad, full := ErrParcel.Code, ErrBusy.Code
	want := []uint32{0, bad, bad, bad, 0, bad, full, bad, bad, full}
	// There is room for one that is not on the ledger, and always for what is.
	m.parking.limits = parkLimits{perAuthor: size + 64, total: 3 * size, keep: time.Hour}
	r, err := m.AcceptLoad(ctx, account("hospital"), l)
	if err != nil || !slices.Equal(r.Codes, want) {
		t.Fatalf("got %x, %v, want %x", r, err, want)
	}
	for i, p := range parcels {
		if got, want := m.parking.has(p.Header.Hash()), i%2 == 0; got != want {
			t.Errorf("parcel %d: parked %v, want %v", i, got, want)
		}
	}
	if n, err := m.rows.count(prefixParked); err != nil || n != 2 {
		t.Errorf("got %d on disk, %v, want 2", n, err)
	}
	if got, err := m.parking.get(parcels[0].Header.Hash()); err != nil || !bytes.Equal(tx.MustEncode(got), l.Parts[0]) {
		t.Errorf("another parcel is parked, %v", err)
	}
	for _, parts := range [][][]byte{nil, make([][]byte, exchange.MaxParts+1)} {
		if _, err := m.AcceptLoad(ctx, account("hospital"), &exchange.Load{Parts: parts}); err != error(ErrMalformed) {
			t.Errorf("%d parts: got %v, want %v", len(parts), err, ErrMalformed)
		}
	}
}

// What waits for its header is bounded per author and in all, and goes after a while.
func TestParkedParcelsAreBoundedAndExpire(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	m := w.node("lab")
	size := func(p *exchange.Parcel) int64 { return int64(len(tx.MustEncode(p))) }
	one, _ := w.deal("hospital", "alice", allowedSlot)
	m.parking.limits = parkLimits{perAuthor: 2*size(one) + 64, total: 3*size(one) + 64, keep: time.Hour}
	offer := func(author string, p *exchange.Parcel, want error) {
		t.Helper()
		if err := m.Accept(ctx, account(author), p); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	another := func(author string) *exchange.Parcel { p, _ := w.deal(author, "alice", allowedSlot); return p }
	two, three := another("hospital"), another("hospital")
	offer("hospital", one, nil)
	offer("hospital", one, nil) // again takes no room
	offer("hospital", two, nil)
	offer("hospital", three, ErrBusy)
	offer("clinic", another("clinic"), nil)
	offer("clinic", another("clinic"), ErrBusy) // in all
	// What is on the ledger always finds room.
	w.put("hospital", three)
	offer("hospital", three, nil)
	// The bounds outlast a restart.
	m.reopen(filepath.Join(w.dir, "lab"))
	m.parking.limits.perAuthor, m.parking.limits.total = 3*size(one)+64, 4*size(one)+64
	if got := len(m.parking.list()); got != 4 {
		t.Fatalf("%d parcels are parked, want 4", got)
	}
	offer("hospital", another("hospital"), ErrBusy)
	m.step()
	if got := len(m.parking.list()); got != 3 {
		t.Fatalf("%d parcels are parked, want 3", got)
	}
	w.advance(time.Hour + 2*time.Second)
	w.put("hospital", two) // just in time
	if err := m.readLog(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.tidy(); err != nil {
		t.Fatal(err)
	}
	if got := m.parking.list(); len(got) != 1 || got[0] != two.Header.Hash() {
		t.Errorf("%d parcels are parked, want the one on the ledger", len(got))
	}
	if n, err := m.rows.count(prefixParked); err != nil || n != 1 {
		t.Errorf("%d parcels are on disk, %v", n, err)
	}
	offer("clinic", another("clinic"), nil)
}

// A pack that arrives later than the shares makes the receipt due again, and a pack that
// arrived while the process died is found at the start.
func TestAPackThatComesLaterIsReceipted(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	b := w.batch("alice", allowedSlot)
	hh := tx.Hash(b.Header.Hash())
	held := func(name string) bool { row := w.row(hh); return row.Holds&(1<<(w.seat(name)-1)) != 0 }
	for _, name := range []string{"clinic", "insurer"} {
		m := w.node(name)
		if held(name) {
			t.Fatalf("%s says it holds a pack that it does not have", name)
		}
		pack, err := m.vault.PutPack(ctx, b.Ciphertexts)
		if err != nil {
			t.Fatal(err)
		}
		if name == "clinic" {
			err = m.PackArrived(pack)
		} else {
			m.reopen(filepath.Join(w.dir, name))
			err = m.heldPacks()
		}
		if err != nil {
			t.Fatal(err)
		}
		m.step()
		if !held(name) {
			t.Errorf("%s does not say that it holds the pack", name)
		}
		if n, err := m.rows.count(prefixPack); err != nil || n != 0 {
			t.Errorf("%s still waits for %d packs, %v", name, n, err)
		}
	}
}

// Many batches go to the ledger in one transaction; those of an epoch that is over, which
// the ledger would refuse, do not hold up the others.
func TestReceiptsAreFolded(t *testing.T) {
	w := newWorld(t)
	m := w.node("lab")
	var parcels []*exchange.Parcel
	for range 8 {
		p, _ := w.deal("hospital", "alice", allowedSlot)
		w.deliver("hospital", p)
		w.put("hospital", p)
		parcels = append(parcels, p)
	}
	sent := 0
	m.beforeSubmit = func(tx.Kind) error { sent++; return nil }
	m.step()
	if sent != 1 || w.receiptsOf("lab") != 8 {
		t.Errorf("got %d receipts in %d transactions, want 8 in one", w.receiptsOf("lab"), sent)
	}
	clinic := w.node("clinic")
	if err := errors.Join(clinic.readLog(context.Background()), clinic.ingestReady(context.Background())); err != nil {
		t.Fatal(err)
	}
	w.epoch("hospital", "clinic", "lab", "insurer")
	clinic.step()
	if n, err := clinic.rows.count(prefixDue); err != nil || n != 0 {
		t.Errorf("%d receipts of an old epoch are still due, %v", n, err)
	}
	if st, err := clinic.Status(); err != nil || int(st.Batches) != len(parcels) {
		t.Errorf("got %+v, %v", st, err)
	}
}

// Parcels of several requests are parked side by side, never beyond what one author may take; and what is taken
// meanwhile does not come back.
func TestParcelsThatComeTogetherKeepTheBounds(t *testing.T) {
	w := newWorld(t)
	m := w.node("lab")
	var all []*exchange.Parcel
	for range 12 {
		p, _ := w.deal("hospital", "alice", allowedSlot)
		all = append(all, p)
	}
	size := int64(len(tx.MustEncode(all[0])))
	m.parking.limits = parkLimits{perAuthor: 5*size + 64, total: 8*size + 64, keep: time.Hour}
	var parked, refused atomic.Int64
	var g sync.WaitGroup
	for i := range all { // each comes in three loads: the second finds its place, if the first did
		var l exchange.Load
		for k := range 3 {
			l.Parts = append(l.Parts, tx.MustEncode(all[(i+k)%len(all)]))
		}
		g.Go(func() {
			r, err := m.AcceptLoad(t.Context(), account("hospital"), &l)
			if err != nil {
				t.Error(err)
				return
			}
			for _, code := range r.Codes {
				switch code {
				case 0:
					parked.Add(1)
				case ErrBusy.Code:
					refused.Add(1)
				default:
					t.Errorf("got code %x", code)
				}
			}
		})
	}
	g.Wait()
	list := m.parking.list()
	if n := len(list); n < 1 || n > 5 || parked.Load()+refused.Load() != 36 {
		t.Fatalf("got %d parcels parked, %d taken and %d refused, want 5 at most", n, parked.Load(), refused.Load())
	}
	if got, want := m.parking.total, int64(len(list))*size; got > want+64 || got < want-64 || m.parking.bytes[account("hospital")] != got {
		t.Errorf("got %d bytes counted, want %d", got, want)
	}
	if n, err := m.rows.count(prefixParked); err != nil || int(n) != len(list) {
		t.Errorf("got %d parcels on disk, %v, want %d", n, err, len(list))
	}
	for _, hh := range list {
		g.Go(func() {
			if err := m.parking.take([][32]byte{hh}, func(*pebble.Batch) error { return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	g.Wait()
	if n, err := m.rows.count(prefixParked); err != nil || n != 0 || m.parking.total != 0 || len(m.parking.bytes) != 0 {
		t.Errorf("got %d parcels on disk, %v, and %d bytes counted, want none", n, err, m.parking.total)
	}
}

// What was anchored so long ago that its author seals the records again is taken in by nobody, and nobody says for the
// first time that it was: also not with a seed that outlasted its time.
func TestAStaleBatchIsNeitherTakenInNorToldOf(t *testing.T) {
	for rule, taken := range map[string]bool{"it was not taken in": false, "it was taken in and not told of": true} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t)
			p, _ := w.deal("hospital", "alice", allowedSlot)
			w.deliver("hospital", p)
			hh := w.put("hospital", p)
			if taken {
				for _, m := range w.nodes {
					if err := errors.Join(m.readLog(t.Context()), m.ingestReady(t.Context())); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.pass(2*week + time.Minute) // no key is destroyed: nobody rotates
			w.step()
			if row := w.row(hh); row.Received() != 0 || row.Complaints != 0 {
				t.Errorf("got receipts %b, complaints %b, want none", row.Receipts, row.Complaints)
			}
			for _, m := range w.nodes {
				if n, err := m.rows.count(prefixDue); err != nil || n != 0 {
					t.Errorf("%d are due, %v", n, err)
				}
				if err := m.Check(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

package record

import (
	"context"
	"crypto/hpke"
	"errors"
	"slices"
	"testing"
	"time"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// keyPeriod is how long a custody key of the world lasts, and how long its seed stays after that.
const keyPeriod = 7 * 24 * time.Hour

// outage stops everybody, lets time go by, and starts the custodians again, who then have new keys, but for one
// that stays away; the hospital's service stays down.
func (w *world) outage(d time.Duration, away ...string) {
	w.Helper()
	h := w.orgs["hospital"]
	h.close()
	for _, name := range members {
		w.orgs[name].away()
	}
	w.pass(d)
	for _, name := range members {
		if !slices.Contains(away, name) {
			w.orgs[name].restart()
		}
	}
	w.await("new custody keys", func(v *state.View) bool {
		return len(committee.LiveKeys(v, v.Meta().Time)) == len(members)-len(away)
	})
}

// batchOf is the batch that the hospital's store has a record in.
func (w *world) batchOf(id ID) tx.Hash {
	w.Helper()
	o, err := w.orgs["hospital"].record.Record(id)
	if err != nil {
		w.Fatal(err)
	}
	return o.Batch
}

// blocksUntil makes blocks until it is so.
func (w *world) blocksUntil(what string, is func() bool) {
	w.Helper()
	for !is() {
		if !pause(w.Context(), time.Millisecond) {
			w.Fatalf("never: %s", what)
		}
		w.block()
	}
}

// settles makes blocks until the hospital's records have a status.
func (w *world) settles(want Status, ids ...ID) {
	w.Helper()
	for _, id := range ids {
		w.blocksUntil("a record is "+want.String(), func() bool {
			got, err := w.orgs["hospital"].record.Status(id)
			if err != nil {
				w.Fatal(err)
			}
			return got == want
		})
	}
}

// activeSoon is settles to Active, and fails the test where nothing would ever come of it.
func (w *world) activeSoon(ids ...ID) {
	w.Helper()
	end := time.Now().Add(5 * holdTime)
	for _, id := range ids {
		w.blocksUntil("a record is active", func() bool {
			got, err := w.orgs["hospital"].record.Status(id)
			if err != nil || got != Active && time.Now().After(end) {
				w.Fatalf("a record is %v (%v), want active", got, err)
			}
			return got == Active
		})
	}
}

// taken makes blocks until every custodian has taken in the batches.
func (w *world) taken(batches uint64) {
	w.Helper()
	for _, o := range w.orgs {
		w.blocksUntil("the shares are taken in", func() bool {
			s, err := o.custody.Status()
			if err != nil {
				w.Fatal(err)
			}
			return s.Batches == batches
		})
	}
}

// onceEach checks that readers find the records, each once, and that nothing is left to be done.
func (w *world) onceEach(p *patient, rs []fhir.Resource) {
	w.Helper()
	got := w.read(p)
	slices.Sort(got)
	if want := bodies(rs); !slices.Equal(got, want) {
		w.Errorf("a reader sees %d records, want %d, each once", len(got), len(want))
	}
	s := w.orgs["hospital"].record
	if n, err := s.Pending(); n != (Pending{}) || err != nil {
		w.Errorf("got %+v, %v, want nothing", n, err)
	}
	if err := s.Check(w.Context()); err != nil {
		w.Errorf("check: %v", err)
	}
}

// refuse ends these steps of an organisation with an error.
func (o *org) refuse(steps ...string) {
	o.setGate(func(_ context.Context, step string) error {
		if slices.Contains(steps, step) {
			return errors.New("not now")
		}
		return nil
	})
}

// A parcel in the outbox whose envelopes are sealed to custody keys that ended meanwhile, and whose seeds are
// destroyed, opens for nobody any more. Its records are sealed again, and are nowhere twice.
func TestAParcelSealedToKeysThatEndedIsDealtAgain(t *testing.T) {
	type stage struct {
		refuse  func(w *world)
		reached func(w *world, batch tx.Hash)
	}
	none := func(*world, tx.Hash) {}
	anchored := func(w *world, batch tx.Hash) {
		w.await("the header is anchored", func(v *state.View) bool { _, ok := anchor.Lookup(v, batch); return ok })
	}
	silent := func(names ...string) func(w *world) {
		return func(w *world) {
			for _, name := range names {
				w.orgs[name].refuse(stepTell)
			}
		}
	}
	for rule, at := range map[string]stage{
		"nothing was sent": {func(w *world) { w.orgs["hospital"].refuse(stepPut, stepParcel, stepPack) }, none},
		"custodians have it, no header": {func(w *world) { w.orgs["hospital"].refuse(stepPut) }, func(w *world, batch tx.Hash) {
			for _, o := range w.orgs {
				w.blocksUntil("the parcel is here", func() bool {
					_, err := o.custody.Parcel(w.Context(), account("hospital"), &exchange.ParcelRequest{Header: batch})
					return err == nil
				})
			}
		}},
		"the header is anchored, no custodian has it": {func(w *world) { w.orgs["hospital"].refuse(stepParcel) }, anchored},
		"one has said that it holds its shares": {silent("clinic", "lab", "insurer"), func(w *world, batch tx.Hash) {
			w.taken(2)
			w.await("the receipt", func(v *state.View) bool { b, _ := anchor.Lookup(v, batch); return b.Received() == 1 })
		}},
		"nobody has said that it holds its shares": {silent(members...), func(w *world, _ tx.Hash) { w.taken(2) }},
	} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t)
			h := w.orgs["hospital"]
			h.open("")
			p := w.patient("Patient/p")
			w.grant(p)
			w.taken(1)
			at.refuse(w)
			rs := []fhir.Resource{observation(t, "a", "first"), observation(t, "b", "second", "PSY")}
			ids := w.put(p.Patient, rs...)
			w.settles(Dealt, ids...)
			first := w.batchOf(ids[0])
			at.reached(w, first)
			w.outage(3 * keyPeriod)
			h.open("")
			w.settles(Active, ids...)
			if w.batchOf(ids[0]) == first {
				t.Error("the records are in the batch that nobody can open")
			}
			v := w.app.View()
			defer v.Close()
			if anchor.IsActive(v, first) {
				t.Error("the batch that was dealt again is active, too")
			}
			w.onceEach(p, rs)
		})
	}
}

// A parcel that can still become ACTIVE is not dealt again: what is dealt twice could be there twice.
func TestAParcelThatCanStillBeOpenedIsNotDealtAgain(t *testing.T) {
	for rule, at := range map[string]struct {
		refuse []string
		after  time.Duration
	}{
		"no header, within the grace of its keys":        {[]string{stepPut, stepParcel, stepPack}, keyPeriod * 3 / 2},
		"anchored, no parcel, within the grace":          {[]string{stepParcel}, keyPeriod * 3 / 2},
		"anchored, three shares told of, keys long gone": {[]string{stepPack}, 3 * keyPeriod},
	} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t)
			h := w.orgs["hospital"]
			h.open("")
			p := w.patient("Patient/p")
			w.grant(p)
			w.taken(1)
			h.refuse(at.refuse...)
			rs := []fhir.Resource{observation(t, "a", "first")}
			ids := w.put(p.Patient, rs...)
			w.settles(Dealt, ids...)
			first := w.batchOf(ids[0])
			switch at.refuse[0] {
			case stepParcel:
				w.blocksUntil("the header is anchored", func() bool { _, ok := h.record.anchored(first); return ok })
			case stepPack:
				w.blocksUntil("all hold their shares", func() bool { b, _ := h.record.anchored(first); return b.Received() == len(members) })
			}
			w.outage(at.after)
			h.open("")
			w.settles(Active, ids...)
			if w.batchOf(ids[0]) != first {
				t.Error("a parcel that could become active was dealt again")
			}
			w.onceEach(p, rs)
		})
	}
}

// Nothing is sealed to a key whose seed is gone, though others have a copy of its public half: with too many such
// envelopes a parcel would be dealt again for ever.
func TestNothingIsSealedToAKeyThatIsGone(t *testing.T) {
	for rule, at := range map[string]struct {
		after time.Duration
		epoch uint64 // of the key that the lab's envelope is sealed to
	}{
		"in its grace": {keyPeriod * 3 / 2, 1},
		"after it":     {3 * keyPeriod, 0},
	} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t)
			w.outage(at.after, "lab")
			v := w.app.View()
			defer v.Close()
			lab, _ := committee.Latest(v, account("lab"))
			k, now := newCustodyKeys(w.app, w.orgs["hospital"]), time.Unix(start, 0)
			k.now = func() time.Time { return now }
			// A copy, as another custodian has it while the owner is away.
			key, err := hpke.MLKEM768X25519().GenerateKey()
			if err != nil {
				t.Fatal(err)
			}
			k.known[lab.Hash] = key.PublicKey()
			_, _, err = k.current(t.Context())
			if want := at.epoch == 0; errors.Is(err, errNoKeys) != want {
				t.Fatalf("got %v, want to wait for a key: %v", err, want)
			}
			now = now.Add(graceTime)
			epoch, keys, err := k.current(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			i, _ := epoch.IndexOf(account("lab"))
			if got := keys[i-1].KeyEpoch; got != at.epoch {
				t.Errorf("the lab's envelope is sealed to key %d, want %d", got, at.epoch)
			}
		})
	}
}

package record

import (
	"crypto/ed25519"
	"errors"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble"
)

// Links that are made side by side are one chain without a gap, also for the next start.
func TestParcelsThatComeTogetherAreOneChain(t *testing.T) {
	dir := t.TempDir()
	st, err := openStore(dir, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	none := func() []ed25519.PublicKey { return nil }
	o, err := openOutbox(st, private("hospital"), none)
	if err != nil {
		t.Fatal(err)
	}
	const parcels = 40
	var g sync.WaitGroup
	for i := range parcels {
		g.Go(func() {
			b := st.db.NewBatch()
			defer b.Close()
			p := &parcelRow{Records: []ID{{byte(i)}}}
			if err := o.chain(b, p); err != nil {
				t.Error(err)
				return
			}
			if i%2 == 0 {
				d := st.db.NewBatch()
				defer d.Close()
				if err := o.done(d, p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	g.Wait()
	check := func(o *outbox) {
		t.Helper()
		links, waiting := 0, 0
		err := o.check(func(_ [32]byte, pending bool) error {
			links++
			if pending {
				waiting++
			}
			return nil
		})
		if err != nil || links != parcels || waiting != parcels/2 {
			t.Errorf("got %d links, %d of them waiting, %v, want %d and %d", links, waiting, err, parcels, parcels/2)
		}
		if seqs, err := o.pending(); err != nil || len(seqs) != parcels/2 {
			t.Errorf("got %d parcels to deliver, %v, want %d", len(seqs), err, parcels/2)
		}
	}
	check(o)
	if err := st.close(); err != nil {
		t.Fatal(err)
	}
	if st, err = openStore(dir, [32]byte{1}); err != nil {
		t.Fatal(err)
	}
	defer st.close()
	if o, err = openOutbox(st, private("hospital"), none); err != nil {
		t.Fatal(err)
	}
	check(o)
}

// What is appended is on disk when append returns, with all that was chained before it: a copy of the files as they
// are then, which is what a crash leaves, holds it.
func TestAppendedParcelOutlastsACrash(t *testing.T) {
	dir := t.TempDir()
	st, err := openStore(dir, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	defer st.close()
	none := func() []ed25519.PublicKey { return nil }
	o, err := openOutbox(st, private("hospital"), none)
	if err != nil {
		t.Fatal(err)
	}
	add := func(f func(b *pebble.Batch, p *parcelRow) error, id byte) *parcelRow {
		t.Helper()
		b := st.db.NewBatch()
		defer b.Close()
		p := &parcelRow{Records: []ID{{id}}}
		if err := f(b, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	durable := func(b *pebble.Batch, p *parcelRow) error { return errors.Join(o.chain(b, p), st.sync()) }
	first := add(durable, 1)
	d := st.db.NewBatch()
	defer d.Close()
	if err := o.done(d, first); err != nil {
		t.Fatal(err)
	}
	add(o.chain, 2)
	add(durable, 3)
	after, err := openStore(copyDir(t, dir), [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	defer after.close()
	crashed, err := openOutbox(after, private("hospital"), none)
	if err != nil {
		t.Fatal(err)
	}
	if seqs, err := crashed.pending(); err != nil || len(seqs) != 2 || seqs[0] != 1 || seqs[1] != 2 {
		t.Errorf("got %v to deliver, %v, want 1 and 2", seqs, err)
	}
	if err := crashed.check(func([32]byte, bool) error { return nil }); err != nil {
		t.Error(err)
	}
}

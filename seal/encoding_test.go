package seal

import (
	"bytes"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// The header travels inside a transaction and the entries inside parcels, in the canonical
// CBOR of the ledger's wire. These tests hold the field numbers and sizes still.

func encoder(tb testing.TB) cbor.EncMode {
	tb.Helper()
	o := cbor.CoreDetEncOptions()
	o.NilContainers = cbor.NilContainerAsEmpty
	m, err := o.EncMode()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestEncodedSizesStaySmall(t *testing.T) {
	w := newWorld(t, 4, 500, 200)
	m := encoder(t)
	for _, c := range []struct {
		name string
		v    any
		most int
	}{{"header", &w.batch.Header, 300}, {"entry", &w.batch.Entries[499], 115}} {
		b, err := m.Marshal(c.v)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > c.most {
			t.Errorf("%s: got %d bytes, want at most %d", c.name, len(b), c.most)
		}
		t.Logf("%s: %d bytes", c.name, len(b))
	}
	e := w.batch.Entries[0]
	plain, err := m.Marshal(&e)
	if err != nil {
		t.Fatal(err)
	}
	e.Meta[0] = 1
	if with, err := m.Marshal(&e); err != nil || len(with) != len(plain)+35 {
		t.Errorf("entry with metadata: got %d bytes (%v), want %d", len(with), err, len(plain)+35)
	}
}

func FuzzHeaderAndEntryEncoding(f *testing.F) {
	w := newWorld(f, 4, 2, 40)
	m := encoder(f)
	for _, v := range []any{&w.batch.Header, &w.batch.Entries[0]} {
		b, err := m.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h Header
		if cbor.Unmarshal(b, &h) == nil {
			again, err := m.Marshal(&h)
			if err != nil {
				t.Fatal(err)
			}
			var h2 Header
			if err := cbor.Unmarshal(again, &h2); err != nil || h2 != h || h2.Hash() != h.Hash() {
				t.Fatal("header: got another one after encoding")
			}
			_ = h.Validate()
		}
		var e Entry
		if cbor.Unmarshal(b, &e) == nil {
			again, err := m.Marshal(&e)
			if err != nil {
				t.Fatal(err)
			}
			var e2 Entry
			if err := cbor.Unmarshal(again, &e2); err != nil || e2 != e {
				t.Fatal("entry: got another one after encoding")
			}
			if bytes.Equal(again, b) && e.Leaf(0) != e2.Leaf(0) {
				t.Fatal("entry: got another leaf")
			}
		}
	})
}

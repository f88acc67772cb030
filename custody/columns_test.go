package custody

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"salus/seal"
)

func TestWhatAManifestRowHoldsComesBack(t *testing.T) {
	hash := rapid.Custom(func(t *rapid.T) (h [32]byte) {
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		return h
	})
	rapid.Check(t, func(t *rapid.T) {
		m := &manifestRow{ShareRoots: rapid.SliceOfN(hash, 0, 7).Draw(t, "roots"), Pack: hash.Draw(t, "pack")}
		masks := rapid.IntRange(1, 400).Draw(t, "masks")
		for i := range rapid.IntRange(0, 600).Draw(t, "count") {
			e := seal.Entry{Slots: uint64(1+i%masks) << (i % 3), Kind: byte(i / 97), Size: uint32(i * i * i * 17), Ciphertext: [32]byte{byte(i), 1}, ID: [16]byte{byte(i >> 8), byte(i)}}
			if i%151 == 3 {
				e.Meta = [32]byte{31: 9}
			}
			m.Entries = append(m.Entries, e)
		}
		got, ok := decodeManifest(m.encode())
		if !ok {
			t.Fatal("got a damaged row, want what was written")
		}
		if d := cmp.Diff(m, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	})
}

func TestARecordOfABatchCostsACustodianLessThan90Bytes(t *testing.T) {
	m, r := &manifestRow{}, &batchRow{}
	for i := range 200 {
		e := seal.Entry{Slots: uint64(1) << (i % 12), Size: 336}
		m.Entries, r.Slots = append(m.Entries, e), append(r.Slots, e.Slots)
	}
	if got := (len(m.encode()) + len(r.encode()) + 32*200) / 200; got >= 90 {
		t.Errorf("got %d bytes, want less than 90", got)
	}
}

func TestARowThatEndsAnywhereElseIsDamaged(t *testing.T) {
	m := &manifestRow{ShareRoots: make([][32]byte, 2), Entries: []seal.Entry{{Slots: 1, Size: 80, Meta: [32]byte{1}}, {Slots: 3, Kind: 1, Size: 500}}}
	whole := m.encode()
	for n := range whole {
		if _, ok := decodeManifest(whole[:n]); ok {
			t.Errorf("the first %d of %d bytes were taken", n, len(whole))
		}
	}
	if _, ok := decodeManifest(append(whole, 0)); ok {
		t.Error("a longer row was taken")
	}
}

package custody

import (
	"bytes"
	"testing"

	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

// Every format at rest: decodes implies re-encodes to the same bytes.
func FuzzRows(f *testing.F) {
	row := &batchRow{Index: 2, LogIndex: 7, Patient: account("alice"), Slots: []uint64{1, 2}, Shares: make([]threshold.Share, 3)}
	f.Add(row.encode())
	f.Add((&patientRow{LogIndex: 7, Header: digest("header"), Masks: []uint64{1, 2}}).encode())
	f.Add(parked{account("author"), start, 1000}.encode())
	f.Add((&roots{list: []root{newRoot(1, start), newRoot(2, start)}}).encode())
	f.Add(tx.MustEncode(&seedRow{Epoch: 1, Public: []byte{1}}))
	f.Add((&manifestRow{}).encode())
	f.Add((&manifestRow{ShareRoots: make([][32]byte, 4), Entries: []seal.Entry{{Slots: 6, Size: 300}, {Slots: 3, Size: 20, Meta: digest("meta")}, {Kind: 1, Slots: 6}}}).encode())
	f.Add((&manifestRow{Entries: []seal.Entry{{Slots: 6, Size: 300}, {Kind: 1}}, Erased: []erasedEntry{{1, digest("leaf")}}}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, again []byte) {
			t.Helper()
			if !bytes.Equal(again, b) {
				t.Errorf("%s has two encodings", what)
			}
		}
		if r, ok := decodeBatch(b); ok {
			same("a batch", r.encode())
		}
		if p, ok := decodePatient(b); ok {
			same("a patient row", p.encode())
		}
		if p, ok := decodeParked(b); ok {
			same("a parked row", p.encode())
		}
		if r := new(roots); r.decode(b) == nil {
			same("a file of roots", r.encode())
		}
		if s := new(seedRow); tx.DecodeAny(b, s, len(b)) == nil {
			same("a seed", tx.MustEncode(s))
		}
		if m, ok := decodeManifest(b); ok {
			same("a manifest", m.encode())
		}
	})
}

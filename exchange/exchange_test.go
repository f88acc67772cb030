package exchange

import (
	"bytes"
	"crypto/hpke"
	"crypto/rand"
	"reflect"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"pgregory.net/rapid"

	"salus/ledger/tx"
	"salus/seal"
)

// messages are all of the package, filled.
func messages(t testing.TB) []any {
	t.Helper()
	list := List{Salt: [32]byte{1}, Items: []Item{{Header: tx.Hash{1}, Index: 3}, {Header: tx.Hash{2}, Index: 0}}}
	return []any{
		parcel(t, 3), &ParcelRequest{Header: tx.Hash{1}}, &KeyRequest{Hash: tx.Hash{2}}, &KeyReply{Public: []byte{1, 2}},
		&LocateRequest{Session: tx.Hash{3}, ReaderKey: []byte{4}, After: 5}, &Sealed{Box: []byte{6}},
		&Located{Batches: []LocatedBatch{{Header: tx.Hash{1}, LogIndex: 2, ShareRoots: [][32]byte{{3}}, Pack: [32]byte{4}, Entries: []LocatedEntry{{Index: 1, Entry: seal.Entry{Slots: 1}, Path: [][32]byte{{5}}}}}}, Next: 9},
		&list, &ReleaseRequest{Session: tx.Hash{1}, Fetch: 2, ReaderKey: []byte{3}, List: list, Proofs: true},
		&ReleaseReply{Custodian: 1, Parts: []ReleasedPart{{Header: tx.Hash{1}, Sealed: []byte{2}, Proofs: []byte{3}}, {Header: tx.Hash{2}, Sealed: []byte{2}}}, Sequence: 4, Height: 5, Signature: []byte{6}},
		&OpeningsRequest{Session: tx.Hash{1}, ReaderKey: []byte{2}, Signature: tx.Signature{Sig: []byte{3}}, After: 4},
		&Openings{Lists: []OpenedList{{Fetch: 1, List: list}}, Next: 2},
		&SlotsRequest{Labels: []string{"PSY"}}, &SlotsReply{Slots: []uint8{3}},
		&Load{Parts: [][]byte{tx.MustEncode(parcel(t, 1)), {1}}}, &LoadReply{Codes: []uint32{0, 0x2103}},
	}
}

func parcel(t testing.TB, records int) *Parcel {
	t.Helper()
	var custodians []seal.Custodian
	for i := range 4 {
		key, err := hpke.MLKEM768X25519().GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		custodians = append(custodians, seal.Custodian{Index: i + 1, KeyEpoch: 1, Public: key.PublicKey()})
	}
	var recs []seal.Record
	for i := range records {
		recs = append(recs, seal.Record{ID: [16]byte{byte(i + 1)}, Slots: 1, Plain: []byte("sample")})
	}
	b, err := seal.Seal(rand.Reader, "salus-test", [16]byte{1}, [16]byte{2}, 1, 3, custodians, recs)
	if err != nil {
		t.Fatal(err)
	}
	return &Parcel{
		Header: b.Header, Entries: b.Entries, ShareRoots: b.ShareRoots, Commitments: b.Commitments, Envelopes: b.Envelopes,
		KeyEpochs: []uint64{1, 1, 1, 1}, Pack: [32]byte{9},
	}
}

func TestMessagesHaveOneEncoding(t *testing.T) {
	for _, m := range messages(t) {
		b := tx.MustEncode(m)
		again := reflect.New(reflect.TypeOf(m).Elem()).Interface()
		if err := tx.DecodeAny(b, again, len(b)); err != nil {
			t.Errorf("%T: %v", m, err)
		} else if !bytes.Equal(tx.MustEncode(again), b) {
			t.Errorf("%T: another encoding", m)
		}
	}
}

// Decodes implies re-encodes, for every message; what also validates has sane sizes.
func FuzzMessages(f *testing.F) {
	kinds := messages(f)
	for i, m := range kinds {
		f.Add(uint8(i), tx.MustEncode(m))
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		m := reflect.New(reflect.TypeOf(kinds[int(kind)%len(kinds)]).Elem()).Interface()
		if tx.DecodeAny(b, m, len(b)) != nil {
			return
		}
		if !bytes.Equal(tx.MustEncode(m), b) {
			t.Errorf("%T has two encodings", m)
		}
		switch m := m.(type) {
		case *Parcel:
			if m.Validate() == nil && (len(m.Entries) != int(m.Header.Count) || len(m.Envelopes) != int(m.Header.N)) {
				t.Error("a parcel with other sizes is valid")
			}
		case *List:
			if m.Validate() == nil {
				n := 0
				for _, indices := range m.Groups() {
					n += len(indices)
				}
				if n != len(m.Items) || m.Root() == [32]byte{} {
					t.Error("groups lose items")
				}
			}
		}
	})
}

func TestAParcelIsCheckedAgainstItsHeader(t *testing.T) {
	if err := parcel(t, 3).Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Parcel){
		"header":            func(p *Parcel) { p.Header.Count = 0 },
		"count":             func(p *Parcel) { p.Header.Count++ },
		"entry":             func(p *Parcel) { p.Entries[1].Slots = 0 },
		"order of entries":  func(p *Parcel) { slices.Reverse(p.Entries) },
		"share root":        func(p *Parcel) { p.ShareRoots[0][0] ^= 1 },
		"commitment":        func(p *Parcel) { p.Commitments[2][0] ^= 1 },
		"envelopes":         func(p *Parcel) { p.Envelopes = p.Envelopes[:3] },
		"envelope's length": func(p *Parcel) { p.Envelopes[3] = p.Envelopes[3][1:] },
		"key epochs":        func(p *Parcel) { p.KeyEpochs = append(p.KeyEpochs, 1) },
	} {
		p := parcel(t, 3)
		change(p)
		if p.Validate() == nil {
			t.Errorf("%s: a changed parcel is valid", name)
		}
	}
}

func TestALoadHasPartsAndAnAnswerToEach(t *testing.T) {
	for n, ok := range map[int]bool{0: false, 1: true, MaxParts: true, MaxParts + 1: false} {
		if err := (&Load{Parts: make([][]byte, n)}).Validate(); (err == nil) != ok {
			t.Errorf("%d parts: got %v", n, err)
		}
	}
	for n, ok := range map[int]bool{0: false, 1: false, 2: true, 3: false} {
		if err := (&LoadReply{Codes: make([]uint32, n)}).Answers(&Load{Parts: make([][]byte, 2)}); (err == nil) != ok {
			t.Errorf("%d codes for two parts: got %v", n, err)
		}
	}
}

func TestListsAreSortedUniqueAndBounded(t *testing.T) {
	item := func(h byte, i uint16) Item { return Item{Header: tx.Hash{h}, Index: i} }
	for name, c := range map[string]struct {
		items []Item
		ok    bool
	}{
		"one":      {[]Item{item(1, 0)}, true},
		"sorted":   {[]Item{item(1, 0), item(1, 5), item(2, 1)}, true},
		"none":     {nil, false},
		"twice":    {[]Item{item(1, 0), item(1, 0)}, false},
		"index":    {[]Item{item(1, 5), item(1, 0)}, false},
		"header":   {[]Item{item(2, 0), item(1, 5)}, false},
		"too many": {make([]Item, MaxList+1), false},
	} {
		if err := (&List{Items: c.items}).Validate(); (err == nil) != c.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// The root binds salt, items, order and number, and a single item can be shown under it.
func TestTheRootBindsEveryItem(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := List{Salt: [32]byte(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "salt"))}
		n := rapid.IntRange(1, 20).Draw(rt, "items")
		for i := range n {
			l.Items = append(l.Items, Item{Header: tx.Hash{byte(i / 3)}, Index: uint16(i)})
		}
		root := l.Root()
		change := List{Salt: l.Salt, Items: slices.Clone(l.Items)}
		k := rapid.IntRange(0, n-1).Draw(rt, "item")
		switch rapid.IntRange(0, 3).Draw(rt, "change") {
		case 0:
			change.Salt[k] ^= 1
		case 1:
			change.Items[k].Index += 100
		case 2:
			change.Items[k].Header[31] ^= 1
		case 3:
			change.Items = append(change.Items, Item{Header: tx.Hash{0xff}})
		}
		if change.Root() == root {
			rt.Fatal("two lists have one root")
		}
		leaf := func(i int) []byte {
			it := l.Items[i]
			h := seal.Sum("list", l.Salt[:], []byte{0, 0, 0, byte(i)}, it.Header[:], []byte{byte(it.Index >> 8), byte(it.Index)})
			return rfc6962.DefaultHasher.HashLeaf(h[:])
		}
		if n == 2 {
			if err := proof.VerifyInclusion(rfc6962.DefaultHasher, 1, 2, leaf(1), [][]byte{leaf(0)}, root[:]); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

func TestAReplysDigestBindsEveryField(t *testing.T) {
	reply := func() *ReleaseReply {
		return &ReleaseReply{Custodian: 1, Sequence: 2, Height: 3, Parts: []ReleasedPart{{Header: tx.Hash{1}, Sealed: []byte("ab"), Proofs: []byte("c")}}}
	}
	base := ReplyDigest("chain", tx.Hash{1}, [32]byte{2}, reply())
	seen := map[[32]byte]string{base: "base"}
	add := func(name string, d [32]byte) {
		if was, ok := seen[d]; ok {
			t.Errorf("%s and %s have one digest", name, was)
		}
		seen[d] = name
	}
	add("chain", ReplyDigest("other", tx.Hash{1}, [32]byte{2}, reply()))
	add("session", ReplyDigest("chain", tx.Hash{2}, [32]byte{2}, reply()))
	add("list", ReplyDigest("chain", tx.Hash{1}, [32]byte{1}, reply()))
	for name, change := range map[string]func(*ReleaseReply){
		"custodian": func(r *ReleaseReply) { r.Custodian++ },
		"sequence":  func(r *ReleaseReply) { r.Sequence++ },
		"height":    func(r *ReleaseReply) { r.Height++ },
		"header":    func(r *ReleaseReply) { r.Parts[0].Header[0]++ },
		"shares":    func(r *ReleaseReply) { r.Parts[0].Sealed[0]++ },
		"proofs":    func(r *ReleaseReply) { r.Parts[0].Proofs = nil },
		"boundary":  func(r *ReleaseReply) { r.Parts[0].Sealed, r.Parts[0].Proofs = []byte("a"), []byte("bc") },
		"part":      func(r *ReleaseReply) { r.Parts = append(r.Parts, ReleasedPart{}) },
	} {
		r := reply()
		change(r)
		add(name, ReplyDigest("chain", tx.Hash{1}, [32]byte{2}, r))
	}
}

func TestQuestionsOfAnotherKindHaveAnotherDigest(t *testing.T) {
	if AnswerInfo("locate", tx.Hash{1}) == AnswerInfo("openings", tx.Hash{1}) || AnswerInfo("locate", tx.Hash{1}) == AnswerInfo("locate", tx.Hash{2}) {
		t.Error("answers of two kinds or sessions open alike")
	}
	a := OpeningsDigest("chain", tx.Hash{1}, []byte("key"))
	if a == OpeningsDigest("chain", tx.Hash{1}, []byte("kez")) || a == OpeningsDigest("chais", tx.Hash{1}, []byte("key")) || a == OpeningsDigest("chain", tx.Hash{2}, []byte("key")) {
		t.Error("two questions have one digest")
	}
}

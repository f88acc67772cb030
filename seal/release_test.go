package seal

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"

	"salus/threshold"
)

// P3, releases.
func TestReleaseOpensOnlyForItsKeySessionCustodianBatchAndList(t *testing.T) {
	w := newWorld(t, 4, 6, 50)
	hh, list := w.batch.Header.Hash(), []int{1, 3, 5}
	sealed := w.release(t, 2, list)
	got, err := OpenRelease(w.reader, w.session, 2, hh, list, sealed)
	if err != nil || !slices.Equal(got, w.pickShares(2, list)) {
		t.Fatalf("got %v, want the shares", err)
	}
	_, other := newKey(t, "another reader")
	if _, err := OpenRelease(other, w.session, 2, hh, list, sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another reader: got %v, want ErrOpen", err)
	}
	if _, err := OpenRelease(w.reader, Sum("another session"), 2, hh, list, sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("another session: got %v, want ErrOpen", err)
	}
	for _, index := range []int{1, 3, 4} {
		if _, err := OpenRelease(w.reader, w.session, index, hh, list, sealed); !errors.Is(err, ErrOpen) {
			t.Errorf("in the name of custodian %d: got %v, want ErrOpen", index, err)
		}
	}
	for name, m := range mutate(w.batch.Header) {
		if _, err := OpenRelease(w.reader, w.session, 2, m.Hash(), list, sealed); !errors.Is(err, ErrOpen) {
			t.Errorf("header with another %s: got %v, want ErrOpen", name, err)
		}
	}
	for _, l := range [][]int{{1, 3}, {0, 3, 5}, {1, 3, 4}, {1, 2, 3, 5}, {2, 4, 6}} {
		if _, err := OpenRelease(w.reader, w.session, 2, hh, l, sealed); !errors.Is(err, ErrOpen) {
			t.Errorf("list %v: got %v, want ErrOpen", l, err)
		}
	}
	for _, l := range [][]int{nil, {3, 1}, {1, 1}, {-1}, {MaxRecords}} {
		if _, err := OpenRelease(w.reader, w.session, 2, hh, l, sealed); !errors.Is(err, ErrInvalid) {
			t.Errorf("list %v: got %v, want ErrInvalid", l, err)
		}
		if _, err := Release(w.reader.PublicKey().Bytes(), w.session, 2, hh, l, make([]threshold.Share, len(l))); !errors.Is(err, ErrInvalid) {
			t.Errorf("release of list %v: got %v, want ErrInvalid", l, err)
		}
	}
	if _, err := Release(w.reader.PublicKey().Bytes(), w.session, 2, hh, list, w.held[1].Shares); !errors.Is(err, ErrInvalid) {
		t.Errorf("more shares than records: got %v, want ErrInvalid", err)
	}
	// A custodian that seals another number of shares under the right bindings.
	short, err := Box(w.reader.PublicKey().Bytes(), releaseInfo("release", w.session, 2, hh, list), make([]byte, 64))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRelease(w.reader, w.session, 2, hh, list, short); !errors.Is(err, ErrOpen) {
		t.Errorf("too few shares: got %v, want ErrOpen", err)
	}
	// An envelope is not a release, nor proofs shares.
	if _, err := OpenRelease(w.keys[1], w.session, 2, hh, list, w.batch.Envelopes[1]); !errors.Is(err, ErrOpen) {
		t.Errorf("envelope as release: got %v, want ErrOpen", err)
	}
	if _, err := OpenReleaseProofs(w.reader, w.session, 2, &w.batch.Header, list, sealed); !errors.Is(err, ErrOpen) {
		t.Errorf("release as proofs: got %v, want ErrOpen", err)
	}
}

// lie alters the share of one record.
func lie(shares []threshold.Share, k int, how uint8) []threshold.Share {
	out := slices.Clone(shares)
	switch how % 4 {
	case 0:
		out[k][0] ^= 1
	case 1:
		out[k] = threshold.Share{31: 0xff} // no scalar
	case 2:
		out[k] = threshold.Share{how}
	default:
		out = out[:len(out)-1] // another length
	}
	return out
}

// P4: while at least t shares are right, keys come out, whoever lies about whichever
// records; nobody honest is ever named; a single liar among all n always is; and where
// somebody stays unnamed, the proofs name exactly the liars.
func TestLiarsNeverKeepTheKeysNorFrameTheHonest(t *testing.T) {
	worlds := map[int]*world{4: newWorld(t, 4, 6, 50), 7: newWorld(t, 7, 6, 50), 10: newWorld(t, 10, 6, 50)}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{4, 7, 10}).Draw(t, "n")
		w := worlds[n]
		f, th, _ := threshold.Quorum(n)
		list := rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 1, 6, rapid.ID).Draw(t, "list")
		slices.Sort(list)
		liars := rapid.Permutation(upTo(n)).Draw(t, "order")[:rapid.IntRange(0, f).Draw(t, "liars")]
		slices.Sort(liars)
		shares, proofs := map[int][]threshold.Share{}, map[int]Proofs{}
		for i := 1; i <= n; i++ {
			shares[i], proofs[i] = w.pickShares(i, list), w.paths(i, list)
		}
		for _, i := range liars {
			shares[i] = lie(shares[i], rapid.IntRange(0, len(list)-1).Draw(t, "record"), rapid.Uint8().Draw(t, "how"))
		}
		absent := rapid.IntRange(0, n-th-len(liars)).Draw(t, "absent")
		for i := 1; i <= n && len(shares) > n-absent; i++ {
			if !slices.Contains(liars, i) {
				delete(shares, i)
			}
		}
		h := &w.batch.Header
		keys, err := Combine(h, w.entries(list), list, shares)
		w.checkKeys(t, keys, list)
		checkNamed(t, err, liars, len(liars) <= 1 && absent == 0)

		keys, err = CombineProven(h, w.entries(list), w.batch.ShareRoots, list, shares, proofs)
		w.checkKeys(t, keys, list)
		checkNamed(t, err, liars, true)
	})
}

// checkNamed wants only liars named, and all of them if exactly.
func checkNamed(t *rapid.T, err error, liars []int, exactly bool) {
	var named []int
	if bad, ok := errors.AsType[*BadShare](err); ok {
		named = bad.Custodians
	}
	for _, i := range named {
		if !slices.Contains(liars, i) {
			t.Fatalf("got honest custodian %d named in %v, want only liars %v", i, err, liars)
		}
	}
	if len(liars) == 0 && err != nil {
		t.Fatalf("nobody lied: got %v, want nil", err)
	}
	if exactly && !slices.Equal(named, liars) {
		t.Fatalf("got %v, want custodians %v named", err, liars)
	}
	if err != nil && len(named) < len(liars) && !errors.Is(err, ErrDisputed) && !errors.Is(err, ErrMismatch) {
		// A liar nobody noticed gave, with the others, the right key: no harm is done.
		if _, ok := err.(*BadShare); !ok {
			t.Fatalf("got %v, want ErrDisputed or a *BadShare", err)
		}
	}
}

// Two liars who know that the first t custodians will be combined choose errors that cancel
// out there. The key is right, and the two honest custodians left over look wrong.
func TestColludingLiarsCannotFrameTheHonest(t *testing.T) {
	w := newWorld(t, 7, 1, 50)
	list, shares, proofs := []int{0}, map[int][]threshold.Share{}, map[int]Proofs{}
	for i := 1; i <= 7; i++ {
		shares[i], proofs[i] = w.pickShares(i, list), w.paths(i, list)
	}
	c := must(threshold.NewCombiner(upTo(5)))
	weight := func(k int) *edwards25519.Scalar { // of the k-th share: the secret of a unit vector
		unit := make([]threshold.Share, 5)
		unit[k][0] = 1
		s := must(c.Secret(unit))
		return must(edwards25519.NewScalar().SetCanonicalBytes(s[:]))
	}
	one := must(edwards25519.NewScalar().SetCanonicalBytes(append([]byte{1}, make([]byte, 31)...)))
	errs := map[int]*edwards25519.Scalar{ // e1 = 1, e2 = -w1/w2
		1: one,
		2: edwards25519.NewScalar().Negate(edwards25519.NewScalar().Multiply(weight(0), edwards25519.NewScalar().Invert(weight(1)))),
	}
	for i, e := range errs {
		s := must(edwards25519.NewScalar().SetCanonicalBytes(shares[i][0][:]))
		shares[i][0] = threshold.Share(s.Add(s, e).Bytes())
	}
	keys, err := Combine(&w.batch.Header, w.entries(list), list, shares)
	if keys == nil || !errors.Is(err, ErrDisputed) {
		t.Errorf("got %v, want the keys and ErrDisputed", err)
	}
	var bad *BadShare
	if errors.As(err, &bad) {
		t.Errorf("got custodians %v named, want none without proofs", bad.Custodians)
	}
	keys, err = CombineProven(&w.batch.Header, w.entries(list), w.batch.ShareRoots, list, shares, proofs)
	if keys == nil || !errors.As(err, &bad) || !slices.Equal(bad.Custodians, []int{1, 2}) {
		t.Errorf("with proofs: got %v, want custodians [1 2] named", err)
	}
}

// P4 with only t shares: the lie is detected, and share proofs name the liar.
func TestShareProofsNameTheLiarAmongExactlyT(t *testing.T) {
	w := newWorld(t, 4, 6, 50)
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 1, 6, rapid.ID).Draw(t, "list")
		slices.Sort(list)
		asked := rapid.Permutation(upTo(4)).Draw(t, "order")[:3]
		liar := asked[0]
		shares := map[int][]threshold.Share{}
		for _, i := range asked {
			shares[i] = w.pickShares(i, list)
		}
		shares[liar] = lie(shares[liar], rapid.IntRange(0, len(list)-1).Draw(t, "record"), rapid.Uint8Max(2).Draw(t, "how"))
		if keys, err := Combine(&w.batch.Header, w.entries(list), list, shares); keys != nil || !errors.Is(err, ErrMismatch) && !errors.Is(err, ErrTooFew) {
			t.Fatalf("three shares, one wrong: got %v, want ErrMismatch or ErrTooFew", err)
		}
		proofs := map[int]Proofs{}
		for _, i := range asked {
			proofs[i] = w.paths(i, list)
		}
		bad, err := Attribute(&w.batch.Header, w.batch.ShareRoots, list, shares, proofs)
		if err != nil || bad == nil || !slices.Equal(bad.Custodians, []int{liar}) {
			t.Fatalf("got %v and %v, want custodian %d named", bad, err, liar)
		}
		// The fourth custodian makes it good.
		for i := 1; i <= 4; i++ {
			if shares[i] == nil {
				shares[i], proofs[i] = w.pickShares(i, list), w.paths(i, list)
			}
		}
		keys, err := CombineProven(&w.batch.Header, w.entries(list), w.batch.ShareRoots, list, shares, proofs)
		w.checkKeys(t, keys, list)
		checkNamed(t, err, []int{liar}, true)
	})
}

func TestProofsTravelSealedAndBound(t *testing.T) {
	w := newWorld(t, 4, 9, 50)
	list := []int{0, 4, 8}
	shares, proofs := w.all(t, upTo(3), list), w.proofs(t, upTo(3), list)
	keys, err := CombineProven(&w.batch.Header, w.entries(list), w.batch.ShareRoots, list, shares, proofs)
	if err != nil || len(keys) != 3 {
		t.Fatalf("got %d keys and %v", len(keys), err)
	}
	b, err := ReleaseProofs(w.reader.PublicKey().Bytes(), w.session, 1, &w.batch.Header, list, w.held[0].Shares)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReleaseProofs(w.reader, w.session, 2, &w.batch.Header, list, b); !errors.Is(err, ErrOpen) {
		t.Errorf("proofs of another custodian: got %v, want ErrOpen", err)
	}
	if _, err := OpenReleaseProofs(w.reader, w.session, 1, &w.batch.Header, []int{0, 4, 7}, b); !errors.Is(err, ErrOpen) {
		t.Errorf("proofs of another list: got %v, want ErrOpen", err)
	}
	if _, err := ReleaseProofs(w.reader.PublicKey().Bytes(), w.session, 1, &w.batch.Header, list, w.held[0].Shares[1:]); !errors.Is(err, ErrInvalid) {
		t.Errorf("part of the share vector: got %v, want ErrInvalid", err)
	}
	if _, err := ReleaseProofs(w.reader.PublicKey().Bytes(), w.session, 1, &w.batch.Header, []int{9}, w.held[0].Shares); !errors.Is(err, ErrInvalid) {
		t.Errorf("record 9 of 9: got %v, want ErrInvalid", err)
	}
	delete(proofs, 2)
	if bad, err := Attribute(&w.batch.Header, w.batch.ShareRoots, list, shares, proofs); err != nil || bad == nil || !slices.Equal(bad.Custodians, []int{2}) {
		t.Errorf("no proofs from 2: got %v and %v, want 2 named", bad, err)
	}
	roots := slices.Clone(w.batch.ShareRoots)
	roots[0][0] ^= 1
	if _, err := Attribute(&w.batch.Header, roots, list, shares, proofs); !errors.Is(err, ErrProof) {
		t.Errorf("other share roots: got %v, want ErrProof", err)
	}
}

// An author whose share roots commit to shares that do not give the committed key: the
// proofs clear the custodians.
func TestProvenSharesThatDoNotFitNameTheAuthor(t *testing.T) {
	w := newWorld(t, 4, 3, 50)
	d, err := threshold.Deal(stream("author"), 3, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	b := &Batch{Header: w.batch.Header}
	d.Secrets[1] = threshold.Secret{42} // the key commitment is to another secret than the dealt one
	if err := b.encrypt(d.Secrets, w.recs); err != nil {
		t.Fatal(err)
	}
	b.commit(d)
	list := []int{0, 1}
	shares, proofs := map[int][]threshold.Share{}, map[int]Proofs{}
	for i := 1; i <= 4; i++ {
		for _, r := range list {
			shares[i] = append(shares[i], d.Shares[i-1][r+1])
			proofs[i] = append(proofs[i], ShareProof(b.Header.BatchNonce, i, d.Shares[i-1], r))
		}
	}
	if _, err := CombineProven(&b.Header, b.Entries[:2], b.ShareRoots, list, shares, proofs); !errors.Is(err, ErrAuthor) {
		t.Errorf("got %v, want ErrAuthor", err)
	}
	keys, err := CombineProven(&b.Header, b.Entries[:1], b.ShareRoots, list[:1], first(shares), firstProof(proofs))
	if err != nil || len(keys) != 1 {
		t.Errorf("the sound record of the same batch: got %v, want its key", err)
	}
}

func first(m map[int][]threshold.Share) map[int][]threshold.Share {
	out := maps.Clone(m)
	for i := range out {
		out[i] = out[i][:1]
	}
	return out
}

func firstProof(m map[int]Proofs) map[int]Proofs {
	out := maps.Clone(m)
	for i := range out {
		out[i] = out[i][:1]
	}
	return out
}

func TestCombineRefusesBadCallsAndTooFewShares(t *testing.T) {
	w := newWorld(t, 4, 3, 50)
	h, list := &w.batch.Header, []int{0, 2}
	good := w.all(t, upTo(3), list)
	if _, err := Combine(h, w.entries(list), list, nil); !errors.Is(err, ErrTooFew) {
		t.Errorf("no shares: got %v, want ErrTooFew", err)
	}
	two := maps.Clone(good)
	delete(two, 1)
	if _, err := Combine(h, w.entries(list), list, two); !errors.Is(err, ErrTooFew) {
		t.Errorf("two of three shares: got %v, want ErrTooFew", err)
	}
	short := maps.Clone(good)
	short[1] = short[1][:1]
	var bad *BadShare
	if _, err := Combine(h, w.entries(list), list, short); !errors.Is(err, ErrTooFew) || !errors.As(err, &bad) || !slices.Equal(bad.Custodians, []int{1}) {
		t.Errorf("one of three of another length: got %v, want ErrTooFew and custodian 1", err)
	}
	for name, f := range map[string]func(h *Header, m map[int][]threshold.Share) ([]Entry, []int){
		"custodian 0": func(_ *Header, m map[int][]threshold.Share) ([]Entry, []int) {
			m[0] = m[1]
			return w.entries(list), list
		},
		"custodian 5": func(_ *Header, m map[int][]threshold.Share) ([]Entry, []int) {
			m[5] = m[1]
			return w.entries(list), list
		},
		"one entry":   func(_ *Header, m map[int][]threshold.Share) ([]Entry, []int) { return w.entries(list)[:1], list },
		"list beyond": func(_ *Header, m map[int][]threshold.Share) ([]Entry, []int) { return w.entries(list), []int{0, 3} },
		"bad header":  func(h *Header, m map[int][]threshold.Share) ([]Entry, []int) { h.T = 1; return w.entries(list), list },
	} {
		hdr, m := *h, maps.Clone(good)
		entries, l := f(&hdr, m)
		if _, err := Combine(&hdr, entries, l, m); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	// Another epoch's or batch's entries never take a key of this one.
	swapped := w.entries([]int{2, 0})
	if _, err := Combine(h, swapped, list, good); !errors.Is(err, ErrMismatch) {
		t.Errorf("entries in another order: got %v, want ErrMismatch", err)
	}
}

func TestSubsetsComeOnceEach(t *testing.T) {
	for _, c := range []struct{ n, t, want int }{{3, 3, 1}, {4, 3, 4}, {7, 5, 21}, {1, 1, 1}, {2, 3, 0}} {
		seen := map[string]bool{}
		for s := range subsets(upTo(c.n), c.t) {
			if len(s) != c.t || !slices.IsSorted(s) {
				t.Errorf("%d of %d: got %v", c.t, c.n, s)
			}
			seen[string(bytesOf(s))] = true
		}
		if len(seen) != c.want {
			t.Errorf("%d of %d: got %d subsets, want %d", c.t, c.n, len(seen), c.want)
		}
	}
}

func TestOneLiarAmongManyIsFoundWithoutASearch(t *testing.T) {
	members := upTo(31)
	for _, liar := range members {
		tries := 0
		for s := range candidates(members, 21) {
			if tries++; !slices.Contains(s, liar) {
				break
			}
		}
		if tries > 31 {
			t.Errorf("liar %d of 31: got %d tries, want at most 31", liar, tries)
		}
	}
}

func bytesOf(s []int) []byte {
	b := make([]byte, len(s))
	for i, v := range s {
		b[i] = byte(v)
	}
	return b
}

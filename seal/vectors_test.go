package seal

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"salus/threshold"
)

// Vectors are shared with readers in other languages. -update makes them anew; a change
// in what it writes, other than in envelopes and releases (whose encapsulation is
// random), is a change of the format.
var update = flag.Bool("update", false, "write spec/vectors/seal anew")

const vectorDir = "../spec/vectors/seal"

type hashVector struct {
	Label string  `json:"label"`
	Parts []hexed `json:"parts"`
	Hash  hexed   `json:"hash"`
}

type bucketVector struct {
	Size   int `json:"size"`
	Bucket int `json:"bucket"`
}

type treeVector struct {
	Leaves []hexed   `json:"leaves"`
	Root   hexed     `json:"root"`
	Paths  [][]hexed `json:"paths"` // of each leaf, from the leaf upwards
}

type dealVector struct {
	Seed        string    `json:"seed"` // randomness: SHAKE128 of this text
	N           int       `json:"n"`
	T           int       `json:"t"`
	Count       int       `json:"count"`
	Secrets     []hexed   `json:"secrets"`
	Shares      [][]hexed `json:"shares"` // by custodian, blinding share first
	Commitments []hexed   `json:"commitments"`
	// The shares of custodians 1..t dealt to n' of t', with randomness "<seed>/<custodian>".
	NextN           int       `json:"nextN"`
	NextT           int       `json:"nextT"`
	NextShares      [][]hexed `json:"nextShares"`
	NextCommitments []hexed   `json:"nextCommitments"`
}

type headerVector struct {
	Version       uint8  `json:"version"`
	Suite         uint16 `json:"suite"`
	Chain         string `json:"chain"`
	Author        hexed  `json:"author"`
	PatientCommit hexed  `json:"patientCommit"`
	BatchNonce    hexed  `json:"batchNonce"`
	Epoch         uint64 `json:"epoch"`
	N             uint8  `json:"n"`
	T             uint8  `json:"t"`
	Count         uint16 `json:"count"`
	ManifestRoot  hexed  `json:"manifestRoot"`
	ShareRoots    hexed  `json:"shareRoots"`
	VSSRoot       hexed  `json:"vssRoot"`
	Hash          hexed  `json:"hash"`
}

type entryVector struct {
	ID         hexed   `json:"id"`
	Slots      string  `json:"slots"` // 16 hex digits
	Kind       uint8   `json:"kind"`
	Ciphertext hexed   `json:"ciphertextHash"`
	KeyCommit  hexed   `json:"keyCommit"`
	Meta       hexed   `json:"meta"`
	Size       uint32  `json:"size"`
	Leaf       hexed   `json:"leaf"`
	Path       []hexed `json:"path"`
	Plain      hexed   `json:"plain"`
	Encrypted  hexed   `json:"encrypted"`
	Key        hexed   `json:"key"`
}

type custodianVector struct {
	Index      int     `json:"index"`
	KeyEpoch   uint64  `json:"keyEpoch"`
	Seed       hexed   `json:"seed"`
	Info       hexed   `json:"info"`
	Envelope   hexed   `json:"envelope"`
	Shares     []hexed `json:"shares"`
	ShareRoot  hexed   `json:"shareRoot"`
	Release    hexed   `json:"release"`
	RelInfo    hexed   `json:"releaseInfo"`
	Proofs     hexed   `json:"proofs"`
	ProofsInfo hexed   `json:"proofsInfo"`
}

type batchVector struct {
	Seed        string            `json:"seed"` // randomness of nonce, opening and shares: SHAKE128 of this text
	Patient     hexed             `json:"patient"`
	Opening     hexed             `json:"opening"`
	Header      headerVector      `json:"header"`
	Commitments []hexed           `json:"commitments"`
	Entries     []entryVector     `json:"entries"`
	Custodians  []custodianVector `json:"custodians"`
	ReaderSeed  hexed             `json:"readerSeed"`
	Session     hexed             `json:"session"`
	List        []int             `json:"list"` // positions, 0-based
}

func hexes[T ~[32]byte](in []T) []hexed {
	out := make([]hexed, len(in))
	for i := range in {
		out[i] = bytes.Clone(in[i][:])
	}
	return out
}

func hexOf(b [32]byte) hexed { return b[:] }

func hashVectors() []hashVector {
	var out []hashVector
	for _, c := range []struct {
		label string
		parts [][]byte
	}{
		{"header", nil},
		{"header", [][]byte{nil}},
		{"share", [][]byte{{1, 2, 3}, {}, u32(7)}},
		{"", [][]byte{[]byte("ä")}},
		{"envelopes", [][]byte{make([]byte, 1168), make([]byte, 1168)}},
	} {
		v := hashVector{Label: c.label, Parts: []hexed{}, Hash: hexOf(Sum(c.label, c.parts...))}
		for _, p := range c.parts {
			v.Parts = append(v.Parts, p)
		}
		out = append(out, v)
	}
	return out
}

func bucketVectors() (out []bucketVector) {
	for _, n := range []int{0, 1, 63, 64, 127, 128, 1023, 1024, 2047, 2048, 4095, 4096, 65535, 65536, 1 << 20, MaxPlain} {
		out = append(out, bucketVector{n, padded(n)})
	}
	return out
}

func treeVectors() (out []treeVector) {
	for _, n := range []int{1, 2, 3, 5, 8, 11} {
		leaves := testLeaves(n)
		v := treeVector{Leaves: hexes(leaves), Root: hexOf(merkleRoot(leaves))}
		for i := range n {
			v.Paths = append(v.Paths, hexes(merklePath(leaves, i)))
		}
		out = append(out, v)
	}
	return out
}

func dealVectors(tb testing.TB) (out []dealVector) {
	tb.Helper()
	for _, c := range []dealVector{{N: 4, T: 3, Count: 2, NextN: 7, NextT: 5}, {N: 1, T: 1, Count: 1, NextN: 4, NextT: 3}, {N: 7, T: 5, Count: 1, NextN: 4, NextT: 3}} {
		c.Seed = fmt.Sprintf("deal %d of %d", c.T, c.N)
		d := must(threshold.Deal(stream(c.Seed), c.Count, c.N, c.T))
		c.Secrets, c.Commitments = hexes(d.Secrets), hexes(d.Commitments)
		for _, s := range d.Shares {
			c.Shares = append(c.Shares, hexes(s))
		}
		var subs []*threshold.Subdealing
		var used []int
		var rows [][][32]byte
		for i := 1; i <= c.T; i++ {
			s := must(threshold.Subdeal(stream(fmt.Sprintf("%s/%d", c.Seed, i)), d.Shares[i-1], c.NextN, c.NextT))
			subs, used, rows = append(subs, s), append(used, i), append(rows, s.Commitments)
		}
		c.NextCommitments = hexes(must(threshold.NextCommitments(used, rows)))
		for j := 1; j <= c.NextN; j++ {
			var got []threshold.Received
			for k, s := range subs {
				got = append(got, threshold.Received{From: used[k], Commitments: s.Commitments, Shares: s.Shares[j-1]})
			}
			r := must(threshold.CombineSubdeals(d.Commitments, j, c.NextT, c.Count+1, got))
			c.NextShares = append(c.NextShares, hexes(r.Shares))
		}
		out = append(out, c)
	}
	return out
}

// batchWorld is the batch of the vectors. Its envelopes are random, all else is not.
func batchWorld(tb testing.TB) *world { return newWorld(tb, 4, 5, 60) }

func batchVectorOf(tb testing.TB, w *world) batchVector {
	tb.Helper()
	h := w.batch.Header
	readerSeed, _ := newKey(tb, "reader")
	v := batchVector{
		Seed: "batch", Patient: w.batch.Patient[:], Opening: w.batch.Opening[:], ReaderSeed: readerSeed[:], Session: w.session[:], List: []int{0, 2, 4},
		Commitments: hexes(w.batch.Commitments),
		Header: headerVector{
			Version: h.Version, Suite: h.Suite, Chain: h.Chain, Author: h.Author[:], PatientCommit: h.PatientCommit[:], BatchNonce: h.BatchNonce[:],
			Epoch: h.Epoch, N: h.N, T: h.T, Count: h.Count, ManifestRoot: h.ManifestRoot[:], ShareRoots: h.ShareRoots[:], VSSRoot: h.VSSRoot[:], Hash: hexOf(h.Hash()),
		},
	}
	keys := must(Combine(&h, w.batch.Entries, positions(5), w.all(tb, upTo(4), positions(5))))
	for i, e := range w.batch.Entries {
		v.Entries = append(v.Entries, entryVector{
			ID: e.ID[:], Slots: fmt.Sprintf("%016x", e.Slots), Kind: e.Kind, Ciphertext: e.Ciphertext[:], KeyCommit: e.KeyCommit[:], Meta: e.Meta[:], Size: e.Size,
			Leaf: hexOf(e.Leaf(i)), Path: hexes(ManifestProof(w.batch.Entries, i)), Plain: w.recs[i].Plain, Encrypted: w.batch.Ciphertexts[i], Key: keys[i][:],
		})
	}
	for i := 1; i <= 4; i++ {
		seed, _ := newKey(tb, fmt.Sprintf("custodian %d", i))
		v.Custodians = append(v.Custodians, custodianVector{
			Index: i, KeyEpoch: testKeyEpoch, Seed: seed[:], Info: hexOf(envelopeInfo(h.Hash(), i, testKeyEpoch)), Envelope: w.batch.Envelopes[i-1],
			Shares: hexes(w.held[i-1].Shares), ShareRoot: w.batch.ShareRoots[i-1][:],
			Release: w.release(tb, i, v.List), RelInfo: hexOf(releaseInfo("release", w.session, i, h.Hash(), v.List)),
			Proofs:     must(ReleaseProofs(w.reader.PublicKey().Bytes(), w.session, i, &h, v.List, w.held[i-1].Shares)),
			ProofsInfo: hexOf(releaseInfo("release-proofs", w.session, i, h.Hash(), v.List)),
		})
	}
	return v
}

// vector compares got with the file of that name, or writes it.
func vector(t *testing.T, name string, got any) {
	t.Helper()
	b, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	name = filepath.Join(vectorDir, name)
	if *update {
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("%s: got another vector than the file holds; if the format was meant to change, run with -update", name)
	}
}

func TestVectors(t *testing.T) {
	vector(t, "hash.json", hashVectors())
	vector(t, "bucket.json", bucketVectors())
	vector(t, "tree.json", treeVectors())
	vector(t, "threshold.json", dealVectors(t))
}

func TestBatchVector(t *testing.T) {
	w := batchWorld(t)
	if *update {
		vector(t, "batch.json", batchVectorOf(t, w))
	}
	b, err := os.ReadFile(filepath.Join(vectorDir, "batch.json"))
	if err != nil {
		t.Fatal(err)
	}
	var v batchVector
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	// All but the encapsulations is determined by the seed.
	got := batchVectorOf(t, w)
	for i := range got.Custodians {
		got.Custodians[i].Envelope, got.Custodians[i].Release, got.Custodians[i].Proofs = v.Custodians[i].Envelope, v.Custodians[i].Release, v.Custodians[i].Proofs
	}
	if again, err := json.MarshalIndent(got, "", " "); err != nil || !bytes.Equal(append(again, '\n'), b) {
		t.Error("batch.json: got another batch from its seed than the file holds")
	}
	readBatchVector(t, w, &v)
}

// readBatchVector opens the stored envelopes, releases and proofs as custodians and reader do.
func readBatchVector(t *testing.T, w *world, v *batchVector) {
	t.Helper()
	h := w.batch.Header
	reader := must(CustodyKeyFromSeed(Seed(v.ReaderSeed)))
	shares, proofs := map[int][]threshold.Share{}, map[int]Proofs{}
	for i, c := range v.Custodians {
		sk := must(CustodyKeyFromSeed(Seed(c.Seed)))
		held, err := OpenEnvelope(sk, c.Index, c.KeyEpoch, &h, w.batch.ShareRoots, w.batch.Commitments, c.Envelope)
		if err != nil {
			t.Fatalf("custodian %d: %v", i+1, err)
		}
		if !bytes.Equal(held.Opening[:], v.Opening) || !bytes.Equal(held.Patient[:], v.Patient) {
			t.Errorf("custodian %d: got another opening or pseudonym", i+1)
		}
		if plain, err := openByHand(Seed(c.Seed), c.Info, c.Envelope); err != nil || len(plain) != envelopeSize(int(h.Count)) {
			t.Errorf("custodian %d by hand: got %d bytes and %v", i+1, len(plain), err)
		}
		shares[c.Index] = must(OpenRelease(reader, [32]byte(v.Session), c.Index, h.Hash(), v.List, c.Release))
		proofs[c.Index] = must(OpenReleaseProofs(reader, [32]byte(v.Session), c.Index, &h, v.List, c.Proofs))
	}
	keys, err := CombineProven(&h, w.entries(v.List), w.batch.ShareRoots, v.List, shares, proofs)
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range v.List {
		if !bytes.Equal(keys[k][:], v.Entries[i].Key) {
			t.Errorf("record %d: got another key", i)
		}
		if got, err := Decrypt(&h, &w.batch.Entries[i], keys[k], v.Entries[i].Encrypted); err != nil || !bytes.Equal(got, v.Entries[i].Plain) {
			t.Errorf("record %d: got other bytes (%v)", i, err)
		}
	}
}

package seal

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha3"
	"fmt"
	"io"
	"testing"

	"pgregory.net/rapid"

	"salus/threshold"
)

// stream is the reproducible randomness of the tests and of spec/vectors: SHAKE128 of a label.
func stream(label string) io.Reader {
	h := sha3.NewSHAKE128()
	_, _ = h.Write([]byte(label))
	return h
}

// A world is a committee, a reader and one batch that the committee holds.
type world struct {
	keys    []hpke.PrivateKey
	publics []Custodian
	reader  hpke.PrivateKey
	session [32]byte
	recs    []Record
	batch   *Batch
	held    []*Custody
}

const (
	testChain    = "salus-test"
	testKeyEpoch = 7
)

var (
	testAuthor  = [16]byte{0xa1, 15: 1}
	testPatient = [16]byte{0xb2, 15: 2}
)

func newKey(tb testing.TB, label string) (Seed, hpke.PrivateKey) {
	tb.Helper()
	seed, public, err := NewCustodyKey(stream(label))
	if err != nil {
		tb.Fatal(err)
	}
	sk, err := CustodyKeyFromSeed(seed)
	if err != nil {
		tb.Fatal(err)
	}
	if len(public) != PublicKeySize {
		tb.Fatalf("public key: got %d bytes, want %d", len(public), PublicKeySize)
	}
	return seed, sk
}

func testRecords(count, size int) []Record {
	recs := make([]Record, count)
	r := stream("records")
	for i := range recs {
		recs[i] = Record{Slots: 1 << (i % 64), Kind: KindRecord, Plain: make([]byte, size+i%5)}
		_, _ = io.ReadFull(r, recs[i].ID[:])
		_, _ = io.ReadFull(r, recs[i].Plain)
	}
	return recs
}

func newWorld(tb testing.TB, n, count, size int) *world {
	tb.Helper()
	w := &world{session: Sum("test session"), recs: testRecords(count, size)}
	for i := range n {
		_, sk := newKey(tb, fmt.Sprintf("custodian %d", i+1))
		w.keys = append(w.keys, sk)
		w.publics = append(w.publics, Custodian{Index: i + 1, KeyEpoch: testKeyEpoch, Public: sk.PublicKey()})
	}
	_, w.reader = newKey(tb, "reader")
	_, t, _ := threshold.Quorum(n)
	b, err := Seal(stream("batch"), testChain, testAuthor, testPatient, 3, t, w.publics, w.recs)
	if err != nil {
		tb.Fatal(err)
	}
	w.batch = b
	for i := range n {
		c, err := w.open(i+1, &b.Header, b.Envelopes[i])
		if err != nil {
			tb.Fatalf("custodian %d: %v", i+1, err)
		}
		w.held = append(w.held, c)
	}
	return w
}

func (w *world) open(index int, h *Header, env []byte) (*Custody, error) {
	return OpenEnvelope(w.keys[index-1], index, testKeyEpoch, h, w.batch.ShareRoots, w.batch.Commitments, env)
}

// pickShares returns what custodian index releases for a list.
func (w *world) pickShares(index int, list []int) []threshold.Share {
	out := make([]threshold.Share, len(list))
	for k, i := range list {
		out[k] = w.held[index-1].Record(i)
	}
	return out
}

func (w *world) release(tb testing.TB, index int, list []int) []byte {
	tb.Helper()
	b, err := Release(w.reader.PublicKey().Bytes(), w.session, index, w.batch.Header.Hash(), list, w.pickShares(index, list))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func (w *world) entries(list []int) []Entry {
	out := make([]Entry, len(list))
	for k, i := range list {
		out[k] = w.batch.Entries[i]
	}
	return out
}

// all returns the shares of the given custodians for a list, through seal and open.
func (w *world) all(tb testing.TB, custodians, list []int) map[int][]threshold.Share {
	tb.Helper()
	out := map[int][]threshold.Share{}
	for _, i := range custodians {
		s, err := OpenRelease(w.reader, w.session, i, w.batch.Header.Hash(), list, w.release(tb, i, list))
		if err != nil {
			tb.Fatal(err)
		}
		out[i] = s
	}
	return out
}

func (w *world) proofs(tb testing.TB, custodians, list []int) map[int]Proofs {
	tb.Helper()
	out := map[int]Proofs{}
	for _, i := range custodians {
		b, err := ReleaseProofs(w.reader.PublicKey().Bytes(), w.session, i, &w.batch.Header, list, w.held[i-1].Shares)
		if err != nil {
			tb.Fatal(err)
		}
		if out[i], err = OpenReleaseProofs(w.reader, w.session, i, &w.batch.Header, list, b); err != nil {
			tb.Fatal(err)
		}
	}
	return out
}

// paths returns custodian index's share proofs for a list.
func (w *world) paths(index int, list []int) Proofs {
	out := make(Proofs, len(list))
	for k, i := range list {
		out[k] = ShareProof(w.batch.Header.BatchNonce, index, w.held[index-1].Shares, i)
	}
	return out
}

// checkKeys wants the keys to open the listed records.
func (w *world) checkKeys(t *rapid.T, keys []Key, list []int) {
	if len(keys) != len(list) {
		t.Fatalf("got %d keys, want %d", len(keys), len(list))
	}
	for k, i := range list {
		got, err := Decrypt(&w.batch.Header, &w.batch.Entries[i], keys[k], w.batch.Ciphertexts[i])
		if err != nil || !bytes.Equal(got, w.recs[i].Plain) {
			t.Fatalf("record %d: got other bytes (%v)", i, err)
		}
	}
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i + 1
	}
	return out
}

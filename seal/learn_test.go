package seal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

// unlearnt is a manifest as a custodian gives it: without key commitments.
func unlearnt(entries []Entry) []Entry {
	bare := make([]Entry, len(entries))
	for i, e := range entries {
		e.KeyCommit = [32]byte{}
		bare[i] = e
	}
	return bare
}

func TestAnEntryLearnsItsCommitmentFromTheCommittedCiphertextOnly(t *testing.T) {
	w := newWorld(t, 4, 3, 100)
	e, want := unlearnt(w.batch.Entries)[0], w.batch.Entries[0].KeyCommit
	other := bytes.Clone(w.batch.Ciphertexts[0])
	other[0] ^= 1
	for name, ct := range map[string][]byte{"another commitment": other, "nothing": nil, "a short one": other[:31], "another record": w.batch.Ciphertexts[1]} {
		if err := e.Learn(ct); !errors.Is(err, ErrCiphertext) || e.KeyCommit != [32]byte{} {
			t.Errorf("%s: got %v, want ErrCiphertext and nothing learnt", name, err)
		}
	}
	if err := e.Learn(w.batch.Ciphertexts[0]); err != nil || e.KeyCommit != want {
		t.Errorf("got %x, %v; want the commitment that was sealed", e.KeyCommit, err)
	}
}

// Zero stands for a commitment that is not known, and what has none gets no key; an author
// who commits to zero must not pass for that.
func TestACommitmentOfZerosIsTheAuthorsFault(t *testing.T) {
	ct := make([]byte, 32+80)
	e := Entry{Ciphertext: sha256.Sum256(ct), Size: uint32(len(ct))}
	if err := e.Learn(ct); !errors.Is(err, ErrAuthor) {
		t.Errorf("got %v, want ErrAuthor", err)
	}
}

func TestARecordWithoutItsCiphertextGetsNoKeyAndHoldsUpNoOther(t *testing.T) {
	w := newWorld(t, 4, 3, 100)
	entries := unlearnt(w.batch.Entries)
	if err := entries[1].Learn(w.batch.Ciphertexts[1]); err != nil {
		t.Fatal(err)
	}
	list := positions(3)
	keys, err := Combine(&w.batch.Header, entries, list, w.all(t, upTo(4), list))
	if err != nil {
		t.Fatal(err)
	}
	if keys[0] != (Key{}) || keys[2] != (Key{}) {
		t.Error("got a key that was compared with no commitment")
	}
	if got, err := Decrypt(&w.batch.Header, &entries[1], keys[1], w.batch.Ciphertexts[1]); err != nil || !bytes.Equal(got, w.recs[1].Plain) {
		t.Errorf("got %d bytes, %v; want the record", len(got), err)
	}
}

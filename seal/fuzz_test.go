package seal

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
)

func FuzzUnpad(f *testing.F) {
	f.Add(pad(nil))
	f.Add(pad([]byte("record")))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, ok := unpad(b); ok && !bytes.Equal(pad(plain), b) {
			t.Fatal("got another padded form")
		}
	})
}

func FuzzCustody(f *testing.F) {
	f.Add(make([]byte, envelopeSize(1)), 1)
	f.Add(make([]byte, envelopeSize(3)), 3)
	f.Fuzz(func(t *testing.T, b []byte, count int) {
		if count < 1 || count > MaxRecords {
			return
		}
		c, ok := decodeCustody(b, count)
		if !ok {
			return
		}
		var again []byte
		for _, s := range c.Shares {
			again = append(again, s[:]...)
		}
		again = append(append(again, c.Opening[:]...), c.Patient[:]...)
		if !bytes.Equal(again, b) {
			t.Fatal("got other bytes after decoding")
		}
	})
}

func FuzzProofs(f *testing.F) {
	f.Add(make([]byte, 64), uint16(0b1), 2)
	f.Fuzz(func(t *testing.T, b []byte, mask uint16, count int) {
		if count < 1 || count > MaxRecords {
			return
		}
		var list []int
		for i := range 16 {
			if mask>>i&1 == 1 && i < count {
				list = append(list, i)
			}
		}
		p, ok := decodeProofs(b, list, count)
		if !ok {
			return
		}
		var again []byte
		for _, path := range p {
			for _, s := range path {
				again = append(again, s[:]...)
			}
		}
		if !bytes.Equal(again, b) {
			t.Fatal("got other bytes after decoding")
		}
	})
}

// Whatever opens is what was sealed, and nothing makes a custodian or reader panic. (Each
// process of a fuzzing run seals the same batch with encapsulations of its own.)
func FuzzSealedMessages(f *testing.F) {
	w := newWorld(f, 4, 2, 40)
	list := []int{0, 1}
	f.Add(w.batch.Envelopes[0])
	f.Add(w.release(f, 1, list))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := w.open(1, &w.batch.Header, b); err == nil && !reflect.DeepEqual(c, w.held[0]) {
			t.Fatal("envelope: got another custody")
		}
		if s, err := OpenRelease(w.reader, w.session, 1, w.batch.Header.Hash(), list, b); err == nil && !slices.Equal(s, w.pickShares(1, list)) {
			t.Fatal("release: got other shares")
		}
		if _, err := Decrypt(&w.batch.Header, &w.batch.Entries[0], Key{}, b); !errors.Is(err, ErrCiphertext) && !errors.Is(err, ErrAuthor) {
			t.Fatalf("ciphertext: got %v", err)
		}
	})
}

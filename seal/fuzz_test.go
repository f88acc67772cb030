package seal

import (
	"bytes"
	"errors"
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

// No sealed bytes but the committed ones open, and none make a custodian or reader panic.
func FuzzSealedMessages(f *testing.F) {
	w := newWorld(f, 4, 2, 40)
	list := []int{0, 1}
	release := w.release(f, 1, list)
	f.Add(w.batch.Envelopes[0])
	f.Add(release)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := w.open(1, &w.batch.Header, b); (err == nil) != bytes.Equal(b, w.batch.Envelopes[0]) {
			t.Fatalf("envelope: got %v", err)
		}
		if _, err := OpenRelease(w.reader, w.session, 1, w.batch.Header.Hash(), list, b); (err == nil) != bytes.Equal(b, release) {
			t.Fatalf("release: got %v", err)
		}
		if _, err := Decrypt(&w.batch.Header, &w.batch.Entries[0], Key{}, b); err == nil || !errors.Is(err, ErrCiphertext) && !errors.Is(err, ErrAuthor) {
			t.Fatalf("ciphertext: got %v", err)
		}
	})
}

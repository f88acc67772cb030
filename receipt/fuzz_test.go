package receipt

import (
	"bytes"
	"testing"
)

// What decodes encodes back to the same bytes, and verifying it never panics.
func FuzzDecodeReceipt(f *testing.F) {
	w := newWorld(f)
	for _, r := range w.receipts() {
		b, err := r.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	genesis := w.genesis
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeReceipt(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decodes and encodes to something else: %v", err)
		}
		_, _ = Verify(genesis, r)
	})
}

// A block that decodes encodes back to the same bytes.
func FuzzDecodeBlock(f *testing.F) {
	w := newWorld(f)
	f.Add(w.entry(1).Block)
	f.Add(w.changed().Block)
	f.Fuzz(func(t *testing.T, b []byte) {
		block, err := DecodeBlock(b)
		if err != nil {
			return
		}
		again, err := EncodeBlock(block)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("decodes and encodes to something else: %v", err)
		}
	})
}

package lookup_test

import (
	"bytes"
	"testing"

	"salus/ledger/module/lookup"
	"salus/ledger/tx"
)

// FuzzMessages: whatever decodes as a message of the module re-encodes to the same
// bytes, and validates or is refused with a code of the module.
func FuzzMessages(f *testing.F) {
	h := digest("h")
	f.Add(uint8(0), tx.MustEncode(&lookup.Begin{Number: 1}))
	f.Add(uint8(1), tx.MustEncode(&lookup.Deal{Ceremony: 1, Eval: []tx.Hash{h}, Open: []tx.Hash{h}}))
	f.Add(uint8(2), tx.MustEncode(&lookup.Vouch{Ceremony: 1, Sound: 3}))
	f.Add(uint8(3), tx.MustEncode(&lookup.Answer{Ceremony: 1, Recipient: 2, Eval: h, Open: h}))
	f.Add(uint8(4), tx.MustEncode(find("x")))
	f.Add(uint8(5), tx.MustEncode(&lookup.Resolve{Entry: h, Pointers: []lookup.Pointer{{Seal: h, Twin: h, Body: h, Proof: make([]byte, 64)}}}))
	f.Add(uint8(6), tx.MustEncode(&lookup.Open{Entry: h, Key: 1, Parts: []lookup.Part{{Element: h, Proof: make([]byte, 64)}}}))
	f.Add(uint8(7), tx.MustEncode(&lookup.Forget{Entry: h}))
	f.Add(uint8(8), tx.MustEncode(&lookup.SetCard{Patient: account("alice"), Card: h}))
	calls := lookup.Module().Calls
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		m := calls[int(which)%len(calls)].New()
		if err := tx.Decode(payload, m); err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil {
			if code, ok := tx.CodeOf(err); !ok || code>>8 != lookup.Prefix {
				t.Errorf("got %v, want a refusal of this module", err)
			}
		}
	})
}

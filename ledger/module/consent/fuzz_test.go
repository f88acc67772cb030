package consent_test

import (
	"bytes"
	"testing"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// FuzzMessages: whatever decodes as a message of the module re-encodes to the same
// bytes, and validates or is refused with a code of the module.
func FuzzMessages(f *testing.F) {
	f.Add(uint8(0), tx.MustEncode(grant("a", recorded)))
	f.Add(uint8(1), tx.MustEncode(revoke(gid("a"))))
	f.Add(uint8(3), tx.MustEncode(proxy()))
	f.Add(uint8(2), tx.MustEncode(change([]consent.GrantID{gid("a"), gid("b")}, grant("c"), grant("d", recorded))))
	calls := consent.Module().Calls
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		m := calls[int(which)%len(calls)].New()
		if err := tx.Decode(payload, m); err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil {
			if code, ok := tx.CodeOf(err); !ok || code>>8 != consent.Prefix {
				t.Errorf("got %v, want a refusal of this module", err)
			}
		}
	})
}

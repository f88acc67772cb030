package access_test

import (
	"bytes"
	"testing"

	"salus/ledger/module/access"
	"salus/ledger/module/emergency"
	"salus/ledger/tx"
)

// FuzzMessages: whatever decodes as a message of the module re-encodes to the same
// bytes, and validates or is refused with a code of the module.
func FuzzMessages(f *testing.F) {
	f.Add(uint8(0), tx.MustEncode(request()))
	f.Add(uint8(1), tx.MustEncode(&access.CommitFetch{Session: digest("session"), Root: digest("list"), Count: 1}))
	f.Add(uint8(2), tx.MustEncode(&access.Close{Session: digest("session")}))
	f.Add(uint8(3), tx.MustEncode(&access.Receipts{Root: digest("root"), From: 1, Count: 1}))
	f.Add(uint8(4), tx.MustEncode(&access.Emergency{Patient: account("alice"), Reason: emergency.OVRER, ReaderKey: digest("key"), TTL: 60}))
	f.Add(uint8(4), tx.MustEncode(&access.Emergency{Patient: account("alice"), Reason: 9, ReaderKey: digest("key")}))
	f.Add(uint8(5), tx.MustEncode(&access.Widen{Session: digest("session")}))
	f.Add(uint8(6), tx.MustEncode(&access.Extend{}))
	calls := access.Module().Calls
	f.Fuzz(func(t *testing.T, which uint8, payload []byte) {
		m := calls[int(which)%len(calls)].New()
		if err := tx.Decode(payload, m); err != nil {
			return
		}
		if again := tx.MustEncode(m); !bytes.Equal(again, payload) {
			t.Errorf("got %x, want %x", again, payload)
		}
		if err := m.Validate(); err != nil {
			if code, ok := tx.CodeOf(err); !ok || code>>8 != access.Prefix && code>>8 != emergency.Prefix {
				t.Errorf("got %v, want a refusal of this module or of emergency", err)
			}
		}
	})
}

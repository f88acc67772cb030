package recovery_test

import (
	"testing"

	"salus/ledger/module/access"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// What decodes encodes to the same bytes, and validating it never panics.
func fuzz[M any, P interface {
	*M
	tx.Message
}](f *testing.F, seeds ...P) {
	for _, s := range seeds {
		f.Add(tx.MustEncode(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := P(new(M))
		if tx.Decode(raw, m) != nil {
			return
		}
		if got := tx.MustEncode(m); string(got) != string(raw) {
			t.Errorf("got %x, want %x", got, raw)
		}
		_ = m.Validate()
	})
}

func FuzzGuardians(f *testing.F) { fuzz(f, guardians()) }

func FuzzRequest(f *testing.F) {
	t := asks()
	fuzz(f, &recovery.Request{Terms: t, Proof: byKey("paper key", t)}, &recovery.Request{Terms: about(recovery.Executor, 1)})
}

func FuzzApprove(f *testing.F) {
	fuzz(f, &recovery.Approve{Case: digest("case"), Proof: byAccount()}, &recovery.Approve{Case: digest("case")})
}

func FuzzCancel(f *testing.F) { fuzz(f, &recovery.Cancel{Case: digest("case")}) }

func FuzzFinish(f *testing.F) { fuzz(f, &recovery.Finish{Case: digest("case")}) }

func FuzzRecover(f *testing.F) {
	fuzz(f, &access.Recover{Patient: account("alice"), Case: digest("case"), ReaderKey: digest("reader"), TTL: 60})
}

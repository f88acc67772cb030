package identity

import (
	"testing"

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

func FuzzRegister(f *testing.F) { fuzz(f, practitioner("p")) }

func FuzzUpdate(f *testing.F) {
	fuzz(f, &Update{Account: account("p"), Roles: []string{"a"}, Privileges: 3, Active: true})
}

func FuzzEnrol(f *testing.F) { fuzz(f, patient("alice"), &Enrol{Claim: ClaimCommit(key("code"))}) }

func FuzzClaim(f *testing.F) { fuzz(f, &Claim{account("alice"), key("alice"), key("code")}) }

func FuzzRotate(f *testing.F) {
	fuzz(f, &Rotate{Account: account("alice"), Add: keys("a"), Revoke: ids("b", "c")})
}

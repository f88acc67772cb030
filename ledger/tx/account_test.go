package tx_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"salus/ledger/tx"
)

func TestAccountText(t *testing.T) {
	var ones tx.Account
	for i := range ones {
		ones[i] = 0xff
	}
	for a, want := range map[tx.Account]string{
		{}:      "00000000000000000000000000",
		{15: 1}: "00000000000000000000000001",
		{0: 1}:  "01000000000000000000000000",
		ones:    "7zzzzzzzzzzzzzzzzzzzzzzzzz",
	} {
		if got := a.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, err := tx.ParseAccount(want); err != nil || got != a {
			t.Errorf("ParseAccount(%s): got %v, %v", want, got, err)
		}
	}
}

func TestAccountHasOneText(t *testing.T) {
	good := account("alice").String()
	for _, bad := range []string{
		"", good[1:], good + "0", " " + good[1:], strings.ToUpper(good), "8" + good[1:], "z" + good[1:],
		good[:25] + "i", good[:25] + "l", good[:25] + "o", good[:25] + "u", good[:25] + "-", good[:25] + "\xff", good[:12] + "-" + good[13:],
	} {
		a, err := tx.ParseAccount(bad)
		wantCode(t, bad, err, tx.CodeText)
		if !a.IsZero() {
			t.Errorf("%q: got %v with the error, want zero", bad, a)
		}
	}
}

func TestTextFormsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a tx.Account
		var h tx.Hash
		var k tx.KeyID
		copy(a[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "account"))
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		copy(k[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
		a2, err := tx.ParseAccount(a.String())
		if err != nil || a2 != a {
			t.Fatalf("account %v: got %v, %v", a, a2, err)
		}
		h2, err := tx.ParseHash(h.String())
		if err != nil || h2 != h {
			t.Fatalf("hash %v: got %v, %v", h, h2, err)
		}
		k2, err := tx.ParseKeyID(k.String())
		if err != nil || k2 != k {
			t.Fatalf("key id %v: got %v, %v", k, k2, err)
		}
	})
}

func TestJSONUsesTheTextForms(t *testing.T) {
	type row struct {
		A tx.Account   `json:"a"`
		H tx.Hash      `json:"h"`
		K tx.KeyID     `json:"k"`
		P tx.PublicKey `json:"p"`
		Q tx.PublicKey `json:"q"`
		Z tx.PublicKey `json:"z"`
	}
	p, q := edSigner(alice, 1).Public(), newPasskey(t, 1).Public()
	want := row{A: alice, H: tx.Digest(nil, ""), K: p.ID(), P: p, Q: q}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{alice.String(), want.H.String(), p.ID().String(), p.String(), q.String(), `"z":""`} {
		if !strings.Contains(string(b), part) {
			t.Errorf("got %s, want %s in it", b, part)
		}
	}
	var got row
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{
		`{"a":"x"}`, `{"h":"00"}`, `{"k":"zz"}`, `{"p":"ed25519"}`, `{"p":"rsa:00"}`,
		`{"p":"ed25519:` + strings.Repeat("00", 32) + `"}`,
		`{"q":"` + strings.ToUpper(q.String()) + `"}`,
		`{"h":"` + strings.ToUpper(want.H.String()) + `"}`,
		`{"q":"` + q.String()[:len(q.String())-1] + `"}`,
		`{"q":"` + q.String() + `:00"}`,
		`{"p":"` + p.String() + `:00"}`,
	} {
		if err := json.Unmarshal([]byte(bad), new(row)); err == nil {
			t.Errorf("%s: got no error, want one", bad)
		}
	}
}

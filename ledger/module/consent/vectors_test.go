package consent

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"salus/ledger"
	"salus/ledger/tx"
)

var updateVectors = flag.Bool("update-vectors", false, "write spec/vectors/consent anew")

const decideVector = "../../../spec/vectors/consent/decide.json"

// decideCase is a question with the ledger's answer, for wallets in other languages. Masks are 16
// hexadecimal digits. MemberActive is false also where the member is not the actor's.
type decideCase struct {
	Consents       string   `json:"consents"` // canonical CBOR in hex
	Others         string   `json:"others"`   // consent-denials, too; "" if she is merged with nobody
	Patient        string   `json:"patient"`
	Actor          string   `json:"actor"`
	Member         string   `json:"member"`
	Class          uint8    `json:"class"`
	Active         bool     `json:"active"`
	Roles          []string `json:"roles"`
	MemberActive   bool     `json:"memberActive"`
	MemberClinical bool     `json:"memberClinical"`
	Purpose        uint8    `json:"purpose"`
	Requested      string   `json:"requested"`
	Now            uint64   `json:"now"`
	Allowed        string   `json:"allowed"`
}

func decideCases(tb testing.TB) (out []decideCase) {
	tb.Helper()
	allowing := 0
	for i := 0; len(out) < 320; i++ {
		c := consents().Example(i)
		q := questions(c).Example(i + 1000)
		q.Again, q.Taken = false, nil
		basis, others := Basis{Consents: c}, ""
		if len(out) >= 240 { // merged, of those to whom something is denied by it
			if basis.Others = elsewhere().Example(i); basis.Withheld(q)&Decide(q, c).Allowed == 0 {
				continue
			}
			others = hex.EncodeToString(tx.MustEncode(Denials{basis.Others}))
		}
		if Decide(q, c).Allowed != 0 {
			allowing++
		} else if len(out)-allowing >= 120 {
			continue // most of what is random is allowed nothing
		}
		b, err := tx.Encode(c)
		if err != nil {
			tb.Fatal(err)
		}
		roles := q.Actor.Roles
		if roles == nil {
			roles = []string{}
		}
		out = append(out, decideCase{
			Consents: hex.EncodeToString(b), Others: others, Patient: hex.EncodeToString(q.Patient[:]), Actor: hex.EncodeToString(q.Actor.Account[:]), Member: hex.EncodeToString(q.Actor.Member[:]),
			Class: uint8(q.Actor.Class), Active: q.Actor.Active, Roles: roles,
			MemberActive: q.Member.Active && q.Member.Account == q.Actor.Member, MemberClinical: q.Member.Class.Clinical(),
			Purpose: uint8(q.Purpose), Requested: fmt.Sprintf("%016x", q.Requested), Now: q.Now,
			Allowed: fmt.Sprintf("%016x", basis.Decide(q).Allowed),
		})
	}
	return out
}

// TestDecideVectors holds the file to Basis.Decide; run with -update-vectors to write it.
func TestDecideVectors(t *testing.T) {
	if *updateVectors {
		b, err := json.MarshalIndent(decideCases(t), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(decideVector), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(decideVector, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(decideVector)
	if err != nil {
		t.Fatal(err)
	}
	var cases []decideCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	allowed, united := 0, 0
	for i, v := range cases {
		var c Consents
		if err := tx.DecodeAny(unhex(t, v.Consents), &c, 1<<20); err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		var d Denials
		if v.Others != "" {
			if err := tx.DecodeAny(unhex(t, v.Others), &d, 1<<20); err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			united++
		}
		q := Question{Purpose: Purpose(v.Purpose), Now: v.Now}
		copy(q.Patient[:], unhex(t, v.Patient))
		copy(q.Actor.Account[:], unhex(t, v.Actor))
		copy(q.Actor.Member[:], unhex(t, v.Member))
		q.Actor.Class, q.Actor.Active, q.Actor.Roles = ledger.Class(v.Class), v.Active, v.Roles
		q.Member.Account, q.Member.Active = q.Actor.Member, v.MemberActive
		if q.Member.Class = "insurer"; v.MemberClinical {
			q.Member.Class = "hospital"
		}
		if _, err := fmt.Sscanf(v.Requested, "%x", &q.Requested); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%016x", Basis{Consents: c, Others: d.Others}.Decide(q).Allowed); got != v.Allowed {
			t.Errorf("case %d: got %s, want %s", i, got, v.Allowed)
		}
		if v.Allowed != "0000000000000000" {
			allowed++
		}
	}
	if united < len(cases)/5 {
		t.Errorf("%d of %d cases are of merged pseudonyms: the vectors show too little", united, len(cases))
	}
	if allowed < len(cases)/3 {
		t.Errorf("%d of %d cases allow something: the vectors show too little", allowed, len(cases))
	}
}

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

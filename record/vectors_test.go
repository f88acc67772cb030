package record

import (
	"bytes"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"salus/fhir"
	"salus/ledger/tx"
)

var updateVectors = flag.Bool("update-vectors", false, "write spec/vectors/record anew")

const slotsVector = "../spec/vectors/record/slots.json"

// grantVector is a grant's masks, made from a slot map and the bytes that its randomness
// gave, for wallets in other languages. Masks are 16 hexadecimal digits.
type grantVector struct {
	Map     string   `json:"map"` // canonical CBOR in hex
	Allowed []string `json:"allowed"`
	Denied  []string `json:"denied"`
	Random  string   `json:"random"` // SHAKE128 of this text
	Mask    string   `json:"mask,omitempty"`
	Except  string   `json:"except,omitempty"`
	Valid   bool     `json:"valid"`
}

func grantVectors(tb testing.TB) (out []grantVector) {
	tb.Helper()
	all := fhir.AllLabels()
	for i := range 12 {
		random := sha3.NewSHAKE128()
		fmt.Fprint(random, "map ", i)
		m, err := NewSlotMap(random)
		if err != nil {
			tb.Fatal(err)
		}
		v := grantVector{Map: hex.EncodeToString(tx.MustEncode(m)), Random: fmt.Sprint("grant ", i), Allowed: []string{}, Denied: []string{}}
		var allowed, denied []fhir.Label
		for j, l := range all {
			switch {
			case i == 11: // the map itself
				allowed = []fhir.Label{StewardLabel}
			case (i*7+j)%5 < i%4:
				denied = append(denied, l)
			case i != 10:
				allowed = append(allowed, l)
			}
		}
		for _, l := range allowed {
			v.Allowed = append(v.Allowed, string(l))
		}
		for _, l := range denied {
			v.Denied = append(v.Denied, string(l))
		}
		stream := sha3.NewSHAKE128()
		fmt.Fprint(stream, v.Random)
		if mask, except, err := m.GrantMasks(stream, allowed, denied); err == nil {
			v.Mask, v.Except, v.Valid = fmt.Sprintf("%016x", mask), fmt.Sprintf("%016x", except), true
		}
		out = append(out, v)
	}
	return out
}

// TestGrantVectors; run with -update-vectors to write the file.
func TestGrantVectors(t *testing.T) {
	got, err := json.MarshalIndent(grantVectors(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *updateVectors {
		if err := os.MkdirAll(filepath.Dir(slotsVector), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(slotsVector, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(slotsVector)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("slots.json: got other masks than the file holds; if their making was meant to change, run with -update-vectors")
	}
}

package receipt

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"salus/ledger/ledgertest"
	"salus/ledger/tx"
)

var rewrite = flag.Bool("vectors", false, "rewrite the vectors")

const vectorFile = "../spec/vectors/receipt/receipts.json"

// vectors are shared with other languages: receipts over one genesis file, and what
// verifying each comes to.
type vectors struct {
	About   string          `json:"about"`
	Genesis json.RawMessage `json:"genesis"`
	Cases   []vector        `json:"cases"`
}

type vector struct {
	Name    string `json:"name"`
	Receipt string `json:"receipt"` // canonical CBOR in hex
	Code    uint32 `json:"code"`    // 0 when it verifies
	Height  int64  `json:"height,omitempty"`
	Entries int    `json:"entries,omitempty"` // of an access log
}

func TestVectors(t *testing.T) {
	if *rewrite {
		write(t)
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Cases) < 10 {
		t.Fatalf("got %d cases", len(v.Cases))
	}
	for _, c := range v.Cases {
		raw, err := hex.DecodeString(c.Receipt)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		f, err := check(v.Genesis, raw)
		if code, _ := tx.CodeOf(err); code != c.Code {
			t.Errorf("%s: got %v, want code %#04x", c.Name, err, c.Code)
			continue
		}
		if err == nil && (f.Height != c.Height || len(f.Audit) != c.Entries) {
			t.Errorf("%s: got height %d and %d entries, want %d and %d", c.Name, f.Height, len(f.Audit), c.Height, c.Entries)
		}
	}
}

// write makes the vectors of the state machine of today; those on file stay valid for ever.
func write(t *testing.T) {
	w := newWorld(t)
	v := vectors{About: "Receipts of a sample chain (spec/receipt.md). code: 0 verifies, else the error's code.", Genesis: w.genesis}
	add := func(name string, r *Receipt) {
		raw := must[[]byte](t)(r.Encode())
		c := vector{Name: name, Receipt: hex.EncodeToString(raw)}
		f, err := check(w.genesis, raw)
		if c.Code, _ = tx.CodeOf(err); err == nil {
			c.Height, c.Entries = f.Height, len(f.Audit)
		}
		v.Cases = append(v.Cases, c)
	}
	add("entry of the log", w.entry(2))
	add("row", w.row(principalKey(ledgertest.Account(patient))))
	add("absent row", w.row(principalKey(ledgertest.Account("nobody"))))
	add("access log", w.log(patient))
	add("access log of a pseudonym without one", w.log("nobody"))
	add("validators that changed, with a trail", w.changed())
	edit := func(name string, r *Receipt, change func(r *Receipt)) { change(r); add(name, r) }
	edit("access log without its first entry", w.log(patient), func(r *Receipt) { r.Audit.Entries = r.Audit.Entries[1:] })
	edit("access log said to be of another pseudonym", w.log(patient), func(r *Receipt) { r.Audit.Patient = ledgertest.Account("patient-2") })
	edit("row said to be absent", w.row(principalKey(ledgertest.Account(patient))), func(r *Receipt) { r.Row.Value, r.Row.Absent = nil, true })
	edit("entry altered", w.entry(2), func(r *Receipt) { r.Entry.Entry[len(r.Entry.Entry)-1] ^= 1 })
	edit("another index", w.entry(2), func(r *Receipt) { r.Entry.Index++ })
	edit("of another chain", w.entry(2), func(r *Receipt) { r.Chain = "salus-other" })
	edit("of a later version", w.entry(2), func(r *Receipt) { r.Version = 2 })
	edit("without the trail", w.changed(), func(r *Receipt) { r.Trail = nil })
	edit("signed by two of four", w.entry(2), func(r *Receipt) {
		s := above(w.view())
		s.absent = []string{"v1", "v2"}
		r.Block = encodeBlock(t, block(t, s))
	})
	b, err := json.MarshalIndent(&v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("../spec/vectors/receipt", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

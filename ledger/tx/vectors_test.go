package tx_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"salus/ledger/tx"
)

const vectorDir = "../../spec/vectors/tx"

// vectorFile is one file of spec/vectors/tx; spec/tx.md describes the fields.
type vectorFile struct {
	About     string           `json:"about"`
	Chain     string           `json:"chain,omitempty"`
	Origins   []string         `json:"origins,omitempty"`
	Keys      []tx.PublicKey   `json:"keys,omitempty"`
	Envelopes []envelopeVector `json:"envelopes,omitempty"`
	Public    []keyVector      `json:"publicKeys,omitempty"`
	Texts     []textVector     `json:"texts,omitempty"`
}

type envelopeVector struct {
	Name     string      `json:"name"`
	Envelope string      `json:"envelope"`
	Code     uint32      `json:"code"`
	Reason   string      `json:"reason"`         // name of the code
	Step     string      `json:"step,omitempty"` // where it is refused: decode, verify
	ID       *tx.Hash    `json:"id,omitempty"`
	Body     *bodyVector `json:"body,omitempty"`
}

type bodyVector struct {
	Chain   string     `json:"chain"`
	Kind    tx.Kind    `json:"kind"`
	Payload string     `json:"payload"`
	Signer  tx.Account `json:"signer"`
	Nonce   uint64     `json:"nonce,string"`
	Expiry  uint64     `json:"expiry,string"`
}

type keyVector struct {
	Name     string `json:"name"`
	Alg      tx.Alg `json:"alg"`
	Key      string `json:"key"`
	RPIDHash string `json:"rpIdHash,omitempty"`
	ID       string `json:"id"`
	Code     uint32 `json:"code"`
	Reason   string `json:"reason"`
}

type textVector struct {
	Kind  string `json:"kind"` // account, hash
	Bytes string `json:"bytes,omitempty"`
	Text  string `json:"text"`
	Code  uint32 `json:"code"`
}

func codeName(t *testing.T, code uint32) string {
	for _, c := range tx.Codes() {
		if c.Code == code {
			return c.Name
		}
	}
	t.Fatalf("code 0x%04x is not in the table", code)
	return ""
}

// judge is what a node does with an envelope, as far as this package goes: it
// decodes, finds each signature's key, and verifies it.
func judge(f *vectorFile, raw []byte) (step string, e *tx.Envelope, b *tx.Body, err error) {
	if e, b, err = tx.DecodeEnvelope(raw); err != nil {
		return "decode", nil, nil, err
	}
	digest := tx.Digest(e.Body, f.Chain)
	for i := range e.Signatures {
		s := &e.Signatures[i]
		at := slices.IndexFunc(f.Keys, func(k tx.PublicKey) bool { return k.ID() == s.Key })
		if at < 0 {
			return "verify", e, b, tx.Refuse(tx.CodeKeyInactive, "no such key")
		}
		if err := f.Keys[at].Verify(digest, s, tx.PasskeyPolicy{Origins: f.Origins, RequireUV: true}); err != nil {
			return "verify", e, b, err
		}
	}
	return "", e, b, nil
}

func readVectors(t *testing.T, name string) *vectorFile {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		t.Fatal(err)
	}
	f := new(vectorFile)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestEnvelopeVectors(t *testing.T) {
	for _, name := range []string{"valid.json", "invalid.json"} {
		f := readVectors(t, name)
		if len(f.Envelopes) == 0 {
			t.Errorf("%s: got no cases", name)
		}
		for _, c := range f.Envelopes {
			t.Run(c.Name, func(t *testing.T) {
				step, e, b, err := judge(f, unhex(t, c.Envelope))
				wantCode(t, "judge", err, c.Code)
				if step != c.Step || codeName(t, c.Code) != c.Reason {
					t.Errorf("got step %q, reason %q, want %q, %q", step, codeName(t, c.Code), c.Step, c.Reason)
				}
				if (c.Code == tx.CodeOK) != (name == "valid.json") {
					t.Errorf("the case is in the wrong file")
				}
				if c.ID != nil && tx.Digest(e.Body, f.Chain) != *c.ID {
					t.Errorf("got id %v, want %v", tx.Digest(e.Body, f.Chain), c.ID)
				}
				if w := c.Body; w != nil {
					got := bodyVector{b.Chain, b.Kind, hex.EncodeToString(b.Payload), b.Signer, b.Nonce, b.Expiry}
					if got != *w {
						t.Errorf("got body %+v, want %+v", got, *w)
					}
				}
			})
		}
	}
}

func TestKeyVectors(t *testing.T) {
	for _, c := range readVectors(t, "keys.json").Public {
		k := tx.PublicKey{Alg: c.Alg, Key: unhex(t, c.Key), RPIDHash: unhex(t, c.RPIDHash)}
		wantCode(t, c.Name, k.Validate(), c.Code)
		if got := k.ID().String(); got != c.ID {
			t.Errorf("%s: got id %s, want %s", c.Name, got, c.ID)
		}
	}
}

func TestTextVectors(t *testing.T) {
	for _, c := range readVectors(t, "text.json").Texts {
		var got []byte
		var err error
		switch c.Kind {
		case "account":
			var a tx.Account
			a, err = tx.ParseAccount(c.Text)
			got = a[:]
		case "hash":
			var h tx.Hash
			h, err = tx.ParseHash(c.Text)
			got = h[:]
		default:
			t.Fatalf("unknown kind %q", c.Kind)
		}
		wantCode(t, c.Kind+" "+c.Text, err, c.Code)
		if err == nil && hex.EncodeToString(got) != c.Bytes {
			t.Errorf("%s %s: got %x, want %s", c.Kind, c.Text, got, c.Bytes)
		}
	}
}

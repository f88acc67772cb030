package tx_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/edwards25519"

	"salus/internal/passkey"
	"salus/ledger/tx"
)

var update = flag.Bool("update", false, "rewrite spec/vectors/tx (only to add cases: published ones never change)")

// TestVectorsAreWhatTheCodeMakes keeps the files and the makers below together.
func TestVectorsAreWhatTheCodeMakes(t *testing.T) {
	for name, f := range map[string]*vectorFile{
		"valid.json": validVectors(t), "invalid.json": invalidVectors(t), "keys.json": keyVectors(t), "text.json": textVectors(t),
	} {
		var b bytes.Buffer
		j := json.NewEncoder(&b)
		j.SetEscapeHTML(false)
		j.SetIndent("", "  ")
		if err := j.Encode(f); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(vectorDir, name)
		if *update {
			if err := os.MkdirAll(vectorDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		on, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(on, b.Bytes()) {
			t.Errorf("%s is not what the code makes", name)
		}
	}
}

// vectorSigners are the keys that the envelopes are signed with.
func vectorSigners(t *testing.T) (ed, ed2 tx.Signer, pk *passkey.Passkey, f *vectorFile) {
	ed, ed2, pk = edSigner(alice, 1), edSigner(bob, 2), newPasskey(t, 3)
	return ed, ed2, pk, &vectorFile{
		Chain:   testChain,
		Origins: testPolicy.Origins,
		Keys:    []tx.PublicKey{ed.Public(), ed2.Public(), pk.Public()},
	}
}

// add judges an envelope and appends it with the verdict.
func (f *vectorFile) add(t *testing.T, name string, raw []byte) {
	step, e, b, err := judge(f, raw)
	code, ok := tx.CodeOf(err)
	if !ok {
		t.Fatal(err)
	}
	v := envelopeVector{Name: name, Envelope: hex.EncodeToString(raw), Code: code, Reason: codeName(t, code), Step: step}
	if err == nil {
		id := tx.Digest(e.Body, f.Chain)
		v.ID, v.Body = &id, &bodyVector{b.Chain, b.Kind, hex.EncodeToString(b.Payload), b.Signer, b.Nonce, b.Expiry}
	}
	f.Envelopes = append(f.Envelopes, v)
}

func validVectors(t *testing.T) *vectorFile {
	ed, ed2, pk, f := vectorSigners(t)
	f.About = "Envelopes that every reader takes, with what is in them. See spec/tx.md."
	sign := func(name string, msg tx.Message, nonce, expiry uint64, signers ...tx.Signer) {
		raw, _, err := tx.Sign(testChain, testKind, msg, alice, nonce, expiry, signers...)
		if err != nil {
			t.Fatal(err)
		}
		f.add(t, name, raw)
	}
	msg := &note{Subject: bob, Count: 7, Words: []string{"one", "zwei"}}
	sign("one Ed25519 signature", msg, 1, 100, ed)
	sign("two accounts", msg, 1, 100, ed, ed2)
	sign("a passkey, crossOrigin false", msg, 1, 100, pk.Signer(alice))
	pk.Cross = passkey.CrossOmitted
	sign("a passkey, crossOrigin left out", msg, 1, 100, pk.Signer(alice))
	pk.Cross, pk.Extra = passkey.CrossFalse, chromeExtra
	sign("a passkey, a further member", msg, 1, 100, pk.Signer(alice))
	pk.Extra, pk.Flags, pk.Count = "", passkey.FlagUP|passkey.FlagUV, 77
	sign("a passkey, security key with a counter", msg, 1, 100, pk.Signer(alice))
	pk.Flags, pk.Ext = pk.Flags|passkey.FlagED, prfExtension
	sign("a passkey, prf output", msg, 1, 100, pk.Signer(alice))
	sign("a passkey and a device", msg, 1, 100, pk.Signer(alice), ed)
	sign("least numbers", msg, 0, 0, ed)
	sign("numbers at each length of a head", msg, 255, 65536, ed)
	sign("greatest numbers", &note{Subject: bob, Count: 1<<64 - 1, Signed: -1 << 63}, 1<<64-1, 1<<64-1, ed)
	return f
}

func invalidVectors(t *testing.T) *vectorFile {
	ed, ed2, pk, f := vectorSigners(t)
	f.About = "Envelopes that every reader refuses, each with the code of the refusal. See spec/tx.md."
	sign := func(signers ...tx.Signer) ([]byte, *tx.Envelope) {
		raw, _, err := tx.Sign(testChain, testKind, &note{Subject: bob, Count: 7}, alice, 1, 100, signers...)
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := tx.DecodeEnvelope(raw)
		if err != nil {
			t.Fatal(err)
		}
		return raw, e
	}
	raw, _ := sign(ed)
	f.add(t, "no bytes", nil)
	f.add(t, "cut short", raw[:len(raw)-1])
	f.add(t, "a byte behind", append(slices.Clone(raw), 0))
	f.add(t, "indefinite map", append(append([]byte{0xbf}, raw[1:]...), 0xff))
	f.add(t, "tagged", append([]byte{0xd9, 0xd9, 0xf7}, raw...))
	f.add(t, "long map head", append([]byte{0xb8, 0x02}, raw[1:]...))
	f.add(t, "long key", append([]byte{0xa2, 0x18, 0x01}, raw[2:]...))
	f.add(t, "null body", append([]byte{0xa2, 0x01, 0xf6}, raw[bytes.IndexByte(raw[2:], 0x02)+2:]...))

	edit := func(name string, fn func(e *tx.Envelope), signers ...tx.Signer) {
		_, e := sign(signers...)
		fn(e)
		f.add(t, name, tx.MustEncode(e))
	}
	swap := func(e *tx.Envelope) { e.Signatures[0], e.Signatures[1] = e.Signatures[1], e.Signatures[0] }
	edit("signatures in falling order", swap, ed, ed2)
	edit("one signature twice", func(e *tx.Envelope) { e.Signatures = append(e.Signatures, e.Signatures[0]) }, ed)
	edit("no signature", func(e *tx.Envelope) { e.Signatures = nil }, ed)
	edit("nine signatures", func(e *tx.Envelope) {
		for i := range 8 {
			s := e.Signatures[0]
			s.Account[15] = byte(i + 1)
			e.Signatures = append(e.Signatures, s)
		}
	}, ed)
	edit("signature of 63 bytes", func(e *tx.Envelope) { e.Signatures[0].Sig = e.Signatures[0].Sig[:63] }, ed)
	edit("unknown algorithm", func(e *tx.Envelope) { e.Signatures[0].Alg = 9 }, ed)
	edit("Ed25519 with client data", func(e *tx.Envelope) { e.Signatures[0].ClientData = []byte("{}") }, ed)
	edit("passkey without client data", func(e *tx.Envelope) { e.Signatures[0].ClientData = nil }, pk.Signer(alice))

	body := func(name string, fn func(b *tx.Body)) {
		b := tx.Body{Chain: testChain, Kind: testKind, Payload: []byte{0xa0}, Signer: alice, Nonce: 1, Expiry: 100}
		fn(&b)
		enc := tx.MustEncode(&b)
		s, err := ed.Sign(tx.Digest(enc, testChain))
		if err != nil {
			t.Fatal(err)
		}
		f.add(t, name, tx.MustEncode(&tx.Envelope{Body: enc, Signatures: []tx.Signature{s}}))
	}
	body("kind without a verb", func(b *tx.Body) { b.Kind = "example" })
	body("kind in upper case", func(b *tx.Body) { b.Kind = "Example.note" })
	body("no chain", func(b *tx.Body) { b.Chain = "" })
	body("no payload", func(b *tx.Body) { b.Payload = nil })
	body("no signer", func(b *tx.Body) { b.Signer = tx.Account{} })

	rawBody := func(name, h string) {
		enc := unhex(t, h)
		s, err := ed.Sign(tx.Digest(enc, testChain))
		if err != nil {
			t.Fatal(err)
		}
		f.add(t, name, tx.MustEncode(&tx.Envelope{Body: enc, Signatures: []tx.Signature{s}}))
	}
	const head, tail = "016c73616c75732d746573742d31026c6578616d706c652e6e6f7465" + "0341a0", "0450616c69636500000000000000000000000501"
	rawBody("body: long integer", "a6"+head+tail+"06190001")
	rawBody("body: keys swapped", "a6"+head+tail[:36]+"060105"+"01")
	rawBody("body: key twice", "a7"+head+tail+"06010601")
	rawBody("body: unknown key", "a7"+head+tail+"06010700")
	rawBody("body: key missing", "a5"+head+tail)
	rawBody("body: account of 15 bytes", "a6"+head+"044f616c696365000000000000000000000501"+"0601")
	rawBody("body: account of 17 bytes", "a6"+head+"0451616c6963650000000000000000000000000501"+"0601")
	rawBody("body: float for an integer", "a6"+head+tail+"06f93c00")
	rawBody("body: negative expiry", "a6"+head+tail+"0620")

	edit("Ed25519: another body", func(e *tx.Envelope) { e.Body[len(e.Body)-1] ^= 1 }, ed)
	edit("Ed25519: a bit of R", func(e *tx.Envelope) { e.Signatures[0].Sig[0] ^= 1 }, ed)
	edit("Ed25519: S plus the group order", func(e *tx.Envelope) {
		order, carry := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"), 0
		for i, sig := 0, e.Signatures[0].Sig; i < 32; i++ {
			carry += int(sig[32+i]) + int(order[i])
			sig[32+i], carry = byte(carry), carry>>8
		}
	}, ed)
	edit("Ed25519: unknown key", func(e *tx.Envelope) { e.Signatures[0].Key[0] ^= 1 }, ed)
	edit("passkey: high s", func(e *tx.Envelope) { e.Signatures[0].Sig = otherS(e.Signatures[0].Sig) }, pk.Signer(alice))
	edit("passkey: r and s zero", func(e *tx.Envelope) { clear(e.Signatures[0].Sig) }, pk.Signer(alice))
	edit("passkey: a bit of the counter", func(e *tx.Envelope) { e.Signatures[0].AuthData[36] ^= 1 }, pk.Signer(alice))
	edit("passkey: another body", func(e *tx.Envelope) { e.Body[len(e.Body)-1] ^= 1 }, pk.Signer(alice))

	client := func(name string, fn func(p *passkey.Passkey)) {
		p := newPasskey(t, 3)
		fn(p)
		edit("passkey: "+name, func(*tx.Envelope) {}, p.Signer(alice))
	}
	client("no user present", func(p *passkey.Passkey) { p.Flags &^= passkey.FlagUP })
	client("no user verified", func(p *passkey.Passkey) { p.Flags &^= passkey.FlagUV })
	client("backed up, not eligible", func(p *passkey.Passkey) { p.Flags &^= passkey.FlagBE })
	client("attested credential", func(p *passkey.Passkey) { p.Flags |= passkey.FlagAT })
	client("extension flag without data", func(p *passkey.Passkey) { p.Flags |= passkey.FlagED })
	client("extension data without flag", func(p *passkey.Passkey) { p.Ext = prfExtension })
	client("another origin", func(p *passkey.Passkey) { p.Origin = testOrigin + ".evil.example.com" })
	client("origin with a port", func(p *passkey.Passkey) { p.Origin = testOrigin + ":443" })
	client("cross origin", func(p *passkey.Passkey) { p.Cross = passkey.CrossTrue })
	client("type again", func(p *passkey.Passkey) { p.Extra = `,"type":"webauthn.create"` })
	client("a member that is a number", func(p *passkey.Passkey) { p.Extra = `,"a":1` })
	client("white space at the end", func(p *passkey.Passkey) { p.Extra = ` ` })
	return f
}

func keyVectors(t *testing.T) *vectorFile {
	f := &vectorFile{About: "Public keys, with their ids and whether they may enter the state. See spec/tx.md."}
	add := func(name string, k tx.PublicKey) {
		code, ok := tx.CodeOf(k.Validate())
		if !ok {
			t.Fatal(name)
		}
		f.Public = append(f.Public, keyVector{name, k.Alg, hex.EncodeToString(k.Key), hex.EncodeToString(k.RPIDHash), k.ID().String(), code, codeName(t, code)})
	}
	ed := func(name string, key []byte) { add(name, tx.PublicKey{Alg: tx.AlgEd25519, Key: key}) }
	ed("Ed25519", edSigner(alice, 1).Public().Key)
	for _, k := range smallOrderKeys(t) {
		ed("Ed25519: small order", k)
	}
	for _, k := range nonCanonicalKeys() {
		ed("Ed25519: not canonical", k)
	}
	pub := decodePoint(t, edKey(1).Public().(ed25519.PublicKey))
	for _, k := range smallOrderKeys(t)[1:] {
		ed("Ed25519: mixed order", new(edwards25519.Point).Add(pub, decodePoint(t, k)).Bytes())
	}
	ed("Ed25519: not on the curve", append([]byte{2}, make([]byte, 31)...))
	ed("Ed25519: 31 bytes", make([]byte, 31))
	pk := newPasskey(t, 3).Public()
	add("P-256", pk)
	edit := func(name string, fn func(k *tx.PublicKey)) {
		k := tx.PublicKey{Alg: pk.Alg, Key: slices.Clone(pk.Key), RPIDHash: slices.Clone(pk.RPIDHash)}
		fn(&k)
		add("P-256: "+name, k)
	}
	edit("not on the curve", func(k *tx.PublicKey) { k.Key[63] ^= 1 })
	edit("all zero", func(k *tx.PublicKey) { clear(k.Key) })
	edit("compressed", func(k *tx.PublicKey) { k.Key = append([]byte{2}, k.Key[:32]...) })
	edit("no relying party", func(k *tx.PublicKey) { k.RPIDHash = nil })
	edit("algorithm unknown", func(k *tx.PublicKey) { k.Alg = 3 })
	return f
}

func textVectors(t *testing.T) *vectorFile {
	f := &vectorFile{About: "Text forms of accounts and hashes; those with a code are refused. See spec/tx.md."}
	add := func(kind string, b []byte, text string) {
		v := textVector{Kind: kind, Bytes: hex.EncodeToString(b), Text: text}
		if b == nil {
			v.Code = tx.CodeText
		}
		f.Texts = append(f.Texts, v)
	}
	counting := tx.Account{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	ones := tx.Account(bytes.Repeat([]byte{0xff}, 16))
	for _, a := range []tx.Account{{}, {15: 1}, counting, alice, ones} {
		add("account", a[:], a.String())
	}
	text := alice.String()
	for _, bad := range []string{"", text[1:], text + "0", "8" + text[1:], string(bytes.ToUpper([]byte(text))), text[:25] + "u", text[:25] + "o"} {
		add("account", nil, bad)
	}
	h := tx.Digest(nil, "")
	add("hash", h[:], h.String())
	add("hash", nil, h.String()[1:])
	add("hash", nil, string(bytes.ToUpper([]byte(h.String()))))
	return f
}

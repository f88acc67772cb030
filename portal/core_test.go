// Package portal_test holds the wallet of the portal, which is TypeScript, against the Go
// of the ledger: what one makes the other must read, and come to the same bytes.
package portal_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	crand "crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"salus/fhir"
	"salus/internal/passkey"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
	"salus/record"
)

const (
	rpID   = "portal.example"
	origin = "https://portal.example"
)

// messages are the kinds of the CDDL.
var messages = map[tx.Kind]func() tx.Message{
	identity.KindRegister: func() tx.Message { return new(identity.Register) },
	identity.KindUpdate:   func() tx.Message { return new(identity.Update) },
	identity.KindEnrol:    func() tx.Message { return new(identity.Enrol) },
	identity.KindClaim:    func() tx.Message { return new(identity.Claim) },
	identity.KindRotate:   func() tx.Message { return new(identity.Rotate) },
	consent.KindGrant:     func() tx.Message { return new(consent.Give) },
	consent.KindRevoke:    func() tx.Message { return new(consent.Revoke) },
	consent.KindChange:    func() tx.Message { return new(consent.Change) },
	consent.KindProxy:     func() tx.Message { return new(consent.SetProxy) },
	access.KindRequest:    func() tx.Message { return new(access.Request) },
	access.KindFetch:      func() tx.Message { return new(access.CommitFetch) },
	access.KindClose:      func() tx.Message { return new(access.Close) },
	access.KindReceipts:   func() tx.Message { return new(access.Receipts) },
	anchor.KindPut:        func() tx.Message { return new(anchor.Put) },
	anchor.KindReceipts:   func() tx.Message { return new(anchor.Receipts) },
	anchor.KindComplain:   func() tx.Message { return new(anchor.Complain) },
	committee.KindKey:     func() tx.Message { return new(committee.Publish) },
	governance.KindPropose: func() tx.Message {
		return new(governance.Propose)
	},
	governance.KindVote:    func() tx.Message { return new(governance.Vote) },
	governance.KindAddress: func() tx.Message { return new(governance.Address) },
	governance.KindRotate:  func() tx.Message { return new(governance.Rotate) },

	access.KindRecover:      func() tx.Message { return new(access.Recover) },
	emergency.KindDirective: func() tx.Message { return new(emergency.SetDirective) },
	emergency.KindAttest:    func() tx.Message { return new(emergency.Attest) },
	emergency.KindReview:    func() tx.Message { return new(emergency.Judge) },
	emergency.KindDispute:   func() tx.Message { return new(emergency.Dispute) },
	erasure.KindRequest:     func() tx.Message { return new(erasure.Request) },
	recovery.KindGuardians:  func() tx.Message { return new(recovery.SetGuardians) },
	recovery.KindRequest:    func() tx.Message { return new(recovery.Request) },
	recovery.KindApprove:    func() tx.Message { return new(recovery.Approve) },
	recovery.KindCancel:     func() tx.Message { return new(recovery.Cancel) },
	recovery.KindFinish:     func() tx.Message { return new(recovery.Finish) },
}

// A wallet is the TypeScript core in a process of its own.
type wallet struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Reader
}

func newWallet(t *testing.T) *wallet {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node.js is not installed: the wallet's TypeScript is not compared with Go here")
	}
	if _, err := os.Stat("node_modules/vite"); err != nil {
		t.Skip("the portal's packages are not installed (npm ci in portal/): the wallet's TypeScript is not compared with Go here")
	}
	cmd := exec.CommandContext(t.Context(), node, "scripts/bridge.mjs")
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &wallet{t, in, bufio.NewReaderSize(out, 1<<20)}
}

func (w *wallet) ask(question, answer any) {
	w.t.Helper()
	b, err := json.Marshal(question)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.in.Write(append(b, '\n')); err != nil {
		w.t.Fatal(err)
	}
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(line, answer); err != nil {
		w.t.Fatalf("%v: %s", err, line)
	}
}

// fill puts random values into a message: all of its fields, within the bounds of their types.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[tx.PublicKey]() {
			v.Set(reflect.ValueOf(randomKey(r)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("cbor") != "-" {
				fill(r, v.Field(i))
			}
		}
	case reflect.Slice:
		n := r.IntN(4)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n = r.IntN(40)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(r, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		v.SetString([]string{"", "223366009", "a|b", "hospital", "Klinik Süd 🏥", "http://x/1"}[r.IntN(6)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	default: // unsigned numbers
		v.SetUint(r.Uint64() >> r.IntN(64) & (1<<v.Type().Bits() - 1))
	}
}

func randomKey(r *rand.Rand) tx.PublicKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(r.Uint32())
	}
	return tx.Ed25519Key(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
}

// people are the kinds whose messages the wallet checks before it signs.
func people(k tx.Kind) bool {
	return slices.Contains([]string{"identity", "consent", "access", "emergency", "erasure", "recovery"}, k.Module())
}

// wantCode is what Go says of a message: the wallet must say the same of those that people sign.
func wantCode(k tx.Kind, m tx.Message) uint32 {
	if !people(k) {
		return tx.CodeOK
	}
	code, _ := tx.CodeOf(m.Validate())
	return code
}

func TestWalletReadsRandomTransactionsOfGo(t *testing.T) {
	w := newWallet(t)
	r := rand.New(rand.NewPCG(20, 26))
	kinds := make([]tx.Kind, 0, len(messages))
	for k := range messages {
		kinds = append(kinds, k)
	}
	slices.Sort(kinds)
	pk, err := passkey.New(bytes.NewReader(bytes.Repeat([]byte{7}, 4096)), rpID, origin)
	if err != nil {
		t.Fatal(err)
	}
	sound := 0
	for i := range 400 {
		kind := kinds[i%len(kinds)]
		m := messages[kind]()
		fill(r, reflect.ValueOf(m).Elem())
		if i%3 > 0 {
			mend(r, m)
		}
		body := tx.Body{Chain: "salus-test", Kind: kind, Payload: tx.MustEncode(m), Nonce: r.Uint64(), Expiry: r.Uint64() >> r.IntN(64)}
		fill(r, reflect.ValueOf(&body.Signer).Elem())
		encoded := tx.MustEncode(&body)
		id := tx.Digest(encoded, body.Chain)
		signer := pk.Signer(body.Signer)
		if i%2 == 0 {
			signer = tx.NewEd25519Signer(body.Signer, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{byte(i)}, 32)))
		}
		s, err := signer.Sign(id)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := tx.Assemble(encoded, s)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Code                            int
			Error, ID, Kind, Again, Payload string
		}
		w.ask(map[string]any{"op": "judge", "raw": hex.EncodeToString(raw), "key": signer.Public().String(), "origin": origin}, &got)
		want := wantCode(kind, m)
		if got.Code != int(want) {
			t.Fatalf("%s: got code %#04x %s, want %#04x\n%+v", kind, got.Code, got.Error, want, m)
		}
		if want == tx.CodeOK {
			sound++
			if got.ID != id.String() || got.Kind != string(kind) || got.Again != hex.EncodeToString(raw) || got.Payload != hex.EncodeToString(body.Payload) {
				t.Fatalf("%s: got another id, kind or encoding", kind)
			}
		}
	}
	if sound < 200 {
		t.Errorf("got %d sound transactions of 400, want 200 or more", sound)
	}
}

// mend makes a random message valid where it takes only a little.
func mend(r *rand.Rand, m tx.Message) {
	terms := func(mask, except *uint64, purposes *consent.Purposes, from, to *uint64) {
		bits := r.Perm(64)
		*mask, *except = 0, 0
		for _, b := range bits[:consent.MaskBits] {
			*mask |= 1 << b
		}
		for _, b := range bits[64-consent.ExceptBits:] {
			*except |= 1 << b
		}
		*purposes, *from, *to = 1<<consent.TREAT, *from>>1, 0
	}
	grant := func(g *consent.Grant) {
		g.Grantee = consent.Grantee{Kind: consent.OfRole, Account: g.Grantee.Account, Role: "223366009"}
		terms(&g.Mask, &g.Except, &g.Purposes, &g.NotBefore, &g.NotAfter)
	}
	switch m := m.(type) {
	case *identity.Register:
		m.Class, m.Roles, m.Privileges = 2, []string{"a", "b"}, 3
	case *identity.Update:
		m.Roles, m.Privileges = nil, 31
	case *identity.Rotate:
		m.Add = append(m.Add, randomKey(r))
	case *consent.Give:
		grant(&m.Grant)
	case *consent.Change:
		compare := func(a, b consent.GrantID) int { return bytes.Compare(a[:], b[:]) }
		slices.SortFunc(m.Revoke, compare)
		slices.SortFunc(m.Give, func(a, b consent.Grant) int { return compare(a.ID, b.ID) })
		for i := range m.Give {
			grant(&m.Give[i])
		}
	case *consent.SetProxy:
		terms(&m.Proxy.Mask, &m.Proxy.Except, &m.Proxy.Purposes, &m.Proxy.NotBefore, &m.Proxy.NotAfter)
	case *access.Request:
		m.Purpose, m.TTL, m.Count = consent.TREAT, m.TTL|1, m.Count%access.MaxList+1
	case *access.CommitFetch:
		m.Count = m.Count%access.MaxList + 1
	case *emergency.SetDirective:
		var period uint64
		terms(&m.Set, &m.Except, new(consent.Purposes), &period, &period)
		m.More = ^m.Set
	case *emergency.Judge:
		m.Verdict = m.Verdict%3 + 1
	case *erasure.Request:
		m.Scope, m.Leaf = erasure.Batch, tx.Hash{}
	case *recovery.SetGuardians:
		m.Commitments, m.Threshold = []tx.Hash{{1}, {2}, {3}}, 2
	case *recovery.Request:
		mendRecovery(r, m)
	case *recovery.Approve:
		if m.Proof != nil {
			mendProof(r, m.Proof)
		}
	case *access.Receipts:
		m.Count, m.From = m.Count%1000+1, m.From>>2|1
	}
}

// TestTheWalletKnowsEveryActionOfALog: a log with an entry that the wallet cannot read is refused as a whole.
func TestTheWalletKnowsEveryActionOfALog(t *testing.T) {
	w := newWallet(t)
	var got, want []int
	w.ask(map[string]any{"op": "actions"}, &got)
	slices.Sort(got)
	for a := range 256 {
		if audit.Action(a).Known() {
			want = append(want, a)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got actions %v, want %v", got, want)
	}
}

// TestTheWalletOpensGuardiansCards: what a card stands for on the ledger, and the case that it asks for, come out alike.
func TestTheWalletOpensGuardiansCards(t *testing.T) {
	w := newWallet(t)
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 20 {
		var patient, account tx.Account
		var salt tx.Hash
		for _, v := range []any{&patient, &account, &salt} {
			fill(r, reflect.ValueOf(v).Elem())
		}
		seed := bytes.Repeat([]byte{byte(i + 1)}, 32)
		signer := tx.NewEd25519Signer(tx.Account{}, ed25519.NewKeyFromSeed(seed))
		card := map[string]any{"patient": patient, "salt": salt, "account": account}
		want := recovery.CommitAccount(salt, patient, account)
		if i%2 == 0 {
			card = map[string]any{"patient": patient, "salt": salt, "seed": seed}
			want = recovery.CommitKey(salt, patient, signer.Public().ID())
		}
		text, err := json.Marshal(card)
		if err != nil {
			t.Fatal(err)
		}
		key := randomKey(r)
		terms := recovery.Terms{Patient: patient, Number: uint64(i + 1), Kind: recovery.Keys, Keys: []tx.PublicKey{key}}
		var got struct{ Card, Commitment, ID, Request string }
		w.ask(map[string]any{"op": "guardian", "card": string(text), "chain": "salus-test", "number": i + 1, "key": key.String()}, &got)
		if id := terms.ID("salus-test"); got.Commitment != want.String() || got.ID != id.String() {
			t.Fatalf("got commitment %s and case %s, want %s and %s", got.Commitment, got.ID, want, id)
		}
		raw, err := hex.DecodeString(got.Request)
		if err != nil {
			t.Fatal(err)
		}
		var m recovery.Request
		if err := tx.Decode(raw, &m); err != nil {
			t.Fatal(err)
		}
		if err := m.Validate(); err != nil || m.Proof.Salt != salt {
			t.Errorf("got %v", err)
		}
		if i%2 == 0 && (m.Proof.Key == nil || m.Proof.Key.Verify(terms.ID("salus-test"), m.Proof.Signature, tx.PasskeyPolicy{}) != nil) {
			t.Error("the card's key did not sign the case")
		}
		var again map[string]any
		if err := json.Unmarshal([]byte(got.Card), &again); err != nil || len(again) != 3 || again["patient"] != patient.String() {
			t.Errorf("got the card %s", got.Card)
		}
	}
}

// TestTheWalletDirectsEmergenciesAsGoDoes: under the same map the same labels open at the same step; and staff's
// statements get the same commitments.
func TestTheWalletDirectsEmergenciesAsGoDoes(t *testing.T) {
	w := newWallet(t)
	r := rand.New(rand.NewPCG(7, 8))
	labels := fhir.AllLabels()
	for i := range 12 {
		m, err := record.NewSlotMap(crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		var without []fhir.Label
		for _, l := range labels {
			if i > 0 && r.IntN(4) == 0 {
				without = append(without, l)
			}
		}
		want, err := m.Directive(crand.Reader, without)
		if err != nil {
			t.Fatal(err)
		}
		var salt tx.Hash
		fill(r, reflect.ValueOf(&salt).Elem())
		text := "What happened: Köln, 12:00"
		var answer struct{ Set, More, Except, Commitment string }
		w.ask(map[string]any{"op": "emergency", "map": hex.EncodeToString(tx.MustEncode(m)), "without": append([]fhir.Label{}, without...), "salt": salt.String(), "text": text}, &answer)
		got := emergency.SetDirective{Patient: tx.Account{1}, Version: 1}
		for text, to := range map[string]*uint64{answer.Set: &got.Set, answer.More: &got.More, answer.Except: &got.Except} {
			if *to, err = strconv.ParseUint(text, 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		if err := got.Validate(); err != nil {
			t.Fatal(err)
		}
		say := func(d emergency.SetDirective) [3][]fhir.Label {
			a, b, c := m.EmergencyWords(d.Set&^d.Except, (d.Set|d.More)&^d.Except)
			return [3][]fhir.Label{a, b, c}
		}
		if !reflect.DeepEqual(say(got), say(want)) {
			t.Errorf("without %v: got %v, want %v", without, say(got), say(want))
		}
		if want := record.Statement(salt, []byte(text)); answer.Commitment != want.String() {
			t.Errorf("got the commitment %s, want %s", answer.Commitment, want)
		}
	}
}

// TestTheWalletReadsRowsOfTheBadDay: a row with a field that the wallet does not know is refused as a whole.
func TestTheWalletReadsRowsOfTheBadDay(t *testing.T) {
	w := newWallet(t)
	r := rand.New(rand.NewPCG(9, 10))
	for name, row := range map[string]func() any{
		"directive":   func() any { return new(emergency.Directive) },
		"emergency":   func() any { return new(emergency.Case) },
		"erasure":     func() any { return new(erasure.Case) },
		"certificate": func() any { return new(erasure.Certificate) },
		"holds":       func() any { return new(erasure.HoldList) },
		"recovery":    func() any { return new(recovery.Case) },
		"recoveries":  func() any { return new(recovery.PatientStatus) },
	} {
		for range 5 {
			v := row()
			fill(r, reflect.ValueOf(v).Elem())
			want := hex.EncodeToString(tx.MustEncode(v))
			var got struct{ Again, Error string }
			w.ask(map[string]any{"op": "row", "name": name, "row": want}, &got)
			if got.Again != want {
				t.Fatalf("%s: got another encoding, or %s", name, got.Error)
			}
		}
	}
}

func mendRecovery(r *rand.Rand, m *recovery.Request) {
	m.Terms.Kind, m.Terms.Executor = recovery.Keys, nil
	m.Terms.Keys = []tx.PublicKey{randomKey(r)}
	m.Terms.Revoke = []tx.KeyID{{1}, {2}}
	if m.Proof != nil {
		m.Terms.Document = tx.Hash{}
		mendProof(r, m.Proof)
	}
}

func mendProof(r *rand.Rand, p *recovery.Proof) {
	p.Key, p.Signature = nil, nil
	if r.IntN(2) == 0 {
		key := randomKey(r)
		p.Key, p.Signature = &key, &tx.Signature{Key: key.ID(), Alg: tx.AlgEd25519, Sig: make([]byte, 64)}
	}
}

func TestGoReadsRandomTransactionsOfTheWallet(t *testing.T) {
	w := newWallet(t)
	for seed := range 4 {
		var made []struct{ Raw, ID, Kind, Chain, Key string }
		w.ask(map[string]any{"op": "make", "seed": seed, "count": 100, "origin": origin, "rpId": rpID}, &made)
		if len(made) != 100 {
			t.Fatalf("got %d transactions, want 100", len(made))
		}
		for _, c := range made {
			raw, err := hex.DecodeString(c.Raw)
			if err != nil {
				t.Fatal(err)
			}
			e, body, err := tx.DecodeEnvelope(raw)
			if err != nil {
				t.Fatalf("%s: %v", c.Kind, err)
			}
			m := messages[body.Kind]()
			if err := tx.Decode(body.Payload, m); err != nil {
				t.Fatalf("%s: payload: %v", c.Kind, err)
			}
			if err := m.Validate(); err != nil {
				t.Errorf("%s: %v", c.Kind, err)
			}
			id := tx.Digest(e.Body, body.Chain)
			if id.String() != c.ID || string(body.Kind) != c.Kind || body.Chain != c.Chain {
				t.Errorf("%s: got another id, kind or chain", c.Kind)
			}
			key, err := tx.ParsePublicKey(c.Key)
			if err != nil {
				t.Fatal(err)
			}
			if err := key.Verify(id, &e.Signatures[0], tx.PasskeyPolicy{Origins: []string{origin}, RequireUV: true}); err != nil {
				t.Errorf("%s: %v", c.Kind, err)
			}
			if again, err := tx.Assemble(e.Body, e.Signatures...); err != nil || !bytes.Equal(again, raw) {
				t.Errorf("%s: got another encoding (%v)", c.Kind, err)
			}
		}
	}
}

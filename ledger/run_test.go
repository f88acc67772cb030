package ledger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

func TestAcceptedTransactionTakesEffectOnce(t *testing.T) {
	c := newToy(t)
	id, res := c.Do("toy.add", &add{"apples", 3}, "alice")
	wantCode(t, "add", res.Code, tx.CodeOK)
	v := view(t, c)
	if got := value(t, v, "apples"); got != 3 {
		t.Errorf("counter: got %d, want 3", got)
	}
	if len(res.Events) != 1 || res.Events[0].Type != "toy.added" {
		t.Errorf("events: got %v, want one toy.added", res.Events)
	}
	if got := v.Size(); got != 2 { // the genesis appended one
		t.Fatalf("log size: got %d, want 2", got)
	}
	raw, _ := v.Entry(1)
	e, err := ledger.DecodeEntry(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &ledger.Entry{Kind: entryAdded, Height: 1, Time: ledgertest.Start, Tx: id, Payload: tx.MustEncode(add{"apples", 3})}
	if d := cmp.Diff(want, e); d != "" {
		t.Errorf("log entry (-want +got):\n%s", d)
	}
}

func TestRefusedTransactionChangesNothingButItsNonce(t *testing.T) {
	c := newToy(t)
	size := view(t, c).Size()
	raw, id := c.Sign("toy.add", &add{"apples", 101}, "alice")
	wantCode(t, "over the limit", c.DoRaw(raw).Code, errToyLimit.Code)
	v := view(t, c)
	if got := value(t, v, "apples"); got != 0 || v.Size() != size {
		t.Errorf("a refused transaction left %d apples and %d log entries, want none", got, v.Size()-size)
	}
	if got := ledger.NextNonce(v, ledgertest.Account("alice")); got != 2 {
		t.Errorf("next nonce: got %d, want 2", got)
	}
	if r, ok := c.App(0).Result(id); !ok || r.Code != errToyLimit.Code || r.Height != 1 || r.Text != errToyLimit.Text {
		t.Errorf("result: got %+v, %v, want the refusal at height 1", r, ok)
	}
}

func TestEmptyBlocksLeaveTheAppHash(t *testing.T) {
	c := newToy(t)
	c.Do("toy.add", &add{"apples", 3}, "alice")
	before := c.Head().AppHash
	for range 20 {
		c.Wait(5 * time.Second)
		c.Block()
	}
	if h := c.Head(); h.AppHash != before || h.Height != 21 || h.Time != ledgertest.Start+100 {
		t.Errorf("after empty blocks: got %+v, want app hash %x", h, before)
	}
	c.Wait(time.Hour) // a hook has something to do
	c.Block()
	if c.Head().AppHash == before {
		t.Error("a block whose hook wrote a row left the app hash")
	}
}

func TestReplayWindow(t *testing.T) {
	c := newToy(t)
	nonce := func(n uint64) uint32 {
		raw, _ := c.SignWith("toy.add", &add{fmt.Sprint("n", n), 1}, n, 100, "bob")
		return c.DoRaw(raw).Code
	}
	for _, s := range []struct {
		nonce uint64
		want  uint32
		why   string
	}{
		{0, tx.CodeNonceTooOld, "nonces begin at 1"},
		{1, tx.CodeOK, "the first"},
		{1, tx.CodeNonceReplay, "the same again"},
		{5, tx.CodeOK, "ahead of what is lost"},
		{3, tx.CodeOK, "late, inside the window"},
		{3, tx.CodeNonceReplay, "late twice"},
		{5 + 1<<16 + 1, tx.CodeNonceTooFarAhead, "too far ahead"},
		{5 + 1<<16, tx.CodeOK, "as far ahead as allowed"},
		{5 + 1<<16 - 1024, tx.CodeNonceTooOld, "below the window"},
		{5 + 1<<16 - 1023, tx.CodeOK, "the lowest of the window"},
		{5, tx.CodeNonceTooOld, "a used one that fell out of the window"},
		{1 << 63, tx.CodeNonceTooFarAhead, "very far ahead"},
	} {
		wantCode(t, fmt.Sprintf("nonce %d (%s)", s.nonce, s.why), nonce(s.nonce), s.want)
	}
	if got, want := ledger.NextNonce(view(t, c), ledgertest.Account("bob")), uint64(5+1<<16+1); got != want {
		t.Errorf("next nonce: got %d, want %d", got, want)
	}
	if got := ledger.NextNonce(view(t, c), ledgertest.Account("carol")); got != 1 {
		t.Errorf("next nonce of a fresh account: got %d, want 1", got)
	}
}

// Who was told no must not find a yes later: the same bytes can never succeed.
func TestRefusedTransactionCannotComeBack(t *testing.T) {
	c := newToy(t)
	c.Do("toy.add", &add{"apples", 60}, "bob")
	raw, _ := c.SignWith("toy.add", &add{"apples", 60}, 1, 100, "alice")
	wantCode(t, "over the limit", c.DoRaw(raw).Code, errToyLimit.Code)
	wantCode(t, "the same bytes", c.DoRaw(raw).Code, tx.CodeNonceReplay)
	raw, _ = c.SignWith("toy.add", &add{"apples", 40}, 1, 100, "alice")
	wantCode(t, "the same nonce", c.DoRaw(raw).Code, tx.CodeNonceReplay)
	raw, _ = c.SignWith("toy.add", &add{"apples", 40}, 2, 100, "alice")
	wantCode(t, "the next nonce", c.DoRaw(raw).Code, tx.CodeOK)
}

func TestExpiry(t *testing.T) {
	c := newToy(t)
	for c.Head().Height < 9 {
		c.Block()
	}
	for i, s := range []struct {
		expiry uint64 // the next block is 10, 11 ...
		want   uint32
	}{
		{9, tx.CodeExpired},
		{11, tx.CodeOK}, // block 11: the last possible one
		{12 + 1000, tx.CodeOK},
		{13 + 1001, tx.CodeExpiryTooFar},
		{0, tx.CodeExpired},
		{1<<64 - 1, tx.CodeExpiryTooFar},
	} {
		raw, _ := c.SignWith("toy.add", &add{"e", 1}, uint64(i+1), s.expiry, "alice")
		wantCode(t, fmt.Sprintf("expiry %d in block %d", s.expiry, c.Head().Height+1), c.DoRaw(raw).Code, s.want)
	}
}

// Every way in which bytes are not a transaction that may be in a block, with
// its own code, the same in CheckTx, in proposals and in delivery.
func TestNotAdmitted(t *testing.T) {
	c := newToy(t)
	good, _ := c.SignWith("toy.add", &add{"g", 1}, 1, 100, "alice")
	nonce := uint64(1)
	resign := func(chain string, kind tx.Kind, payload []byte) []byte {
		nonce++
		body := tx.MustEncode(tx.Body{Chain: chain, Kind: kind, Payload: payload, Signer: ledgertest.Account("alice"), Nonce: nonce, Expiry: 100})
		s, err := ledgertest.Signer("alice").Sign(tx.Digest(body, ledgertest.ChainID))
		if err != nil {
			t.Fatal(err)
		}
		return tx.MustEncode(tx.Envelope{Body: body, Signatures: []tx.Signature{s}})
	}
	payload := tx.MustEncode(add{"g", 1})
	stranger, _ := c.SignWith("toy.add", &add{"g", 1}, 1, 100, "mallory")
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	trailing := append(bytes.Clone(good), 0)
	for name, s := range map[string]struct {
		raw  []byte
		want uint32
	}{
		"nothing":             {nil, tx.CodeMalformed},
		"garbage":             {[]byte("garbage"), tx.CodeMalformed},
		"trailing byte":       {trailing, tx.CodeMalformed},
		"too large":           {make([]byte, 1001), tx.CodeTooLarge},
		"other chain":         {resign("elsewhere", "toy.add", payload), tx.CodeWrongChain},
		"unknown module":      {resign(ledgertest.ChainID, "nothing.add", payload), tx.CodeUnknownKind},
		"unknown kind":        {resign(ledgertest.ChainID, "toy.subtract", payload), tx.CodeUnknownKind},
		"stranger":            {stranger, tx.CodeUnknownSigner},
		"forged signature":    {forged, tx.CodeBadSignature},
		"signed, but no CBOR": {resign(ledgertest.ChainID, "toy.add", []byte("garbage")), tx.CodePayload},
		"signed, but empty":   {resign(ledgertest.ChainID, "toy.add", tx.MustEncode(add{"g", 0})), errToyZero.Code},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, "CheckTx", c.Check(s.raw).Code, s.want)
			if kept := c.Prepare(s.raw); len(kept) != 0 {
				t.Error("it was proposed")
			}
			before := c.Head().AppHash
			// What was signed and in time may be in a block: its sender learns why.
			signed := s.want == tx.CodePayload || s.want == errToyZero.Code
			if got := c.Process(s.raw); got != signed {
				t.Errorf("proposal with it accepted: got %v, want %v", got, signed)
			}
			wantCode(t, "FinalizeBlock", c.Finalize(s.raw).TxResults[0].Code, s.want)
			if got := c.Head().AppHash != before; got != signed {
				t.Errorf("it changed the app hash: got %v, want %v", got, signed)
			}
		})
	}
	wantCode(t, "the good one", c.DoRaw(good).Code, tx.CodeOK)
}

func TestProposalDropsWhatFails(t *testing.T) {
	c := newToy(t)
	sign := func(by string, m *add) []byte { raw, _ := c.Sign("toy.add", m, by); return raw }
	a, b := sign("alice", &add{"x", 60}), sign("bob", &add{"x", 60})
	d := sign("carol", &add{"x", 40})
	kept := c.Prepare(a, b, []byte("garbage"), d, a)
	if diff := cmp.Diff([][]byte{a, d}, kept); diff != "" {
		t.Fatalf("proposal (-want +got):\n%s", diff)
	}
	for i, r := range c.Block(a, b, d, a) {
		wantCode(t, fmt.Sprint("transaction ", i), r.Code, tx.CodeOK)
	}
	if got := count(t, c, "x"); got != 100 {
		t.Errorf("counter: got %d, want 100", got)
	}
	wantCode(t, "a replay", c.DoRaw(a).Code, tx.CodeNonceReplay)
	if c.Process(a) {
		t.Error("a proposal with a replay was accepted")
	}
}

func TestProposalRespectsItsSize(t *testing.T) {
	c := newToy(t)
	var raws [][]byte
	for i := range 5 {
		raw, _ := c.Sign("toy.add", &add{fmt.Sprint("s", i), 1}, "alice")
		raws = append(raws, raw)
	}
	one := int64(len(raws[0])) + 3 // a field tag and a length of two bytes
	for room, want := range map[int64]int{0: 0, one - 1: 0, one: 1, 3*one - 1: 2, 3 * one: 3} {
		if got := len(prepare(t, c, room, raws...)); got != want {
			t.Errorf("room for %d bytes: got %d transactions, want %d", room, got, want)
		}
	}
}

func TestProposalWithADuplicateIsRefused(t *testing.T) {
	c := newToy(t)
	// Refused by its handler, so the nonce stays free: only the id tells.
	raw, id := c.Sign("toy.add", &add{"x", 101}, "alice")
	if !c.Process(raw) {
		t.Error("a proposal with a transaction that its handler refuses was refused")
	}
	if c.Process(raw, raw) {
		t.Error("a proposal with the same transaction twice was accepted")
	}
	res := c.Finalize(raw, raw).TxResults
	wantCode(t, "first", res[0].Code, errToyLimit.Code)
	wantCode(t, "second", res[1].Code, tx.CodeDuplicateInBlock)
	if r, _ := c.App(0).Result(id); r.Code != errToyLimit.Code || r.Index != 0 {
		t.Errorf("result: got %+v, want the first one's", r)
	}
}

func TestSuccessIsFinalInTheResults(t *testing.T) {
	c := newToy(t)
	raw, id := c.Sign("toy.add", &add{"x", 1}, "alice")
	c.Block(raw)
	c.Finalize(raw) // a replay that a faulty majority let through
	want := ledger.Result{Height: 1}
	if got, ok := c.App(0).Result(id); !ok || got != want {
		t.Errorf("result: got %+v, %v, want %+v", got, ok, want)
	}
	if _, ok := c.App(0).Result(tx.Hash{1}); ok {
		t.Error("an unknown transaction has a result")
	}
}

func TestMemberQuota(t *testing.T) {
	c := newToy(t)
	var raws [][]byte
	for i := range 7 {
		raw, _ := c.Sign("toy.add", &add{fmt.Sprint("q", i), 1}, "alice")
		raws = append(raws, raw)
	}
	other, _ := c.Sign("toy.add", &add{"other", 1}, "bob")
	raws = append(raws, other)
	if kept := c.Prepare(raws...); len(kept) != 6 || !bytes.Equal(kept[5], other) {
		t.Errorf("proposal: got %d transactions, want 5 of alice and 1 of bob", len(kept))
	}
	if c.Process(raws...) {
		t.Error("a proposal over alice's quota was accepted")
	}
	res := c.Finalize(raws...).TxResults
	wantCode(t, "the fifth", res[4].Code, tx.CodeOK)
	wantCode(t, "the sixth", res[5].Code, tx.CodeQuota)
	wantCode(t, "bob's", res[7].Code, tx.CodeOK)

	for i, raw := range raws[5:7] { // the next block is a fresh quota
		wantCode(t, fmt.Sprint("leftover ", i), c.Check(raw).Code, tx.CodeOK)
	}
	for i := range 4 { // between two commits, CheckTx lets one quota pass
		raw, _ := c.Sign("toy.add", &add{fmt.Sprint("r", i), 1}, "alice")
		want := tx.CodeOK
		if i == 3 {
			want = tx.CodeQuota
		}
		wantCode(t, fmt.Sprint("check ", i), c.Check(raw).Code, want)
	}
	c.Block()
	raw, _ := c.Sign("toy.add", &add{"after", 1}, "alice")
	wantCode(t, "after a commit", c.Check(raw).Code, tx.CodeOK)
}

func TestMemberQuotaOfBytes(t *testing.T) {
	c := newToy(t)
	var raws [][]byte
	for i := range 3 { // about 860 bytes each, of 2,000
		raw, _ := c.Sign("toy.add", &add{strings.Repeat("x", 700) + fmt.Sprint(i), 1}, "alice")
		raws = append(raws, raw)
	}
	if kept := c.Prepare(raws...); len(kept) != 2 {
		t.Errorf("proposal: got %d transactions, want 2", len(kept))
	}
	if c.Process(raws...) {
		t.Error("a proposal over alice's quota was accepted")
	}
}

func TestPseudonymQuotaIsWithinTheStewards(t *testing.T) {
	c := newToy(t)
	sign := func(by string, n int) (raws [][]byte) {
		for i := range n {
			raw, _ := c.Sign("toy.add", &add{fmt.Sprint(by, i), 1}, by)
			raws = append(raws, raw)
		}
		return raws
	}
	p := sign("pseudonym", 3)
	if kept := c.Prepare(p...); len(kept) != 2 {
		t.Errorf("a pseudonym alone: got %d transactions, want 2", len(kept))
	}
	if kept := c.Prepare(append(sign("alice", 4), p...)...); len(kept) != 5 {
		t.Errorf("with her steward: got %d transactions, want 5", len(kept))
	}
}

func TestHandlerWithAnUncodedErrorHalts(t *testing.T) {
	c := newToy(t)
	raw, _ := c.Sign("toy.broken", &broken{}, "alice")
	if got := panics(func() { finalize(t, c.App(0), c, raw) }); !strings.Contains(got, "internal error") {
		t.Fatalf("panic: got %q, want an internal error", got)
	}
	if err := c.App(0).Hold(nil); err == nil {
		t.Error("a halted node still lets others act on its state")
	}
	res, err := c.App(0).CheckTx(t.Context(), checkRequest(raw))
	if err != nil || res.Code == tx.CodeOK {
		t.Errorf("a halted node checked a transaction: %v, %v", res, err)
	}
	if _, err := c.App(0).Ask("toy/counter", nil); err == nil {
		t.Error("a halted node answered a query")
	}
}

// An input that sets off a bug stays out of blocks; in a decided block it halts.
func TestFaultOfTheProgramStaysOutOfBlocks(t *testing.T) {
	c := newToy(t)
	good, _ := c.Sign("toy.faulty", &faulty{0}, "alice")
	bad, _ := c.Sign("toy.faulty", &faulty{9}, "alice")
	wantCode(t, "without the fault", c.Check(good).Code, tx.CodeOK)
	wantCode(t, "with the fault", c.Check(bad).Code, 0x010b)
	if kept := c.Prepare(bad, good); len(kept) != 1 || !bytes.Equal(kept[0], good) {
		t.Errorf("proposal: got %d transactions, want only the good one", len(kept))
	}
	if c.Process(bad) {
		t.Error("a proposal with it was accepted")
	}
	c.Block(good)
	if got := panics(func() { finalize(t, c.App(0), c, bad) }); got == "" {
		t.Error("a decided block with it did not halt")
	}
}

func TestClosedAppLetsNobodyHold(t *testing.T) {
	p := toyNetwork()
	a := open(t, p, t.TempDir())
	initChain(t, p, a)
	if _, err := a.FinalizeBlock(t.Context(), &abci.RequestFinalizeBlock{Height: 1}); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() { waiting <- a.Hold(func(*state.View, ledger.Head) error { return nil }) }()
	if err := a.Close(); err != nil { // between FinalizeBlock and Commit
		t.Fatal(err)
	}
	if err := <-waiting; err == nil {
		t.Error("somebody held a closed node")
	}
}

func panics(f func()) (what string) {
	defer func() {
		if r := recover(); r != nil {
			what = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

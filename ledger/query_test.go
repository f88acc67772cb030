package ledger_test

import (
	"fmt"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// proofOf decodes the one proof of an answer.
func proofOf(t testing.TB, res *abci.ResponseQuery, kind string, p any) {
	t.Helper()
	if res.ProofOps == nil || len(res.ProofOps.Ops) != 1 || res.ProofOps.Ops[0].Type != kind {
		t.Fatalf("proof: got %v, want one of type %s", res.ProofOps, kind)
	}
	if err := tx.DecodeAny(res.ProofOps.Ops[0].Data, p, 1<<20); err != nil {
		t.Fatal(err)
	}
}

func TestRowIsAnsweredWithAProof(t *testing.T) {
	c := newToy(t)
	c.Do("toy.add", &add{"apples", 3}, "alice")
	for _, name := range []string{"apples", "pears"} {
		key := counters.Key([]byte(name))
		res := c.Query(&abci.RequestQuery{Path: ledger.PathKey, Data: key, Prove: true})
		wantCode(t, name, res.Code, tx.CodeOK)
		var p state.KeyProof
		proofOf(t, res, ledger.ProofKey, &p)
		var want []byte
		if name == "apples" {
			want = tx.MustEncode(counter{3})
		}
		if string(res.Value) != string(want) || res.Height != c.Head().Height {
			t.Errorf("%s: got %x at %d, want %x", name, res.Value, res.Height, want)
		}
		if err := p.Verify(c.Head().AppHash, key, want); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := p.Verify(c.Head().AppHash, key, tx.MustEncode(counter{4})); err == nil {
			t.Errorf("%s: the proof shows another value", name)
		}
	}
}

func TestLogEntryIsAnsweredWithAProof(t *testing.T) {
	c := newToy(t)
	for range 5 {
		c.Do("toy.add", &add{"apples", 1}, "alice")
	}
	arg := tx.MustEncode(ledger.ByIndex{Index: 2})
	res := c.Query(&abci.RequestQuery{Path: ledger.PathEntry, Data: arg, Prove: true})
	var p state.EntryProof
	proofOf(t, res, ledger.ProofEntry, &p)
	if err := p.Verify(c.Head().AppHash, 2, res.Value); err != nil {
		t.Error(err)
	}
	if err := p.Verify(c.Head().AppHash, 3, res.Value); err == nil {
		t.Error("the proof shows another index")
	}
	if e, err := ledger.DecodeEntry(res.Value); err != nil || e.Height != 2 {
		t.Errorf("entry: got %+v, %v, want one of height 2", e, err)
	}
}

func TestLogOnlyGrows(t *testing.T) {
	c := newToy(t)
	c.Do("toy.add", &add{"apples", 1}, "alice")
	v := c.App(0).View()
	old := v.Meta()
	v.Close()
	for range 4 {
		c.Do("toy.add", &add{"apples", 1}, "alice")
	}
	res := c.Query(&abci.RequestQuery{Path: ledger.PathExtension, Data: tx.MustEncode(ledger.BySize{Size: old.LogSize})})
	var p state.ExtensionProof
	if err := tx.Decode(res.Value, &p); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(old.AppHash, old.Roots(), c.Head().AppHash); err != nil {
		t.Error(err)
	}
	if err := p.Verify(old.AppHash, old.Roots(), old.AppHash); err == nil {
		t.Error("the proof shows another log")
	}
}

func TestModuleAnswers(t *testing.T) {
	c := newToy(t)
	c.Do("toy.add", &add{"apples", 3}, "alice")
	arg := tx.MustEncode(byName{"apples"})
	res := c.Query(&abci.RequestQuery{Path: "toy/counter", Data: arg})
	var got counter
	if err := tx.Decode(res.Value, &got); err != nil || got.Value != 3 {
		t.Errorf("answer: got %+v, %v, want 3", got, err)
	}
	answer, err := c.App(0).Ask("toy/counter", arg)
	if err != nil || string(answer) != string(res.Value) {
		t.Errorf("in process: got %x, %v, want %x", answer, err, res.Value)
	}
}

func TestKeptHeightsAreAnswered(t *testing.T) {
	p := toyNetwork()
	p.Options.Keep = 4
	c := ledgertest.New(t, p)
	for range 10 {
		c.Do("toy.add", &add{"apples", 1}, "alice")
	}
	for height, want := range map[int64]uint64{10: 10, 8: 8, 7: 7, 6: 0, 1: 0, 11: 0, -1: 0} {
		res := c.Query(&abci.RequestQuery{Path: "toy/counter", Data: tx.MustEncode(byName{"apples"}), Height: height})
		if want == 0 {
			if res.Code == tx.CodeOK {
				t.Errorf("height %d: answered, want a refusal", height)
			}
			continue
		}
		var got counter
		if err := tx.Decode(res.Value, &got); err != nil || got.Value != want || res.Height != height {
			t.Errorf("height %d: got %+v at %d, %v, want %d", height, got, res.Height, err, want)
		}
	}
}

func TestTransactionResultIsAnswered(t *testing.T) {
	c := newToy(t)
	id, _ := c.Do("toy.add", &add{"apples", 101}, "alice")
	res := c.Query(&abci.RequestQuery{Path: ledger.PathTx, Data: tx.MustEncode(ledger.ByID{ID: id})})
	var got ledger.Result
	want := ledger.Result{Height: 1, Code: errToyLimit.Code, Text: errToyLimit.Text}
	if err := tx.Decode(res.Value, &got); err != nil || got != want {
		t.Errorf("result: got %+v, %v, want %+v", got, err, want)
	}
}

func TestQuestionsThatAreRefused(t *testing.T) {
	c := newToy(t)
	for name, q := range map[string]struct {
		path  string
		arg   []byte
		prove bool
		want  uint32
	}{
		"no path":                  {"", nil, false, 0x0102},
		"unknown path":             {"toy/nothing", nil, false, 0x0102},
		"key without bytes":        {ledger.PathKey, nil, true, 0x0104},
		"entry without an index":   {ledger.PathEntry, []byte("x"), false, 0x0104},
		"entry beyond the log":     {ledger.PathEntry, tx.MustEncode(ledger.ByIndex{Index: 1 << 40}), true, 0x0105},
		"extension of the future":  {ledger.PathExtension, tx.MustEncode(ledger.BySize{Size: 1 << 40}), false, 0x0108},
		"extension without a size": {ledger.PathExtension, nil, false, 0x0104},
		"unknown transaction":      {ledger.PathTx, tx.MustEncode(ledger.ByID{ID: tx.Hash{1}}), false, 0x0106},
		"no transaction":           {ledger.PathTx, nil, false, 0x0104},
		"module with a proof":      {"toy/counter", tx.MustEncode(byName{"x"}), true, 0x0107},
		"module refuses":           {"toy/counter", tx.MustEncode(byName{"x"}), false, errToyNone.Code},
		"module's argument":        {"toy/counter", []byte("x"), false, errToyArg.Code},
	} {
		res := c.Query(&abci.RequestQuery{Path: q.path, Data: q.arg, Prove: q.prove})
		wantCode(t, name, res.Code, q.want)
		if res.Value != nil || res.Log == "" {
			t.Errorf("%s: got value %x and sentence %q, want only a sentence", name, res.Value, res.Log)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(tx.MustEncode(ledger.Entry{Kind: entryAdded, Height: 1, Payload: []byte{0xa0}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ledger.DecodeEntry(b)
		if err != nil {
			if _, ok := tx.CodeOf(err); !ok {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if again := tx.MustEncode(e); string(again) != string(b) {
			t.Fatalf("decodes but re-encodes to %x", again)
		}
	})
}

// Whatever bytes arrive, CheckTx and delivery refuse them alike and nothing
// changes.
func FuzzTransactionBytes(f *testing.F) {
	c := newToy(f)
	raw, _ := c.SignWith("toy.add", &add{"f", 1}, 7, 1000, "alice")
	f.Add(raw)
	f.Add([]byte(nil))
	f.Add([]byte{0xa2, 0x01, 0x40, 0x02, 0x80})
	before := c.Head().AppHash
	f.Fuzz(func(t *testing.T, b []byte) {
		if string(b) == string(raw) {
			return
		}
		c := c.In(t)
		if code := c.Check(b).Code; code == tx.CodeOK {
			t.Fatal("accepted")
		}
		if c.Process(b) {
			if _, _, err := tx.DecodeEnvelope(b); err != nil {
				t.Fatal("proposed, but no envelope")
			}
		}
		if c.Head().AppHash != before {
			t.Fatal("changed the state")
		}
	})
}

func TestNextNonceCountsOn(t *testing.T) {
	c := newToy(t)
	for want := uint64(1); want < 4; want++ {
		v := c.App(0).View()
		got := ledger.NextNonce(v, ledgertest.Account("alice"))
		v.Close()
		if got != want {
			t.Errorf("next nonce: got %d, want %d", got, want)
		}
		c.Do("toy.add", &add{fmt.Sprint(want), 1}, "alice")
	}
}

package governance

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

func FuzzPropose(f *testing.F) {
	n := uint64(60)
	fuzz(f,
		&Propose{},
		&Propose{Action{Admit: admission("e", Clinic, true)}},
		&Propose{Action{Remove: &Remove{account("e")}}},
		&Propose{Action{SetParams: &Changes{LeaseSeconds: &n, Origins: []string{"https://wallet.example"}}}},
		&Propose{Action{Disaster: &Disaster{Class: Hospital, Seconds: 3600}}},
		&Propose{Action{Erase: &Erase{Batch: tx.Hash{1}, Leaf: tx.Hash{2}, Ground: tx.Hash{3}}}},
		&Propose{Action{Hold: &Hold{Patient: account("p"), Matter: tx.Hash{3}, Lift: true}}},
		&Propose{Action{SetValidator: &SetValidator{account("e"), bytes32("v")}}},
	)
}

func FuzzVote(f *testing.F) { fuzz(f, &Vote{tx.Hash{1}, true}) }

func FuzzAddress(f *testing.F) { fuzz(f, &Address{"[2001:db8::1]:7000", bytes32("p")}) }

func FuzzRotate(f *testing.F) {
	fuzz(f, &Rotate{Add: []tx.PublicKey{key("a")}, Revoke: []tx.KeyID{key("b").ID()}})
}

// What a genesis accepts, the network can start with.
func FuzzGenesis(f *testing.F) {
	f.Add([]byte(`{"members":[{"name":"Sample","class":"clinic","keys":[]}],"params":{"sessionMax":60}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w := &world{state: freshState()}
		if genesis(w.context(w.state, nobody), raw) != nil {
			return
		}
		if err := ParamsOf(w.state).Validate(); err != nil || len(Validators(w.state)) == 0 {
			t.Errorf("accepted, with parameters %v and %d validators", err, len(Validators(w.state)))
		}
	})
}

package consent

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// elsewhere draws what was said under one or two other pseudonyms.
func elsewhere() *rapid.Generator[[]Other] {
	return rapid.Custom(func(t *rapid.T) (out []Other) {
		for i := range rapid.IntRange(1, 2).Draw(t, "others") {
			c := consents().Draw(t, "said elsewhere")
			c.Head = Head{}
			for j := range c.Grants {
				g := &c.Grants[j].Grant
				g.ID, g.Mask, g.Uses, c.Grants[j].Left = GrantID{}, 0, 0, 0
				if c.Grants[j].By == patient {
					c.Grants[j].By = tx.Account{byte(20 + i)}
				}
			}
			for j := range c.Proxies {
				c.Proxies[j].Proxy.Mask = 0
			}
			out = append(out, Other{Patient: tx.Account{byte(20 + i)}, Consents: c})
		}
		return out
	})
}

// naivelyDenied is what is taken from somebody who would be allowed everything elsewhere: the model of model_test.go
// asked twice, once as if nothing were excepted.
func naivelyDenied(up map[string][]string, q Question, o Other) uint64 {
	q.Patient, q.Requested = o.Patient, ^uint64(0)
	ask := func(except uint64) uint64 {
		c := Consents{Grants: slices.Clone(o.Consents.Grants), Proxies: slices.Clone(o.Consents.Proxies)}
		for i := range c.Grants {
			c.Grants[i].Grant.Except &= except
		}
		for i := range c.Proxies {
			c.Proxies[i].Proxy.Mask = ^uint64(0)
			c.Proxies[i].Proxy.Except &= except
		}
		c.Grants = append(c.Grants, Standing{By: o.Patient, Grant: Grant{
			Grantee: Grantee{Kind: OnePractitioner, Account: q.Actor.Account}, Mask: ^uint64(0), Purposes: PurposesOf(q.Purpose),
		}})
		return naive(up, q, c)
	}
	return ask(0) &^ ask(^uint64(0))
}

// What she is promised under one pseudonym is what the specification says, whatever was said under the others.
func TestABasisDecidesAsTheModelDoesForMergedPseudonyms(t *testing.T) {
	up := ancestors(t)
	withheld := 0
	rapid.Check(t, func(t *rapid.T) {
		b := Basis{Consents: consents().Draw(t, "consents"), Others: elsewhere().Draw(t, "elsewhere")}
		for range 30 {
			q := questions(b.Consents).Draw(t, "question")
			want := naive(up, q, b.Consents)
			if q.Actor.Account != q.Patient {
				for _, o := range b.Others {
					want &^= naivelyDenied(up, q, o)
				}
			}
			got := b.Decide(q).Allowed
			if got != want {
				t.Fatalf("got %#x, want %#x", got, want)
			}
			if got != Decide(q, b.Consents).Allowed {
				withheld++
			}
		}
	})
	if withheld == 0 && !testing.Short() {
		t.Error("nothing was ever withheld: the test shows too little")
	}
}

// What leaves the ledger about another pseudonym denies the same, and says nothing of what is allowed there.
func TestWhatIsSaidOfAnotherPseudonymOnlyDenies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := state.NewCache(empty{})
		other := tx.Account{20}
		c := consents().Draw(t, "said elsewhere")
		for _, s := range c.Grants {
			if s.By == patient {
				s.By = other
			}
			grants.Put(w, pair(other, s.Grant.ID), s)
		}
		for _, s := range c.Proxies {
			proxies.Put(w, pair(other, s.Proxy.Account), s)
		}
		slots := rapid.Permutation(Together(w, other)[0].Slots).Draw(t, "slots")
		if err := Unite(&ledger.Context{State: w}, other, patient, slots); err != nil {
			t.Fatal(err)
		}
		b := BasisOf(w, patient)
		q := questions(Consents{}).Draw(t, "question")
		q.Requested = ^uint64(0)
		there := q
		there.Patient = other
		want := slots.Of(denied(there, Load(w, other)))
		if q.Actor.Account == q.Patient {
			want = 0
		}
		if got := b.Withheld(q); got != want {
			t.Fatalf("got %#x withheld, want %#x", got, want)
		}
		for _, o := range b.Others {
			there.Patient = o.Patient
			if Decide(there, o.Consents).Allowed != 0 && there.Actor.Account != o.Patient {
				t.Fatalf("got %+v, which allows something", o)
			}
			for _, s := range o.Consents.Grants {
				if s.Grant.ID != (GrantID{}) || s.Grant.Document != (tx.Hash{}) || s.Left != 0 {
					t.Fatalf("got %+v, want what denies only", s)
				}
			}
		}
		if b.Condition != (identity.Condition{}) || len(b.Others) != 1 {
			t.Fatalf("got %+v", b)
		}
	})
}

type empty struct{}

func (empty) Get([]byte) ([]byte, bool)              { return nil, false }
func (empty) Scan([]byte, func([]byte, []byte) bool) {}
func (empty) Size() uint64                           { return 0 }

package record

import (
	"errors"
	"testing"

	"salus/ledger/module/lookup"
	"salus/ledger/state"
	"salus/ledger/tx"
)

func FuzzCard(f *testing.F) {
	c, err := NewCard(tx.Account{1, 2})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Text())
	f.Add(" " + c.Text() + "\n")
	f.Add("SALUS1:")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCard(s)
		if err != nil {
			if !errors.Is(err, ErrCard) {
				t.Errorf("got %v, want ErrCard", err)
			}
			return
		}
		if again, err := ParseCard(c.Text()); err != nil || again != c {
			t.Errorf("got another card after writing it: %v", err)
		}
	})
}

type noRows struct{}

func (noRows) Get([]byte) ([]byte, bool)              { return nil, false }
func (noRows) Scan([]byte, func([]byte, []byte) bool) {}
func (noRows) Size() uint64                           { return 0 }

func TestCardsThatAreNotTheLedgersAreRefused(t *testing.T) {
	s := state.NewCache(noRows{})
	rows := state.NewTable[lookup.Card]("cards", lookup.Prefix, 0x0a)
	c, err := NewCard(tx.Account{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckCard(s, c); !errors.Is(err, ErrCard) {
		t.Errorf("never issued: got %v, want ErrCard", err)
	}
	h := c.Hash()
	rows.Put(s, h[:], lookup.Card{Patient: tx.Account{1}})
	if err := CheckCard(s, c); err != nil {
		t.Errorf("issued: got %v, want nil", err)
	}
	other := c
	other.Patient = tx.Account{2}
	if err := CheckCard(s, other); !errors.Is(err, ErrCard) {
		t.Errorf("another pseudonym on it: got %v, want ErrCard", err)
	}
	rows.Put(s, h[:], lookup.Card{Patient: tx.Account{1}, Revoked: true})
	if err := CheckCard(s, c); !errors.Is(err, ErrCard) {
		t.Errorf("revoked: got %v, want ErrCard", err)
	}
	if got := c.String(); got != "[sealed]" {
		t.Errorf("got %q, want [sealed]", got)
	}
}

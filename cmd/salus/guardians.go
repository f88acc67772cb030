package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// A card is what a guardian keeps: the salt that shows whom the commitment on the ledger means,
// and, for a guardian without an account, her key.
type card struct {
	Patient tx.Account  `json:"patient"`
	Salt    tx.Hash     `json:"salt"`
	Account *tx.Account `json:"account,omitempty"`
	Seed    []byte      `json:"seed,omitempty"` // Ed25519
}

func (c *card) commitment() tx.Hash {
	if c.Account != nil {
		return recovery.CommitAccount(c.Salt, c.Patient, *c.Account)
	}
	return recovery.CommitKey(c.Salt, c.Patient, c.key().Public().ID())
}

func (c *card) key() tx.Signer {
	return tx.NewEd25519Signer(tx.Account{}, ed25519.NewKeyFromSeed(c.Seed))
}

// proof shows that the card's owner is a guardian, for this case.
func (c *card) proof(id tx.Hash) (*recovery.Proof, error) {
	p := &recovery.Proof{Salt: c.Salt}
	if c.Account != nil {
		return p, nil
	}
	sig, err := c.key().Sign(id)
	if err != nil {
		return nil, fmt.Errorf("salus: %w", err)
	}
	key := c.key().Public()
	p.Key, p.Signature = &key, &sig
	return p, nil
}

func loadCard(path string) (*card, error) {
	var c card
	if err := readJSON(path, &c); err != nil {
		return nil, err
	}
	if (c.Account == nil) != (len(c.Seed) == ed25519.SeedSize) {
		return nil, usageError{"the guardian's card is damaged"}
	}
	return &c, nil
}

type recoveryGuardians struct {
	Wallet    string   `help:"The patient's wallet." required:"" type:"existingfile"`
	Account   []string `help:"A guardian's account: another patient's pseudonym or a practitioner's."`
	Paper     int      `help:"Guardians without an account, each of whom gets a key on her card."`
	Threshold uint8    `help:"How many of them it takes; at least 2."`
	Cards     string   `help:"Directory for the cards." type:"path"`
	None      bool     `help:"Have no guardians any more."`
}

// shown is how many commitments the ledger shows at least: the rest are dummies, so that it
// does not tell how many people she trusts.
const shown = 8

func (c *recoveryGuardians) Run(e *env) error {
	w, api, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	if c.None == (len(c.Account)+c.Paper > 0) {
		return usageError{"name guardians with --account and --paper, or --none"}
	}
	m := &recovery.SetGuardians{Patient: w.Patient, Threshold: c.Threshold}
	var cards []*card
	if !c.None {
		if c.Cards == "" || c.Threshold < recovery.MinThreshold || int(c.Threshold) > len(c.Account)+c.Paper {
			return usageError{"say --threshold, at least 2 and no more than there are guardians, and a directory for their --cards"}
		}
		if cards, err = c.draw(w.Patient); err != nil {
			return err
		}
		if m.Commitments, err = commitments(cards); err != nil {
			return err
		}
	}
	s, err := recoveryOf(e, api, w.Patient)
	if err != nil {
		return err
	}
	m.Version = s.Guardians.Version + 1
	// Before the ledger hears of it: a commitment that nobody can open is no guardian.
	if err := saveCards(c.Cards, cards); err != nil {
		return err
	}
	got, err := by.Submit(e.ctx, recovery.KindGuardians, m)
	if err != nil {
		return err
	}
	if err := e.committed(got); err != nil {
		return err
	}
	if !c.None {
		e.say("%d cards are in %s. Give each guardian hers, and keep none of them where your wallet is.", len(cards), c.Cards)
	}
	return nil
}

func (c *recoveryGuardians) draw(patient tx.Account) ([]*card, error) {
	var cards []*card
	for _, text := range c.Account {
		a, err := account(text)
		if err != nil {
			return nil, err
		}
		if a == patient {
			return nil, usageError{"she is not her own guardian"}
		}
		cards = append(cards, &card{Patient: patient, Account: &a})
	}
	for range c.Paper {
		seed := make([]byte, ed25519.SeedSize)
		if _, err := io.ReadFull(rand.Reader, seed); err != nil {
			return nil, fmt.Errorf("salus: random numbers: %w", err)
		}
		cards = append(cards, &card{Patient: patient, Seed: seed})
	}
	for _, k := range cards {
		if _, err := io.ReadFull(rand.Reader, k.Salt[:]); err != nil {
			return nil, fmt.Errorf("salus: random numbers: %w", err)
		}
	}
	return cards, nil
}

func commitments(cards []*card) ([]tx.Hash, error) {
	var out []tx.Hash
	for _, k := range cards {
		out = append(out, k.commitment())
	}
	for len(out) < shown {
		var dummy tx.Hash
		if _, err := io.ReadFull(rand.Reader, dummy[:]); err != nil {
			return nil, fmt.Errorf("salus: random numbers: %w", err)
		}
		out = append(out, dummy)
	}
	slices.SortFunc(out, func(a, b tx.Hash) int { return slices.Compare(a[:], b[:]) })
	return out, nil
}

func saveCards(dir string, cards []*card) error {
	if len(cards) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("salus: %w", err)
	}
	for i, k := range cards {
		b, err := json.MarshalIndent(k, "", "  ")
		if err != nil {
			return fmt.Errorf("salus: %w", err)
		}
		path := filepath.Join(dir, fmt.Sprintf("guardian-%d.json", i+1))
		if fileExists(path) {
			return usageError{"there are cards in that place already; take a fresh directory"}
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
			return fmt.Errorf("salus: %w", err)
		}
	}
	return nil
}

package governance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"salus/ledger"
)

// Genesis is this module's part of the genesis file, as JSON. Validator and peer
// keys are base64, service keys have their text form ("ed25519:<hex>"), and a
// parameter that is absent has its default.
type Genesis struct {
	Members []Admit `json:"members"`
	Params  Changes `json:"params"`
}

// genesis writes the first members and parameters. Its members validate from
// the first block on, and their keys are live from height 0.
func genesis(c *ledger.Context, raw []byte) error {
	var g Genesis
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&g); err != nil {
		return fmt.Errorf("governance: genesis: %w", err)
	}
	p := DefaultParams().With(&g.Params)
	if err := p.Validate(); err != nil {
		return fmt.Errorf("governance: genesis: params: %w", err)
	}
	if len(g.Members) == 0 {
		return errors.New("governance: genesis: no members")
	}
	params.Put(c.State, nil, p)
	for i := range g.Members {
		m := &g.Members[i]
		if err := m.found(c); err != nil {
			return fmt.Errorf("governance: genesis: member %d (%s): %w", i, m.Name, err)
		}
	}
	if len(Validators(c.State)) == 0 {
		return errors.New("governance: genesis: no member is a validator")
	}
	return nil
}

func (a *Admit) found(c *ledger.Context) error {
	if err := a.validate(); err != nil {
		return err
	}
	if err := admissible(c.State, a); err != nil {
		return err
	}
	admit(c, a)
	m, _ := LookupMember(c.State, a.Account)
	m.Joined = 0
	m.Keys = NewRing(0, a.Keys)
	members.Put(c.State, a.Account[:], m)
	return nil
}

// Raw returns the genesis as the JSON that belongs under "governance".
func (g *Genesis) Raw() (json.RawMessage, error) { return json.Marshal(g) }

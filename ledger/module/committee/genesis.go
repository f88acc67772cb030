package committee

import (
	"bytes"
	"errors"
	"fmt"

	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// genesis begins epoch 1: the first validators, in account order, are the
// custodians. There is nothing to set.
func genesis(c *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("committee: genesis: there is nothing to set")
	}
	var seats []tx.Account
	for _, v := range governance.Validators(c.State) {
		seats = append(seats, v.Account)
	}
	if len(seats) == 0 || len(seats) > MaxCustodians {
		return fmt.Errorf("committee: genesis: %d validators, want 1 to %d", len(seats), MaxCustodians)
	}
	_, t := Threshold(len(seats))
	e := Epoch{Epoch: 1, N: uint8(len(seats)), T: uint8(t), Members: seats, From: uint64(c.Height)}
	epochs.Put(c.State, number(e.Epoch), e)
	current.Put(c.State, nil, epochPointer{Epoch: e.Epoch})
	c.Append(EntryEpoch, e)
	return nil
}

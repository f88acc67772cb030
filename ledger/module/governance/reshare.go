package governance

import (
	"slices"

	"salus/ledger"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// MaxCustodians is how many validators can be custodians: the ledger notes a batch's receipts
// in one 64-bit map.
const MaxCustodians = 64

// Reshare orders that the shares of all records are dealt again, to the validators that are
// active when the order is carried out but those in Without. With nobody in it the committee
// follows the validators: a newcomer gets shares, one that was removed has none any more, one
// that lost its disk gets them back, and where nothing changed the shares are refreshed.
type Reshare struct {
	Without []tx.Account `cbor:"1,keyasint" json:"without"` // ascending; members about to leave
}

// A ReshareOrder is an order that has passed. Orders count up; the last one counts.
type ReshareOrder struct {
	Number  uint64       `cbor:"1,keyasint" json:"number"`  // 1, 2, 3 ...
	Height  uint64       `cbor:"2,keyasint" json:"height"`  // of the decision
	Members []tx.Account `cbor:"3,keyasint" json:"members"` // the custodians to be, in account order
}

func (a *Reshare) validate() error {
	for i := 1; i < len(a.Without); i++ {
		if compare(a.Without[i-1], a.Without[i]) >= 0 {
			return ErrAction
		}
	}
	if len(a.Without) > MaxValidators {
		return ErrAction
	}
	return nil
}

// custodians are the validators that an order names.
func (a *Reshare) custodians(r state.Reader) []tx.Account {
	var all []tx.Account
	for _, v := range Validators(r) {
		if !slices.Contains(a.Without, v.Account) {
			all = append(all, v.Account)
		}
	}
	return all
}

// resharable refuses an order that leaves out who is no validator, or everybody.
func resharable(r state.Reader, a *Reshare) error {
	for _, w := range a.Without {
		if m, ok := LookupMember(r, w); !ok || !m.IsValidator() {
			return ErrUnknownMember
		}
	}
	switch n := len(a.custodians(r)); {
	case n == 0:
		return ErrLastValidator
	case n > MaxCustodians:
		return ErrTooManyValidators
	}
	return nil
}

// order notes what the resharing module carries out at the end of the same block.
func order(c *ledger.Context, a *Reshare) {
	last, _ := reshareOrders.Get(c.State, nil)
	reshareOrders.Put(c.State, nil, ReshareOrder{Number: last.Number + 1, Height: uint64(c.Height), Members: a.custodians(c.State)})
}

// LastReshareOrder returns the last order that passed; false if none ever did.
func LastReshareOrder(r state.Reader) (ReshareOrder, bool) { return reshareOrders.Get(r, nil) }

var reshareOrders = state.NewTable[ReshareOrder]("reshare order", Prefix, 0x0b)

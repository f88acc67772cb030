package committee

import (
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// Module returns the module's description for the ledger.
func Module() ledger.Module {
	return ledger.Module{
		Name:    "committee",
		Prefix:  Prefix,
		Calls:   []ledger.Call{ledger.On(KindKey, publish)},
		Queries: queries(),
		Genesis: genesis,
		Codes:   Codes(),
		Tables:  tables(),
		Entries: entries(),
	}
}

// Custodian returns the signer's account and index in the current epoch, or
// ErrNotCustodian.
func Custodian(c *ledger.Context) (account tx.Account, index int, err error) {
	e, err := Current(c.State)
	if err != nil {
		return tx.Account{}, 0, ErrNotCustodian
	}
	m, member := governance.LookupMember(c.State, c.Signer.Account)
	index, seated := e.IndexOf(c.Signer.Account)
	if c.Signer.Class != ledger.ClassMember || !member || !m.Active || !seated {
		return tx.Account{}, 0, ErrNotCustodian
	}
	return m.Account, index, nil
}

func publish(c *ledger.Context, m *Publish) error {
	account, err := keyed(c)
	if err != nil {
		return err
	}
	period := governance.ParamsOf(c.State).CustodyKeyPeriod
	if err := follows(c.State, account, m, c.Time, period); err != nil {
		return err
	}
	k := CustodyKey{
		Member:   account,
		KeyEpoch: m.KeyEpoch,
		Hash:     m.Hash,
		From:     m.From,
		Until:    m.Until,
		Height:   uint64(c.Height),
	}
	keys.Put(c.State, memberNumber(account, k.KeyEpoch), k)
	latest.Put(c.State, account[:], keyPointer{k.KeyEpoch})
	c.Append(EntryKey, k)
	c.Emit("committee.key", account.String())
	return nil
}

package record

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/vault"
)

// memberLinks is how an organisation's own reader reaches the custodians and the vaults.
type memberLinks struct{ s *Service }

// Reading gives a session of this organisation its surroundings.
func (s *Service) Reading() Reading {
	return Reading{ChainID: s.Chain, Chain: Replica{s.Ledger.View}, Custodians: memberLinks{s}}
}

// Locate implements Custodians.
func (m memberLinks) Locate(ctx context.Context, custodian tx.Account, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	var out exchange.Sealed
	return &out, m.s.Links.Call(ctx, custodian, exchange.PathLocate, req, &out)
}

// Release implements Custodians.
func (m memberLinks) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	var out exchange.ReleaseReply
	return &out, m.s.Links.Call(ctx, custodian, exchange.PathRelease, req, &out)
}

// maxCiphertext bounds what is read of a ciphertext that claims to be a record.
const maxCiphertext = maxPlain + 1<<20

// Ciphertext implements Custodians: the own vault first, then whoever holds the pack. Vault
// and Decrypt check the bytes against their address, so a holder can only withhold.
func (m memberLinks) Ciphertext(ctx context.Context, holders []tx.Account, address [32]byte) ([]byte, error) {
	if b, err := m.s.Vault.Get(ctx, vault.Address(address)); err == nil {
		return b, nil
	}
	holders = append(slices.Clone(holders), m.others(holders)...)
	err := fmt.Errorf("record: nobody asked holds this ciphertext: %w", vault.ErrNotFound)
	for _, h := range slices.DeleteFunc(slices.Clone(holders), func(a tx.Account) bool { return a == m.s.Self }) {
		body, _, derr := m.s.Links.Download(ctx, h, exchange.PathBlob, hex.EncodeToString(address[:]))
		if derr != nil {
			if _, refused := tx.CodeOf(derr); !refused { // else it does not hold it, which the error says already
				err = errors.Join(err, derr)
			}
			continue
		}
		b, derr := io.ReadAll(io.LimitReader(body, maxCiphertext))
		if derr = errors.Join(derr, body.Close()); derr == nil && vault.AddressOf(b) == vault.Address(address) {
			return b, nil
		}
		err = errors.Join(err, fmt.Errorf("record: a holder sent other bytes"), derr)
	}
	return nil, err
}

// others are the custodians of today that the ledger does not name as holders: when holders have left, the
// author makes copies there, of which the ledger knows nothing.
func (m memberLinks) others(holders []tx.Account) []tx.Account {
	v := m.s.Ledger.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(epoch.Members), func(a tx.Account) bool { return slices.Contains(holders, a) })
}

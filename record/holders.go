package record

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/vault"
)

// maxCiphertext bounds what is read of a ciphertext that claims to be a record.
const maxCiphertext = maxPlain + 1<<20

// hedgeTime is how long a holder may take for a ciphertext before another one is asked too, and tardyTime how long it
// is asked last after that: one that is overloaded, or lets others wait on purpose, must not hold up every record.
const (
	hedgeTime = time.Second
	tardyTime = time.Minute
)

var errHoldsNot = errors.New("record: it does not hold it")

// Ciphertext implements Custodians: the own vault first, then whoever holds the pack. Vault
// and Decrypt check the bytes against their address, so a holder can only withhold, and that for a moment.
func (m memberLinks) Ciphertext(ctx context.Context, holders []tx.Account, address [32]byte) ([]byte, error) {
	if b, err := m.s.Vault.Get(ctx, vault.Address(address)); err == nil {
		return b, nil
	}
	holders = slices.DeleteFunc(append(slices.Clone(holders), m.others(holders)...), func(a tx.Account) bool { return a == m.s.Self })
	m.s.tardy.last(holders)
	b, err := hedge.First(ctx, holders, hedgeTime, func(ctx context.Context, h tx.Account) ([]byte, error) {
		b, err := m.download(ctx, h, address)
		if _, refused := tx.CodeOf(err); err != nil && refused {
			err = errHoldsNot
		}
		return b, err
	}, m.s.tardy.add)
	if err != nil {
		return nil, fmt.Errorf("record: nobody asked gave this ciphertext: %w: %w", vault.ErrNotFound, err)
	}
	return b, nil
}

func (m memberLinks) download(ctx context.Context, of tx.Account, address [32]byte) ([]byte, error) {
	body, _, err := m.s.Links.Download(ctx, of, exchange.PathBlob, hex.EncodeToString(address[:]))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(body, maxCiphertext))
	if err = errors.Join(err, body.Close()); err == nil && vault.AddressOf(b) == vault.Address(address) {
		return b, nil
	}
	return nil, errors.Join(errors.New("record: a holder sent other bytes"), err)
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

// tardy are holders that lately let somebody wait. The zero value has none.
type tardy struct {
	mu    sync.Mutex // guards until
	until map[tx.Account]time.Time
}

func (t *tardy) add(h tx.Account) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.until == nil {
		t.until = map[tx.Account]time.Time{}
	}
	t.until[h] = time.Now().Add(tardyTime)
}

// last puts those that are tardy behind the others.
func (t *tardy) last(holders []tx.Account) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	slow := func(h tx.Account) int {
		if now.Before(t.until[h]) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(holders, func(a, b tx.Account) int { return slow(a) - slow(b) })
}

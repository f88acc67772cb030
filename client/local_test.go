package client

import (
	"context"
	"errors"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/ledger"
	"salus/ledger/tx"
)

// pool is a mempool of one answer: an error, or else CheckTx's verdict; nil for none ever.
type pool struct {
	err     error
	verdict *abci.ResponseCheckTx
}

func (p pool) CheckTx(_ cmttypes.Tx, done func(*abci.ResponseCheckTx), _ mempool.TxInfo) error {
	if p.err == nil && p.verdict != nil {
		done(p.verdict)
	}
	return p.err
}

func TestMempoolAnswersKeepTheirMeaning(t *testing.T) {
	gone := errors.New("gone")
	refusal := tx.Refuse(0x0603, "no")
	for _, s := range []struct {
		rule string
		pool Pool
		want error
	}{
		{"taken", pool{verdict: &abci.ResponseCheckTx{}}, nil},
		{"known", pool{err: mempool.ErrTxInCache}, nil},
		{"refused", pool{verdict: &abci.ResponseCheckTx{Code: refusal.Code, Log: refusal.Text}}, refusal},
		{"full", pool{err: mempool.ErrMempoolIsFull{}}, ErrBusy},
		{"larger than the mempool takes", pool{err: mempool.ErrTxTooLarge{Max: 1, Actual: 2}}, tx.Refuse(tx.CodeTooLarge, "")},
		{"larger than a block", pool{err: mempool.ErrPreCheck{Err: gone}}, tx.Refuse(tx.CodeTooLarge, "")},
		{"broken", pool{err: mempool.ErrAppConnMempool{Err: gone}}, ErrUnreachable},
		{"not started", nil, ErrUnreachable},
	} {
		l := NewLocal(nil, func() Pool { return s.pool }, NewHub(), NewQuorum())
		if err := l.Broadcast(t.Context(), []byte("tx")); !errors.Is(err, s.want) {
			t.Errorf("%s: got %v, want %v", s.rule, err, s.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewLocal(nil, func() Pool { return pool{} }, NewHub(), NewQuorum()).Broadcast(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("no verdict: got %v", err)
	}
}

func TestHubWakesEveryWaiter(t *testing.T) {
	h := NewHub()
	a, b := h.Changed(), h.Changed()
	select {
	case <-a:
		t.Error("woken before anything happened")
	default:
	}
	h.Notify(ledger.Head{})
	<-a
	<-b
	select {
	case <-h.Changed():
		t.Error("an old block wakes a new waiter")
	default:
	}
}

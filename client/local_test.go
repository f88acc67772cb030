package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/mempool"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/audit"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
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
	chain := members(t)
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
		l := NewLocal(chain.App(0), func() Pool { return s.pool }, nowhere, NewHub(), NewQuorum())
		if err := l.Broadcast(t.Context(), []byte("tx")); !errors.Is(err, s.want) {
			t.Errorf("%s: got %v, want %v", s.rule, err, s.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewLocal(chain.App(0), func() Pool { return pool{} }, nowhere, NewHub(), NewQuorum()).Broadcast(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("no verdict: got %v", err)
	}
}

// nowhere is what a node knows of the others that has none.
func nowhere() int64 { return 0 }

// members is a ledger of one member.
func members(t *testing.T) *ledgertest.Chain {
	t.Helper()
	return ledgertest.New(t, ledgertest.Params{
		Modules: []ledger.Module{governance.Module(), identity.Module(), audit.Module()}, Authenticate: identity.Authenticate, Params: governance.LedgerParams,
		Validators: []string{"validator hospital"}, Genesis: map[string]any{"governance": governance.Genesis{Members: []governance.Admit{{
			Account: ledgertest.Account("hospital"), Name: "Sample Hospital", Class: governance.Hospital, Validator: ledgertest.Public("validator hospital").Key,
			Peer: ledgertest.Public("peer").Key, Address: "hospital.example:7000", Keys: []tx.PublicKey{ledgertest.Public("hospital")},
		}}}},
	})
}

// checked is a mempool over a node's own state. It counts what it is asked.
type checked struct {
	app   *ledger.App
	asked int
}

func (c *checked) CheckTx(raw cmttypes.Tx, done func(*abci.ResponseCheckTx), _ mempool.TxInfo) error {
	c.asked++
	r, err := c.app.CheckTx(context.Background(), &abci.RequestCheckTx{Tx: raw})
	if err == nil {
		done(r)
	}
	return err
}

// What a node behind the others refuses, they may have taken long ago.
func TestRefusalByAnOldStateDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := members(t)
		chain.Block()
		hub, quorum, pool, reached := NewHub(), NewQuorum(), &checked{app: chain.App(0)}, chain.Head().Height
		l := NewLocal(chain.App(0), func() Pool { return pool }, func() int64 { return reached }, hub, quorum)
		enrol := &identity.Enrol{Patient: ledgertest.Account("patient"), Keys: []tx.PublicKey{ledgertest.Public("patient")}}
		rotate := func(who string) tx.Message {
			return &identity.Rotate{Account: ledgertest.Account(who), Add: []tx.PublicKey{ledgertest.Public("phone of " + who)}}
		}
		raw, _ := chain.SignWith(identity.KindRotate, rotate("patient"), 1, 50, "patient")

		var refused *tx.Refusal
		if err := l.Broadcast(t.Context(), raw); !errors.As(err, &refused) || pool.asked != 1 {
			t.Fatalf("of a state as new as any: got %v after %d questions, want the refusal after one", err, pool.asked)
		}
		reached += 3
		time.AfterFunc(time.Second, func() { chain.Do(identity.KindEnrol, enrol, "hospital"); hub.Notify(chain.Head()) })
		time.AfterFunc(2*time.Second, func() { chain.Block(); hub.Notify(chain.Head()) })
		time.AfterFunc(3*time.Second, func() { chain.Block(); hub.Notify(chain.Head()) })
		if err := l.Broadcast(t.Context(), raw); err != nil || pool.asked != 3 || chain.Head().Height != reached {
			t.Errorf("of a patient whom the others know: got %v after %d questions, want it taken by the third", err, pool.asked)
		}

		reached += 2
		stranger, _ := chain.SignWith(identity.KindRotate, rotate("stranger"), 1, 50, "stranger")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Broadcast(ctx, stranger); !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("never told: got %v, want %v and the end of the wait", err, ErrBusy)
		}
		time.AfterFunc(time.Second, func() { quorum.Lose(time.Now()) })
		if err := l.Broadcast(t.Context(), stranger); !errors.Is(err, ErrBusy) || !errors.Is(err, ErrUnsettled) {
			t.Errorf("the ledger stands still: got %v, want %v", err, ErrUnsettled)
		}
		quorum.Regain()
		time.AfterFunc(time.Second, func() { chain.Block(); chain.Block(); hub.Notify(chain.Head()) })
		if err := l.Broadcast(t.Context(), stranger); !errors.As(err, &refused) {
			t.Errorf("nobody knows her: got %v, want the refusal", err)
		}
	})
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

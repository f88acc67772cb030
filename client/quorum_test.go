package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
)

func TestNothingIsSentWhileTheLedgerStandsStill(t *testing.T) {
	q := NewQuorum()
	sent := pool{verdict: &abci.ResponseCheckTx{}}
	l := NewLocal(members(t).App(0), func() Pool { return sent }, nowhere, NewHub(), q)
	if err := l.Broadcast(t.Context(), []byte("tx")); err != nil {
		t.Fatalf("going on: got %v", err)
	}
	q.Lose(time.Unix(100, 0))
	if err := l.Broadcast(t.Context(), []byte("tx")); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("standing still: got %v, want %v", err, ErrNoQuorum)
	}
	if err := l.Takes(); !errors.Is(err, ErrNoQuorum) {
		t.Errorf("asked before a nonce is spent: got %v, want %v", err, ErrNoQuorum)
	}
	q.Regain()
	if err := l.Broadcast(t.Context(), []byte("tx")); err != nil {
		t.Errorf("going on again: got %v", err)
	}
}

// stopping is a node whose ledger stops after it has taken the first transaction.
type stopping struct {
	*node
	quorum *Quorum
}

func (s stopping) Takes() error {
	if _, lost := s.quorum.Since(); lost {
		return ErrNoQuorum
	}
	return nil
}

func (s stopping) WaitChange(ctx context.Context, height int64) error {
	going, cancel := s.quorum.While(ctx)
	defer cancel()
	err := s.node.WaitChange(going, height)
	if err != nil && ctx.Err() == nil {
		return ErrUnsettled
	}
	return err
}

func TestWhoWaitsLearnsThatTheLedgerStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewQuorum()
		n := stopping{newNode(func(int, []byte) error { return nil }), q}
		time.AfterFunc(7*time.Second, func() { q.Lose(time.Now()) })
		begun := time.Now()
		c := New(n, chain)
		got, err := c.As(signer(someone)).Submit(t.Context(), noteKind, &note{1})
		if !errors.Is(err, ErrUncertain) || !errors.Is(err, ErrUnsettled) || got.ID.IsZero() {
			t.Errorf("got %+v, %v; want uncertain and unsettled, with the id", got, err)
		}
		if took := time.Since(begun); took > 8*time.Second {
			t.Errorf("it took %s to say so", took)
		}
		sent := len(n.sent)
		for range 1000 { // no nonce is spent on what is not sent
			if _, err := c.As(signer(someone)).Submit(t.Context(), noteKind, &note{1}); !errors.Is(err, ErrNoQuorum) || errors.Is(err, ErrUncertain) {
				t.Fatalf("got %v, want %v", err, ErrNoQuorum)
			}
		}
		if len(n.sent) != sent || c.nonces[someone] != 2 {
			t.Errorf("got %d more sent and nonce %d, want none and 2", len(n.sent)-sent, c.nonces[someone])
		}
	})
}

func TestQuorumIsNewsOnce(t *testing.T) {
	q := NewQuorum()
	at := time.Unix(100, 0)
	if q.Regain() || !q.Lose(at) || q.Lose(at.Add(time.Hour)) {
		t.Error("want: regain is no news, the first loss is, the second is not")
	}
	if since, lost := q.Since(); !lost || !since.Equal(at) {
		t.Errorf("got %v, %v; want the first loss", since, lost)
	}
	<-q.Lost()
	select {
	case <-q.Back():
		t.Error("back while it is lost")
	default:
	}
	if !q.Regain() {
		t.Error("regaining is news")
	}
	<-q.Back()
	if _, lost := q.Since(); lost {
		t.Error("lost after it was regained")
	}
}

func TestWhileEndsWithTheQuorum(t *testing.T) {
	q := NewQuorum()
	ctx, cancel := q.While(t.Context())
	defer cancel()
	if ctx.Err() != nil {
		t.Fatal("ended while the ledger goes on")
	}
	q.Lose(time.Unix(1, 0))
	<-ctx.Done()
	late, end := q.While(t.Context())
	defer end()
	<-late.Done()
}

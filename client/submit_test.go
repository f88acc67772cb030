package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"salus/ledger/tx"
)

func TestSubmitReturnsWhenCommitted(t *testing.T) {
	var n *node
	n = newNode(func(_ int, raw []byte) error { go n.block(tx.CodeOK, raw); return nil })
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		id, b := decoded(n.sent[0])
		if err != nil || got.ID != id || got.Height == 0 || n.commits[1] != 1 || b.Nonce != 1 || b.Expiry != 10+expiryBlocks {
			t.Errorf("got %+v, %v; body %+v", got, err, b)
		}
	})
}

func TestInvalidMessageIsNotSent(t *testing.T) {
	n := newNode(nil)
	_, err := New(n, chain).As(signer(someone)).Submit(t.Context(), noteKind, &note{})
	if !errors.Is(err, errNote) || len(n.sent) != 0 {
		t.Errorf("got %v and %d sent, want %v and none", err, len(n.sent), errNote)
	}
}

func TestSameBytesAreSentUntilTheyCommit(t *testing.T) {
	var n *node
	n = newNode(func(i int, raw []byte) error {
		if i == 4 { // the first three were lost
			go n.block(tx.CodeOK, raw)
		}
		return nil
	})
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if err != nil || len(n.sent) != 4 || n.distinct() != 1 || n.commits[1] != 1 {
			t.Errorf("got %v; sent %d times, %d different", err, len(n.sent), n.distinct())
		}
	})
}

func TestOnlyAnExpiredTransactionIsSignedAnew(t *testing.T) {
	var n *node
	n = newNode(func(_ int, raw []byte) error {
		if _, b := decoded(raw); b.Nonce == 2 {
			go n.block(tx.CodeOK, n.sent[0], raw) // the first is too late, if anybody kept it
		}
		return n.judge(raw)
	})
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if err != nil || n.distinct() != 2 || n.commits[1] != 1 {
			t.Errorf("got %v; %d different sent, %d commits", err, n.distinct(), n.commits[1])
		}
		if _, b := decoded(n.sent[0]); got.Height <= int64(b.Expiry) {
			t.Errorf("signed anew at height %d, before the first expired at %d", got.Height, b.Expiry)
		}
	})
}

func TestRefusalOfTheFirstBroadcastIsFinal(t *testing.T) {
	n := newNode(func(int, []byte) error { return errBlocked })
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if !errors.Is(err, errBlocked) || len(n.sent) != 1 || got.ID.IsZero() {
			t.Errorf("got %+v, %v, sent %d times", got, err, len(n.sent))
		}
	})
}

func TestRefusalInABlockIsFinal(t *testing.T) {
	var n *node
	n = newNode(func(_ int, raw []byte) error { go n.block(errBlocked.Code, raw); return nil })
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if !errors.Is(err, errBlocked) || errors.Is(err, ErrUncertain) || len(n.sent) != 1 || got.Code != errBlocked.Code {
			t.Errorf("got %+v, %v, sent %d times", got, err, len(n.sent))
		}
	})
}

// The bytes were taken, then the state changed, then it changed back and they committed.
func TestRefusalWhenSentAgainIsNotFinal(t *testing.T) {
	var n *node
	n = newNode(func(i int, raw []byte) error {
		switch i {
		case 2:
			return errBlocked
		case 3:
			go n.block(tx.CodeOK, raw)
		}
		return nil
	})
	submit(t, n, 0, func(t *testing.T, _ *Client, _ Committed, err error) {
		if err != nil || n.distinct() != 1 || n.commits[1] != 1 {
			t.Errorf("got %v; %d different sent, %d commits", err, n.distinct(), n.commits[1])
		}
	})
}

// An earlier process said the same, and what it said was committed: the pool drops the bytes.
func TestRefusalOfARepeatableIsReturnedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(func(i int, _ []byte) error {
			if i > 1 {
				return errBlocked
			}
			return nil
		})
		got, err := New(n, chain).As(signer(someone)).Repeatable().Submit(t.Context(), noteKind, &note{1})
		_, b := decoded(n.sent[0])
		if !errors.Is(err, errBlocked) || errors.Is(err, ErrUncertain) || got.ID.IsZero() || len(n.sent) != 2 || n.height > int64(b.Expiry) {
			t.Errorf("got %+v, %v at height %d, sent %d times; want the refusal of the second sending", got, err, n.height, len(n.sent))
		}
	})
}

func TestRefusalWhenSentAgainIsFinalWhenExpired(t *testing.T) {
	n := newNode(func(i int, _ []byte) error {
		if i > 1 {
			return errBlocked
		}
		return nil
	})
	submit(t, n, 0, func(t *testing.T, _ *Client, _ Committed, err error) {
		_, b := decoded(n.sent[0])
		if !errors.Is(err, errBlocked) || n.distinct() != 1 || n.height <= int64(b.Expiry) {
			t.Errorf("got %v at height %d; %d different sent", err, n.height, n.distinct())
		}
	})
}

func TestReplayOfItsOwnIsSuccess(t *testing.T) {
	var n *node
	n = newNode(func(i int, raw []byte) error {
		if i == 1 {
			n.block(tx.CodeOK, raw)
		}
		return n.judge(raw)
	})
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if err != nil || n.commits[1] != 1 || n.distinct() != 1 {
			t.Errorf("got %+v, %v; %d commits", got, err, n.commits[1])
		}
	})
}

func TestTakenNonceIsPassedOver(t *testing.T) {
	var n *node
	n = newNode(func(i int, raw []byte) error {
		if i == 1 { // somebody else with the same key was faster, three times
			n.mu.Lock()
			for nonce := range uint64(3) {
				n.use(someone, nonce+1)
			}
			n.mu.Unlock()
		}
		err := n.judge(raw)
		if err == nil {
			go n.block(tx.CodeOK, raw)
		}
		return err
	})
	submit(t, n, 0, func(t *testing.T, _ *Client, _ Committed, err error) {
		_, b := decoded(n.sent[1])
		if err != nil || len(n.sent) != 2 || b.Nonce != 4 || n.commits[1] != 1 {
			t.Errorf("got %v; sent %d, nonce %d", err, len(n.sent), b.Nonce)
		}
	})
}

func TestBusyAndQuotaAreWaitedOut(t *testing.T) {
	for _, passing := range []error{ErrBusy, tx.Refuse(tx.CodeQuota, "quota"), fmt.Errorf("%w: full", ErrBusy)} {
		var n *node
		n = newNode(func(i int, raw []byte) error {
			if i < 6 {
				return passing
			}
			go n.block(tx.CodeOK, raw)
			return nil
		})
		submit(t, n, 0, func(t *testing.T, _ *Client, _ Committed, err error) {
			if err != nil || n.distinct() != 1 || len(n.sent) != 6 {
				t.Errorf("%v: got %v, sent %d", passing, err, len(n.sent))
			}
		})
		n = newNode(func(int, []byte) error { return passing })
		submit(t, n, time.Minute, func(t *testing.T, _ *Client, _ Committed, err error) {
			if !errors.Is(err, ErrBusy) || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrUncertain) {
				t.Errorf("%v for ever: got %v, want busy and the deadline", passing, err)
			}
		})
	}
}

func TestEndedContextLeavesTheIDToAskFor(t *testing.T) {
	n := newNode(func(int, []byte) error { return nil })
	submit(t, n, 5*time.Second, func(t *testing.T, c *Client, got Committed, err error) {
		id, _ := decoded(n.sent[0])
		if !errors.Is(err, ErrUncertain) || !errors.Is(err, context.DeadlineExceeded) || got.ID != id {
			t.Fatalf("got %+v, %v; want uncertain, with the id", got, err)
		}
		go n.block(tx.CodeOK, n.sent[0])
		if got, err := c.Wait(t.Context(), id); err != nil || got.ID != id || got.Height == 0 {
			t.Errorf("wait: got %+v, %v", got, err)
		}
	})
}

func TestUnreachableIsUncertainOnlyOnceSent(t *testing.T) {
	n := newNode(nil)
	n.away = ErrUnreachable
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if !errors.Is(err, ErrUnreachable) || errors.Is(err, ErrUncertain) || len(n.sent) != 0 {
			t.Errorf("before: got %v, %d sent", err, len(n.sent))
		}
	})
	n = newNode(func(int, []byte) error { return ErrUnreachable })
	submit(t, n, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if !errors.Is(err, ErrUncertain) || !errors.Is(err, ErrUnreachable) || got.ID.IsZero() {
			t.Errorf("while sending: got %+v, %v", got, err)
		}
	})
	var gone *node
	gone = newNode(func(int, []byte) error {
		gone.mu.Lock()
		defer gone.mu.Unlock()
		gone.away = ErrUnreachable
		return nil
	})
	submit(t, gone, 0, func(t *testing.T, _ *Client, got Committed, err error) {
		if !errors.Is(err, ErrUncertain) || !errors.Is(err, ErrUnreachable) || got.ID.IsZero() {
			t.Errorf("while waiting: got %+v, %v", got, err)
		}
	})
}

// Many intents at once over a network that loses, delays, repeats and refuses, beside another
// process that signs with the same key: no intent ever commits twice, and what Submit says is so.
func TestNoIntentCommitsTwice(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			var mu sync.Mutex // guards random, pool
			var pool [][]byte
			roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return random.IntN(n) }
			var n *node
			n = newNode(func(_ int, raw []byte) error {
				switch roll(8) {
				case 0:
					return ErrBusy
				case 1:
					return nil // lost
				case 2:
					if err := n.judge(raw); err != nil {
						return err
					}
					return errBlocked // for now
				}
				if err := n.judge(raw); err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				pool = append(pool, raw)
				return nil
			})
			ctx, cancel := context.WithCancel(t.Context())
			go func() { // the network
				tick := time.NewTicker(700 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-tick.C:
					case <-ctx.Done():
						return
					}
					var in [][]byte
					mu.Lock()
					for _, raw := range pool { // what is in the pool may commit at any later time, in any order
						if random.IntN(3) == 0 {
							in = append(in, raw)
						}
					}
					random.Shuffle(len(in), func(i, j int) { in[i], in[j] = in[j], in[i] })
					mu.Unlock()
					n.block(tx.CodeOK, in...)
				}
			}()
			const intents = 24
			clients := []*Client{New(n, chain), New(n, chain)} // two processes, one key
			results := make([]error, intents+1)
			var wg sync.WaitGroup
			for i := 1; i <= intents; i++ {
				wg.Go(func() {
					sub, stop := context.WithTimeout(ctx, time.Duration(1+roll(300))*time.Second)
					defer stop()
					_, results[i] = clients[i%2].As(signer(someone)).Submit(sub, noteKind, &note{uint64(i)})
				})
			}
			wg.Wait()
			for range 200 { // whatever is still out there gets its chance
				n.block(tx.CodeOK, pool...)
			}
			cancel()
			synctest.Wait()
			for i := 1; i <= intents; i++ {
				got, err := n.commits[uint64(i)], results[i]
				code, refused := tx.CodeOf(err)
				refused = refused && code != tx.CodeOK
				switch {
				case got > 1:
					t.Errorf("seed %d: intent %d committed %d times", seed, i, got)
				case err == nil && got != 1:
					t.Errorf("seed %d: intent %d is said to be committed and is not", seed, i)
				case refused && !errors.Is(err, ErrUncertain) && got != 0:
					t.Errorf("seed %d: intent %d is said to be refused (%v) and is committed", seed, i, err)
				case err != nil && !refused && !errors.Is(err, ErrUncertain) && got != 0:
					t.Errorf("seed %d: intent %d is said not to be sent (%v) and is committed", seed, i, err)
				}
			}
		})
	}
}

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/internal/devnet"
	"salus/receipt"
)

// measureReceipts verifies receipts of log entries on one core, with nothing but the
// genesis file, beside the Ed25519 signatures in them.
func measureReceipts(ctx context.Context, b *bench, w *world) ([]Result, error) {
	cfg, err := devnet.LoadConfig(w.dir, "hospital")
	if err != nil {
		return nil, err
	}
	genesis, err := os.ReadFile(cfg.GenesisFile())
	if err != nil {
		return nil, err
	}
	raws := make([][]byte, 8)
	g, gctx := errgroup.WithContext(ctx)
	for i := range raws {
		g.Go(func() (err error) {
			raws[i], err = w.org["hospital"].Bytes(gctx, "GET", fmt.Sprintf("/v1/receipts/entry/%d", 10+i), nil)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	signed := 0
	verify := func(raw []byte) error {
		r, err := receipt.DecodeReceipt(raw)
		if err != nil {
			return err
		}
		f, err := receipt.Verify(genesis, r)
		if err == nil {
			signed = f.Signed
		}
		return err
	}
	// A verifier that takes everything would be fast.
	broken := append([]byte{}, raws[0]...)
	broken[len(broken)/2] ^= 1
	if verify(broken) == nil {
		return nil, errors.New("an altered receipt verified")
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	msg := make([]byte, 120)
	sig := ed25519.Sign(key, msg)
	var ours, theirs []float64
	for range pick(b, 5, 2) {
		r, err := perSecond(func(i int) error { return verify(raws[i%len(raws)]) })
		if err != nil {
			return nil, err
		}
		ours = append(ours, r)
		r, err = perSecond(func(int) error {
			for range signed {
				if !ed25519.Verify(pub, msg, sig) {
					return errors.New("a good signature did not verify")
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, r)
	}
	return []Result{newResult("receipt.verify", "1/s", "ratio >= 0.5", ours, theirs).about(
		fmt.Sprintf("receipts of log entries (%d bytes) decoded and verified offline, one core", len(raws[0])),
		fmt.Sprintf("the %d Ed25519 signatures of the block alone", signed))}, nil
}

// perSecond runs f for half a second on this goroutine.
func perSecond(f func(i int) error) (float64, error) {
	start := time.Now()
	for n := 0; ; n++ {
		if took := time.Since(start); took >= 500*time.Millisecond {
			return float64(n) / took.Seconds(), nil
		}
		if err := f(n); err != nil {
			return 0, err
		}
	}
}

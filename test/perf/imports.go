package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/seal/compress"
)

// importers is how many bundles are on their way at a time.
const importers = 4

// measureImport imports bundles of new patients until every record is active: parsed,
// labelled, compressed, encrypted, its key split, verified by the custodians, its batch
// anchored, its ciphertext on two members' disks.
func measureImport(ctx context.Context, b *bench, w *world) ([]Result, error) {
	runs, each := pick(b, 4, 1), pick(b, 6, 4)
	all, source, err := bundles(1 + runs*each)
	if err != nil {
		return nil, err
	}
	if _, err := w.bring(ctx, "bundle", all[0].json); err != nil { // warm-up
		return nil, err
	}
	var rates, alone, cpu, cpuAlone []float64
	for run := range runs {
		batch := all[1+run*each:][:each]
		records := 0
		var mu sync.Mutex // guards records
		c, err := b.spent("import", func() error {
			g, gctx := errgroup.WithContext(ctx)
			g.SetLimit(importers)
			for _, x := range batch {
				g.Go(func() error {
					rep, err := w.bring(gctx, "bundle", x.json)
					if err != nil {
						return err
					}
					mu.Lock()
					defer mu.Unlock()
					records += rep.Records
					return nil
				})
			}
			return g.Wait()
		})
		if err != nil {
			return nil, err
		}
		var plain [][]byte
		for _, x := range batch {
			plain = append(plain, x.resources...)
		}
		if len(plain) != records {
			return nil, fmt.Errorf("imported %d of %d records", records, len(plain))
		}
		base, err := sealAlone(b, plain)
		if err != nil {
			return nil, err
		}
		rates, alone = append(rates, c.rate(records)), append(alone, base.rate(len(plain)))
		cpu, cpuAlone = append(cpu, c.each(records)), append(cpuAlone, base.each(len(plain)))
	}
	return []Result{
		newResult("import.bundles", "records/s", "value >= 300", rates, alone).about(
			fmt.Sprintf("%d bundles in each run, %d at a time, until every record is active; %s", each, importers, source),
			"the same records through zstd (our dictionary) and AES-256-GCM alone, on one core, kept nowhere"),
		newResult("import.bundles.cpu", "µs/record", "ratio <= 20", cpu, cpuAlone).about(
			"CPU time of all four organisations and of the client, per record", "the same: compress and encrypt alone"),
	}, nil
}

// sealAlone compresses each record as we do and encrypts it under a key of its own.
func sealAlone(b *bench, plain [][]byte) (cost, error) {
	return b.spent("", func() error {
		for _, p := range plain {
			var key [32]byte
			if _, err := rand.Read(key[:]); err != nil {
				return err
			}
			block, err := aes.NewCipher(key[:])
			if err != nil {
				return err
			}
			aead, err := cipher.NewGCMWithRandomNonce(block)
			if err != nil {
				return err
			}
			_ = aead.Seal(nil, nil, compress.Compress(p), nil) //nolint:gosec // the AEAD draws its own nonce
		}
		return nil
	})
}

// writers is how many clients write at the same time.
const writers = 64

// measureWrites lets 64 clients write one resource after the other, each for a patient of
// its own, so that nothing folds: every write is a batch, the hardest case.
func measureWrites(ctx context.Context, b *bench, w *world) ([]Result, error) {
	runs, each := pick(b, 3, 1), pick(b, 4, 2)
	inputs := make([][][]byte, writers)
	var plain [][]byte
	for i := range inputs {
		known, writes, err := singles(uint64(5000+writers*b.turn+i), runs*each+1)
		if err != nil {
			return nil, err
		}
		if _, err := w.put(ctx, "ndjson", known); err != nil {
			return nil, err
		}
		inputs[i], plain = writes, append(plain, writes...)
	}
	var rates, cpu, wait []float64
	base, err := sealAlone(b, plain)
	if err != nil {
		return nil, err
	}
	if _, _, err := w.writes(ctx, b, inputs, runs*each, 1); err != nil { // warm-up
		return nil, err
	}
	for run := range runs {
		c, took, err := w.writes(ctx, b, inputs, run*each, each)
		if err != nil {
			return nil, err
		}
		rates, cpu, wait = append(rates, c.rate(writers*each)), append(cpu, c.each(writers*each)), append(wait, quantile(took, 0.5))
	}
	return []Result{
		newResult("import.writes", "records/s", "value >= 50", rates, nil).about(
			fmt.Sprintf("single-resource writes from %d clients, each of a patient of its own, until active: one batch, one ledger entry, four envelopes a record", writers), ""),
		newResult("import.writes.wait", "ms", "value <= 1500", wait, nil).about("median time of one such write from request to active, with all clients at work", ""),
		newResult("import.writes.cpu", "µs/record", "ratio <= 100", cpu, []float64{base.each(len(plain))}).about(
			"CPU time of all four organisations and of the clients, per record", "compress and encrypt alone"),
	}, nil
}

// writes lets every client send its inputs from first on, one after the other.
func (w *world) writes(ctx context.Context, b *bench, inputs [][][]byte, first, n int) (cost, []float64, error) {
	var mu sync.Mutex // guards took
	var took []float64
	c, err := b.spent("writes", func() error {
		g, gctx := errgroup.WithContext(ctx)
		for _, mine := range inputs {
			g.Go(func() error {
				for _, body := range mine[first:][:n] {
					start := time.Now()
					if _, err := w.put(gctx, "ndjson", body); err != nil {
						return err
					}
					mu.Lock()
					took = append(took, millis(time.Since(start)))
					mu.Unlock()
				}
				return nil
			})
		}
		return g.Wait()
	})
	return c, took, err
}

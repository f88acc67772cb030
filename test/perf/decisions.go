package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"

	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// measureDecisions lets practitioners ask for access as fast as four validators decide: about
// patients with 1, 10 and 100 grants, in turns with anchor.put. Then it asks the rule alone.
func measureDecisions(ctx context.Context, b *bench) ([]Result, error) {
	s, err := newSeed(ctx, filepath.Join(b.dir, "decisions"), 4)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	if err := s.enlist(ctx); err != nil {
		return nil, err
	}
	each := pick(b, 6000, 2000)
	var puts spends
	asked := map[int]*spends{}
	for _, grants := range grantsEach {
		asked[grants] = &spends{}
	}
	for i := range pick(b, 3, 1) {
		l, err := s.plant(filepath.Join(b.dir, fmt.Sprintf("decisions-%d", i)))
		if err != nil {
			return nil, err
		}
		err = b.onChain(ctx, l.homes, openSalus, func(ch *chain) error {
			if err := l.puts(s.chain, each, s.next); err != nil {
				return err
			}
			x, err := l.run(ch, b, "")
			if err != nil {
				return err
			}
			puts.add(x)
			nonce := uint64(1)
			for _, grants := range grantsEach {
				if err := l.requests(s.chain, s.people, grants, each, nonce); err != nil {
					return err
				}
				nonce += uint64(each)
				if x, err = l.run(ch, b, fmt.Sprintf("decisions-%d", grants)); err != nil {
					return err
				}
				asked[grants].add(x)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	bare, err := bareVerify(pick(b, 3, 1))
	if err != nil {
		return nil, err
	}
	var out []Result
	for _, grants := range grantsEach {
		name := fmt.Sprintf("decisions.%d", grants)
		out = append(out,
			newResult(name, "1/s", "ratio >= 0.4", asked[grants].rate, puts.rate).about(
				fmt.Sprintf("access requests decided and committed on four validators, %d in each run, patients with %s each", each, plural(grants, "grant")),
				"anchor.put on the same chain in the same run"),
			newResult(name+".cpu", "µs/decision", "ratio <= 2.5", asked[grants].cpu, puts.cpu).about("CPU time of all validators together, for each decision", "the same for anchor.put"))
	}
	ceiling := scale(bare, float64(runtime.NumCPU())/4)
	out = append(out, newResult("decisions.ceiling", "1/s", "ratio >= 0.1", asked[10].rate, ceiling).about(
		"decisions per second with 10 grants again", "as many Ed25519 verifications as these cores can make, once on each of four validators, and nothing else"))
	rs, err := s.evaluate(b, bare)
	return append(out, rs...), err
}

// next is the account's first unused nonce.
func (s *seed) next(account tx.Account) uint64 { return s.nonces[account] + 1 }

// bareVerify is how many Ed25519 signatures one core verifies per second.
func bareVerify(runs int) ([]float64, error) {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	msg := make([]byte, 32)
	sig := ed25519.Sign(key, msg)
	var out []float64
	for range runs {
		r, err := perSecond(func(int) error {
			if !ed25519.Verify(pub, msg, sig) {
				return errors.New("a good signature did not verify")
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// evaluateTargets by the number of grants: each is a row to read and decode.
var evaluateTargets = map[int]string{1: "ratio >= 0.5", 10: "ratio >= 0.1", 100: "ratio >= 0.01"}

// evaluate asks consent.Evaluate on one core, on a committed state.
func (s *seed) evaluate(b *bench, bare []float64) ([]Result, error) {
	v := s.app.View()
	defer v.Close()
	var out []Result
	for _, grants := range grantsEach {
		var rates []float64
		for range pick(b, 3, 1) {
			r, err := perSecond(func(i int) error { return s.ask(v, i, grants) })
			if err != nil {
				return out, err
			}
			rates = append(rates, r)
		}
		out = append(out, newResult(fmt.Sprintf("evaluate.%d", grants), "1/s", evaluateTargets[grants], rates, bare).about(
			fmt.Sprintf("consent.Evaluate alone on one core, from the rows of a committed state to the answer, patients with %s each", plural(grants, "grant")),
			"Ed25519 verifications on one core"))
	}
	return out, nil
}

// ask decides one question; the answer must not be empty.
func (s *seed) ask(v *state.View, i, grants int) error {
	q, ok := s.people.question(v, i, grants)
	if !ok || q.Actor.Class != ledger.ClassPractitioner {
		return errors.New("perf: a practitioner is missing")
	}
	if consent.Evaluate(v, q).Allowed == 0 {
		return errors.New("perf: the grants allow nothing")
	}
	return nil
}

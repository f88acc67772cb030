package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"

	"salus/ledger/ledgertest"
	"salus/ledger/module/audit"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/receipt"
)

// consensus stands in for CometBFT: the blocks above a real state machine, signed by the
// validators of each height.
type consensus struct {
	tb    testing.TB
	chain *ledgertest.Chain
	sets  func(height int64) []string
	hash  map[int64][32]byte // app hash in the header of a height
	asked int
	base  int64 // blocks below are pruned
}

func validatorSet(names []string) *cmttypes.ValidatorSet {
	var vals []*cmttypes.Validator
	for _, n := range names {
		vals = append(vals, cmttypes.NewValidator(cmted25519.PrivKey(ledgertest.Key(n)).PubKey(), 1))
	}
	return cmttypes.NewValidatorSet(vals)
}

func sum(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }

// Commit implements Blocks.
func (c *consensus) Commit(_ context.Context, height *int64) (*ctypes.ResultCommit, error) {
	c.asked++
	if *height < c.base {
		return nil, fmt.Errorf("height %d is not available, lowest height is %d", *height, c.base)
	}
	names, h := c.sets(*height), *height
	set, app := validatorSet(names), c.hash[h]
	header := &cmttypes.Header{
		Version: cmtversion.Consensus{Block: version.BlockProtocol}, ChainID: ledgertest.ChainID, Height: h, Time: time.Unix(ledgertest.Start+h, 0).UTC(),
		LastBlockID:    cmttypes.BlockID{Hash: sum("last"), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: sum("parts")}},
		LastCommitHash: sum("commit"), DataHash: sum("data"), ValidatorsHash: set.Hash(), NextValidatorsHash: validatorSet(c.sets(h + 1)).Hash(),
		ConsensusHash: sum("params"), AppHash: app[:], LastResultsHash: sum("results"), EvidenceHash: sum("evidence"), ProposerAddress: set.Validators[0].Address,
	}
	id := cmttypes.BlockID{Hash: header.Hash(), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: sum(fmt.Sprint(h))}}
	commit := &cmttypes.Commit{Height: h, BlockID: id}
	for _, v := range set.Validators {
		for _, n := range names {
			key := cmted25519.PrivKey(ledgertest.Key(n))
			if !key.PubKey().Equals(v.PubKey) {
				continue
			}
			vote := cmtproto.Vote{Type: cmtproto.PrecommitType, Height: h, BlockID: id.ToProto(), Timestamp: header.Time}
			sig, err := key.Sign(cmttypes.VoteSignBytes(ledgertest.ChainID, &vote))
			if err != nil {
				return nil, err
			}
			commit.Signatures = append(commit.Signatures, cmttypes.CommitSig{BlockIDFlag: cmttypes.BlockIDFlagCommit, ValidatorAddress: v.Address, Timestamp: vote.Timestamp, Signature: sig})
		}
	}
	return &ctypes.ResultCommit{SignedHeader: cmttypes.SignedHeader{Header: header, Commit: commit}}, nil
}

// Validators implements Blocks.
func (c *consensus) Validators(_ context.Context, height *int64, _, _ *int) (*ctypes.ResultValidators, error) {
	return &ctypes.ResultValidators{Validators: validatorSet(c.sets(*height)).Validators}, nil
}

// above is a transport on which the block above every state is there.
type above struct{ Transport }

func (above) WaitChange(context.Context, int64) error { return nil }

func newConsensus(t *testing.T, blocks int, sets func(int64) []string) (*consensus, *Prover, []byte) {
	t.Helper()
	c := &consensus{tb: t, sets: sets, hash: map[int64][32]byte{}}
	c.chain = members(t)
	for i := range blocks {
		if i == 2 {
			if _, r := c.chain.Do(identity.KindEnrol, &identity.Enrol{Patient: ledgertest.Account("patient"), Keys: []tx.PublicKey{ledgertest.Public("patient")}}, "hospital"); r.Code != tx.CodeOK {
				t.Fatal(r.Log)
			}
		} else {
			c.chain.Block()
		}
		h := c.chain.Head()
		c.hash[h.Height+1] = h.AppHash
	}
	doc := &cmttypes.GenesisDoc{ChainID: ledgertest.ChainID, GenesisTime: time.Unix(ledgertest.Start, 0).UTC(), InitialHeight: 1}
	for _, v := range validatorSet(sets(1)).Validators {
		doc.Validators = append(doc.Validators, cmttypes.GenesisValidator{PubKey: v.PubKey, Power: 1})
	}
	raw, err := cmtjson.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return c, NewProver(c.chain.App(0), above{}, func() Blocks { return c }, doc), raw
}

// A receipt leads from the genesis validators to its block over whatever happened to them.
func TestReceiptsLeadOverValidatorChanges(t *testing.T) {
	all := []string{"v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"}
	for _, s := range []struct {
		rule string
		sets func(int64) []string
		most int // blocks fetched, at most
	}{
		{"none", func(int64) []string { return all[:4] }, 1},
		{"one more", func(h int64) []string { return all[:4+min(h/20, 1)] }, 1},
		{"all replaced, one at a time", func(h int64) []string { i := min((h-1)/10, 4); return all[i : i+4] }, 12},
		{"all replaced at once", func(h int64) []string {
			if h < 37 {
				return all[:4]
			}
			return all[4:]
		}, 12},
	} {
		t.Run(s.rule, func(t *testing.T) {
			c, p, genesis := newConsensus(t, 60, s.sets)
			account := ledgertest.Account("patient")
			for what, prove := range map[string]func() (*receipt.Receipt, error){
				"entry": func() (*receipt.Receipt, error) { return p.Entry(t.Context(), 0) },
				"row":   func() (*receipt.Receipt, error) { return p.Row(t.Context(), audit.Key(account)) },
				"none":  func() (*receipt.Receipt, error) { return p.Row(t.Context(), []byte("no such row")) },
				"log":   func() (*receipt.Receipt, error) { return p.Audit(t.Context(), account) },
			} {
				c.asked = 0
				r, err := prove()
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if c.asked > s.most {
					t.Errorf("%s: %d blocks were fetched, at most %d expected", what, c.asked, s.most)
				}
				f, err := receipt.Verify(genesis, r)
				if err != nil || f.Height != c.chain.Head().Height {
					t.Errorf("%s: got %+v, %v", what, f, err)
				}
			}
		})
	}
}

func TestProverRefusesWhatItCannotProve(t *testing.T) {
	same := func(int64) []string { return []string{"v1"} }
	c, p, _ := newConsensus(t, 5, same)
	if _, err := p.Entry(t.Context(), 1<<40); !errors.Is(err, errNoEntry) {
		t.Errorf("an entry that is not there: got %v, want %v", err, errNoEntry)
	}
	c.hash[c.chain.Head().Height+1] = [32]byte{1}
	if r, err := p.Entry(t.Context(), 0); err == nil {
		t.Errorf("the block carries another app hash: got %v", r)
	}
	p.blocks = func() Blocks { return nil }
	if _, err := p.Entry(t.Context(), 0); !errors.Is(err, ErrUnreachable) {
		t.Errorf("not started: got %v, want %v", err, ErrUnreachable)
	}
}

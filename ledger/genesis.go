package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// evidenceBytes bounds the proofs of misbehaviour in one block. It must fit
// into the smallest block that members can vote for.
const evidenceBytes = 64 << 10

// InitChain implements abci.Application: it writes the genesis as height 0.
// Called again with the same genesis (a node that crashed before its first
// block) it answers the same. An error refuses the genesis file.
func (a *App) InitChain(_ context.Context, req *abci.RequestInitChain) (*abci.ResponseInitChain, error) {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	if a.cfg.Chain != "" && a.cfg.Chain != req.ChainId {
		return nil, fmt.Errorf("ledger: the genesis is of chain %q, not of %q", req.ChainId, a.cfg.Chain)
	}
	digest, err := digestGenesis(req)
	if err != nil {
		return nil, err
	}
	if !a.base.started() {
		if err := a.found(req, digest); err != nil {
			return nil, err
		}
	}
	if a.base.head.Height != 0 || a.base.chain.Genesis != digest {
		return nil, fmt.Errorf("ledger: the store does not begin with this genesis")
	}
	evidence := &cmtproto.EvidenceParams{MaxAgeNumBlocks: 100_000, MaxAgeDuration: 48 * time.Hour, MaxBytes: evidenceBytes}
	if p := req.ConsensusParams; p != nil && p.Evidence != nil {
		evidence.MaxAgeNumBlocks, evidence.MaxAgeDuration = p.Evidence.MaxAgeNumBlocks, p.Evidence.MaxAgeDuration
		evidence.MaxBytes = min(p.Evidence.MaxBytes, evidenceBytes)
	}
	return &abci.ResponseInitChain{
		ConsensusParams: &cmtproto.ConsensusParams{
			Block:    blockParams(a.base.params),
			Evidence: evidence,
			Version:  &cmtproto.VersionParams{App: a.base.chain.Version},
		},
		Validators: validatorUpdates(a.base.view, voters(a.base.view)),
		AppHash:    bytes.Clone(a.base.head.AppHash[:]),
	}, nil
}

// found runs the modules' genesis and makes the result durable as height 0.
func (a *App) found(req *abci.RequestInitChain, digest tx.Hash) error {
	sections, err := genesisSections(req.AppStateBytes)
	if err != nil {
		return err
	}
	version, err := a.genesisVersion(req)
	if err != nil {
		return err
	}
	cache := state.NewCache(a.base.view)
	c := &Context{Time: uint64(max(req.Time.Unix(), 0)), Chain: req.ChainId, Version: version, State: cache}
	chains.Put(cache, nil, chain{ID: req.ChainId, Genesis: digest, Version: version})
	for i := range a.cfg.Modules {
		m := &a.cfg.Modules[i]
		raw := sections[m.Name]
		delete(sections, m.Name)
		if m.Genesis == nil || m.Since > version {
			if raw != nil {
				return fmt.Errorf("ledger: genesis: module %s takes no app_state", m.Name)
			}
			continue
		}
		if err := m.Genesis(c, raw); err != nil {
			return fmt.Errorf("ledger: genesis: %w", err)
		}
	}
	if len(sections) != 0 {
		return fmt.Errorf("ledger: genesis: app_state has a section that no module takes")
	}
	if err := agreeOnValidators(cache, req.Validators); err != nil {
		return err
	}
	s := a.store.Load()
	if _, err := s.Stage(state.Block{Height: 0, Time: c.Time, Changes: cache}); err != nil {
		return fmt.Errorf("ledger: genesis: %w", err)
	}
	if err := s.Commit(); err != nil {
		return fmt.Errorf("ledger: genesis: %w", err)
	}
	return a.rebase()
}

// genesisSections splits app_state by module.
func genesisSections(raw []byte) (map[string]json.RawMessage, error) {
	sections := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(raw)) == 0 {
		return sections, nil
	}
	if err := json.Unmarshal(raw, &sections); err != nil {
		return nil, fmt.Errorf("ledger: genesis: app_state: %w", err)
	}
	return sections, nil
}

// agreeOnValidators makes sure that the genesis file names the same validators
// twice: for CometBFT, and so for everybody who verifies from the file, and in
// the modules' state. If no module sets validators, the file's are taken.
func agreeOnValidators(cache *state.Cache, listed []abci.ValidatorUpdate) error {
	set := voters(cache)
	if len(set) == 0 {
		for _, u := range listed {
			pub := u.PubKey.GetEd25519()
			if len(pub) != 32 || u.Power != 1 {
				return fmt.Errorf("ledger: genesis: a validator has an Ed25519 key and power 1")
			}
			setPower(cache, [32]byte(pub), 1)
		}
		return nil
	}
	if len(listed) == 0 {
		return nil
	}
	for _, u := range listed {
		pub := u.PubKey.GetEd25519()
		if len(pub) != 32 || u.Power != 1 || powerOf(cache, [32]byte(pub)) != 1 {
			return fmt.Errorf("ledger: genesis: validators of the file and of app_state differ")
		}
	}
	if len(listed) != len(set) {
		return fmt.Errorf("ledger: genesis: validators of the file and of app_state differ")
	}
	return nil
}

// digestGenesis is SHA-256 over everything a chain begins with, so that a store
// recognises its genesis. app_state counts byte for byte, without white space
// (the node removes it): the digest is a row of the state, so that sorting its
// keys now would be a change of rules, and a file in another order is another
// genesis, refused at the first block.
func digestGenesis(req *abci.RequestInitChain) (tx.Hash, error) {
	h := sha256.New()
	h.Write([]byte("salus/genesis/v1\x00"))
	params := []byte{}
	if req.ConsensusParams != nil {
		var err error
		if params, err = req.ConsensusParams.Marshal(); err != nil {
			return tx.Hash{}, fmt.Errorf("ledger: genesis: %w", err)
		}
	}
	parts := [][]byte{[]byte(req.ChainId), params, req.AppStateBytes}
	for i := range req.Validators {
		b, err := req.Validators[i].Marshal()
		if err != nil {
			return tx.Hash{}, fmt.Errorf("ledger: genesis: %w", err)
		}
		parts = append(parts, b)
	}
	var n [8]byte
	for _, v := range []uint64{uint64(req.Time.Unix()), uint64(req.InitialHeight)} {
		binary.BigEndian.PutUint64(n[:], v)
		h.Write(n[:])
	}
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return tx.Hash(h.Sum(nil)), nil
}

// blockParams is what CometBFT must know of the parameters.
func blockParams(p Params) *cmtproto.BlockParams {
	size := min(max(p.MaxBlockBytes, 2*evidenceBytes), 64<<20)
	return &cmtproto.BlockParams{MaxBytes: int64(size), MaxGas: -1}
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	dbm "github.com/cometbft/cometbft-db"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtcfg "github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto/merkle"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	sm "github.com/cometbft/cometbft/state"
	"github.com/cometbft/cometbft/store"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/config"
	"salus/internal/cometdb"
	"salus/ledger"
)

// initChain gives an application the genesis of a home as CometBFT would, and returns what
// CometBFT knows of the chain before its first block.
func initChain(ctx context.Context, c *config.Config, app abci.Application) (sm.State, error) {
	doc, err := genesisOf(c)
	if err != nil {
		return sm.State{}, err
	}
	st, err := sm.MakeGenesisState(doc)
	if err != nil {
		return st, err
	}
	params := doc.ConsensusParams.ToProto()
	res, err := app.InitChain(ctx, &abci.RequestInitChain{
		Time: doc.GenesisTime, ChainId: doc.ChainID, InitialHeight: doc.InitialHeight, ConsensusParams: &params,
		Validators: cmttypes.TM2PB.ValidatorUpdates(st.Validators), AppStateBytes: doc.AppState,
	})
	if err != nil {
		return st, err
	}
	st.ConsensusParams = st.ConsensusParams.Update(res.ConsensusParams)
	st.Version.Consensus.App = st.ConsensusParams.Version.App
	return st, nil
}

// genesisOf reads a genesis with app_state in the form in which a node gives it to consensus.
func genesisOf(c *config.Config) (*cmttypes.GenesisDoc, error) {
	doc, err := cmttypes.GenesisDocFromFile(c.GenesisFile())
	if err == nil {
		doc.AppState, err = json.Marshal(doc.AppState)
	}
	return doc, err
}

// bootstrap makes the stores of consensus in every home begin above an application at head,
// as a state sync leaves them: the validators' state, and a commit of the block at head that
// all of them have signed. The block itself does not exist, nor those before it.
func bootstrap(homes []*config.Config, st sm.State, head ledger.Head) error {
	at := time.Now().UTC()
	st.LastBlockHeight = head.Height
	st.LastBlockTime = at.Add(-time.Second)
	st.LastBlockID = cmttypes.BlockID{Hash: head.AppHash[:], PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: head.AppHash[:]}}
	st.AppHash = head.AppHash[:]
	st.LastResultsHash = merkle.HashFromByteSlices(nil)
	st.LastValidators = st.Validators.Copy()
	st.LastHeightValidatorsChanged = head.Height + 2
	st.LastHeightConsensusParamsChanged = head.Height + 1
	commit, err := signCommit(homes, st, at)
	if err != nil {
		return err
	}
	for _, c := range homes {
		if err := bootstrapHome(c, st, commit); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return nil
}

func bootstrapHome(c *config.Config, st sm.State, commit *cmttypes.Commit) (err error) {
	if err := c.MakeDirs(); err != nil {
		return err
	}
	k := cometConfig(c)
	open := func(id string) (db dbm.DB) {
		if err == nil {
			db, err = cometdb.Provider(&cmtcfg.DBContext{ID: id, Config: k})
		}
		return db
	}
	blocks, states := open("blockstore"), open("state")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, blocks.Close(), states.Close()) }()
	s := sm.NewStore(states, sm.StoreOptions{DiscardABCIResponses: k.Storage.DiscardABCIResponses})
	if err := s.Bootstrap(st); err != nil {
		return err
	}
	if err := store.NewBlockStore(blocks).SaveSeenCommit(st.LastBlockHeight, commit); err != nil {
		return err
	}
	return s.SetOfflineStateSyncHeight(st.LastBlockHeight)
}

// signCommit signs the last block of a state with the validators' keys of the homes.
func signCommit(homes []*config.Config, st sm.State, at time.Time) (*cmttypes.Commit, error) {
	commit := &cmttypes.Commit{Height: st.LastBlockHeight, BlockID: st.LastBlockID, Signatures: make([]cmttypes.CommitSig, st.Validators.Size())}
	for _, c := range homes {
		k := cometConfig(c)
		pv := privval.LoadFilePVEmptyState(k.PrivValidatorKeyFile(), k.PrivValidatorStateFile())
		address := pv.GetAddress()
		i, v := st.Validators.GetByAddress(address)
		if v == nil {
			return nil, fmt.Errorf("perf: %s is no validator", c.Name)
		}
		vote := &cmttypes.Vote{
			Type: cmtproto.PrecommitType, Height: commit.Height, BlockID: commit.BlockID, Timestamp: at,
			ValidatorAddress: address, ValidatorIndex: i,
		}
		sig, err := pv.Key.PrivKey.Sign(cmttypes.VoteSignBytes(st.ChainID, vote.ToProto()))
		if err != nil {
			return nil, err
		}
		commit.Signatures[i] = cmttypes.CommitSig{BlockIDFlag: cmttypes.BlockIDFlagCommit, ValidatorAddress: address, Timestamp: at, Signature: sig}
	}
	return commit, nil
}

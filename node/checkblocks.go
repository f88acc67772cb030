package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	cmtcfg "github.com/cometbft/cometbft/config"
	cmtstate "github.com/cometbft/cometbft/state"
	cmtstore "github.com/cometbft/cometbft/store"

	"salus/config"
	"salus/internal/cometdb"
)

// checkBlocks reads every block that the node keeps, compares it with the hash its successor
// and its commit name, and compares what the blocks say of the ledger with the ledger.
func (s *stopped) checkBlocks(ctx context.Context, c *config.Config) (detail string, err error) {
	k := cometConfig(c)
	open := func(id string) (*cometdb.DB, error) {
		db, err := cometdb.Provider(&cmtcfg.DBContext{ID: id, Config: k})
		if err != nil {
			return nil, err
		}
		return db.(*cometdb.DB), nil
	}
	blockDB, err := open("blockstore")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, blockDB.Close()) }()
	stateDB, err := open("state")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, stateDB.Close()) }()

	blocks := cmtstore.NewBlockStore(blockDB)
	last, err := cmtstate.NewStore(stateDB, cmtstate.StoreOptions{}).Load()
	if err != nil {
		return "", fmt.Errorf("node: blocks: state: %w", err)
	}
	detail = fmt.Sprintf("blocks %d to %d", blocks.Base(), blocks.Height())
	var previous []byte
	for h := blocks.Base(); h > 0 && h <= blocks.Height(); h++ {
		if err := ctx.Err(); err != nil {
			return detail, err
		}
		b, meta := blocks.LoadBlock(h), blocks.LoadBlockMeta(h)
		if b == nil || meta == nil {
			return detail, fmt.Errorf("node: block %d is missing", h)
		}
		if err := b.ValidateBasic(); err != nil {
			return detail, fmt.Errorf("node: block %d: %w", h, err)
		}
		hash := b.Hash()
		if !bytes.Equal(hash, meta.BlockID.Hash) || previous != nil && !bytes.Equal(b.LastBlockID.Hash, previous) {
			return detail, fmt.Errorf("node: block %d is not the one that was decided", h)
		}
		previous = hash
	}
	if s.app == nil {
		return detail, nil
	}
	// Consensus may be one block ahead of the ledger after a kill: it is replayed at the next start.
	head := s.app.Head()
	switch {
	case head.Height > blocks.Height() && blocks.Height() > 0:
		return detail, fmt.Errorf("node: the ledger is at height %d, but the last block is %d", head.Height, blocks.Height())
	case head.Height+1 < blocks.Height():
		return detail, fmt.Errorf("node: the ledger is at height %d, but the last block is %d: committed blocks are missing in it", head.Height, blocks.Height())
	case last.LastBlockHeight == head.Height && head.Height > 0 && !bytes.Equal(last.AppHash, head.AppHash[:]):
		return detail, fmt.Errorf("node: the ledger's app hash at height %d is not the one the members agreed on", head.Height)
	}
	return detail, nil
}

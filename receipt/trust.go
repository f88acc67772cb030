package receipt

import (
	"bytes"
	"fmt"

	cmtmath "github.com/cometbft/cometbft/libs/math"
	cmttypes "github.com/cometbft/cometbft/types"
)

// Trust is what a verifier knows after following a chain up to some block: who validated
// it, and who validates the next one. It is a value; Follow returns the next.
type Trust struct {
	chain  string
	height int64
	set    *cmttypes.ValidatorSet
	next   []byte // hash of the validators of height+1
}

// TrustGenesis begins at a genesis file's validators. Error: ErrGenesis.
func TrustGenesis(doc *cmttypes.GenesisDoc) (Trust, error) {
	vals := make([]*cmttypes.Validator, len(doc.Validators))
	seen := map[string]bool{}
	for i, v := range doc.Validators {
		if v.PubKey == nil || v.Power <= 0 || seen[string(v.PubKey.Bytes())] {
			return Trust{}, fmt.Errorf("%w: its validators", ErrGenesis)
		}
		seen[string(v.PubKey.Bytes())] = true
		vals[i] = cmttypes.NewValidator(v.PubKey, v.Power)
	}
	if len(vals) == 0 {
		return Trust{}, fmt.Errorf("%w: it names no validators", ErrGenesis)
	}
	set := cmttypes.NewValidatorSet(vals)
	return Trust{chain: doc.ChainID, height: doc.InitialHeight - 1, set: set, next: set.Hash()}, nil
}

// readGenesis reads a genesis file.
func readGenesis(genesis []byte) (t Trust, err error) {
	defer func() {
		// CometBFT's reader does not expect a validator without a key.
		if recover() != nil {
			t, err = Trust{}, fmt.Errorf("%w: its validators", ErrGenesis)
		}
	}()
	doc, err := cmttypes.GenesisDocFromJSON(genesis)
	if err != nil {
		return Trust{}, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	return TrustGenesis(doc)
}

// twoThirds is what a validator set must sign to hand over to another one out of sight. A
// light client with a clock does with one third, because it asks again before the old
// validators may leave; a receipt may be read years later.
var twoThirds = cmtmath.Fraction{Numerator: 2, Denominator: 3}

// Follow checks a later block and returns what is known after it. More than two thirds of
// the block's own validators must have signed it, and who they are must follow: they are
// the trusted ones, or those whom the trusted block named for this height, or more than
// two thirds of the trusted ones signed too.
// Error: ErrBlock.
func (t Trust) Follow(b *cmttypes.LightBlock) (Trust, error) {
	if err := b.ValidateBasic(t.chain); err != nil {
		return t, fmt.Errorf("%w: %w", ErrBlock, err)
	}
	if b.Height <= t.height {
		return t, fmt.Errorf("%w: heights do not rise", ErrBlock)
	}
	named := bytes.Equal(b.ValidatorsHash, t.set.Hash()) || b.Height == t.height+1 && bytes.Equal(b.ValidatorsHash, t.next)
	if !named {
		if err := t.set.VerifyCommitLightTrusting(t.chain, b.Commit, twoThirds); err != nil {
			return t, fmt.Errorf("%w: change of validators at %d: %w", ErrBlock, b.Height, err)
		}
	}
	// Every signature, so that none can be altered.
	if err := b.ValidatorSet.VerifyCommit(t.chain, b.Commit.BlockID, b.Height, b.Commit); err != nil {
		return t, fmt.Errorf("%w: %w", ErrBlock, err)
	}
	return Trust{chain: t.chain, height: b.Height, set: b.ValidatorSet, next: b.NextValidatorsHash}, nil
}

// Height of the last block followed; one below the first block in the beginning.
func (t Trust) Height() int64 { return t.height }

// ValidatorsHash names the validators of the last block followed.
func (t Trust) ValidatorsHash() []byte { return t.set.Hash() }

package receipt

import (
	"bytes"
	"fmt"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"
)

// DecodeBlock reads what EncodeBlock writes, and nothing else. Nothing is checked yet: Trust.Follow does.
// Error: ErrFormat.
func DecodeBlock(raw []byte) (*cmttypes.LightBlock, error) {
	var p cmtproto.LightBlock
	if err := p.Unmarshal(raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	b, err := cmttypes.LightBlockFromProto(&p)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	// Protobuf has many encodings of one value; only the one that encodes back is a receipt.
	if again, err := EncodeBlock(b); err != nil || !bytes.Equal(again, raw) {
		return nil, fmt.Errorf("%w: block is not canonically encoded", ErrFormat)
	}
	return b, nil
}

// EncodeBlock returns the bytes of a light block as a receipt carries them.
func EncodeBlock(b *cmttypes.LightBlock) ([]byte, error) {
	p, err := b.ToProto()
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	// What a verifier recomputes or does not need would be bytes that nobody checks.
	// The validators hash covers keys and powers only, so the rest is set to one fixed value.
	if p.ValidatorSet == nil || len(p.ValidatorSet.Validators) == 0 {
		return nil, fmt.Errorf("%w: block without validators", ErrFormat)
	}
	p.ValidatorSet.TotalVotingPower = 0
	for _, v := range p.ValidatorSet.Validators {
		v.ProposerPriority = 0
	}
	p.ValidatorSet.Proposer = p.ValidatorSet.Validators[0]
	raw, err := p.Marshal()
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return raw, nil
}

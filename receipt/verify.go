package receipt

import (
	"bytes"
	"fmt"
	"time"

	cmtmath "github.com/cometbft/cometbft/libs/math"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/ledger"
	"salus/ledger/module/audit"
	"salus/ledger/tx"
)

// A Finding is what a verified receipt proves.
type Finding struct {
	Chain  string
	Height int64     // the block after which the claim held
	Block  int64     // the signed block that proves it
	Time   time.Time // of the signed block
	Hash   string    // of the signed block
	Signed int       // validators whose signatures were checked
	Of     int       // validators of that block

	Entry   *ledger.Entry // for an entry: decoded; its Index below
	Index   uint64        //
	Row     *RowClaim     // for a row
	Patient tx.Account    // for an access log
	Audit   []audit.Link  // for an access log: every entry, oldest first
}

// Verify checks a receipt against the network's genesis file.
// Errors: ErrFormat, ErrGenesis, ErrBlock, ErrProof, ErrChain (wrapped with the detail).
func Verify(genesis []byte, r *Receipt) (*Finding, error) {
	doc, err := cmttypes.GenesisDocFromJSON(genesis)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGenesis, err)
	}
	if doc.ChainID != r.Chain {
		return nil, fmt.Errorf("%w: receipt is of %q, genesis of %q", ErrGenesis, r.Chain, doc.ChainID)
	}
	block, err := followTrail(doc, r)
	if err != nil {
		return nil, err
	}
	if len(block.AppHash) != 32 {
		return nil, fmt.Errorf("%w: header carries no app hash", ErrBlock)
	}
	signed := 0
	for _, s := range block.Commit.Signatures {
		if s.BlockIDFlag == cmttypes.BlockIDFlagCommit {
			signed++
		}
	}
	f := &Finding{
		Chain: r.Chain, Height: block.Height - 1, Block: block.Height, Time: block.Time, Hash: block.Hash().String(),
		Signed: signed, Of: block.ValidatorSet.Size(),
	}
	return f, f.claim(r, [32]byte(block.AppHash))
}

// claim checks what the receipt claims under appHash and fills the finding.
func (f *Finding) claim(r *Receipt, appHash [32]byte) error {
	switch {
	case r.Entry != nil:
		if err := r.Entry.Proof.Verify(appHash, r.Entry.Index, r.Entry.Entry); err != nil {
			return fmt.Errorf("%w: %w", ErrProof, err)
		}
		e, err := ledger.DecodeEntry(r.Entry.Entry)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		f.Entry, f.Index = e, r.Entry.Index
		return nil
	case r.Row != nil:
		if r.Row.Absent != (len(r.Row.Value) == 0) {
			return ErrFormat
		}
		value := r.Row.Value
		if r.Row.Absent {
			value = nil
		}
		if err := r.Row.Proof.Verify(appHash, r.Row.Key, value); err != nil {
			return fmt.Errorf("%w: %w", ErrProof, err)
		}
		f.Row = r.Row
		return nil
	default:
		return f.auditClaim(r.Audit, appHash)
	}
}

func (f *Finding) auditClaim(c *AuditClaim, appHash [32]byte) error {
	// The position is encoded again, not taken as bytes: only the canonical row verifies.
	var row []byte
	if c.Position != (audit.Position{}) {
		row = tx.MustEncode(c.Position)
	}
	if err := c.Proof.Verify(appHash, audit.Key(c.Patient), row); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	links, err := audit.VerifyChain(c.Patient, c.Entries, c.Position)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrChain, err)
	}
	f.Patient, f.Audit = c.Patient, links
	return nil
}

// twoThirds is what a validator set must sign to hand over to a different one.
var twoThirds = cmtmath.Fraction{Numerator: 2, Denominator: 3}

// followTrail walks from the genesis validators over every change of the set to the
// receipt's block and returns it verified.
func followTrail(doc *cmttypes.GenesisDoc, r *Receipt) (*cmttypes.LightBlock, error) {
	vals := make([]*cmttypes.Validator, len(doc.Validators))
	for i, v := range doc.Validators {
		vals[i] = cmttypes.NewValidator(v.PubKey, v.Power)
	}
	trusted := cmttypes.NewValidatorSet(vals)
	height := int64(0)
	for i := 0; ; i++ {
		raw := r.Block
		if i < len(r.Trail) {
			raw = r.Trail[i]
		}
		b, err := decodeBlock(raw, doc.ChainID)
		if err != nil {
			return nil, err
		}
		if b.Height <= height {
			return nil, fmt.Errorf("%w: heights do not rise", ErrBlock)
		}
		if !bytes.Equal(b.ValidatorsHash, trusted.Hash()) {
			if err := trusted.VerifyCommitLightTrusting(doc.ChainID, b.Commit, twoThirds); err != nil {
				return nil, fmt.Errorf("%w: change of validators at %d: %w", ErrBlock, b.Height, err)
			}
		}
		if err := b.ValidatorSet.VerifyCommit(doc.ChainID, b.Commit.BlockID, b.Height, b.Commit); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBlock, err)
		}
		if i >= len(r.Trail) {
			return b, nil
		}
		trusted, height = b.ValidatorSet, b.Height
	}
}

func decodeBlock(raw []byte, chain string) (*cmttypes.LightBlock, error) {
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
	if err := b.ValidateBasic(chain); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBlock, err)
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

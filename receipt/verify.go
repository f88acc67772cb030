package receipt

import (
	"fmt"
	"slices"
	"time"

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

// Verify checks a receipt against the network's genesis file, whose chain id and validators
// are the only things it takes on trust.
// Errors: ErrFormat, ErrGenesis, ErrBlock, ErrProof, ErrChain (wrapped with the detail).
func Verify(genesis []byte, r *Receipt) (*Finding, error) {
	if !r.wellFormed() {
		return nil, ErrFormat
	}
	trust, err := readGenesis(genesis)
	if err != nil {
		return nil, err
	}
	if trust.chain != r.Chain {
		return nil, fmt.Errorf("%w: receipt is of %q, genesis of %q", ErrGenesis, r.Chain, trust.chain)
	}
	var block *cmttypes.LightBlock
	for _, raw := range append(slices.Clip(r.Trail), r.Block) {
		if block, err = DecodeBlock(raw); err != nil {
			return nil, err
		}
		if trust, err = trust.Follow(block); err != nil {
			return nil, err
		}
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
	if err := f.claim(r, [32]byte(block.AppHash)); err != nil {
		return nil, err
	}
	return f, nil
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
		value := r.Row.Value // not empty unless absent (wellFormed)
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

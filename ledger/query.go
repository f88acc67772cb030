package ledger

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/proto/tendermint/crypto"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Query paths of the ledger itself. A module's are "<module>/<what>".
const (
	// PathKey takes a state key as it is and answers with the row's bytes, or
	// none if there is no such row. With Prove: a ProofKey.
	PathKey = "key"
	// PathEntry takes a ByIndex and answers with a log entry. With Prove: a ProofEntry.
	PathEntry = "entry"
	// PathExtension takes a BySize and answers with a state.ExtensionProof that
	// the log only grew since.
	PathExtension = "extension"
	// PathTx takes a ByID and answers with a Result.
	PathTx = "tx"
)

// Types of proof operations; their data is canonical CBOR of a state.KeyProof
// or a state.EntryProof. They verify against the app hash of the height that is
// answered, which is in the header above it.
const (
	ProofKey   = "salus/key/v1"
	ProofEntry = "salus/entry/v1"
)

// ByIndex asks for a log entry.
type ByIndex struct {
	Index uint64 `cbor:"1,keyasint" json:"index"`
}

// BySize asks for the proof that the log extends what it was at a size.
type BySize struct {
	Size uint64 `cbor:"1,keyasint" json:"size"`
}

// ByID asks for the result of a transaction.
type ByID struct {
	ID tx.Hash `cbor:"1,keyasint" json:"id"`
}

// Query implements abci.Application: an answer at the last committed height, or
// at Height if this node still keeps it. Anything else is a refusal in Code.
func (a *App) Query(_ context.Context, req *abci.RequestQuery) (*abci.ResponseQuery, error) {
	defer a.halting()
	res, err := a.query(req)
	if err != nil {
		r := refused(err)
		return &abci.ResponseQuery{Code: r.Code, Log: r.Text}, nil
	}
	return res, nil
}

// Ask answers a module's query at the last committed height, for callers in the
// same process. A refusal is a *tx.Refusal.
func (a *App) Ask(path string, arg []byte) ([]byte, error) {
	defer a.halting()
	res, err := a.query(&abci.RequestQuery{Path: path, Data: arg})
	if err != nil {
		return nil, refused(err)
	}
	return res.Value, nil
}

func (a *App) query(req *abci.RequestQuery) (*abci.ResponseQuery, error) {
	if a.halted.Load() {
		return nil, errHalted
	}
	v, err := a.viewAt(req.Height)
	if err != nil {
		return nil, err
	}
	defer v.Close()
	m := v.Meta()
	res := &abci.ResponseQuery{Height: m.Height}
	switch req.Path {
	case PathKey:
		return res, answerKey(v, req, res)
	case PathEntry:
		return res, answerEntry(v, req, res)
	case PathExtension:
		return res, answerExtension(v, req, res)
	case PathTx:
		return res, answerTx(v, req, res)
	}
	q, ok := a.answers[req.Path]
	switch {
	case !ok:
		return nil, errPath
	case req.Prove:
		return nil, errNoProof
	}
	res.Value, err = q.Answer(v, Head{Height: m.Height, Time: m.Time, AppHash: m.AppHash, Chain: a.Head().Chain}, req.Data)
	return res, err
}

// viewAt opens the committed state of a height; 0 is the last one.
func (a *App) viewAt(height int64) (*state.View, error) {
	if height == 0 {
		return a.View(), nil
	}
	v, ok := a.store.Load().At(height)
	if !ok {
		return nil, errHeight
	}
	return v, nil
}

func answerKey(v *state.View, req *abci.RequestQuery, res *abci.ResponseQuery) error {
	if len(req.Data) == 0 {
		return errArgument
	}
	res.Key = req.Data
	res.Value, _ = v.Get(req.Data)
	if !req.Prove {
		return nil
	}
	p, err := v.ProveKey(req.Data)
	if err != nil {
		return errAnswerFailed
	}
	res.ProofOps = proof(ProofKey, req.Data, p)
	return nil
}

func answerEntry(v *state.View, req *abci.RequestQuery, res *abci.ResponseQuery) error {
	var q ByIndex
	if tx.Decode(req.Data, &q) != nil {
		return errArgument
	}
	var ok bool
	if res.Value, ok = v.Entry(q.Index); !ok {
		return errNoEntry
	}
	res.Key, res.Index = req.Data, int64(q.Index)
	if !req.Prove {
		return nil
	}
	p, err := v.ProveEntry(q.Index)
	if err != nil {
		return errAnswerFailed
	}
	res.ProofOps = proof(ProofEntry, req.Data, p)
	return nil
}

func answerExtension(v *state.View, req *abci.RequestQuery, res *abci.ResponseQuery) error {
	var q BySize
	if tx.Decode(req.Data, &q) != nil {
		return errArgument
	}
	if q.Size > v.Size() {
		return errNoExtension
	}
	p, err := v.ProveExtension(q.Size)
	if err != nil {
		return errAnswerFailed
	}
	res.Value = tx.MustEncode(p)
	return nil
}

func answerTx(v *state.View, req *abci.RequestQuery, res *abci.ResponseQuery) error {
	var q ByID
	if tx.Decode(req.Data, &q) != nil {
		return errArgument
	}
	r, ok := resultOf(v, q.ID)
	if !ok {
		return errNoResult
	}
	res.Value = tx.MustEncode(r)
	return nil
}

func proof(kind string, key []byte, p any) *crypto.ProofOps {
	return &crypto.ProofOps{Ops: []crypto.ProofOp{{Type: kind, Key: key, Data: tx.MustEncode(p)}}}
}

package ledger

import (
	"context"
	"errors"
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/state"
)

const (
	snapshotFormat = 1 // of package state's export
	snapshotsKept  = 2 // a peer that fetches one is not cut off by the next
)

// An export is a snapshot that peers may fetch. It lives until it is replaced
// or the App closes.
type export struct {
	height int64
	export *state.Export
}

func (e *export) close() { e.export.Close() }

// incoming is a snapshot that is being fetched.
type incoming struct {
	importer *state.Importer
	appHash  [32]byte
}

// pin keeps the committed state if a snapshot is due at its height, so that
// every member takes the snapshot of the same heights whenever its worker gets
// to it. The caller holds consensus.
func (a *App) pin() {
	every := a.base.params.SnapshotInterval
	if every <= 0 || a.base.head.Height%every != 0 {
		return
	}
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	if a.due != nil {
		a.due.Close()
	}
	a.due = a.View()
}

// TakeSnapshot makes the snapshot that is due, or one of the last committed
// state if none is, and offers it to peers; the two latest are kept. It may
// take long and holds up nothing else.
func (a *App) TakeSnapshot() error {
	a.taking.Lock()
	defer a.taking.Unlock()
	a.snapshots.Lock()
	v := a.due
	a.due = nil
	a.snapshots.Unlock()
	if v == nil {
		v = a.View()
	}
	height := v.Meta().Height
	if height == 0 || a.latestSnapshot() >= height {
		v.Close()
		return nil
	}
	x, err := a.store.Load().Export(v)
	v.Close()
	if err != nil {
		return fmt.Errorf("ledger: snapshot of height %d: %w", height, err)
	}
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	a.exports = append(a.exports, &export{height, x})
	for len(a.exports) > snapshotsKept {
		a.exports[0].close()
		a.exports = a.exports[1:]
	}
	return nil
}

// latestSnapshot is the height of the newest snapshot on offer, or 0.
func (a *App) latestSnapshot() int64 {
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	if n := len(a.exports); n > 0 {
		return a.exports[n-1].height
	}
	return 0
}

// oldestSnapshot is the height of the oldest snapshot that is on offer or due,
// or that of the last block if there is none.
func (a *App) oldestSnapshot() int64 {
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	switch {
	case len(a.exports) > 0:
		return a.exports[0].height
	case a.due != nil:
		return a.due.Meta().Height
	}
	return a.Head().Height
}

// ListSnapshots implements abci.Application.
func (a *App) ListSnapshots(context.Context, *abci.RequestListSnapshots) (*abci.ResponseListSnapshots, error) {
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	res := &abci.ResponseListSnapshots{}
	for _, e := range a.exports {
		hash := e.export.Hash()
		res.Snapshots = append(res.Snapshots, &abci.Snapshot{
			Height:   uint64(e.height),
			Format:   snapshotFormat,
			Chunks:   uint32(e.export.Chunks()),
			Hash:     hash[:],
			Metadata: e.export.Manifest(),
		})
	}
	return res, nil
}

// LoadSnapshotChunk implements abci.Application. An unknown chunk is empty.
func (a *App) LoadSnapshotChunk(_ context.Context, req *abci.RequestLoadSnapshotChunk) (*abci.ResponseLoadSnapshotChunk, error) {
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	for _, e := range a.exports {
		if uint64(e.height) == req.Height && req.Format == snapshotFormat && int(req.Chunk) < e.export.Chunks() {
			chunk, err := e.export.Chunk(int(req.Chunk))
			if err != nil {
				return nil, fmt.Errorf("ledger: snapshot: %w", err)
			}
			return &abci.ResponseLoadSnapshotChunk{Chunk: chunk}, nil
		}
	}
	return &abci.ResponseLoadSnapshotChunk{}, nil
}

// OfferSnapshot implements abci.Application: a node without any state begins to
// take one over. AppHash comes from a verified header; it decides in the end.
func (a *App) OfferSnapshot(_ context.Context, req *abci.RequestOfferSnapshot) (*abci.ResponseOfferSnapshot, error) {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	if a.cfg.Dir == "" || a.base.started() {
		return &abci.ResponseOfferSnapshot{Result: abci.ResponseOfferSnapshot_ABORT}, nil
	}
	s := req.Snapshot
	switch {
	case s == nil || s.Height == 0 || s.Chunks == 0 || len(req.AppHash) != 32:
		return &abci.ResponseOfferSnapshot{Result: abci.ResponseOfferSnapshot_REJECT}, nil
	case s.Format != snapshotFormat:
		return &abci.ResponseOfferSnapshot{Result: abci.ResponseOfferSnapshot_REJECT_FORMAT}, nil
	}
	if a.importing != nil { // the one before led nowhere
		a.importing.abort()
		a.importing = nil
	}
	imp, err := state.Import(a.cfg.Dir, a.cfg.Options, s.Metadata)
	if err != nil {
		return &abci.ResponseOfferSnapshot{Result: abci.ResponseOfferSnapshot_REJECT}, nil
	}
	if m := imp.Meta(); imp.Chunks() != int(s.Chunks) || uint64(m.Height) != s.Height || m.AppHash != [32]byte(req.AppHash) {
		_ = imp.Abort() // what it leaves behind the next Import removes
		return &abci.ResponseOfferSnapshot{Result: abci.ResponseOfferSnapshot_REJECT}, nil
	}
	a.importing = &incoming{importer: imp, appHash: [32]byte(req.AppHash)}
	return &abci.ResponseOfferSnapshot{Result: abci.ResponseOfferSnapshot_ACCEPT}, nil
}

// ApplySnapshotChunk implements abci.Application. The last chunk replaces the
// empty store by the new one, if that comes to the app hash that was promised;
// otherwise nothing is left of the snapshot.
func (a *App) ApplySnapshotChunk(_ context.Context, req *abci.RequestApplySnapshotChunk) (*abci.ResponseApplySnapshotChunk, error) {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	in := a.importing
	if in == nil {
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ABORT}, nil
	}
	err := in.importer.Add(int(req.Index), req.Chunk)
	switch {
	case errors.Is(err, state.ErrChunk):
		return &abci.ResponseApplySnapshotChunk{
			Result:        abci.ResponseApplySnapshotChunk_RETRY,
			RefetchChunks: []uint32{req.Index},
			RejectSenders: []string{req.Sender},
		}, nil
	case err != nil:
		a.importing = nil
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_REJECT_SNAPSHOT}, nil
	case int(req.Index)+1 < in.importer.Chunks():
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ACCEPT}, nil
	}
	a.importing = nil
	ok, err := a.replace(in)
	if err != nil {
		return nil, err
	}
	if !ok {
		return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_REJECT_SNAPSHOT}, nil
	}
	return &abci.ResponseApplySnapshotChunk{Result: abci.ResponseApplySnapshotChunk_ACCEPT}, nil
}

// replace closes the empty store and opens the fetched one in its place; ok is
// false if that does not come to the promised app hash, and the store is empty
// as before. The caller holds consensus and snapshots.
func (a *App) replace(in *incoming) (ok bool, err error) {
	a.decided.Lock()
	defer a.decided.Unlock()
	a.check.Lock()
	a.base.view.Close()
	a.base = &base{head: a.base.head} // not started: nothing runs on it
	a.check.Unlock()
	if err := a.store.Load().Close(); err != nil {
		return false, fmt.Errorf("ledger: state sync: %w", err)
	}
	s, err := in.importer.Finish(in.appHash)
	ok = err == nil
	if !ok {
		if s, err = state.Open(a.cfg.Dir, a.cfg.Options); err != nil {
			return false, fmt.Errorf("ledger: state sync: %w", err)
		}
	}
	a.store.Store(s)
	return ok, a.rebase()
}

// abort drops what was fetched; what cannot be removed now the next Import removes.
func (in *incoming) abort() { _ = in.importer.Abort() }

package ledger

import (
	"fmt"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/state"
)

// Version is the newest state-machine version this code runs. A chain records
// the version it is at, beginning with the one its genesis file names
// (consensus_params.version.app; 1 if it names none).
//
//	1  the first
//	2  only in programs built with the tag "rehearsal": package rehearsal
//
// A handler whose rule changes at a version asks Context.Version and keeps the
// old rule for ever: blocks of the past are run again by every new member. A
// module that comes with a version says so in Module.Since.
const Version = newest

// A Plan is a change of rules that the members agreed on.
type Plan struct {
	Version uint64 // of the state machine, from block Height on
	Height  int64
	Name    string // of the release that knows it
}

// An OutdatedError says that this program does not know the rules of the next
// block: it must not run it, propose it or vote on it.
type OutdatedError struct {
	Plan
	Newest uint64 // what this program knows
}

// Error implements error.
func (e *OutdatedError) Error() string {
	return fmt.Sprintf("ledger: block %d and all after it need state-machine version %d (release %q); this program runs up to %d", e.Height, e.Version, e.Name, e.Newest)
}

// newestKnown is what this program runs at most.
func (a *App) newestKnown() uint64 {
	if a.cfg.Newest != 0 {
		return a.cfg.Newest
	}
	return Version
}

// versionAt is the version by which a block runs, in a state before it.
func (a *App) versionAt(r state.Reader, now uint64, height int64) (uint64, Plan) {
	if a.cfg.Plan != nil {
		if p, ok := a.cfg.Plan(r); ok && height >= p.Height && p.Version > now {
			return p.Version, p
		}
	}
	return now, Plan{Version: now}
}

// Outdated is nil, or an *OutdatedError if the next block is not for this
// program. Everything up to the last block is complete and stays readable.
func (a *App) Outdated() error {
	a.check.RLock()
	defer a.check.RUnlock()
	return a.outdated(a.base, a.base.head.Height+1)
}

func (a *App) outdated(b *base, height int64) error {
	if !b.started() {
		return nil
	}
	if v, p := a.versionAt(b.view, b.chain.Version, height); v > a.newestKnown() {
		return &OutdatedError{p, a.newestKnown()}
	}
	return nil
}

// genesisVersion is the version a chain begins at.
func (a *App) genesisVersion(req *abci.RequestInitChain) (uint64, error) {
	v := uint64(1)
	if p := req.ConsensusParams; p != nil && p.Version != nil && p.Version.App != 0 {
		v = p.Version.App
	}
	if v > a.newestKnown() {
		return 0, fmt.Errorf("ledger: the genesis begins at state-machine version %d, this program runs up to %d", v, a.newestKnown())
	}
	return v, nil
}

// upgrade begins a new version, if this block is its first: the row that says
// so, and what the modules have to change once.
func (e *execution) upgrade(c *Context) {
	was := e.base.chain
	if was.Version == e.version {
		return
	}
	now := was
	now.Version = e.version
	chains.Put(e.cache, nil, now)
	for _, m := range e.app.cfg.Modules {
		if m.Upgrade == nil || m.Since > e.version {
			continue
		}
		if err := m.Upgrade(c, was.Version); err != nil {
			panic(fmt.Sprintf("ledger: internal error: %s: %v", m.Name, err))
		}
	}
}

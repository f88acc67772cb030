package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Config is what an App is made of.
type Config struct {
	// Chain is the chain id; empty takes it from the store or the genesis.
	Chain string
	// Modules run in this order, which is part of consensus.
	Modules []Module
	// Store holds the state. The App takes it over and closes it.
	Store *state.Store
	// Dir and Options are what Store was opened with. A node without a genesis
	// takes a snapshot over into Dir (state sync); if it is empty, it takes none.
	Dir     string
	Options state.Options
	// Params reads the parameters in force; nil means DefaultParams.
	Params func(state.Reader) Params
	// Plan reads the change of rules that the members agreed on and that is still
	// to come; nil means that there never is one.
	Plan func(state.Reader) (Plan, bool)
	// Newest is the newest state-machine version that this App runs; 0 means Version.
	Newest uint64
	// Authenticate says who signed a transaction.
	Authenticate Authenticator
	// Retain is the lowest block that the node needs for something else than
	// consensus; nil means that there is none. It must not block.
	Retain func() int64
	// Committed is called at the end of each Commit, after everything of the
	// block is durable and visible. It must not block.
	Committed func(Head)
}

// App is the application that CometBFT drives. It is safe for concurrent use
// over separate ABCI connections. Its methods that read (View, Head, Hold,
// Result) may be called at any time from New to Close.
type App struct {
	abci.BaseApplication // vote extensions and the app mempool are not used

	cfg     Config
	calls   map[tx.Kind]*Call
	since   map[tx.Kind]uint64 // version from which a kind may be sent, of the modules that came later
	answers map[string]*Query
	memo    *memo
	shelf   *shelf

	store  atomic.Pointer[state.Store]
	head   atomic.Pointer[Head]
	halted atomic.Bool

	// decided is held for writing from FinalizeBlock to Commit: while a block is
	// decided but not yet visible, nobody may act on the state before it.
	decided sync.RWMutex

	// consensus guards what the calls of the consensus connection share.
	consensus sync.Mutex
	base      *base      // the last committed state; replaced under check as well
	prepared  *execution // the last own proposal, run but for its end
	proposed  *execution // the last accepted proposal, already run
	closed    bool
	final     *execution // the finalised block that Commit will make durable

	// check guards base and its view for CheckTx, which only reads them and may
	// run several times at once.
	check sync.RWMutex

	passing sync.Mutex // guards window; taken after check
	window  *quota     // what CheckTx let pass since the last commit

	// snapshots guards the fields below it.
	snapshots sync.Mutex
	taking    sync.Mutex  // held while a snapshot is made, taken before snapshots
	due       *state.View // state of the last height at which a snapshot is due
	exports   []*export   // taken, oldest first
	importing *incoming   // state sync under way
}

// base is a committed state and what running on it needs to know.
type base struct {
	view   *state.View
	head   Head
	chain  chain
	params Params
}

// chain is the row that says what this chain is.
type chain struct {
	ID      string  `cbor:"1,keyasint"`
	Genesis tx.Hash `cbor:"2,keyasint"` // of everything the chain began with
	Version uint64  `cbor:"3,keyasint"` // of the state machine
}

var chains = state.NewTable[chain]("chain", Prefix, 0x02)

// Tables lists the ledger's own tables; modules list theirs.
func Tables() []state.TableInfo {
	return []state.TableInfo{windows.Info(), chains.Info(), powers.Info(), offences.Info()}
}

// Entries lists the ledger's own log entries; modules list theirs.
func Entries() []EntryInfo {
	return []EntryInfo{{Kind: EntryMisbehavior, Name: "ledger.misbehavior", Payload: Misbehavior{}}}
}

// New makes the application over a store. Errors: modules that claim the same
// thing twice, a store of another chain, or one written by a newer version.
func New(c Config) (*App, error) {
	if c.Store == nil || c.Authenticate == nil {
		return nil, errors.New("ledger: configuration is incomplete")
	}
	if err := checkModules(c.Modules); err != nil {
		return nil, err
	}
	if c.Params == nil {
		c.Params = func(state.Reader) Params { return DefaultParams() }
	}
	a := &App{
		cfg:     c,
		calls:   map[tx.Kind]*Call{},
		since:   map[tx.Kind]uint64{},
		answers: map[string]*Query{},
		memo:    newMemo(memoSize),
		shelf:   newShelf(),
		window:  newQuota(),
	}
	for i := range c.Modules {
		m := &c.Modules[i]
		for j := range m.Calls {
			a.calls[m.Calls[j].Kind] = &m.Calls[j]
			if m.Since > 1 {
				a.since[m.Calls[j].Kind] = m.Since
			}
		}
		for j := range m.Queries {
			a.answers[m.Queries[j].Path] = &m.Queries[j]
		}
	}
	a.store.Store(c.Store)
	if err := a.rebase(); err != nil {
		return nil, err
	}
	return a, nil
}

// rebase makes the store's last version the one that everything runs on.
// The caller holds consensus, or is the only one to know the App.
func (a *App) rebase() error {
	v := a.store.Load().View()
	b := &base{view: v}
	var ok bool
	if b.chain, ok = chains.Get(v, nil); ok {
		switch {
		case a.cfg.Chain != "" && a.cfg.Chain != b.chain.ID:
			v.Close()
			return fmt.Errorf("ledger: the store is of chain %q, not of %q", b.chain.ID, a.cfg.Chain)
		case b.chain.Version > a.newestKnown():
			v.Close()
			return fmt.Errorf("ledger: the chain is at state-machine version %d, this program runs up to %d", b.chain.Version, a.newestKnown())
		}
		b.params = a.cfg.Params(v)
	} else {
		b.chain.ID = a.cfg.Chain
	}
	m := v.Meta()
	b.head = Head{Height: m.Height, Time: m.Time, AppHash: m.AppHash, Chain: b.chain.ID}

	a.check.Lock()
	if a.base != nil && a.base.view != nil {
		a.base.view.Close()
	}
	a.base = b
	a.passing.Lock()
	a.window = newQuota()
	a.passing.Unlock()
	a.check.Unlock()
	head := b.head
	a.head.Store(&head)
	return nil
}

// started reports whether there is a genesis to run on.
func (b *base) started() bool { return b.chain.Version != 0 }

// Close waits for whoever holds, releases the state and closes the store. A
// finalised block that was not committed is forgotten: it will be delivered
// again. Afterwards Hold and queries are refused, and nothing else may be called.
func (a *App) Close() error {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	if a.final == nil {
		a.decided.Lock()
	}
	a.final = nil
	a.halted.Store(true)
	a.decided.Unlock()
	a.check.Lock()
	defer a.check.Unlock()
	a.snapshots.Lock()
	defer a.snapshots.Unlock()
	for _, e := range a.exports {
		e.close()
	}
	a.exports = nil
	if a.due != nil {
		a.due.Close()
		a.due = nil
	}
	if a.importing != nil {
		a.importing.abort()
		a.importing = nil
	}
	if a.closed {
		return nil
	}
	a.closed = true
	a.base.view.Close()
	return a.store.Load().Close()
}

// Halted reports whether this replica met state that it cannot trust, or was closed: it decides and
// answers nothing any more.
func (a *App) Halted() bool { return a.halted.Load() }

// View returns the last committed state; the caller closes it.
func (a *App) View() *state.View { return a.store.Load().View() }

// ViewAt opens the state after the block of a height, if it is one of the last that are kept; it
// is to be closed.
func (a *App) ViewAt(height int64) (*state.View, bool) { return a.store.Load().At(height) }

// Head returns the last committed block.
func (a *App) Head() Head { return *a.head.Load() }

// Hold runs f on the last committed state while no block can be decided: it
// waits for a block between FinalizeBlock and the end of Commit, and holds up
// the next one. What f does is therefore ordered with every block: either
// wholly before it is finalised, or after all of it is visible. v is closed
// when f returns. f must be short and must not call Hold.
//
// The error is that of f, or a refusal if the node has halted.
func (a *App) Hold(f func(v *state.View, h Head) error) error {
	a.decided.RLock()
	defer a.decided.RUnlock()
	if a.halted.Load() {
		return errHalted
	}
	v := a.View()
	defer v.Close()
	m := v.Meta()
	return f(v, Head{Height: m.Height, Time: m.Time, AppHash: m.AppHash, Chain: a.Head().Chain})
}

// Info implements abci.Application: where this node's state stands.
func (a *App) Info(context.Context, *abci.RequestInfo) (*abci.ResponseInfo, error) {
	h := a.Head()
	res := &abci.ResponseInfo{
		Data:            "salus",
		AppVersion:      a.newestKnown(),
		LastBlockHeight: h.Height,
	}
	if h.Height > 0 {
		res.LastBlockAppHash = h.AppHash[:]
	}
	a.check.Lock()
	defer a.check.Unlock()
	if a.base.started() {
		// That of the next block: it is what the header above this state names.
		res.AppVersion, _ = a.versionAt(a.base.view, a.base.chain.Version, h.Height+1)
	}
	return res, nil
}

// halting marks the node as halted if a panic is under way, so that nothing
// else is answered from a state that cannot be trusted. Use with defer.
func (a *App) halting() {
	if r := recover(); r != nil {
		a.halted.Store(true)
		panic(r)
	}
}

// refused turns an error of a handler or authenticator into a refusal. Any
// other kind of error means that this replica does not know what is right.
func refused(err error) *tx.Refusal {
	var r *tx.Refusal
	if !errors.As(err, &r) || r.Code == tx.CodeOK {
		panic(fmt.Sprintf("ledger: internal error: %v", err))
	}
	return r
}

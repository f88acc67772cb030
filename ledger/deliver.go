package ledger

import (
	"context"
	"fmt"
	"runtime"

	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// An execution is one block being run on a scratch copy of the committed state.
type execution struct {
	app     *App
	base    *base
	hash    string // of the block; empty while it has none
	head    Head   // of the block that is run
	version uint64 // of the state machine, by which it is run
	cache   *state.Cache
	quota   *quota
	dry     bool // a check: nothing of it is kept
	again   bool // a check of something that was checked before

	windows map[tx.Account]*window // replay windows that changed
	signers []tx.Account           // whose windows those are, in the order of their first transactions

	events     []abci.Event
	results    []*abci.ExecTxResult
	validators [][32]byte // whose power was set
	side       []state.Row
	caught     []Misbehavior // told of for the first time by this block

	txs         [][]byte           // of an own proposal or a decided block
	misbehavior []abci.Misbehavior // of an own proposal
	seen        map[tx.Hash]bool   // ids delivered in this block
}

// A verdict is what running one transaction came to.
type verdict struct {
	id       tx.Hash
	named    bool // the bytes decode far enough to have an id
	admitted bool // decoded, in time, fresh, signed, within its quota; only then may it be in a block
	signer   Signer
	window   window // the signer's, with this nonce used
	events   []abci.Event
	refusal  *tx.Refusal // nil if it succeeded
}

// on prepares to run a block on the committed state b.
func (a *App) on(b *base, height int64, time uint64) *execution {
	version, _ := a.versionAt(b.view, b.chain.Version, height)
	return &execution{
		version: version,
		app:     a,
		base:    b,
		head:    Head{Height: height, Time: time, AppHash: b.head.AppHash, Chain: b.chain.ID},
		cache:   state.NewCache(b.view),
		quota:   newQuota(),
		seen:    map[tx.Hash]bool{},

		windows: map[tx.Account]*window{},
	}
}

// context makes the Context in which something of the block writes to w.
func (e *execution) context(w state.Writer) *Context {
	return &Context{Height: e.head.Height, Time: e.head.Time, Chain: e.head.Chain, Version: e.version, State: w, dry: e.dry}
}

// run runs one transaction: decode, authenticate, replay window, handler. What
// the handler writes is kept only if it succeeds. A transaction that its
// handler refuses still uses its nonce up when it is delivered: its signer was
// told no, and nobody who kept the bytes may turn that into a yes later.
func (e *execution) run(raw []byte) (v verdict) {
	scratch := state.NewCache(e.cache)
	c := e.context(scratch)
	p, w, err := e.admit(c, raw, &v)
	if err != nil {
		v.refusal = refused(err)
		return v
	}
	v.admitted, v.signer, v.window = true, c.Signer, w
	if e.again && !p.doubtful.Swap(false) {
		return v
	}
	err = p.refusal
	if err == nil {
		err = p.call.handle(c, p.message)
	}
	if err != nil {
		p.doubtful.Store(true)
		v.refusal = refused(err)
		return v
	}
	e.validators = append(e.validators, c.validators...)
	v.events = c.events
	scratch.Flush()
	return v
}

// try is run for transactions that nobody has decided on yet. A fault of the
// program that this input alone sets off (an index out of range, a nil map)
// refuses the input here, so that it never gets into a block; in a decided block
// it halts. What panics on purpose, because the state cannot be trusted, halts
// everywhere.
func (e *execution) try(raw []byte) (v verdict) {
	defer func() {
		r := recover()
		if _, fault := r.(runtime.Error); fault {
			v = verdict{refusal: errInternal}
		} else if r != nil {
			panic(r)
		}
	}()
	return e.run(raw)
}

// admit decides whether the bytes may be in this block at all, the cheapest
// reasons against it first, and returns what is to be run and the signer's
// replay window after it. It writes nothing.
func (e *execution) admit(c *Context, raw []byte, v *verdict) (p *parsed, w window, err error) {
	params := &e.base.params
	if uint64(len(raw)) > params.MaxTxBytes {
		return nil, w, errTooLarge
	}
	if p, err = e.app.parse(raw); err != nil {
		return nil, w, err
	}
	body := p.body
	if body.Chain != c.Chain {
		return nil, w, errWrongChain
	}
	v.id, v.named = p.id, true
	c.Tx = v.id
	height := uint64(e.head.Height)
	switch {
	case e.seen[v.id]:
		return nil, w, errDuplicate
	case p.call == nil || e.app.since[body.Kind] > c.Version:
		return nil, w, errUnknownKind
	case body.Expiry < height:
		return nil, w, errExpired
	case body.Expiry-height > params.MaxExpiry:
		return nil, w, errExpiryTooFar
	}
	w = e.window(body.Signer)
	if err := w.check(body.Nonce); err != nil {
		return nil, w, err
	}
	w.use(body.Nonce)
	c.Signer, err = e.app.cfg.Authenticate(e.cache, e.head, *params, body, p.env, v.id, e.app.memo.verify)
	if err != nil {
		return nil, w, err
	}
	if c.Signer.Account != body.Signer || !c.Signer.Class.Known() {
		panic("ledger: internal error: authenticated somebody else than the signer")
	}
	return p, w, e.quota.fits(params, c.Signer, len(raw))
}

// window is an account's replay window as the block has it so far.
func (e *execution) window(account tx.Account) window {
	if w, ok := e.windows[account]; ok {
		return *w
	}
	w, _ := windows.Shared(e.cache, account[:])
	return w
}

// begin runs what comes before the transactions of a block.
func (e *execution) begin(misbehavior []abci.Misbehavior) {
	c := e.context(e.cache)
	e.upgrade(c)
	e.catch(c, misbehavior)
	c.Caught = e.caught
	for _, m := range e.app.cfg.Modules {
		e.hook(c, &m, m.BeginBlock)
	}
	e.keep(c)
}

// deliver records the result of one transaction of the block, which run or try
// has run.
func (e *execution) deliver(raw []byte, v verdict) {
	if v.admitted {
		e.quota.take(v.signer, len(raw))
		if _, again := e.windows[v.signer.Account]; !again {
			e.signers = append(e.signers, v.signer.Account)
		}
		e.windows[v.signer.Account] = &v.window
	}
	r := &abci.ExecTxResult{Events: v.events}
	if v.refusal != nil {
		r.Code, r.Log = v.refusal.Code, v.refusal.Text
	}
	if v.named && !e.seen[v.id] {
		e.seen[v.id] = true
		e.record(v.id, Result{Height: e.head.Height, Index: uint32(len(e.results)), Code: r.Code, Text: r.Log})
	}
	e.results = append(e.results, r)
}

// end writes the replay windows and runs what comes after the transactions of a
// block.
func (e *execution) end() {
	for _, account := range e.signers {
		windows.Put(e.cache, account[:], *e.windows[account])
	}
	c := e.context(e.cache)
	c.Caught = e.caught
	for _, m := range e.app.cfg.Modules {
		e.hook(c, &m, m.EndBlock)
	}
	e.keep(c)
	if len(e.validators) > 0 && len(voters(e.cache)) == 0 {
		panic("ledger: internal error: no validator is left")
	}
}

// hook runs a module's block hook, if it has one and the module is in force.
func (e *execution) hook(c *Context, m *Module, f func(*Context) error) {
	if f == nil || m.Since > e.version {
		return
	}
	if err := f(c); err != nil {
		panic(fmt.Sprintf("ledger: internal error: %s: %v", m.Name, err))
	}
}

// keep takes over what a hook's context collected.
func (e *execution) keep(c *Context) {
	e.events, c.events = append(e.events, c.events...), nil
	e.validators, c.validators = append(e.validators, c.validators...), nil
}

// FinalizeBlock implements abci.Application: it runs a decided block. From here
// to the end of Commit no Hold runs. Nothing is durable or visible before
// Commit, so a crash in between runs the block again.
func (a *App) FinalizeBlock(_ context.Context, req *abci.RequestFinalizeBlock) (_ *abci.ResponseFinalizeBlock, err error) {
	a.consensus.Lock()
	defer a.consensus.Unlock()
	if err := a.follows(req.Height); err != nil {
		return nil, err
	}
	if a.final == nil {
		a.decided.Lock()
	}
	defer func() {
		if a.final == nil { // an error or a panic: there will be no Commit
			a.decided.Unlock()
		}
	}()
	defer a.halting()
	a.final = nil
	e := a.proposed
	if e == nil || e.hash == "" || e.hash != string(req.Hash) {
		e = a.execute(req.Hash, req.Height, req.Time.Unix(), req.Txs, req.Misbehavior)
	}
	a.prepared, a.proposed = nil, nil
	hash, err := a.store.Load().Stage(state.Block{Height: req.Height, Time: e.head.Time, Changes: e.cache, Side: e.side})
	if err != nil {
		panic(fmt.Sprintf("ledger: cannot stage block %d: %v", req.Height, err))
	}
	e.txs = req.Txs
	a.final = e
	res := &abci.ResponseFinalizeBlock{
		Events:           e.events,
		TxResults:        e.results,
		ValidatorUpdates: validatorUpdates(e.cache, changedValidators(e.base.view, e.cache, e.validators)),
		AppHash:          hash[:],
	}
	res.ConsensusParamUpdates = a.consensusChanges(e)
	return res, nil
}

// execute runs a whole block.
func (a *App) execute(hash []byte, height, unix int64, txs [][]byte, misbehavior []abci.Misbehavior) *execution {
	e := a.on(a.base, height, uint64(max(unix, 0)))
	e.hash = string(hash)
	e.begin(misbehavior)
	for _, raw := range txs {
		e.deliver(raw, e.run(raw))
	}
	e.end()
	return e
}

// consensusChanges is what CometBFT has to know from the next block on: another
// size of blocks, another version in their headers; nil if nothing changes.
func (a *App) consensusChanges(e *execution) *cmtproto.ConsensusParams {
	var changes *cmtproto.ConsensusParams
	if p := a.cfg.Params(e.cache); p.MaxBlockBytes != e.base.params.MaxBlockBytes {
		changes = &cmtproto.ConsensusParams{Block: blockParams(p)}
	}
	if next, _ := a.versionAt(e.cache, e.version, e.head.Height+1); next != e.version {
		if changes == nil {
			changes = &cmtproto.ConsensusParams{}
		}
		changes.Version = &cmtproto.VersionParams{App: next}
	}
	return changes
}

// follows refuses a block that does not come next, and one whose rules this
// program does not know.
func (a *App) follows(height int64) error {
	b := a.base
	if !b.started() {
		return errNotStarted
	}
	if b.head.Height > 0 && height != b.head.Height+1 || height < 1 {
		return fmt.Errorf("ledger: block %d does not follow %d", height, b.head.Height)
	}
	return a.outdated(b, height)
}

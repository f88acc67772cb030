package sim

import (
	"maps"
	"slices"
)

// The engine is Tendermint (Buchman, Kwon, Milosevic 2018, algorithm 1), one height at a
// time, with votes sent again for as long as a height lasts. Signatures are taken for
// granted: nobody here speaks in another's name.

type voteKind uint8

const (
	prevote voteKind = iota + 1
	precommit
)

func (k voteKind) String() string { return [...]string{"", "prevote", "precommit"}[k] }

type voteAt struct {
	height int64
	round  int
	kind   voteKind
}

type vote struct {
	voteAt
	id   [32]byte // zero: nil
	from int
}

type proposal struct {
	height int64
	round  int
	polc   int // round in which a quorum prevoted for it, -1 for none
	block  *block
	from   int
}

// kept is what must survive a crash, or a member would vote twice.
type kept struct {
	height      int64
	round       int
	step        step
	sent        map[voteAt][][32]byte
	proposed    *proposal // own, of this round
	lockedRound int
	locked      *block
	validRound  int
	valid       *block
}

type step int

const (
	proposing step = iota
	prevoting
	precommitting
	deciding
)

type engine struct {
	n         *node
	last      *decided
	proposals map[int]*proposal             // of this height, by round
	blocks    map[[32]byte]*block           // of this height
	checked   map[[32]byte]bool             // good ones
	votes     map[voteAt]map[int][][32]byte // by voter; a second one is a fault, and counts for its block all the same
	fired     map[string]bool               // timeouts that were started
	begun     bool                          // this height's first round
	lastAt    int64

	evidence []evidence
	punished map[string]bool
	ahead    map[int64]*decided
}

func newEngine(n *node) *engine {
	e := &engine{n: n, punished: map[string]bool{}, ahead: map[int64]*decided{}, lastAt: n.w.now}
	for _, h := range slices.Sorted(maps.Keys(n.blocks)) {
		for _, ev := range n.blocks[h].block.Evidence {
			e.punished[ev.key()] = true
		}
	}
	if n.kept.sent == nil {
		n.kept.sent = map[voteAt][][32]byte{}
	}
	e.fresh()
	return e
}

// fresh forgets what belongs to one height.
func (e *engine) fresh() {
	e.proposals, e.blocks, e.checked = map[int]*proposal{}, map[[32]byte]*block{}, map[[32]byte]bool{}
	e.votes, e.fired, e.begun = map[voteAt]map[int][][32]byte{}, map[string]bool{}, false
}

// resume takes the height up after a start, with what was kept if it is the same height.
func (e *engine) resume() {
	e.enter()
	e.n.later(e.n.w.between(100, 400), e.repeat)
}

// enter begins the height after the last committed block.
func (e *engine) enter() {
	n := e.n
	h := n.height()
	if e.last = n.blocks[h]; e.last == nil && h > 0 {
		e.last = n.w.truth.blocks[h] // after state sync
	}
	if n.kept.height > h+1 { // the replica was lost and is behind the own votes
		was := n.kept
		n.shelved = &was
	}
	if n.shelved != nil && n.shelved.height == h+1 {
		sent := n.kept.sent
		n.kept, n.shelved = *n.shelved, nil
		n.kept.sent = sent
	}
	if n.kept.height != h+1 {
		n.kept = kept{height: h + 1, sent: n.kept.sent, lockedRound: -1, validRound: -1}
	} else {
		for at, ids := range n.kept.sent {
			if at.height == h+1 {
				for _, id := range ids {
					e.note(vote{at, id, n.i})
				}
			}
		}
		for _, b := range []*block{n.kept.locked, n.kept.valid} {
			if b != nil {
				e.blocks[b.id()] = b
			}
		}
		if p := n.kept.proposed; p != nil {
			e.proposals[p.round], e.blocks[p.block.id()] = p, p.block
		}
		if n.kept.round > 0 || n.kept.step > proposing {
			e.begun = true
			e.timeout(proposing, n.kept.round)
		}
	}
	wait := int64(3000)
	if len(n.pool.raws) > 0 {
		wait = 400
	}
	n.later(wait, e.starter(h+1))
}

func (e *engine) starter(height int64) func() {
	return func() {
		if !e.begun && e.n.kept.height == height {
			e.round(0)
		}
	}
}

// hurry begins the height sooner because there is something to decide.
func (e *engine) hurry() {
	if !e.begun {
		e.n.later(max(0, e.lastAt+400-e.n.w.now), e.starter(e.n.kept.height))
	}
}

func (e *engine) proposer(height int64, round int) int {
	return int((height + int64(round)) % int64(len(e.n.w.nodes)))
}

// round starts a round (startRound of the paper).
func (e *engine) round(r int) {
	n := e.n
	e.begun = true
	n.kept.round, n.kept.step, n.kept.proposed = r, proposing, nil
	if r > 0 {
		n.w.saw("rounds above the first")
	}
	e.timeout(proposing, r)
	if e.proposer(n.kept.height, r) == n.i {
		if n.rogue != nil && n.rogue.propose(n, r) {
			return
		}
		b := n.kept.valid
		if b == nil {
			b = n.propose()
		}
		if !n.alive() {
			return
		}
		p := &proposal{n.kept.height, r, n.kept.validRound, b, n.i}
		n.kept.proposed = p
		n.w.log("%d proposes %d/%d %x, %d txs", n.i, p.height, r, short(b.id()), len(b.Txs))
		n.w.net.spread(n, func(to *node) { to.engine.propose(p) })
	}
	e.think()
}

func short(id [32]byte) []byte { return id[:4] }

// timeout plans what happens if a step takes too long.
func (e *engine) timeout(s step, r int) {
	n, h := e.n, e.n.kept.height
	if key := string(rune(s)) + string(rune(r)); e.fired[key] {
		return
	} else {
		e.fired[key] = true
	}
	base := map[step]int64{proposing: 1200, prevoting: 500, precommitting: 500}[s]
	if s == proposing && r == 0 {
		base += 3000 // a proposer may wait that long for something to propose
	}
	n.later(base+int64(r)*400, func() {
		if n.kept.height != h || n.kept.round != r {
			return
		}
		switch {
		case s == proposing && n.kept.step == proposing:
			e.cast(prevote, [32]byte{})
			n.kept.step = prevoting
		case s == prevoting && n.kept.step == prevoting:
			e.cast(precommit, [32]byte{})
			n.kept.step = precommitting
		case s == precommitting:
			e.round(r + 1)
			return
		}
		e.think()
	})
}

// cast votes, once per round and kind.
func (e *engine) cast(k voteKind, id [32]byte) {
	n := e.n
	at := voteAt{n.kept.height, n.kept.round, k}
	if len(n.kept.sent[at]) > 0 {
		return // before the crash
	}
	if n.rogue != nil && n.rogue.vote(n, at, id) {
		return
	}
	e.send(at, id)
}

func (e *engine) send(at voteAt, id [32]byte) {
	n := e.n
	if !n.alive() {
		return
	}
	n.kept.sent[at] = append(n.kept.sent[at], id)
	v := vote{at, id, n.i}
	n.w.net.spread(n, func(to *node) { to.engine.hear(v) })
}

// propose takes a proposal that came in.
func (e *engine) propose(p *proposal) {
	if p.height > e.n.kept.height {
		return
	}
	if p.height < e.n.kept.height {
		e.help(p.from, p.height)
		return
	}
	if p.from != e.proposer(p.height, p.round) || p.polc >= p.round {
		return
	}
	e.blocks[p.block.id()] = p.block
	if e.proposals[p.round] == nil {
		e.proposals[p.round] = p
	}
	if !e.begun {
		e.round(0)
		return
	}
	e.think()
}

// hear takes a vote that came in.
func (e *engine) hear(v vote) {
	if v.height < e.n.kept.height {
		e.help(v.from, v.height)
		return
	}
	if v.height > e.n.kept.height {
		return // the sender will help when it hears of us
	}
	e.note(v)
	e.think()
}

// note keeps a vote; a second one of the same voter is evidence.
func (e *engine) note(v vote) {
	if e.votes[v.voteAt] == nil {
		e.votes[v.voteAt] = map[int][][32]byte{}
	}
	was := e.votes[v.voteAt][v.from]
	if slices.Contains(was, v.id) || len(was) > 1 {
		return
	}
	e.votes[v.voteAt][v.from] = append(slices.Clone(was), v.id)
	if len(was) == 1 && v.from != e.n.i {
		e.evidence = append(e.evidence, evidence{v.from, v.height, v.round, v.kind, was[0], v.id})
		e.n.w.saw("double votes seen")
	}
}

// count is how many voted for id; all counts everybody.
func (e *engine) count(at voteAt, id [32]byte) (n, all int) {
	for _, ids := range e.votes[at] {
		all++
		if slices.Contains(ids, id) {
			n++
		}
	}
	return n, all
}

func (e *engine) good(b *block) bool {
	id := b.id()
	if e.checked[id] {
		return true
	}
	if !e.n.valid(b) { // which may change: a block's time can lie ahead of this member's clock
		e.n.w.saw("proposals refused")
		return false
	}
	e.checked[id] = true
	return true
}

// think applies the rules until none does anything.
func (e *engine) think() {
	for e.n.alive() && e.begun && e.rules() {
	}
}

func (e *engine) quorum() int {
	if e.n.w.mutant.quorum != nil {
		return e.n.w.mutant.quorum(e.n.w)
	}
	return e.n.w.quorum()
}

func (e *engine) rules() bool {
	n := e.n
	k := &n.kept
	at := func(r int, kind voteKind) voteAt { return voteAt{k.height, r, kind} }
	// Decide: a proposal with a quorum of precommits, of any round.
	for _, r := range slices.Sorted(maps.Keys(e.rounds())) {
		for _, id := range e.voted(at(r, precommit)) {
			if c, _ := e.count(at(r, precommit), id); id != [32]byte{} && c >= e.quorum() && e.blocks[id] != nil && e.good(e.blocks[id]) {
				e.decide(&decided{block: e.blocks[id], round: r, by: e.voters(at(r, precommit), id)})
				return false
			}
		}
	}
	// f+1 are in a later round.
	for _, r := range slices.Backward(slices.Sorted(maps.Keys(e.rounds()))) {
		if r > k.round && len(e.rounds()[r]) > n.w.faulty() {
			e.round(r)
			return true
		}
	}
	p := e.proposals[k.round]
	if p != nil && k.step == proposing {
		id, ready, unlocked := p.block.id(), true, k.lockedRound < 0
		if p.polc >= 0 {
			c, _ := e.count(at(p.polc, prevote), id)
			ready, unlocked = c >= e.quorum(), k.lockedRound <= p.polc
		}
		if ready {
			if !e.good(p.block) || !unlocked && k.locked.id() != id {
				id = [32]byte{}
			}
			e.cast(prevote, id)
			k.step = prevoting
			return true
		}
	}
	if _, all := e.count(at(k.round, prevote), [32]byte{}); k.step == prevoting && all >= e.quorum() {
		e.timeout(prevoting, k.round)
	}
	if p != nil && k.step >= prevoting && k.validRound < k.round {
		id := p.block.id()
		if c, _ := e.count(at(k.round, prevote), id); c >= e.quorum() && e.good(p.block) {
			if k.step == prevoting {
				k.locked, k.lockedRound = p.block, k.round
				e.cast(precommit, id)
				k.step = precommitting
			}
			k.valid, k.validRound = p.block, k.round
			return true
		}
	}
	if c, _ := e.count(at(k.round, prevote), [32]byte{}); k.step == prevoting && c >= e.quorum() {
		e.cast(precommit, [32]byte{})
		k.step = precommitting
		return true
	}
	if _, all := e.count(at(k.round, precommit), [32]byte{}); all >= e.quorum() {
		e.timeout(precommitting, k.round)
	}
	return false
}

// rounds is who was heard in which round of this height.
func (e *engine) rounds() map[int]map[int]bool {
	out := map[int]map[int]bool{}
	for at, votes := range e.votes {
		if out[at.round] == nil {
			out[at.round] = map[int]bool{}
		}
		for from := range votes {
			out[at.round][from] = true
		}
	}
	return out
}

// voted is what was voted for, in a fixed order.
func (e *engine) voted(at voteAt) [][32]byte {
	var out [][32]byte
	for _, from := range slices.Sorted(maps.Keys(e.votes[at])) {
		for _, id := range e.votes[at][from] {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

func (e *engine) voters(at voteAt, id [32]byte) []int {
	var out []int
	for _, from := range slices.Sorted(maps.Keys(e.votes[at])) {
		if slices.Contains(e.votes[at][from], id) {
			out = append(out, from)
		}
	}
	return out
}

// decide keeps a decided block, runs it, and goes on with the next height.
func (e *engine) decide(d *decided) {
	n := e.n
	h := d.block.Height
	if h != n.height()+1 {
		return
	}
	n.blocks[h] = d
	n.w.truth.decided(n, d)
	for _, ev := range d.block.Evidence {
		e.punished[ev.key()] = true
	}
	n.apply(d)
	if !n.alive() {
		return
	}
	e.lastAt = n.w.now
	e.fresh()
	e.enter()
	if next := e.ahead[h+1]; next != nil {
		delete(e.ahead, h+1)
		e.n.later(1, func() { e.learn(next) })
	}
}

// help gives a member that is behind the blocks it misses.
func (e *engine) help(to int, height int64) {
	if e.n.rogue != nil && e.n.rogue.silent {
		return
	}
	for h := height; h < height+5 && e.n.blocks[h] != nil; h++ {
		d := e.n.blocks[h]
		e.n.w.net.send(e.n, to, func(n *node) { n.engine.learn(d) })
	}
}

// learn takes a decided block from a peer. The quorum of precommits is what makes it true.
func (e *engine) learn(d *decided) {
	if len(d.by) < e.quorum() || d.block.Height <= e.n.height() {
		return
	}
	if d.block.Height > e.n.height()+1 {
		e.ahead[d.block.Height] = d
		return
	}
	e.n.w.saw("blocks caught up")
	e.decide(d)
}

// repeat sends again what others may have missed.
func (e *engine) repeat() {
	n := e.n
	n.later(n.w.between(600, 900), e.repeat)
	if n.rogue != nil && n.rogue.silent {
		return
	}
	k := n.kept
	var votes []vote
	for _, at := range slices.SortedFunc(maps.Keys(e.votes), func(a, b voteAt) int { return (a.round-b.round)*4 + int(a.kind) - int(b.kind) }) {
		if at.round < k.round-1 && at.round != k.validRound && at.round != k.lockedRound {
			continue
		}
		for _, from := range slices.Sorted(maps.Keys(e.votes[at])) {
			for _, id := range e.votes[at][from] {
				votes = append(votes, vote{at, id, from})
			}
		}
	}
	p := e.proposals[k.round]
	n.w.net.spread(n, func(to *node) {
		if to == n {
			return
		}
		if to.kept.height > k.height {
			to.engine.help(n.i, k.height)
			return
		}
		if to.kept.height < k.height {
			return
		}
		for _, v := range votes {
			if to.kept.height == v.height {
				to.engine.note(v)
			}
		}
		if p != nil {
			to.engine.propose(p)
		} else {
			to.engine.think()
		}
	})
}

package sim

import (
	"bytes"
	"slices"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// A rogue is what a Byzantine member does in consensus and with transactions. Its custodian
// is a fake one.
type rogue struct {
	w      *world
	silent bool // neither proposes nor votes
	double bool // proposes and votes for two things at once
	spoil  bool // proposes blocks that may not be
	forge  bool // sends grants in patients' names, old transactions, noise
	forged int
}

// corrupt makes up to f members Byzantine, each in its own way.
func (w *world) corrupt() {
	count := w.faulty()
	if w.chance(0.2) {
		count = w.rng.IntN(count + 1)
	}
	for _, i := range w.rng.Perm(len(w.nodes))[:count] {
		r := &rogue{w: w, silent: w.chance(0.15), double: w.chance(0.5), spoil: w.chance(0.5), forge: w.chance(0.7)}
		n := w.nodes[i]
		n.rogue, n.fake = r, newFake(w)
		switch w.rng.IntN(4) {
		case 0:
			n.fake.leaks = true
		case 1:
			n.fake.lies, n.fake.leaks = true, true
		case 2:
			n.fake.withholds = true
		case 3:
			n.fake.receiptsAll, n.fake.leaks = true, true
		}
		w.log("member %d is Byzantine: %+v", i, n.character())
		w.saw("Byzantine members")
	}
}

func (n *node) character() map[string]bool {
	r, f := n.rogue, n.fake
	return map[string]bool{
		"silent": r.silent, "double": r.double, "spoil": r.spoil, "forge": r.forge, "leaks": f.leaks, "lies": f.lies,
		"withholds": f.withholds, "receiptsAll": f.receiptsAll,
	}
}

// propose acts for a proposer; false lets the honest code do it.
func (r *rogue) propose(n *node, round int) bool {
	switch {
	case r.silent:
		return true
	case r.double && r.w.chance(0.6):
		r.proposeTwo(n, round)
		return true
	case r.spoil && r.w.chance(0.6):
		b := n.propose()
		what := r.ruin(n, b)
		n.w.log("%d proposes a bad block: %s", n.i, what)
		n.w.saw("Byzantine: bad block, " + what)
		r.offer(n, round, b, func(int) bool { return true })
		return true
	}
	return false
}

func (r *rogue) offer(n *node, round int, b *block, to func(i int) bool) {
	p := &proposal{n.kept.height, round, -1, b, n.i}
	for i := range n.w.nodes {
		if to(i) {
			n.w.net.send(n, i, func(t *node) { t.engine.propose(p) })
		}
	}
}

// proposeTwo sends one block to some and another to the others, and votes for both.
func (r *rogue) proposeTwo(n *node, round int) {
	one := n.propose()
	other := *one
	other.Nonce, other.Txs = 1, nil
	half := r.w.rng.Uint64()
	n.w.log("%d proposes two blocks", n.i)
	n.w.saw("Byzantine: two blocks")
	r.offer(n, round, one, func(i int) bool { return half>>i&1 == 0 })
	r.offer(n, round, &other, func(i int) bool { return half>>i&1 == 1 })
	for _, k := range []voteKind{prevote, precommit} {
		r.votes(n, voteAt{n.kept.height, round, k}, one.id(), other.id(), half)
	}
}

// votes sends two different votes to two parts of the members.
func (r *rogue) votes(n *node, at voteAt, one, other [32]byte, half uint64) {
	if len(n.kept.sent[at]) > 0 {
		return
	}
	n.kept.sent[at] = append(n.kept.sent[at], one, other)
	n.w.saw("Byzantine: two votes")
	for i := range n.w.nodes {
		v := vote{at, one, n.i}
		if half>>i&1 == 1 {
			v.id = other
		}
		n.w.net.send(n, i, func(t *node) { t.engine.hear(v) })
	}
}

// vote acts for a voter; false lets the honest code do it.
func (r *rogue) vote(n *node, at voteAt, id [32]byte) bool {
	if r.silent {
		return true
	}
	if r.double && r.w.chance(0.3) {
		r.votes(n, at, id, [32]byte{}, r.w.rng.Uint64())
		return true
	}
	return false
}

// ruin makes a block one that nobody may vote for.
func (r *rogue) ruin(n *node, b *block) string {
	switch k := r.w.rng.IntN(8); k {
	case 0:
		b.Txs = append(b.Txs, []byte("noise"))
		return "noise as a transaction"
	case 1:
		if raw := r.old(); raw != nil {
			b.Txs = append(b.Txs, raw)
			return "a transaction of the past"
		}
	case 2:
		b.AppHash[0] ^= 1
		return "another app hash"
	case 3:
		b.Time += 3_600_000
		return "a time to come"
	case 4:
		b.Time = 1
		return "a time gone by"
	case 5:
		b.Evidence = append(b.Evidence, evidence{Voter: (n.i + 1) % len(n.w.nodes), Height: max(1, b.Height-1), Kind: prevote, One: [32]byte{1}, Other: [32]byte{2}})
		return "false evidence"
	case 6:
		raw, _ := r.forgery()
		b.Txs = append(b.Txs, raw)
		return "a forged signature"
	}
	if len(b.Txs) > 0 {
		b.Txs = append(b.Txs, b.Txs[0])
		return "a transaction twice"
	}
	b.Prev[0] ^= 1
	return "another block before"
}

// old is the bytes of a committed transaction.
func (r *rogue) old() []byte {
	t := r.w.truth
	if t.tip == 0 {
		return nil
	}
	for range 8 {
		if b := t.blocks[1+r.w.rng.Int64N(t.tip)]; b != nil && len(b.block.Txs) > 0 {
			return b.block.Txs[r.w.rng.IntN(len(b.block.Txs))]
		}
	}
	return nil
}

// forgery is a grant that names a patient as its signer and bears another's signature.
func (r *rogue) forgery() ([]byte, tx.Hash) {
	patient, reader := r.w.clients.anyPatient(), r.w.clients.anyReader()
	msg := &consent.Give{Patient: accountOf(patient), Grant: r.w.clients.grantTo(reader, 0)}
	r.w.nonces[patient]++
	nonce := r.w.nonces[patient]
	raw, id, err := tx.Sign(chainID, consent.KindGrant, msg, accountOf(patient), nonce, uint64(r.w.truth.tip+txLife), tx.NewEd25519Signer(accountOf(patient), r.w.key(memberName(0)+"/stolen")))
	if err != nil {
		r.w.fail("forgery cannot be signed: %v", err)
	}
	return raw, id
}

// mischief is what a Byzantine member sends between its duties.
func (r *rogue) mischief(n *node) {
	if !r.forge || r.w.chance(0.5) {
		return
	}
	r.forged++
	to := r.w.rng.IntN(len(r.w.nodes))
	var raw []byte
	var what string
	switch r.w.rng.IntN(5) {
	case 0:
		raw, _ = r.forgery()
		what = "a grant with a forged signature"
	case 1: // as if it were her steward, from a paper form
		g := r.w.clients.grantTo(r.w.clients.anyReader(), 0)
		g.Recorded, g.Document = true, tx.Hash{1}
		patient := r.w.clients.anyPatientNotOf(n.i)
		raw, _ = r.w.sign(n.name, consent.KindGrant, &consent.Give{Patient: accountOf(patient), Grant: g}, r.w.truth.tip)
		what = "a grant recorded for another's patient"
	case 2:
		raw = r.old()
		what = "an old transaction"
	case 3: // its own signature on a receipt for what it cannot hold
		raw, _ = r.w.sign(n.name, anchor.KindReceipts, &anchor.Receipts{List: []anchor.Receipt{{Header: tx.Hash(digestOf("no batch")), Holds: true}}}, r.w.truth.tip)
		what = "a receipt of no batch"
	case 4: // closes a session of others
		for _, s := range r.w.clients.sessions {
			if s.home != n.i {
				raw, _ = r.w.sign(n.name, access.KindClose, &access.Close{Session: s.id}, r.w.truth.tip)
				what = "an end to another's session"
				break
			}
		}
	}
	if raw == nil {
		return
	}
	n.w.saw("Byzantine: " + what)
	n.w.net.send(n, to, func(t *node) { t.pool.add(raw, false) })
	n.pool.add(raw, false)
}

// The hooks of a mutant: a fault that is put into the system, to see that it is found.
type mutant struct {
	what    string // it does wrong
	finds   string // part of the violation's text
	disk    func(name string) bool
	modules func(n *node, m []ledger.Module) []ledger.Module
	custody func(n *node, c *custodyConfig)
	quorum  func(w *world) int
	blind   bool // the truth does not look at consent: only what clients see is left
	fake    bool // honest members run fake custodians that release without asking
}

// undone is a module that puts back, at the end of each block, what change says of rows
// under a prefix.
func undone(prefix []byte, change func(c *ledger.Context, key, before []byte)) func(*node, []ledger.Module) []ledger.Module {
	return func(_ *node, mods []ledger.Module) []ledger.Module {
		type row struct{ key, value []byte }
		before := map[int64][]row{}
		return append(slices.Clone(mods), ledger.Module{
			Name: "mutant", Prefix: 0x7e,
			BeginBlock: func(c *ledger.Context) error {
				before[c.Height] = nil
				c.State.Scan(prefix, func(k, v []byte) bool {
					before[c.Height] = append(before[c.Height], row{bytes.Clone(k), bytes.Clone(v)})
					return true
				})
				return nil
			},
			EndBlock: func(c *ledger.Context) error {
				for _, r := range before[c.Height] {
					change(c, r.key, r.value)
				}
				return nil
			},
		})
	}
}

package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	abci "github.com/cometbft/cometbft/abci/types"

	"salus/custody"
	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/consent"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// The truth is what a second, much simpler reading of the decided blocks comes to. Every
// member's execution and every custodian's release is compared with it.
type truth struct {
	w        *world
	blocks   map[int64]*decided
	hashes   map[int64][32]byte
	metas    map[int64]state.Meta
	tip      int64
	txs      map[tx.Hash]*fact
	signed   map[tx.Hash]bool // changes of consent that their patients really signed
	grants   []*grantFact
	sessions map[tx.Hash]*sessionFact
	batches  map[tx.Hash]*batchFact
	replies  map[string]string  // custodian and sequence number: what was released under it
	last     map[int]uint64     // highest sequence number that each custodian replied under
	late     map[string][]int   // custodians that released a record after its certificate
	shares   map[string][]uint8 // distinct custodians whose share of a record a session has
}

type fact struct {
	height int64
	code   uint32
	fetch  uint32 // number, of access.fetch
	stamp  int64  // of the history, when the first member committed it
}

type grantFact struct {
	patient, grantee tx.Account
	id               consent.GrantID
	uses, left       uint16
	from, to         int64 // to 0: it stands
}

type sessionFact struct {
	patient, actor tx.Account
	key            tx.Hash
	height, closed int64
	expires        uint64
	granted        bool
	taken          *grantFact
	fetches        []access.Fetch // number 0 first
}

type batchFact struct {
	put      anchor.Put
	height   int64
	receipts uint64
	holds    uint64
	active   int64
	stamp    int64 // of the history, when it became active
}

func newTruth(w *world) *truth {
	return &truth{
		w: w, blocks: map[int64]*decided{}, hashes: map[int64][32]byte{}, metas: map[int64]state.Meta{}, txs: map[tx.Hash]*fact{},
		signed: map[tx.Hash]bool{}, sessions: map[tx.Hash]*sessionFact{}, batches: map[tx.Hash]*batchFact{},
		replies: map[string]string{}, last: map[int]uint64{}, late: map[string][]int{}, shares: map[string][]uint8{},
	}
}

// decided is told of every block that a member decides.
func (t *truth) decided(n *node, d *decided) {
	if n.byzantine() {
		return
	}
	was := t.blocks[d.block.Height]
	if was == nil {
		t.blocks[d.block.Height] = d
		return
	}
	if was.block.id() != d.block.id() {
		t.w.fail("fork at height %d: member %d decided another block", d.block.Height, n.i)
	}
}

// stands compares a member that has just opened its store with the chain.
func (t *truth) stands(n *node) {
	h := n.app.Head()
	if hash, known := t.hashes[h.Height]; known && h.AppHash != hash {
		t.w.fail("member %d stands at height %d with another app hash after a restart", n.i, h.Height)
	}
}

// executed is told of every block that a member commits.
func (t *truth) executed(n *node, d *decided, res *abci.ResponseFinalizeBlock) {
	h := d.block.Height
	hash, known := t.hashes[h]
	if known && hash != [32]byte(res.AppHash) {
		t.w.fail("member %d comes to another app hash at height %d", n.i, h)
	}
	if n.app.Head().AppHash != [32]byte(res.AppHash) {
		t.w.fail("member %d committed another app hash than it finalised at height %d", n.i, h)
	}
	if known {
		for i, raw := range d.block.Txs {
			if f := t.txs[idOf(raw)]; f != nil && f.height == h && f.code != res.TxResults[i].Code {
				t.w.fail("member %d judges a transaction of height %d differently", n.i, h)
			}
		}
		return
	}
	if h != t.tip+1 {
		t.w.fail("block %d executed before %d", h, t.tip+1)
	}
	t.tip, t.hashes[h] = h, [32]byte(res.AppHash)
	t.w.log("block %d %x, %d txs, app hash %x", h, short(d.block.id()), len(d.block.Txs), short(t.hashes[h]))
	t.w.saw("blocks")
	if len(d.block.Evidence) > 0 {
		t.w.saw("evidence on the chain")
	}
	for i, raw := range d.block.Txs {
		t.read(h, d.block, raw, res.TxResults[i].Code)
	}
	t.compare(n, h)
}

func idOf(raw []byte) tx.Hash {
	env, body, err := tx.DecodeEnvelope(raw)
	if err != nil {
		return tx.Hash{}
	}
	return tx.Digest(env.Body, body.Chain)
}

// consents takes a change of somebody's grants in.
func (t *truth) consents(h int64, kind tx.Kind, into func(any)) {
	give := func(patient tx.Account, g consent.Grant) {
		t.grants = append(t.grants, &grantFact{patient, g.Grantee.Account, g.ID, g.Uses, g.Uses, h, 0})
	}
	revoke := func(patient tx.Account, id consent.GrantID) {
		for _, g := range t.grants {
			if g.patient == patient && g.id == id && g.to == 0 {
				g.to = h
			}
		}
	}
	switch kind {
	case consent.KindGrant:
		var m consent.Give
		into(&m)
		give(m.Patient, m.Grant)
	case consent.KindRevoke:
		var m consent.Revoke
		into(&m)
		revoke(m.Patient, m.ID)
	case consent.KindChange:
		var m consent.Change
		into(&m)
		for _, id := range m.Revoke {
			revoke(m.Patient, id)
		}
		for _, g := range m.Give {
			give(m.Patient, g)
		}
	}
}

// read takes one transaction in.
func (t *truth) read(h int64, b *block, raw []byte, code uint32) {
	_, body, err := tx.DecodeEnvelope(raw)
	if err != nil {
		t.w.fail("block %d holds what does not decode", h)
	}
	id := idOf(raw)
	if was := t.txs[id]; was != nil {
		t.w.fail("transaction in block %d was already in block %d", h, was.height)
	}
	f := &fact{height: h, code: code, stamp: t.w.clients.history.now()}
	t.txs[id] = f
	t.w.saw("transactions")
	if code != tx.CodeOK {
		t.w.saw("transactions refused in a block")
		return
	}
	t.w.saw(string(body.Kind))
	now := uint64(b.when().Unix())
	into := func(m any) {
		if tx.Decode(body.Payload, m) != nil {
			t.w.fail("block %d: an accepted payload does not decode", h)
		}
	}
	switch body.Kind {
	case consent.KindGrant, consent.KindRevoke, consent.KindChange:
		if !t.signed[id] {
			t.w.fail("block %d accepts a %s that its patient never signed", h, body.Kind)
		}
		t.consents(h, body.Kind, into)
	case access.KindRequest:
		var m access.Request
		into(&m)
		t.open(id, h, now, body.Signer, &m)
	case access.KindFetch:
		var m access.CommitFetch
		into(&m)
		s := t.sessions[m.Session]
		if s == nil {
			t.w.fail("block %d accepts a list of no session", h)
		}
		f.fetch = uint32(len(s.fetches))
		s.fetches = append(s.fetches, access.Fetch{Root: m.Root, Count: m.Count, Height: uint64(h)})
	case access.KindClose:
		var m access.Close
		into(&m)
		t.sessions[m.Session].closed = h
	case anchor.KindPut:
		var m anchor.Put
		into(&m)
		t.batches[tx.Hash(m.Header.Hash())] = &batchFact{put: m, height: h}
	case anchor.KindReceipts:
		var m anchor.Receipts
		into(&m)
		t.receipts(h, body.Signer, &m)
	}
}

// open decides a request for a session, as the rules say in prose.
func (t *truth) open(id tx.Hash, h int64, now uint64, actor tx.Account, m *access.Request) {
	s := &sessionFact{patient: m.Patient, actor: actor, key: m.ReaderKey, height: h, expires: now + m.TTL, fetches: []access.Fetch{{}}}
	var once []*grantFact
	for _, g := range t.grants {
		if g.patient != m.Patient || g.grantee != actor || g.to != 0 {
			continue
		}
		if g.uses == 0 {
			s.granted = true
		} else if g.left > 0 {
			once = append(once, g)
		}
	}
	if !s.granted && len(once) > 0 {
		slices.SortFunc(once, func(a, b *grantFact) int { return bytes.Compare(a.id[:], b.id[:]) })
		s.granted, s.taken = true, once[0]
		once[0].left--
		t.w.saw("one-time grants used")
	}
	t.sessions[id] = s
}

func (t *truth) receipts(h int64, signer tx.Account, m *anchor.Receipts) {
	i := t.seat(signer)
	for _, r := range m.List {
		b := t.batches[r.Header]
		b.receipts |= 1 << (i - 1)
		if r.Holds {
			b.holds |= 1 << (i - 1)
		}
		if b.active == 0 && ones(b.receipts) >= t.w.quorum() && ones(b.holds) > t.w.faulty() {
			b.active, b.stamp = h, t.w.clients.history.now()
			t.w.saw("batches active")
		}
	}
}

func ones(x uint64) (n int) {
	for ; x != 0; x &= x - 1 {
		n++
	}
	return n
}

// seat is a member's index among the custodians: by account, from 1.
func (t *truth) seat(account tx.Account) int {
	at := 1
	for _, n := range t.w.nodes {
		if bytes.Compare(n.account[:], account[:]) < 0 {
			at++
		}
	}
	return at
}

// compare holds what the first member to execute a block has against the truth.
func (t *truth) compare(n *node, h int64) {
	v := n.app.View()
	defer v.Close()
	t.metas[h] = v.Meta()
	if t.w.mutant.blind {
		return
	}
	for id, s := range t.sessions {
		if s.height != h {
			continue
		}
		row, ok := access.Lookup(v, id)
		same := ok && (row.Mask != 0) == s.granted && len(row.Taken) == 0
		if s.taken != nil {
			same = ok && len(row.Taken) == 1 && row.Taken[0].Grant == s.taken.id
		}
		if !same {
			t.w.fail("block %d: a session's mask is not what consent says (granted %v)", h, s.granted)
		}
	}
	for hh, b := range t.batches {
		row, ok := anchor.Lookup(v, hh)
		if !ok || row.Active != uint64(b.active) || row.Receipts != b.receipts {
			t.w.fail("block %d: a batch counts as active from %d, receipts say %d", h, row.Active, b.active)
		}
	}
}

// allowed says whether a session may read at a height.
func (t *truth) allowed(s *sessionFact, h int64) bool {
	return s.granted && (s.closed == 0 || h < s.closed) && slices.ContainsFunc(t.grants, func(g *grantFact) bool {
		return g.patient == s.patient && g.grantee == s.actor && g.from <= h && (g.to == 0 || h < g.to) && (g.uses == 0 || g == s.taken)
	})
}

// certified reports whether 2f+1 members, the Byzantine ones among them at their word, have
// executed a block.
func (t *truth) certified(h int64) bool {
	c := 0
	for _, n := range t.w.nodes {
		if n.byzantine() || n.acked >= h {
			c++
		}
	}
	return h <= t.tip && c >= t.w.quorum()
}

const lease = 15 // seconds, governance's default

// released judges a reply that an honest custodian is about to send.
func (t *truth) released(n *node, req *exchange.ReleaseRequest, reply *exchange.ReleaseReply) {
	h, w := int64(reply.Height), t.w
	bad := func(what string) { w.fail("member %d released %s (height %d)", n.i, what, h) }
	head := n.app.Head()
	if h != head.Height {
		bad("under a height that its replica is not at")
	}
	s := t.sessions[req.Session]
	switch {
	case s == nil || s.height > h:
		bad("without a committed session")
	case sha256.Sum256(req.ReaderKey) != s.key:
		bad("to another key than the session's")
	case s.closed != 0 && s.closed <= h:
		bad("to a closed session")
	case head.Time >= s.expires || n.clock().Unix() > int64(s.expires)+3:
		bad("to an expired session")
	case n.clock().Unix()-int64(head.Time) > lease+1:
		bad("from a stale replica")
	case int(req.Fetch) >= len(s.fetches) || s.fetches[req.Fetch].Root != req.List.Root() || int64(s.fetches[req.Fetch].Height) > h:
		bad("a list that is not committed")
	case !t.allowed(s, h) && !w.mutant.blind:
		bad("against the patient's consent")
	}
	for _, it := range req.List.Items {
		b, known := t.batches[it.Header], w.clients.batches[it.Header]
		switch {
		case b == nil || known == nil || b.active == 0 || b.active > h:
			bad("a record of a batch that is not active")
		case accountOf(known.patient) != s.patient:
			bad("another patient's record")
		case known.records[it.Index].slots&^(grantMask&^grantExcept) != 0:
			bad("a record in a slot that is not allowed")
		}
		t.after(n, req.Session, s, it, h)
	}
	t.journal(n, req, reply)
	w.saw("releases")
}

// after counts the releases that come after a certificate of the revocation.
func (t *truth) after(n *node, id tx.Hash, s *sessionFact, it exchange.Item, h int64) {
	for r := h + 1; r <= t.tip; r++ {
		if t.allowed(s, r) || t.w.mutant.blind {
			continue
		}
		if !t.certified(r) {
			return
		}
		t.w.saw("late releases after a certificate")
		key := fmt.Sprintf("%d/%x/%x/%d", r, id, it.Header, it.Index)
		if !slices.Contains(t.late[key], n.i) {
			t.late[key] = append(t.late[key], n.i)
		}
		byzantine := len(t.w.nodes) - len(t.w.honest())
		if len(t.late[key])+byzantine >= t.w.quorum() {
			t.w.fail("%d custodians released after the revocation was certified, and %d may have", len(t.late[key]), byzantine)
		}
		return
	}
}

// journal checks that the receipt of a reply is on disk, under a number of its own.
func (t *truth) journal(n *node, req *exchange.ReleaseRequest, reply *exchange.ReleaseReply) {
	what := fmt.Sprintf("%x/%d/%x/%d", req.Session, req.Fetch, req.List.Root(), reply.Height)
	key := fmt.Sprintf("%d/%d", n.i, reply.Sequence)
	if was, used := t.replies[key]; used && was != what {
		t.w.fail("member %d replied twice under receipt %d", n.i, reply.Sequence)
	}
	t.replies[key] = what
	t.last[n.i] = max(t.last[n.i], reply.Sequence)
	for _, r := range journalOf(n.disk.durableBytes("custody/receipts.wal")) {
		if r.Sequence == reply.Sequence {
			if got := fmt.Sprintf("%x/%d/%x/%d", r.Session, r.Fetch, r.List, r.Height); got != what {
				t.w.fail("member %d: receipt %d is of another release than its reply", n.i, r.Sequence)
			}
			return
		}
	}
	t.w.fail("member %d replied before receipt %d was on disk", n.i, reply.Sequence)
}

// journalOf reads the frames of a file of release receipts: length, checksum, list.
func journalOf(b []byte) (out []custody.ReleaseReceipt) {
	for len(b) >= 8 {
		size := int(binary.BigEndian.Uint32(b))
		var group []custody.ReleaseReceipt
		if len(b) < 8+size || tx.DecodeAny(b[8:8+size], &group, 1<<20) != nil {
			break
		}
		out = append(out, group...)
		b = b[8+size:]
	}
	return out
}

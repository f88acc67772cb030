package sim

import (
	"container/heap"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/cryptotest"
	"time"

	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

const (
	chainID = "salus-sim"
	genesis = 1_800_000_000 // unix seconds
)

// A plan is all that a run follows from. Equal plans give equal runs.
type plan struct {
	Seed    uint64
	Members int
	Ops     int    // of clients, while things go wrong
	Mutant  string // a deliberate fault of the system, empty for none
	Calm    bool   // no faults, no Byzantine members
}

// rerun is the command that repeats the run.
func (p plan) rerun() string {
	s := fmt.Sprintf("go test ./test/sim -run 'TestSeeds$' -count=1 -sim.from=%d -sim.seeds=1 -sim.members=%d -sim.ops=%d", p.Seed, p.Members, p.Ops)
	if p.Mutant != "" {
		s += " -sim.mutant=" + p.Mutant
	}
	return s
}

// A world is one run: the members, the network between them, the clients, and the one queue
// of everything that is still to happen.
type world struct {
	plan
	t     *testing.T
	rng   *rand.Rand
	now   int64 // milliseconds since the genesis
	queue queue
	seq   uint64

	nodes   []*node
	net     network
	clients *clients
	truth   *truth
	mutant  mutant
	calmed  bool // faults are over
	nonces  map[string]uint64
	asking  sync.Mutex // the custodian asks from several goroutines at once

	trace hash.Hash
	tail  []string // last lines of the trace
	all   func(string)
	count map[string]int
}

// An outcome is what a run came to.
type outcome struct {
	plan
	Violation string // empty for none
	Trace     string // hash over everything that happened
	Tail      []string
	Count     map[string]int
	Simulated time.Duration
}

// violation is panicked with to end a run.
type violation string

// run follows a plan to its end. Nothing in it may depend on the machine.
func run(t *testing.T, p plan, all func(string)) (out outcome) {
	cryptotest.SetGlobalRandom(t, p.Seed)
	w := &world{
		plan: p, t: t, rng: rand.New(rand.NewPCG(p.Seed, 0x5a105)), trace: sha256.New(), all: all, count: map[string]int{}, nonces: map[string]uint64{},
	}
	out.plan = p
	defer func() {
		r := recover()
		v, ok := r.(violation)
		if r != nil && !ok {
			v = violation(fmt.Sprintf("panic: %v\n%s", r, stack()))
		}
		out.Violation = string(v)
		if v != "" {
			w.log("violation: %s", strings.SplitN(out.Violation, "\n", 2)[0])
		}
		out.Trace, out.Tail, out.Count = hex.EncodeToString(w.trace.Sum(nil)), w.tail, w.count
		out.Simulated = time.Duration(w.now) * time.Millisecond
		for _, n := range w.nodes {
			n.discard()
		}
	}()
	w.build()
	w.play()
	return out
}

// fail ends the run: a promise was broken.
func (w *world) fail(format string, args ...any) { panic(violation(fmt.Sprintf(format, args...))) }

// log adds a line to the trace. Lines never hold secrets or anything that differs between
// two runs of a plan.
func (w *world) log(format string, args ...any) {
	line := fmt.Sprintf("%8d ", w.now) + fmt.Sprintf(format, args...)
	fmt.Fprintln(w.trace, line)
	if w.tail = append(w.tail, line); len(w.tail) > 40 {
		w.tail = w.tail[1:]
	}
	if w.all != nil {
		w.all(line)
	}
}

// saw counts something interesting.
func (w *world) saw(what string) { w.count[what]++ }

// at lets f happen after so many milliseconds.
func (w *world) at(after int64, f func()) {
	w.seq++
	heap.Push(&w.queue, &event{at: w.now + max(after, 0), seq: w.seq, f: f})
}

// between draws from [low, high].
func (w *world) between(low, high int64) int64 { return low + w.rng.Int64N(high-low+1) }

// chance is true with probability p.
func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

// until runs what happens until the deadline, or until done.
func (w *world) until(deadline int64, done func() bool) bool {
	for w.queue.Len() > 0 && w.queue[0].at <= deadline {
		e := heap.Pop(&w.queue).(*event)
		w.now = e.at
		e.f()
		if done != nil && done() {
			return true
		}
	}
	w.now = max(w.now, deadline)
	return false
}

type event struct {
	at  int64
	seq uint64
	f   func()
}

type queue []*event

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*event)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// faulty is f, quorum is 2f+1 of the members.
func (w *world) faulty() int { return (w.Members - 1) / 3 }
func (w *world) quorum() int { return w.Members - w.faulty() }

// Names, accounts and keys.

func digestOf(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func accountOf(name string) tx.Account { h := digestOf("account/" + name); return tx.Account(h[:16]) }

// key is the key of that name in this run.
func (w *world) key(name string) ed25519.PrivateKey {
	h := digestOf(fmt.Sprintf("key/%d/%s", w.Seed, name))
	return ed25519.NewKeyFromSeed(h[:])
}

func (w *world) public(name string) tx.PublicKey {
	return tx.Ed25519Key(w.key(name).Public().(ed25519.PublicKey))
}

// txLife is how many blocks a transaction may wait.
const txLife = 25

// sign makes a transaction of an account that goes by its name.
func (w *world) sign(name string, kind tx.Kind, msg tx.Message, height int64) ([]byte, tx.Hash) {
	w.nonces[name]++
	raw, id, err := tx.Sign(chainID, kind, msg, accountOf(name), w.nonces[name], uint64(height+txLife), tx.NewEd25519Signer(accountOf(name), w.key(name)))
	if err != nil {
		w.fail("%s by %s cannot be signed: %v", kind, name, err)
	}
	return raw, id
}

func memberName(i int) string { return fmt.Sprintf("member-%d", i) }

// build makes the members and starts them from one genesis.
func (w *world) build() {
	g := governance.Genesis{}
	every := uint64(20)
	g.Params.SnapshotInterval = &every
	for i := range w.Members {
		name := memberName(i)
		validator, peer := digestOf("validator/"+name), digestOf("peer/"+name)
		g.Members = append(g.Members, governance.Admit{
			Account: accountOf(name), Name: "Sample " + name, Class: governance.Hospital, Validator: validator[:], Peer: peer[:],
			Address: name + ".example:7000", Keys: []tx.PublicKey{w.public(name)},
		})
	}
	raw, err := json.Marshal(map[string]any{"governance": g})
	if err != nil {
		w.t.Fatal(err)
	}
	w.net.w = w
	w.truth = newTruth(w)
	w.mutant = mutants[w.Mutant]
	w.clients = newClients(w)
	for i := range w.Members {
		n := &node{w: w, i: i, name: memberName(i), genesis: raw, disk: newDisk(), packs: map[[32]byte][][]byte{}}
		n.account = accountOf(n.name)
		w.nodes = append(w.nodes, n)
	}
	if !w.Calm {
		w.corrupt()
	}
	for _, n := range w.nodes {
		if w.mutant.fake && !n.byzantine() {
			n.fake = newFake(w)
			n.fake.honest = true
		}
		if w.mutant.disk != nil && !n.byzantine() {
			n.disk.lies = w.mutant.disk
		}
		n.start()
	}
}

// settleTime is how long after the end of all faults everything must have ended. The longest
// wait in the system is the custodian's between two questions for a parcel: five minutes.
const settleTime = 420_000

// play tells the story: a calm beginning, trouble, and calm again, in which everything that
// clients have begun must end.
func (w *world) play() {
	w.clients.begin()
	if !w.until(90_000, w.clients.settled) {
		w.fail("the network did not begin: %s", w.clients.waiting())
	}
	w.log("begun")
	trouble := int64(w.Ops) * 2000
	w.clients.act(trouble)
	if !w.Calm {
		w.trouble(trouble)
	}
	w.until(w.now+trouble, nil)
	w.calm()
	if !w.until(w.now+settleTime, func() bool { return w.clients.settled() && w.level() }) {
		w.fail("liveness: faults are over, but %s%s", w.clients.waiting(), w.standing())
	}
	w.log("settled")
	w.finish()
}

// level reports whether all honest members stand at the same height and have no batch to
// take in.
func (w *world) level() bool {
	h := int64(-1)
	for _, n := range w.honest() {
		if !n.up || h >= 0 && n.height() != h {
			return false
		}
		h = n.height()
	}
	return true
}

func (w *world) honest() []*node {
	var out []*node
	for _, n := range w.nodes {
		if !n.byzantine() {
			out = append(out, n)
		}
	}
	return out
}

// counters prints what was seen.
func counters(count map[string]int) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&b, "%s %d, ", k, count[k])
	}
	return strings.TrimSuffix(b.String(), ", ")
}

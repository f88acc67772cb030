package custody

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
)

// why asks for the reason that the custodian keeps to itself.
func (m *member) why(req *exchange.ReleaseRequest) error {
	root := req.List.Root()
	parts, err := m.prepare(req, root)
	if err != nil {
		return err
	}
	return m.Hold(func(v *state.View, h ledger.Head) error {
		_, err := m.decide(v, h, req, root, parts)
		return err
	})
}

// A scene is a release that succeeds, until something is changed.
type scene struct {
	*world
	batch *seal.Batch
	r     *reading
	req   *exchange.ReleaseRequest
}

func newScene(t *testing.T, change ...func(*access.Request)) *scene {
	w := newWorld(t)
	s := &scene{world: w, batch: w.batch("alice", allowedSlot, deniedSlot, 0)}
	w.grant("alice")
	s.r = w.session("doctor", "alice", change...)
	s.req = s.r.commit(items(s.batch, 0)...)
	return s
}

// refused expects that no custodian releases anything, for this reason, and that all look alike.
func (s *scene) refused(t *testing.T, want reason) {
	t.Helper()
	for _, m := range s.nodes {
		if m.lags {
			continue
		}
		if got := m.why(s.req); !errors.Is(got, want) {
			t.Errorf("%s: got reason %v, want %v", m.name, got, want)
		}
		before := m.wal.last()
		answer := ErrNotReleased
		if want == notFresh || want == tooFast || want == wrongEpoch {
			answer = exchange.ErrNotNow
		}
		reply, err := m.Release(context.Background(), s.req)
		if reply != nil || err != error(answer) {
			t.Errorf("%s: got %v, %v, want nothing but %v", m.name, reply, err, answer)
		}
		if m.wal.last() != before {
			t.Errorf("%s: a refusal is in the log of releases", m.name)
		}
	}
}

func (s *scene) released(t *testing.T) {
	t.Helper()
	for _, m := range s.nodes {
		if _, err := m.Release(context.Background(), s.req); err != nil {
			t.Fatalf("%s: %v (%v)", m.name, err, m.why(s.req))
		}
	}
}

// decide carries an action of governance out by the votes of these members.
func (w *world) decide(a governance.Action, by ...string) {
	w.Helper()
	id := w.must(by[0], governance.KindPropose, &governance.Propose{Action: a})
	for _, n := range by[1:] {
		w.must(n, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
}

// epoch puts a committee of these members in force.
func (w *world) epoch(names ...string) {
	w.Helper()
	e := committee.Epoch{Epoch: 2, N: uint8(len(names)), T: 3}
	for _, n := range names {
		e.Members = append(e.Members, account(n))
	}
	// In account order, as in the first epoch: a seat's number must not save the rule.
	slices.SortFunc(e.Members, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	w.must("hospital", kindEpoch, &beginEpoch{e})
}

func ttl(seconds uint64) func(*access.Request) { return func(m *access.Request) { m.TTL = seconds } }

// TestNothingIsReleased is the release rule of custody.md B.2 and B.6, check by check. Each
// case differs in one thing from a release that succeeds.
func TestNothingIsReleased(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*scene)
		want   reason
		ttl    uint64
	}{
		{"for an unknown session", func(s *scene) { s.req.Session = digest("other") }, noSession, 600},
		{"for the session of somebody else's list", func(s *scene) { s.req.Session = s.session("doctor", "alice").id }, wrongKey, 600},
		{"for a closed session", func(s *scene) { s.must("doctor", access.KindClose, &access.Close{Session: s.r.id}) }, noSession, 600},
		{"for a session closed by the patient", func(s *scene) { s.must("alice", access.KindClose, &access.Close{Session: s.r.id}) }, noSession, 600},
		{"after the session's end by block time", func(s *scene) { s.advance(60 * time.Second); s.block() }, noSession, 60},
		{"after the session's end by the clock, on a stalled chain", func(s *scene) { s.advance(10 * time.Second) }, noSession, 5},
		{"on a stalled chain, for a session without near end", func(s *scene) { s.advance(15*time.Second + time.Millisecond) }, notFresh, 600},
		{"by a clock that is far behind", func(s *scene) { s.advance(-16 * time.Second) }, notFresh, 600},
		{"to another key than the session's", func(s *scene) { s.req.ReaderKey = s.session("doctor", "alice").public }, wrongKey, 600},
		{"for a list with another salt", func(s *scene) { s.req.List.Salt[0] ^= 1 }, wrongList, 600},
		{"for a list with one more record", func(s *scene) { s.req.List.Items = items(s.batch, 0, 1) }, wrongList, 600},
		{"for another record than the listed one", func(s *scene) { s.req.List.Items = items(s.batch, 1) }, wrongList, 600},
		{"for a fetch that was not committed", func(s *scene) { s.req.Fetch++ }, wrongList, 600},
		{"for the list of the request, if it had none", func(s *scene) { s.req.Fetch = 0 }, wrongList, 600},
		{"for a list committed with another count", func(s *scene) {
			s.must("doctor", access.KindFetch, &access.CommitFetch{Session: s.r.id, Root: s.req.List.Root(), Count: 2})
			s.req.Fetch = 2
		}, wrongList, 600},
		{"of a batch that is not on the ledger", func(s *scene) { s.req = s.r.commit(exchange.Item{Header: digest("none")}) }, notActive, 600},
		{"of another patient", func(s *scene) { s.req = s.r.commit(items(s.world.batch("bob", allowedSlot), 0)...) }, otherPatient, 600},
		{"at a position beyond the batch", func(s *scene) { s.req = s.r.commit(items(s.batch, 3)...) }, notListed, 600},
		{"in a slot that is not allowed", func(s *scene) { s.req = s.r.commit(items(s.batch, 1)...) }, notAllowed, 600},
		{"in no slot at all", func(s *scene) { s.req = s.r.commit(items(s.batch, 2)...) }, notAllowed, 600},
		{"if one record of the list may not be", func(s *scene) { s.req = s.r.commit(items(s.batch, 0, 1)...) }, notAllowed, 600},
		{"after the grant was revoked", func(s *scene) { s.revoke("alice") }, notAllowed, 600},
		{"after the grant was narrowed", func(s *scene) {
			s.grant("alice", func(g *consent.Grant) { g.Version, g.Mask = 2, mask<<8 })
		}, notAllowed, 600},
		{"to a suspended practitioner", func(s *scene) {
			s.must("clinic", identity.KindUpdate, &identity.Update{Account: account("doctor"), Privileges: identity.PrivRead})
		}, notAllowed, 600},
		{"to a practitioner without the privilege", func(s *scene) {
			s.must("clinic", identity.KindUpdate, &identity.Update{Account: account("doctor"), Active: true})
		}, notAllowed, 600},
		{"of an epoch that is over", func(s *scene) { s.epoch("hospital", "clinic", "lab", "insurer") }, wrongEpoch, 600},
		{"faster than anybody reads", func(s *scene) {
			for range paceBurst {
				for _, m := range s.nodes {
					m.pace.allow(s.r.id, m.now())
				}
			}
		}, tooFast, 600},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, ttl(c.ttl))
			s.released(t)
			c.change(s)
			s.refused(t, c.want)
		})
	}
}

// S1: what was never granted is never released, whatever the reader commits to.
func TestNoReleaseWithoutACommittedGrant(t *testing.T) {
	w := newWorld(t)
	s := &scene{world: w, batch: w.batch("alice", allowedSlot)}
	s.r = w.session("doctor", "alice")
	s.req = s.r.commit(items(s.batch, 0)...)
	s.refused(t, notAllowed)
	if found := s.r.locate(w.nodes[0]); len(found) != 0 {
		t.Errorf("a session without consent locates %d batches", len(found))
	}
	// A grant after the session was opened does not widen it.
	w.grant("alice")
	s.refused(t, notAllowed)
	// A grant that is not for this doctor gives him nothing.
	s.r = w.session("other doctor", "alice")
	s.req = s.r.commit(items(s.batch, 0)...)
	s.refused(t, notAllowed)
}

func TestABatchIsReleasedOnlyWhenActive(t *testing.T) {
	s := newScene(t)
	p, b := s.deal("hospital", "alice", allowedSlot)
	holders := []*member{s.node("hospital"), s.node("lab")}
	for _, m := range s.nodes {
		m.down = m != holders[0] && m != holders[1]
	}
	s.deliver("hospital", p)
	hh := s.put("hospital", p)
	s.step()
	if row := s.row(hh); row.Received() != 2 || row.Active != 0 {
		t.Fatalf("got %d receipts, active %d", row.Received(), row.Active)
	}
	s.req = s.r.commit(items(b, 0)...)
	for _, m := range holders {
		if got := m.why(s.req); got != error(notActive) {
			t.Errorf("%s: got reason %v, want %v", m.name, got, notActive)
		}
		if found := s.r.locate(m); len(found) != 1 || found[0].Header == hh {
			t.Errorf("%s locates a batch that is not active", m.name)
		}
	}
}

func TestACustodianWithoutTheBatchReleasesNothingOfIt(t *testing.T) {
	s := newScene(t)
	s.node("insurer").down = true
	s.req = s.r.commit(items(s.world.batch("alice", allowedSlot), 0)...)
	// Once it knows that it wants the batch, it has not decided anything: two that wait for different
	// batches of one list must not look like two that refuse it.
	if err := s.node("insurer").readLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.node("insurer").why(s.req); got != error(notYet) {
		t.Errorf("got reason %v, want %v", got, notYet)
	}
	if _, err := s.node("insurer").Release(t.Context(), s.req); !errors.Is(err, exchange.ErrNotNow) {
		t.Errorf("while it waits for the batch: got %v, want %v", err, exchange.ErrNotNow)
	}
	if _, err := s.node("lab").Release(context.Background(), s.req); err != nil {
		t.Error(err)
	}
}

func TestOnlyACustodianOfTheCommitteeReleases(t *testing.T) {
	t.Run("not of another one", func(t *testing.T) {
		s := newScene(t)
		s.epoch("clinic", "lab", "insurer")
		if got := s.node("hospital").why(s.req); got != error(notSeated) {
			t.Errorf("got reason %v, want %v", got, notSeated)
		}
	})
	t.Run("not after it was removed", func(t *testing.T) {
		s := newScene(t)
		s.world.decide(governance.Action{Remove: &governance.Remove{Account: account("insurer")}}, "hospital", "clinic", "lab")
		if got := s.node("insurer").why(s.req); got != error(notSeated) {
			t.Errorf("got reason %v, want %v", got, notSeated)
		}
		if _, err := s.node("lab").Release(context.Background(), s.req); err != nil {
			t.Error(err)
		}
	})
	t.Run("not to a reader of a removed member", func(t *testing.T) {
		s := newScene(t)
		s.world.decide(governance.Action{Remove: &governance.Remove{Account: account("clinic")}}, "hospital", "insurer", "lab")
		for _, m := range []*member{s.node("hospital"), s.node("lab"), s.node("insurer")} {
			if got := m.why(s.req); got != error(notAllowed) {
				t.Errorf("%s: got reason %v, want %v", m.name, got, notAllowed)
			}
		}
	})
	t.Run("not under another index", func(t *testing.T) {
		s := newScene(t)
		m, hh := s.node("lab"), s.batch.Header.Hash()
		row, err := m.rows.batch(hh)
		if err != nil {
			t.Fatal(err)
		}
		row.Index = row.Index%4 + 1
		err = m.rows.update(func(b *pebble.Batch) error {
			return m.rows.putBatch(b, hh, row, &exchange.Parcel{Header: s.batch.Header, Entries: s.batch.Entries, ShareRoots: s.batch.ShareRoots})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.why(s.req); got != error(wrongEpoch) {
			t.Errorf("got reason %v, want %v", got, wrongEpoch)
		}
		if m.Check(context.Background()) == nil {
			t.Error("Check finds nothing wrong")
		}
	})
}

// A revocation that is decided between the two looks at the ledger counts.
func TestTheDecisionIsTheOneUnderTheLock(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	m.beforeHold = func() { m.beforeHold = nil; s.revoke("alice") }
	if reply, err := m.Release(context.Background(), s.req); reply != nil || err != error(ErrNotReleased) {
		t.Errorf("got %v, %v, want nothing but %v", reply, err, ErrNotReleased)
	}
	if m.wal.last() != 0 {
		t.Error("a refusal is in the log of releases")
	}
}

// A custodian whose receipts are gone would give their numbers out again.
func TestACustodianThatLostItsReceiptsReleasesNothing(t *testing.T) {
	s := newScene(t)
	s.released(t)
	m := s.node("lab")
	if err := m.sendRoot(context.Background()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(s.dir, "lab")
	m.close()
	if err := os.Remove(filepath.Join(dir, "receipts.wal")); err != nil {
		t.Fatal(err)
	}
	m.reopen(dir)
	if got := m.why(s.req); got != error(notReported) {
		t.Errorf("got reason %v, want %v", got, notReported)
	}
	if m.Check(context.Background()) == nil {
		t.Error("Check finds nothing wrong")
	}
}

// S2, P3: after a revocation a replica that lags is alone.
func TestALaggingReplicaCannotOpenARecordAlone(t *testing.T) {
	s := newScene(t)
	lag := s.node("insurer")
	lag.lags = true
	s.revoke("alice")
	if _, err := lag.Release(context.Background(), s.req); err != nil {
		t.Fatalf("the lagging replica should not know: %v", err)
	}
	s.refused(t, notAllowed)
	lag.lags = false
	lag.apply()
	s.refused(t, notAllowed)
}

func TestMalformedRequestsAreToldSo(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	for name, change := range map[string]func(*exchange.ReleaseRequest){
		"empty list":    func(r *exchange.ReleaseRequest) { r.List.Items = nil },
		"repeated item": func(r *exchange.ReleaseRequest) { r.List.Items = append(r.List.Items, r.List.Items[0]) },
		"long list":     func(r *exchange.ReleaseRequest) { r.List.Items = make([]exchange.Item, exchange.MaxList+1) },
		"short key":     func(r *exchange.ReleaseRequest) { r.ReaderKey = r.ReaderKey[1:] },
		"no such key":   func(r *exchange.ReleaseRequest) { r.ReaderKey = bytes.Repeat([]byte{0xff}, seal.PublicKeySize) },
	} {
		for _, session := range []tx.Hash{s.req.Session, {}} {
			req := *s.req
			req.Session = session
			change(&req)
			if _, err := m.Release(context.Background(), &req); err != error(ErrMalformed) {
				t.Errorf("%s: got %v, want %v", name, err, ErrMalformed)
			}
		}
	}
	if _, err := m.Locate(context.Background(), &exchange.LocateRequest{Session: s.r.id, ReaderKey: make([]byte, 3)}); err != error(ErrMalformed) {
		t.Errorf("locate: got %v", err)
	}
}

// Whatever is refused, the same bytes go over the wire, from all three questions.
func TestRefusalsAreByteIdentical(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	other := s.session("other doctor", "bob")
	var all [][]byte
	ask := func(path string, req any) {
		t.Helper()
		_, err := m.serve(context.Background(), account("clinic"), path, tx.MustEncode(req))
		var r *tx.Refusal
		if !errors.As(err, &r) {
			t.Fatalf("%s: got %v", path, err)
		}
		all = append(all, tx.MustEncode(r))
	}
	for _, req := range []*exchange.ReleaseRequest{
		{Session: digest("none"), ReaderKey: s.r.public, List: s.req.List},
		{Session: s.r.id, Fetch: 1, ReaderKey: other.public, List: s.req.List},
		{Session: s.r.id, Fetch: 9, ReaderKey: s.r.public, List: s.req.List},
		s.r.commit(items(s.batch, 1)...),
		s.r.commit(exchange.Item{Header: digest("none")}),
		s.r.commit(items(s.world.batch("bob", allowedSlot), 0)...),
	} {
		ask(exchange.PathRelease, req)
	}
	ask(exchange.PathLocate, &exchange.LocateRequest{Session: digest("none"), ReaderKey: s.r.public})
	ask(exchange.PathLocate, &exchange.LocateRequest{Session: s.r.id, ReaderKey: other.public})
	ask(exchange.PathOpenings, &exchange.OpeningsRequest{Session: s.r.id, ReaderKey: s.r.public})
	// A damaged row is no hint either.
	hh := s.batch.Header.Hash()
	if err := m.rows.set(rowKey(prefixBatch, hh[:]), []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	ask(exchange.PathRelease, s.req)
	if err := m.rows.set(rowKey(prefixManifest, hh[:]), []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	ask(exchange.PathLocate, &exchange.LocateRequest{Session: s.r.id, ReaderKey: s.r.public})
	for i := range all {
		if !bytes.Equal(all[i], all[0]) {
			t.Errorf("refusal %d: got %x, want %x", i, all[i], all[0])
		}
	}
}

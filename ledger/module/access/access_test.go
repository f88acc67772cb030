package access_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

const (
	all    = math.MaxUint64
	mask   = uint64(0x00000000ffffffff) // 32 bits
	except = uint64(0x0000000000ffffff) // 24 bits of the mask
	beside = uint64(0xffffff0000000000) // 24 bits outside the mask
)

func gid(name string) consent.GrantID { h := digest("grant/" + name); return consent.GrantID(h[:16]) }

// grant makes alice's grant to a practitioner for treatment; change alters it.
func grant(name string, change ...func(*consent.Grant)) *consent.Give {
	g := consent.Grant{
		ID: gid(name), Version: 1, Grantee: consent.Grantee{Kind: consent.OnePractitioner, Account: account("doctor")},
		Mask: mask, Except: beside, Purposes: consent.PurposesOf(consent.TREAT),
	}
	for _, f := range change {
		f(&g)
	}
	return &consent.Give{Patient: account("alice"), Grant: g}
}

func request(change ...func(*access.Request)) *access.Request {
	m := &access.Request{Patient: account("alice"), Purpose: consent.TREAT, Mask: all, ReaderKey: digest("reader key"), TTL: 600}
	for _, f := range change {
		f(m)
	}
	return m
}

func purpose(p consent.Purpose) func(*access.Request) {
	return func(m *access.Request) { m.Purpose = p }
}

func (w *world) session(by string, change ...func(*access.Request)) access.Session {
	w.Helper()
	s, ok := access.Lookup(w.state, w.must(by, access.KindRequest, request(change...)))
	if !ok {
		w.Fatal("an accepted request opened no session")
	}
	return s
}

// open is what a custodian asks now.
func (w *world) open(s access.Session) uint64 {
	w.Helper()
	_, allowed, err := access.Open(w.state, s.ID, w.time)
	if err != nil {
		w.Fatal(err)
	}
	return allowed
}

func TestARequestAlwaysOpensASession(t *testing.T) {
	w := newWorld(t)
	s := w.session("doctor")
	if s.Mask != 0 || len(s.Grants) != 0 {
		t.Errorf("without consent: got mask %#x by %v, want nothing", s.Mask, s.Grants)
	}
	if got := w.chain(); got != 2 { // enrolled, opened
		t.Errorf("got %d audit entries, want 2", got)
	}
	if got := w.open(s); got != 0 {
		t.Errorf("got %#x, want nothing to release", got)
	}
	w.must("alice", consent.KindGrant, grant("a"))
	got := w.session("doctor", func(m *access.Request) { m.Root, m.Count = digest("list"), 7 })
	wantSession := access.Session{
		ID: got.ID, Patient: account("alice"), Actor: account("doctor"), Member: account("clinic"), Purpose: consent.TREAT,
		Mask: mask, ReaderKey: digest("reader key"), Opened: w.time, Expires: w.time + 600, Height: uint64(w.height), Consent: 1,
		Grants: []consent.GrantID{gid("a")}, Taken: []consent.Use{},
	}
	if diff := cmp.Diff(wantSession, got); diff != "" {
		t.Errorf("session differs (-want +got):\n%s", diff)
	}
	if f, ok := access.LookupFetch(w.state, got.ID, 0); !ok || f != (access.Fetch{Root: digest("list"), Count: 7, Height: uint64(w.height)}) {
		t.Errorf("got fetch 0 %+v, %v", f, ok)
	}
	if got := w.open(s); got != 0 {
		t.Errorf("a grant enlarged a session that was open before: %#x", got)
	}
}

func TestOpenFollowsConsentAndStanding(t *testing.T) {
	suspend := func(w *world) {
		w.must("clinic", identity.KindUpdate, &identity.Update{Account: account("doctor"), Roles: []string{"doctor"}, Privileges: identity.PrivRead})
	}
	for _, tt := range []struct {
		name   string
		change func(*world)
		want   uint64
	}{
		{"nothing happened", func(*world) {}, mask},
		{"the grant was revoked", func(w *world) {
			w.must("alice", consent.KindRevoke, &consent.Revoke{Patient: account("alice"), ID: gid("a")})
		}, 0},
		{"everything was revoked", func(w *world) { w.must("alice", consent.KindRevoke, &consent.Revoke{Patient: account("alice")}) }, 0},
		{"the grant was narrowed", func(w *world) {
			w.must("alice", consent.KindGrant, grant("a", func(g *consent.Grant) { g.Version, g.Except = 2, except }))
		}, mask &^ except},
		{"the grant was widened", func(w *world) {
			w.must("alice", consent.KindGrant, grant("b", func(g *consent.Grant) { g.Mask = mask << 32; g.Except = except }))
		}, mask &^ except},
		{"the grant ended by time", func(w *world) { w.block(300) }, 0},
		{"the practitioner was suspended", suspend, 0},
		{"the practitioner lost the privilege to read", func(w *world) {
			w.must("clinic", identity.KindUpdate, &identity.Update{Account: account("doctor"), Roles: []string{"doctor"}, Active: true})
		}, 0},
		{"the member left", func(w *world) { w.remove("clinic") }, 0},
		{"another member left", func(w *world) { w.remove("insurer") }, mask},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.must("alice", consent.KindGrant, grant("a", func(g *consent.Grant) { g.NotAfter = w.time + 300 }))
			s := w.session("doctor")
			if got := w.open(s); got != mask {
				t.Fatalf("before: got %#x, want %#x", got, mask)
			}
			tt.change(w)
			if got := w.open(s); got != tt.want {
				t.Errorf("got %#x, want %#x", got, tt.want)
			}
		})
	}
}

// remove votes a member out.
func (w *world) remove(member string) {
	w.Helper()
	id := w.must("hospital", governance.KindPropose, &governance.Propose{Action: governance.Action{Remove: &governance.Remove{Account: account(member)}}})
	for _, by := range []string{"clinic", "insurer", "institute"} {
		w.must(by, governance.KindVote, &governance.Vote{Proposal: id, Approve: true})
	}
	if err := governance.Module().EndBlock(w.context(w.state, ledger.Signer{})); err != nil {
		w.Fatal(err)
	}
	if m, _ := governance.LookupMember(w.state, account(member)); m.Active {
		w.Fatalf("%s is still a member", member)
	}
}

func TestASessionEndsByTimeAndByItsPeople(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a"))
	s := w.session("doctor")
	if _, _, err := access.Open(w.state, s.ID, s.Expires-1); err != nil {
		t.Errorf("a second before the end: %v", err)
	}
	if _, _, err := access.Open(w.state, s.ID, s.Expires); !errors.Is(err, access.ErrExpired) {
		t.Errorf("got %v, want %v", err, access.ErrExpired)
	}
	if _, _, err := access.Open(w.state, digest("no session"), w.time); !errors.Is(err, access.ErrUnknown) {
		t.Errorf("got %v, want %v", err, access.ErrUnknown)
	}
	w.must("alice", consent.KindProxy, proxy())
	for _, by := range []string{"doctor", "clinic", "alice", "mother"} {
		s := w.session("doctor")
		w.must(by, access.KindClose, &access.Close{Session: s.ID})
		if _, _, err := access.Open(w.state, s.ID, w.time); !errors.Is(err, access.ErrClosed) {
			t.Errorf("closed by %s: got %v, want %v", by, err, access.ErrClosed)
		}
		w.refuse(access.ErrClosed, by, access.KindClose, &access.Close{Session: s.ID})
		w.refuse(access.ErrClosed, "doctor", access.KindFetch, &access.CommitFetch{Session: s.ID, Root: digest("x"), Count: 1})
	}
	own := w.session("alice", purpose(consent.PATRQT))
	w.refuse(access.ErrNotYours, "hospital", access.KindClose, &access.Close{Session: own.ID})
}

func proxy(change ...func(*consent.Proxy)) *consent.SetProxy {
	p := consent.Proxy{
		Account: account("mother"), Version: 1, Mask: mask, Except: except, Purposes: consent.PurposesOf(consent.PATRQT, consent.TREAT),
	}
	for _, f := range change {
		f(&p)
	}
	return &consent.SetProxy{Patient: account("alice"), Proxy: p, Active: true}
}

func TestPeopleReadTheirOwnRecords(t *testing.T) {
	w := newWorld(t)
	if got := w.session("alice", purpose(consent.PATRQT)).Mask; got != all {
		t.Errorf("alice: got %#x, want all", got)
	}
	w.refuse(access.ErrNotProxy, "mother", access.KindRequest, request(purpose(consent.PATRQT)))
	w.must("alice", consent.KindProxy, proxy(func(p *consent.Proxy) { p.NotAfter = w.time + 60; p.Purposes = consent.PurposesOf(consent.FAMRQT) }))
	s := w.session("mother", purpose(consent.FAMRQT))
	if got := w.open(s); s.Mask != mask&^except || got != s.Mask {
		t.Errorf("mother: got %#x, then %#x, want %#x", s.Mask, got, mask&^except)
	}
	if got := w.session("mother", purpose(consent.PATRQT)).Mask; got != 0 {
		t.Errorf("mother with a purpose she does not hold: got %#x, want nothing", got)
	}
	w.block(60)
	if got := w.open(s); got != 0 {
		t.Errorf("after the proxy ended: got %#x, want nothing", got)
	}
	w.refuse(access.ErrNotProxy, "mother", access.KindRequest, request(purpose(consent.FAMRQT)))
}

// TestOneUseIsTakenByExactlyOne lets ten practitioners ask in one block for a
// grant that opens one session.
func TestOneUseIsTakenByExactlyOne(t *testing.T) {
	for _, uses := range []uint16{1, 3} {
		w := newWorld(t)
		w.must("alice", consent.KindGrant, grant("once", func(g *consent.Grant) {
			g.Uses, g.Grantee = uses, consent.Grantee{Kind: consent.AnyClinical}
		}))
		var ss []access.Session
		for i := range 10 {
			name := fmt.Sprint("doctor ", i)
			w.register("clinic", name, identity.PrivRead)
			ss = append(ss, w.session(name))
		}
		var got uint16
		for i, s := range ss {
			if s.Mask != 0 {
				got++
			}
			if now := w.open(s); now != s.Mask {
				t.Errorf("session %d was granted %#x and may read %#x", i, s.Mask, now)
			}
		}
		if got != uses {
			t.Errorf("%d uses: %d sessions got a mask", uses, got)
		}
		w.block(5)
		if s := w.session("doctor"); s.Mask != 0 {
			t.Errorf("a later request got %#x from a grant that is used up", s.Mask)
		}
		// A new version brings new uses; a session lives by the version it took.
		w.must("alice", consent.KindGrant, grant("once", func(g *consent.Grant) {
			g.Uses, g.Version, g.Grantee = 1, 2, consent.Grantee{Kind: consent.AnyClinical}
		}))
		if now := w.open(ss[0]); now != 0 {
			t.Errorf("a session reads %#x by a use of a version that is gone", now)
		}
		if s := w.session("doctor"); s.Mask != mask || w.open(s) != mask {
			t.Errorf("got %#x by the new version, want %#x", s.Mask, mask)
		}
	}
}

func TestNoUseIsTakenInVain(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("once", func(g *consent.Grant) { g.Uses = 1 }))
	w.must("alice", consent.KindGrant, grant("always"))
	for range 3 {
		s := w.session("doctor")
		if s.Mask != mask || len(s.Taken) != 0 {
			t.Errorf("got %#x, taken %v, want %#x without taking a use", s.Mask, s.Taken, mask)
		}
	}
	s := w.session("doctor")
	w.must("alice", consent.KindRevoke, &consent.Revoke{Patient: account("alice"), ID: gid("always")})
	if got := w.open(s); got != 0 {
		t.Errorf("got %#x by a use that the session never took", got)
	}
	if s := w.session("doctor"); s.Mask != mask || len(s.Taken) != 1 {
		t.Errorf("got %#x, taken %v, want %#x by one use", s.Mask, s.Taken, mask)
	}
}

func TestFetchesAreNumberedAndCommitted(t *testing.T) {
	w := newWorld(t)
	s := w.session("doctor")
	for n := uint32(1); n <= 3; n++ {
		w.must("doctor", access.KindFetch, &access.CommitFetch{Session: s.ID, Root: digest(fmt.Sprint(n)), Count: n})
		f, ok := access.LookupFetch(w.state, s.ID, n)
		if want := (access.Fetch{Root: digest(fmt.Sprint(n)), Count: n, Height: uint64(w.height)}); !ok || f != want {
			t.Errorf("fetch %d: got %+v, %v, want %+v", n, f, ok, want)
		}
	}
	if _, ok := access.LookupFetch(w.state, s.ID, 0); ok {
		t.Error("a request without a list has a fetch 0")
	}
	if got, _ := access.Lookup(w.state, s.ID); got.Fetches != 3 {
		t.Errorf("got %d fetches, want 3", got.Fetches)
	}
	if got := w.chain(); got != 5 { // enrolled, opened, three fetches
		t.Errorf("got %d audit entries, want 5", got)
	}
}

func TestReleaseReceiptsLeaveNoGap(t *testing.T) {
	w := newWorld(t)
	report := func(from uint64, count uint32) *access.Receipts {
		return &access.Receipts{Root: digest("releases"), From: from, Count: count}
	}
	w.refuse(access.ErrSequence, "clinic", access.KindReceipts, report(2, 1))
	w.must("clinic", access.KindReceipts, report(1, 10))
	w.refuse(access.ErrSequence, "clinic", access.KindReceipts, report(1, 10))
	w.refuse(access.ErrSequence, "clinic", access.KindReceipts, report(12, 1))
	w.must("clinic", access.KindReceipts, report(11, 1))
	w.must("hospital", access.KindReceipts, report(1, 1))
	if got := access.ReleasedBy(w.state, account("clinic")); got.Next != 12 {
		t.Errorf("got next %d, want 12", got.Next)
	}
	if got := access.ReleasedBy(w.state, account("insurer")); got != (access.Released{Next: 1}) {
		t.Errorf("got %+v from somebody who released nothing", got)
	}
}

// TestEveryRefusal provokes each code of the module.
func TestEveryRefusal(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a"))
	s := w.session("doctor", func(m *access.Request) { m.TTL = 60 })
	fetch := func(change ...func(*access.CommitFetch)) *access.CommitFetch {
		m := &access.CommitFetch{Session: s.ID, Root: digest("list"), Count: 1}
		for _, f := range change {
			f(m)
		}
		return m
	}
	receipts := func(change func(*access.Receipts)) *access.Receipts {
		m := &access.Receipts{Root: digest("releases"), From: 1, Count: 1}
		change(m)
		return m
	}
	seen := map[uint32]bool{}
	check := func(want *tx.Refusal, by string, kind tx.Kind, m tx.Message) {
		t.Helper()
		seen[want.Code] = true
		w.refuse(want, by, kind, m)
	}
	req := func(want *tx.Refusal, by string, change func(*access.Request)) {
		t.Helper()
		check(want, by, access.KindRequest, request(change))
	}
	nobody := func(*access.Request) {}

	req(access.ErrPatient, "doctor", func(m *access.Request) { m.Patient = tx.Account{} })
	req(access.ErrPatient, "doctor", func(m *access.Request) { m.Patient = account("nobody") })
	req(access.ErrPatient, "doctor", func(m *access.Request) { m.Patient = account("clinic") })
	req(access.ErrPurpose, "doctor", func(m *access.Request) { m.Purpose = 0 })
	req(access.ErrPurpose, "doctor", func(m *access.Request) { m.Purpose = 60 })
	req(access.ErrMask, "doctor", func(m *access.Request) { m.Mask = 0 })
	req(access.ErrReaderKey, "doctor", func(m *access.Request) { m.ReaderKey = tx.Hash{} })
	req(access.ErrTTL, "doctor", func(m *access.Request) { m.TTL = 0 })
	req(access.ErrTTL, "doctor", func(m *access.Request) { m.TTL = governance.DefaultParams().SessionMax + 1 })
	req(access.ErrTTL, "doctor", func(m *access.Request) { m.TTL = math.MaxUint64 })
	req(access.ErrList, "doctor", func(m *access.Request) { m.Count = 1 })
	req(access.ErrList, "doctor", func(m *access.Request) { m.Root = digest("list") })
	req(access.ErrList, "doctor", func(m *access.Request) { m.Root, m.Count = digest("list"), access.MaxList+1 })
	req(access.ErrReader, "clinic", nobody)
	req(access.ErrPrivilege, "clerk", nobody)
	req(access.ErrDeclare, "emergency doctor", purpose(consent.BTG))
	req(access.ErrDelegate, "doctor", func(r *access.Request) { r.Delegate = []byte{1} })
	for _, p := range []consent.Purpose{consent.ETREAT, consent.ERTREAT} {
		req(access.ErrEmergency, "doctor", purpose(p))
		w.must("emergency doctor", access.KindRequest, request(purpose(p)))
	}
	req(access.ErrPersonal, "alice", nobody)
	req(access.ErrPersonal, "alice", purpose(consent.FAMRQT))
	req(access.ErrPersonal, "mother", nobody)
	req(access.ErrNotProxy, "mother", purpose(consent.PATRQT))
	w.unverified = true
	req(access.ErrUserVerification, "alice", purpose(consent.PATRQT))
	w.unverified = false

	for _, by := range []string{"alice", "doctor", "mother"} { // no recovery ever brought her a key
		check(access.ErrRecovery, by, access.KindRecover, &access.Recover{Patient: account("alice"), Case: digest("case"), ReaderKey: digest("reader"), TTL: 60})
	}
	check(access.ErrReaderKey, "alice", access.KindRecover, &access.Recover{Patient: account("alice"), Case: digest("case"), TTL: 60})
	check(access.ErrRecovery, "alice", access.KindRecover, &access.Recover{Patient: account("alice"), ReaderKey: digest("reader"), TTL: 60})

	check(access.ErrUnknown, "doctor", access.KindFetch, fetch(func(m *access.CommitFetch) { m.Session = tx.Hash{} }))
	check(access.ErrUnknown, "doctor", access.KindFetch, fetch(func(m *access.CommitFetch) { m.Session = digest("none") }))
	check(access.ErrUnknown, "doctor", access.KindClose, &access.Close{})
	check(access.ErrUnknown, "doctor", access.KindClose, &access.Close{Session: digest("none")})
	check(access.ErrList, "doctor", access.KindFetch, fetch(func(m *access.CommitFetch) { m.Count = 0 }))
	for _, by := range []string{"emergency doctor", "clinic", "alice", "nurse"} {
		check(access.ErrNotYours, by, access.KindFetch, fetch())
	}
	for _, by := range []string{"emergency doctor", "hospital", "bob"} {
		check(access.ErrNotYours, by, access.KindClose, &access.Close{Session: s.ID})
	}
	full := w.session("doctor")
	for range access.MaxFetches {
		w.must("doctor", access.KindFetch, fetch(func(m *access.CommitFetch) { m.Session = full.ID }))
	}
	check(access.ErrFetches, "doctor", access.KindFetch, fetch(func(m *access.CommitFetch) { m.Session = full.ID }))
	w.must("doctor", access.KindClose, &access.Close{Session: full.ID})
	check(access.ErrClosed, "doctor", access.KindFetch, fetch(func(m *access.CommitFetch) { m.Session = full.ID }))
	w.block(60)
	check(access.ErrExpired, "doctor", access.KindFetch, fetch())
	check(access.ErrExpired, "doctor", access.KindClose, &access.Close{Session: s.ID})

	check(access.ErrNotCustodian, "doctor", access.KindReceipts, receipts(func(*access.Receipts) {}))
	check(access.ErrRoot, "clinic", access.KindReceipts, receipts(func(m *access.Receipts) { m.Root = tx.Hash{} }))
	check(access.ErrCount, "clinic", access.KindReceipts, receipts(func(m *access.Receipts) { m.Count = 0 }))
	check(access.ErrCount, "clinic", access.KindReceipts, receipts(func(m *access.Receipts) { m.Count = access.MaxBatch + 1 }))
	check(access.ErrSequence, "clinic", access.KindReceipts, receipts(func(m *access.Receipts) { m.From = 0 }))
	check(access.ErrSequence, "clinic", access.KindReceipts, receipts(func(m *access.Receipts) { m.From = math.MaxUint64 }))

	for _, q := range access.Module().Queries {
		if _, err := q.Answer(w.state, ledger.Head{}, []byte{0xff}); !errors.Is(err, access.ErrQuery) {
			t.Errorf("%s: got %v, want %v", q.Path, err, access.ErrQuery)
		}
		seen[access.ErrQuery.Code] = true
	}
	if _, err := w.ask("access/fetch", access.ByFetch{Session: s.ID, Fetch: 9}); !errors.Is(err, access.ErrUnknownFetch) {
		t.Errorf("got %v, want %v", err, access.ErrUnknownFetch)
	}
	seen[access.ErrUnknownFetch.Code] = true
	for _, c := range access.Codes() {
		if !seen[c.Code] {
			t.Errorf("no test provokes %s (%#04x)", c.Name, c.Code)
		}
	}
}

// ask runs a query on the state as it is.
func (w *world) ask(path string, arg any) ([]byte, error) {
	w.Helper()
	for _, q := range access.Module().Queries {
		if q.Path == path {
			return q.Answer(w.state, ledger.Head{Time: w.time}, tx.MustEncode(arg))
		}
	}
	w.Fatal("no query " + path)
	return nil, nil
}

func TestQueriesAnswer(t *testing.T) {
	w := newWorld(t)
	w.must("alice", consent.KindGrant, grant("a"))
	s := w.session("doctor", func(m *access.Request) { m.Root, m.Count = digest("list"), 3 })
	w.must("clinic", access.KindReceipts, &access.Receipts{Root: digest("releases"), From: 1, Count: 4})
	var session access.Session
	var opened access.Opened
	var fetch access.Fetch
	var released access.Released
	for _, q := range []struct {
		path   string
		arg    any
		answer any
	}{
		{"access/session", access.BySession{Session: s.ID}, &session},
		{"access/open", access.BySession{Session: s.ID}, &opened},
		{"access/fetch", access.ByFetch{Session: s.ID}, &fetch},
		{"access/released", access.ByCustodian{Custodian: account("clinic")}, &released},
	} {
		b, err := w.ask(q.path, q.arg)
		if err == nil {
			err = tx.Decode(b, q.answer)
		}
		if err != nil {
			t.Errorf("%s: %v", q.path, err)
		}
	}
	if session.ID != s.ID || opened.Session.ID != s.ID || opened.Allowed != mask || fetch.Count != 3 || released.Next != 5 {
		t.Errorf("got %+v, %+v, %+v, %+v", session, opened, fetch, released)
	}
	for _, path := range []string{"access/session", "access/open"} {
		if _, err := w.ask(path, access.BySession{}); !errors.Is(err, access.ErrUnknown) {
			t.Errorf("%s: got %v, want %v", path, err, access.ErrUnknown)
		}
	}
}

func TestKeysNameRows(t *testing.T) {
	w := newWorld(t)
	s := w.session("doctor", func(m *access.Request) { m.Root, m.Count = digest("list"), 3 })
	for _, key := range [][]byte{access.SessionKey(s.ID), access.FetchKey(s.ID, 0)} {
		if _, ok := w.state.Get(key); !ok {
			t.Errorf("there is no row under %x", key)
		}
	}
}

func TestGenesisHasNothingToSet(t *testing.T) {
	w := newWorld(t)
	for raw, want := range map[string]bool{"": true, "{}": true, " null ": true, `{"sessions":[]}`: false} {
		if err := access.Module().Genesis(w.context(w.state, ledger.Signer{}), []byte(raw)); (err == nil) != want {
			t.Errorf("%q: got %v, want accepted %v", raw, err, want)
		}
	}
}

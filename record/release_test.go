package record

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
	"salus/vault"
)

// sign signs a reply anew, as the liar can.
func (s *scene) sign(liar string, req *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
	d := exchange.ReplyDigest(chainID, req.Session, req.List.Root(), r)
	r.Signature = ed25519.Sign(private(liar), d[:])
	return r
}

// A custodian whose answer is wrong is named, it alone, and the records are read all the same.
func TestWrongReleaseIsNamedExactly(t *testing.T) { newScene(t).namesWrongReleases(t) }

// The same by shares that the author did not deal, when a resharing has made new ones.
func TestWrongReleaseIsNamedAfterAResharing(t *testing.T) {
	s := newScene(t)
	s.order()
	s.takenOver(2)
	s.namesWrongReleases(t)

	// One honest custodian that is slower than the liar is not waited for at first.
	m, session := s.meddle("hospital")
	m.Custodians = laggard{m.Custodians, account("lab")}
	m.release = func(req *exchange.ReleaseRequest, r *exchange.ReleaseReply) (*exchange.ReleaseReply, error) {
		n := 0
		for header, indices := range req.List.Groups() {
			var err error
			if r.Parts[n].Sealed, err = seal.Release(req.ReaderKey, req.Session, int(r.Custodian), header, indices, make([]threshold.Share, len(indices))); err != nil {
				return nil, err
			}
			n++
		}
		return s.sign("hospital", req, r), nil
	}
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res, err := session.Read(t.Context(), clinical(found))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(bodies(s.rs), opened(res)); d != "" {
		t.Errorf("what is read: %s", d)
	}
	if len(res.Bad) != 1 || res.Bad[0].Account != account("hospital") {
		t.Errorf("blamed %v, want the hospital alone", res.Bad)
	}
}

// A laggard is one custodian that answers a release only when it is waited for.
type laggard struct {
	Custodians
	who tx.Account
}

func (l laggard) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	if custodian == l.who && !req.Proofs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return l.Custodians.Release(ctx, custodian, req)
}

func (s *scene) namesWrongReleases(t *testing.T) {
	v := s.app.View()
	epoch, err := committee.Current(v)
	v.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, liar := range []string{"hospital", "insurer"} {
		index, _ := epoch.IndexOf(account(liar))
		edit := func(change func([]threshold.Share)) func(*Session, *exchange.ReleaseRequest, *exchange.ReleaseReply) *exchange.ReleaseReply {
			return func(session *Session, req *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
				n := 0
				for header, indices := range req.List.Groups() {
					shares, err := seal.OpenRelease(session.key, req.Session, index, header, indices, r.Parts[n].Sealed)
					if err != nil {
						t.Error(err)
					}
					change(shares)
					if r.Parts[n].Sealed, err = seal.Release(req.ReaderKey, req.Session, index, header, indices, shares); err != nil {
						t.Error(err)
					}
					n++
				}
				return s.sign(liar, req, r)
			}
		}
		for rule, lie := range map[string]func(*Session, *exchange.ReleaseRequest, *exchange.ReleaseReply) *exchange.ReleaseReply{
			"every share altered": edit(func(sh []threshold.Share) {
				for i := range sh {
					sh[i][0] ^= 1
				}
			}),
			"one share altered":         edit(func(sh []threshold.Share) { sh[len(sh)-1][3] ^= 0x10 }),
			"a share that is no scalar": edit(func(sh []threshold.Share) { sh[0] = threshold.Share(bytes.Repeat([]byte{0xff}, 32)) }),
			"sealed noise": func(_ *Session, req *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
				r.Parts[0].Sealed = []byte("noise")
				return s.sign(liar, req, r)
			},
			"a batch left out": func(_ *Session, req *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
				r.Parts = r.Parts[:1]
				return s.sign(liar, req, r)
			},
			"no receipt": func(_ *Session, _ *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
				r.Signature = nil
				return r
			},
			"somebody else's receipt": func(_ *Session, req *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
				return s.sign("lab", req, r)
			},
			"a receipt of another release": func(_ *Session, _ *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
				r.Sequence++
				return r
			},
			"under another index": func(_ *Session, req *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
				r.Custodian = uint8(index%4 + 1)
				return s.sign(liar, req, r)
			},
		} {
			t.Run(liar+" "+rule, func(t *testing.T) {
				m, session := s.meddle(liar)
				m.release = func(req *exchange.ReleaseRequest, r *exchange.ReleaseReply) (*exchange.ReleaseReply, error) {
					return lie(session, req, r), nil
				}
				found, err := session.Locate(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				res, err := session.Read(t.Context(), clinical(found))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(bodies(s.rs), opened(res)); d != "" {
					t.Errorf("what is read: %s", d)
				}
				if len(res.Bad) != 1 || res.Bad[0].Index != index || res.Bad[0].Account != account(liar) || res.Bad[0].Why == "" {
					t.Errorf("blamed %v, want custodian %d alone", res.Bad, index)
				}
			})
		}
	}
}

func TestTooFewCustodiansIsAnError(t *testing.T) {
	s := newScene(t)
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.orgs["lab"].setDown(true)
	if got, err := session.Locate(t.Context()); err != nil || len(got) != len(found) {
		t.Errorf("one down: got %d, %v", len(got), err)
	}
	if res, err := session.Read(t.Context(), clinical(found)); err != nil || len(res.Records) != len(s.rs) || len(res.Bad) != 0 {
		t.Errorf("one down: got %v, %v", res, err)
	}
	s.orgs["insurer"].setDown(true)
	if got, err := session.Locate(t.Context()); !errors.Is(err, ErrTooFew) || got != nil {
		t.Errorf("two down: got %d, %v, want %v", len(got), err, ErrTooFew)
	}
	if res, err := session.Read(t.Context(), clinical(found)); !errors.Is(err, ErrTooFew) || len(opened(res)) != 0 {
		t.Errorf("two down: got %v, %v, want %v", res, err, ErrTooFew)
	}
	// A reader to whom nothing is allowed cannot tell that from a patient without records either.
	Revoke(t.Context(), s.as(s.p.Signer()), s.p.Patient, [16]byte{})
	if got, err := s.session(s.p, s.ways()).Locate(t.Context()); !errors.Is(err, ErrTooFew) || got != nil {
		t.Errorf("two down, revoked: got %d, %v, want %v", len(got), err, ErrTooFew)
	}
}

// late are custodians of which some cannot decide now.
type late struct {
	Custodians
	who map[tx.Account]bool
}

func (l late) Locate(ctx context.Context, custodian tx.Account, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	if l.who[custodian] {
		return nil, exchange.ErrNotNow
	}
	return l.Custodians.Locate(ctx, custodian, req)
}

func (l late) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	if l.who[custodian] {
		return nil, exchange.ErrNotNow
	}
	return l.Custodians.Release(ctx, custodian, req)
}

// soon are custodians that cannot decide the first times they are asked.
type soon struct {
	Custodians
	mu   *sync.Mutex
	left map[tx.Account]int
}

func (l soon) now(custodian tx.Account) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left[custodian]--
	return l.left[custodian] < 0
}

func (l soon) Locate(ctx context.Context, custodian tx.Account, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	if !l.now(custodian) {
		return nil, exchange.ErrNotNow
	}
	return l.Custodians.Locate(ctx, custodian, req)
}

func (l soon) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	if !l.now(custodian) {
		return nil, exchange.ErrNotNow
	}
	return l.Custodians.Release(ctx, custodian, req)
}

// Who is asked to come back later does.
func TestCustodiansThatAreABlockBehindAreAskedAgain(t *testing.T) {
	s := newScene(t)
	behind := func() soon {
		return soon{s.ways(), new(sync.Mutex), map[tx.Account]int{account("lab"): 2, account("insurer"): 3}}
	}
	want, err := s.session(s.p, s.ways()).Locate(t.Context())
	if err != nil || len(want) == 0 {
		t.Fatalf("got %d, %v", len(want), err)
	}
	ways := behind()
	session := s.session(s.p, ways)
	found, err := session.Locate(t.Context())
	if err != nil || len(found) != len(want) {
		t.Errorf("got %d, %v; want %d", len(found), err, len(want))
	}
	ways.left[account("lab")], ways.left[account("insurer")] = 2, 3
	res, err := session.Read(t.Context(), clinical(found))
	if err != nil || len(opened(res)) != len(clinical(found)) {
		t.Errorf("got %v, %v; want all", res, err)
	}
}

// Custodians that are behind have not said that there is nothing.
func TestCustodiansThatCannotDecideAreNotAnAnswer(t *testing.T) {
	s := newScene(t)
	found, err := s.session(s.p, s.ways()).Locate(t.Context())
	if err != nil || len(found) == 0 {
		t.Fatalf("got %d, %v", len(found), err)
	}
	one := s.session(s.p, late{s.ways(), map[tx.Account]bool{account("lab"): true}})
	if got, err := one.Locate(t.Context()); err != nil || len(got) != len(found) {
		t.Errorf("one is late: got %d, %v; want all", len(got), err)
	}
	two := s.session(s.p, late{s.ways(), map[tx.Account]bool{account("lab"): true, account("insurer"): true}})
	if got, err := two.Locate(t.Context()); !errors.Is(err, ErrTooFew) || got != nil {
		t.Errorf("two are late: got %d, %v; want %v", len(got), err, ErrTooFew)
	}
	if res, err := two.Read(t.Context(), clinical(found)); !errors.Is(err, ErrTooFew) || len(opened(res)) != 0 {
		t.Errorf("two are late: got %v, %v; want %v", res, err, ErrTooFew)
	}
}

// A session in which nobody heard of a list's fate does not guess its number.
func TestLostListEndsTheSession(t *testing.T) {
	s := newScene(t)
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	real := session.submit
	refusal := tx.Refuse(0x0701, "no")
	session.submit = failing{refusal}
	if _, err := session.Read(t.Context(), found); !errors.Is(err, refusal) {
		t.Errorf("got %v, want %v", err, refusal)
	}
	session.submit = real
	if res, err := session.Read(t.Context(), found); err != nil || len(res.Records) != len(found) {
		t.Errorf("after a refusal: got %v", err)
	}
	session.submit = failing{fmt.Errorf("%w: %w", client.ErrUncertain, context.DeadlineExceeded)}
	if _, err := session.Read(t.Context(), found); !errors.Is(err, ErrSessionLost) {
		t.Errorf("got %v, want %v", err, ErrSessionLost)
	}
	session.submit = real
	if _, err := session.Read(t.Context(), found); !errors.Is(err, ErrSessionLost) {
		t.Errorf("afterwards: got %v, want %v", err, ErrSessionLost)
	}
}

type failing struct{ err error }

func (f failing) Submit(context.Context, tx.Kind, tx.Message) (client.Committed, error) {
	return client.Committed{}, f.err
}

func TestListAndRecordsMustFit(t *testing.T) {
	s := newScene(t)
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fetch, list, err := session.Commit(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	for rule, rs := range map[string][]Located{"none": nil, "one too few": found[1:], "not located": {{Item: list.Items[0]}}} {
		if _, err := session.ReadFetch(t.Context(), fetch, list, rs); !errors.Is(err, errNotLocated) {
			t.Errorf("%s: got %v, want %v", rule, err, errNotLocated)
		}
	}
	if _, _, err := session.Commit(t.Context(), append(found, found[0])); err == nil {
		t.Error("a record twice was committed")
	}
}

// A holder that sends other bytes is passed over; when all do, there is an error and no text.
func TestLyingHoldersOnlyWithhold(t *testing.T) {
	s := newScene(t)
	empty, err := vault.Open(t.TempDir(), vault.Options{Backend: vault.NewMemory(1 << 20)})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	lies := &lyingLinks{Links: s.orgs["clinic"], honest: map[tx.Account]bool{}}
	session := s.session(s.p, memberLinks{&Service{Config: Config{Self: account("nobody"), Ledger: s.app, Links: lies, Vault: empty}}})
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Read(t.Context(), found); err == nil {
		t.Error("other bytes were read")
	}
	lies.honest[account("hospital")] = true // the author alone
	if res, err := session.Read(t.Context(), clinical(found)); err != nil || !slices.Equal(opened(res), bodies(s.rs)) {
		t.Errorf("got %v", err)
	}
	swapped := s.session(s.p, swap{s.ways()})
	res, err := swapped.Read(t.Context(), clinical(found))
	if err == nil || slices.ContainsFunc(res.Records, func(o Opened) bool { return o.Body != nil }) {
		t.Errorf("ciphertexts exchanged: got %v", err)
	}
}

// lyingLinks gives bytes of the right length that are not those asked for.
type lyingLinks struct {
	Links
	honest map[tx.Account]bool
}

func (l *lyingLinks) Download(ctx context.Context, to tx.Account, path, arg string) (io.ReadCloser, int64, error) {
	body, size, err := l.Links.Download(ctx, to, path, arg)
	if err != nil || l.honest[to] {
		return body, size, err
	}
	b := make([]byte, size)
	return io.NopCloser(bytes.NewReader(b)), size, body.Close()
}

// swap gives every ciphertext with its last byte changed, as a node that relays could.
type swap struct{ Custodians }

func (s swap) Ciphertext(ctx context.Context, holders []tx.Account, address [32]byte) ([]byte, error) {
	b, err := s.Custodians.Ciphertext(ctx, holders, address)
	if len(b) > 0 {
		b = bytes.Clone(b)
		b[len(b)-1] ^= 1
	}
	return b, err
}

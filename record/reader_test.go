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
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/client"
	"salus/exchange"
	"salus/fhir"
	"salus/ledger/module/access"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
	"salus/vault"
)

// A meddler stands between a session and the custodians and does one of them wrong, first of
// all, so that its answer is never the one that is not waited for.
type meddler struct {
	Custodians
	liar    tx.Account
	session *Session // set when it is open: the liar may know everything but this key, and its test uses it to edit
	locate  func(page *exchange.Located) (*exchange.Sealed, error)
	release func(req *exchange.ReleaseRequest, r *exchange.ReleaseReply) (*exchange.ReleaseReply, error)

	mu    sync.Mutex // guards first
	first chan struct{}
}

// turn makes the others wait for the liar's answer to the same kind of question.
func (m *meddler) turn(custodian tx.Account) (done func()) {
	m.mu.Lock()
	if m.first == nil {
		m.first = make(chan struct{})
	}
	first := m.first
	m.mu.Unlock()
	if custodian != m.liar {
		<-first
		return func() {}
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.first != nil {
			close(m.first)
		}
	}
}

func (m *meddler) Locate(ctx context.Context, custodian tx.Account, req *exchange.LocateRequest) (*exchange.Sealed, error) {
	box, err := m.Custodians.Locate(ctx, custodian, req)
	if custodian != m.liar || m.locate == nil || err != nil {
		return box, err
	}
	var page exchange.Located
	if err := m.session.open("locate", box, &page); err != nil {
		return nil, err
	}
	if out, err := m.locate(&page); out != nil || err != nil {
		return out, err
	}
	sealed, err := seal.Box(req.ReaderKey, exchange.AnswerInfo("locate", req.Session), tx.MustEncode(page))
	return &exchange.Sealed{Box: sealed}, err
}

func (m *meddler) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	if m.release == nil {
		return m.Custodians.Release(ctx, custodian, req)
	}
	done := m.turn(custodian)
	defer done()
	r, err := m.Custodians.Release(ctx, custodian, req)
	if custodian != m.liar || err != nil {
		return r, err
	}
	return m.release(req, r)
}

// A scene is a patient with records in two batches whom the doctor may read.
type scene struct {
	*world
	p  *patient
	rs []fhir.Resource
}

func newScene(t testing.TB) *scene {
	t.Helper()
	w := newWorld(t)
	w.orgs["hospital"].open("")
	s := &scene{world: w, p: w.patient("Patient/p"), rs: []fhir.Resource{observation(t, "a", "first"), observation(t, "b", "second", "PSY"), observation(t, "c", "third")}}
	w.grant(s.p)
	w.active(w.put(s.p.Patient, s.rs[0], s.rs[1])...)
	w.active(w.put(s.p.Patient, s.rs[2])...)
	return s
}

func (s *scene) meddle(liar string) (*meddler, *Session) {
	m := &meddler{Custodians: s.ways(), liar: account(liar)}
	m.session = s.session(s.p, m)
	return m, m.session
}

func items(found []Located) []exchange.Item {
	var out []exchange.Item
	for _, l := range found {
		out = append(out, l.Item)
	}
	return out
}

func opened(res *Result) []string {
	var out []string
	if res != nil {
		for _, o := range res.Records {
			out = append(out, string(o.Body))
		}
	}
	slices.Sort(out)
	return out
}

// Up to f custodians that lie about what is there neither hide nor add anything, and keep
// nobody from reading.
func TestLyingLocateAnswersChangeNothing(t *testing.T) {
	s := newScene(t)
	other := s.patient("Patient/other")
	s.grant(other)
	s.active(s.put(other.Patient, observation(t, "x", "of somebody else"))...)
	honest, err := s.session(s.p, s.ways()).Locate(t.Context())
	if err != nil || len(clinical(honest)) != len(s.rs) {
		t.Fatalf("got %d records, %v", len(clinical(honest)), err)
	}
	// What an honest custodian says about the other patient.
	foreign, elsewhere := &meddler{Custodians: s.ways(), liar: account("lab")}, exchange.Located{}
	foreign.locate = func(page *exchange.Located) (*exchange.Sealed, error) { elsewhere = *page; return nil, nil }
	foreign.session = s.session(other, foreign)
	if _, err := foreign.session.Locate(t.Context()); err != nil || len(elsewhere.Batches) == 0 {
		t.Fatal("no other patient's batch", err)
	}
	asked := 0
	for rule, lie := range map[string]func(page *exchange.Located) (*exchange.Sealed, error){
		"nothing at all": func(page *exchange.Located) (*exchange.Sealed, error) { page.Batches = nil; return nil, nil },
		"half of it": func(page *exchange.Located) (*exchange.Sealed, error) {
			page.Batches = page.Batches[1:]
			return nil, nil
		},
		"no such session": func(*exchange.Located) (*exchange.Sealed, error) {
			return nil, exchange.ErrNotReleased
		},
		"noise":       func(*exchange.Located) (*exchange.Sealed, error) { return &exchange.Sealed{Box: []byte("noise")}, nil },
		"unreachable": func(*exchange.Located) (*exchange.Sealed, error) { return nil, client.ErrUnreachable },
		"another patient's batch": func(page *exchange.Located) (*exchange.Sealed, error) {
			page.Batches = append(page.Batches, elsewhere.Batches...)
			return nil, nil
		},
		"wrong paths": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				for j := range page.Batches[i].Entries {
					e := &page.Batches[i].Entries[j]
					e.Path = append(e.Path, [32]byte{1})
				}
			}
			return nil, nil
		},
		"wrong entries": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				for j := range page.Batches[i].Entries {
					page.Batches[i].Entries[j].Entry.KeyCommit[0] ^= 1
				}
			}
			return nil, nil
		},
		"wrong indices": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				for j := range page.Batches[i].Entries {
					page.Batches[i].Entries[j].Index += 7
				}
			}
			return nil, nil
		},
		"wrong share roots": func(page *exchange.Located) (*exchange.Sealed, error) {
			for i := range page.Batches {
				page.Batches[i].ShareRoots = slices.Repeat([][32]byte{{1}}, 4)
			}
			return nil, nil
		},
		"batches that do not exist": func(page *exchange.Located) (*exchange.Sealed, error) {
			b := page.Batches[0]
			page.Batches = nil
			for i := range 500 {
				b.Header = digest(fmt.Sprint("invented ", i))
				page.Batches = append(page.Batches, b)
			}
			return nil, nil
		},
		"pages without end": func(page *exchange.Located) (*exchange.Sealed, error) {
			asked++
			page.Batches, page.Next = nil, uint64(asked)
			return nil, nil
		},
	} {
		t.Run(rule, func(t *testing.T) {
			m, session := s.meddle("insurer")
			m.locate = lie
			found, err := session.Locate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(items(honest), items(found)); d != "" {
				t.Errorf("what is found (-honest +got):\n%s", d)
			}
			res, err := session.Read(t.Context(), clinical(found))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(bodies(s.rs), opened(res)); d != "" || len(res.Bad) != 0 {
				t.Errorf("blamed %v; what is read: %s", res.Bad, d)
			}
		})
	}
	if asked == 0 || asked > maxPages {
		t.Errorf("a custodian with pages without end was asked %d times, want at most %d", asked, maxPages)
	}
}

// counting counts what a liar makes the reader ask its own node.
type counting struct {
	Chain
	asked int
}

func (c *counting) Anchored(ctx context.Context, h tx.Hash) (*exchange.Anchored, error) {
	c.asked++
	return c.Chain.Anchored(ctx, h)
}

func TestInventedBatchesCostLittle(t *testing.T) {
	s := newScene(t)
	c := &counting{Chain: Replica{s.app.View}}
	f := &sightings{seen: map[exchange.Item]*sighting{}, batches: map[tx.Hash]*exchange.Anchored{}}
	var lies []exchange.LocatedBatch
	for i := range 1000 {
		lies = append(lies, exchange.LocatedBatch{Header: digest(fmt.Sprint("invented ", i))})
	}
	f.add(t.Context(), c, 0, lies)
	if c.asked != maxLies || len(f.believed(0)) != 0 {
		t.Errorf("asked %d times, believed %d", c.asked, len(f.believed(0)))
	}
}

// sign signs a reply anew, as the liar can.
func (s *scene) sign(liar string, req *exchange.ReleaseRequest, r *exchange.ReleaseReply) *exchange.ReleaseReply {
	d := exchange.ReplyDigest(chainID, req.Session, req.List.Root(), r)
	r.Signature = ed25519.Sign(private(liar), d[:])
	return r
}

// A custodian whose answer is wrong is named, it alone, and the records are read all the same.
func TestWrongReleaseIsNamedExactly(t *testing.T) {
	s := newScene(t)
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

// Nothing allowed, withdrawn, ended and nothing there are the same answer.
func TestRefusedLooksLikeNoData(t *testing.T) {
	s := newScene(t)
	empty := s.patient("Patient/empty")
	s.grant(empty)
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fetch, list, err := session.Commit(t.Context(), clinical(found))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Revoke(t.Context(), s.as(s.p.Signer()), s.p.Patient, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	// The session of before, at every stage.
	if res, err := session.ReadFetch(t.Context(), fetch, list, clinical(found)); err != nil || !cmp.Equal(res, &Result{Fetch: fetch}) {
		t.Errorf("committed before: got %v, %v; want no data", res, err)
	}
	if res, err := session.Read(t.Context(), clinical(found)); err != nil || len(res.Records)+len(res.Bad) != 0 {
		t.Errorf("located before: got %v, %v; want no data", res, err)
	}
	if got, err := session.Index(t.Context(), found); err != nil || len(got) != 0 {
		t.Errorf("index: got %v, %v; want no data", got, err)
	}
	stranger := s.patient("Patient/stranger") // no grant at all, and no records
	for rule, session := range map[string]*Session{
		"a patient without records": s.session(empty, s.ways()), "revoked": session, "opened after": s.session(s.p, s.ways()), "never granted": s.session(stranger, s.ways()),
	} {
		got, err := session.Locate(t.Context())
		if err != nil || got == nil || len(got) != 0 {
			t.Errorf("%s: got %#v, %v; want an empty list", rule, got, err)
		}
		res, err := session.Read(t.Context(), got)
		if err != nil || !cmp.Equal(res, &Result{}) {
			t.Errorf("%s: got %#v, %v; want an empty result", rule, res, err)
		}
	}
	if err := session.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := session.Locate(t.Context()); err != nil || got == nil || len(got) != 0 {
		t.Errorf("closed: got %#v, %v; want an empty list", got, err)
	}
}

func TestWithheldLabelLeavesNoTrace(t *testing.T) {
	s := newScene(t)
	whole, err := s.session(s.p, s.ways()).Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Revoke(t.Context(), s.as(s.p.Signer()), s.p.Patient, [16]byte{}); err != nil {
		t.Fatal(err)
	}
	s.grant(s.p, "PSY")
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil || len(clinical(found)) != 2 {
		t.Fatalf("got %d records, %v; want the two without PSY", len(clinical(found)), err)
	}
	res, err := session.Read(t.Context(), found)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range res.Records {
		if bytes.Contains(o.Body, []byte("second")) || !o.Clinical() && bytes.Count(o.Body, []byte(`"i":`)) != 1 {
			t.Errorf("something withheld shows in %s", o.Body)
		}
	}
	// Naming what was withheld, from knowledge of another time, gives no data, as a whole.
	if res, err := session.Read(t.Context(), clinical(whole)); err != nil || len(res.Records) != 0 {
		t.Errorf("got %v, %v; want no data", res, err)
	}
}

func TestIndexTellsWithoutOpening(t *testing.T) {
	s := newScene(t)
	session := s.session(s.p, s.ways())
	found, err := session.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := session.Index(t.Context(), found)
	if err != nil || len(got) != len(s.rs) {
		t.Fatalf("got %d entries, %v", len(got), err)
	}
	if d := cmp.Diff(items(clinical(found)), func() (out []exchange.Item) {
		for _, e := range got {
			out = append(out, e.Item)
		}
		return out
	}()); d != "" {
		t.Error(d)
	}
	for _, e := range got {
		if e.Summary != fhir.Summarize(s.rs[0]) || e.Author != account("hospital") { // all three are heart rates
			t.Errorf("got %+v", e.Summary)
		}
	}
	v := s.app.View()
	defer v.Close()
	row, ok := access.LookupFetch(v, session.ID, 1)
	if !ok || int(row.Count) != len(found)-len(s.rs) {
		t.Errorf("got %+v; want the index records, and they alone, on the ledger", row)
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
	session := s.session(s.p, memberLinks{&Service{Config: Config{Self: account("nobody"), Links: lies, Vault: empty}}})
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

// Silent custodians are waited for only as long as they can matter.
func TestSilentCustodiansAreNotWaitedForLong(t *testing.T) {
	epoch := committee.Epoch{N: 4, T: 3, Members: []tx.Account{{1}, {2}, {3}, {4}}}
	for _, c := range []struct {
		rule   string
		h      hurry
		answer []error // what custodians answer at once; those beyond never do
		want   time.Duration
	}{
		{"t answered, and a grace", hurry{grace: graceAnswers}, []error{nil, nil, nil}, graceAnswers},
		{"t answered, no grace", hurry{settled: true}, []error{nil, nil, nil}, 0},
		{"more than f refused", hurry{settled: true}, []error{exchange.ErrNotReleased, exchange.ErrNotReleased}, 0},
		{"too few answered", hurry{grace: graceAnswers, settled: true}, []error{nil, exchange.ErrNotReleased}, time.Minute},
		{"all answered", hurry{grace: graceAnswers}, []error{nil, nil, nil, nil}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			errs := ask(ctx, epoch, c.h, func(ctx context.Context, i int, _ tx.Account) error {
				if i < len(c.answer) {
					return c.answer[i]
				}
				<-ctx.Done()
				return ctx.Err()
			})
			if got := time.Since(start); got != c.want {
				t.Errorf("%s: took %v, want %v", c.rule, got, c.want)
			}
			for i, want := range c.answer {
				if !errors.Is(errs[i], want) {
					t.Errorf("%s: custodian %d: got %v, want %v", c.rule, i+1, errs[i], want)
				}
			}
		})
	}
}

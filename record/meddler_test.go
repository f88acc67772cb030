package record

import (
	"context"
	"slices"
	"sync"
	"testing"

	"salus/exchange"
	"salus/fhir"
	"salus/ledger/tx"
	"salus/seal"
)

// A meddler stands between a session and the custodians and does one of them wrong, first of
// all, so that its answer is never the one that is not waited for.
type meddler struct {
	Custodians
	liar    tx.Account
	session *Session // set when it is open: the liar may know everything but this key, and its test uses it to edit
	locate  func(page *exchange.Located) (*exchange.Sealed, error)
	release func(req *exchange.ReleaseRequest, r *exchange.ReleaseReply) (*exchange.ReleaseReply, error)

	mu    sync.Mutex // guards first, told
	first chan struct{}
	told  bool // first is closed
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
		if !m.told { // it may be asked again, with others that were not waited for
			m.told = true
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

package portal

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// books is a desk over a few rows.
type books struct {
	open     map[string]tx.Hash // by name, purpose and reference
	closed   []tx.Hash
	consents map[tx.Account]uint64
	refs     map[tx.Account]string
}

func (b *books) Opened(name, purpose, reference string) (tx.Hash, bool) {
	id, ok := b.open[name+" "+purpose+" "+reference]
	return id, ok
}

func (b *books) Close(_ context.Context, _ string, id tx.Hash) error {
	b.closed = append(b.closed, id)
	return nil
}
func (b *books) Consent(a tx.Account) uint64 { return b.consents[a] }
func (b *books) Pseudonym(reference string) (tx.Account, bool) {
	for a, r := range b.refs {
		if r == reference {
			return a, true
		}
	}
	return tx.Account{}, false
}

func (b *books) Reference(a tx.Account) (string, bool) {
	r, ok := b.refs[a]
	return r, ok
}

func (b *books) Adopt(a tx.Account) (string, error) {
	b.refs[a] = "Patient/new"
	return b.refs[a], nil
}

func TestClinicianLearnsWhyHerOwnSessionEndedAndNothingOfOthers(t *testing.T) {
	w := newWorld(t)
	now := uint64(w.now.Unix())
	me, other, who := tx.Account{3}, tx.Account{4}, tx.Account{1}
	b := &books{consents: map[tx.Account]uint64{who: 7}, open: map[string]tx.Hash{"doctor TREAT Patient/a": {1}}}
	w.Desk = b
	w.sessions[tx.Hash{1}] = access.Session{Patient: who, Actor: me, Purpose: consent.TREAT, Consent: 7, Expires: now + 60}
	w.sessions[tx.Hash{2}] = access.Session{Patient: who, Actor: me, Purpose: consent.TREAT, Consent: 7, Expires: now}
	w.sessions[tx.Hash{3}] = access.Session{Patient: who, Actor: me, Purpose: consent.TREAT, Consent: 6, Expires: now + 60}
	w.sessions[tx.Hash{4}] = access.Session{Patient: who, Actor: me, Purpose: consent.TREAT, Consent: 7, Expires: now + 60, Closed: true}
	w.sessions[tx.Hash{5}] = access.Session{Patient: who, Actor: other, Purpose: consent.TREAT, Consent: 7, Expires: now + 60, Mask: 3}
	c := w.as(t, session{account: me, role: staff, name: "doctor", purpose: "TREAT"})
	for id, want := range map[byte]string{1: "open", 2: "expired", 3: "changed", 4: "closed", 5: "unknown"} {
		rec := w.ask("GET", "/api/chart/"+tx.Hash{id}.String(), nil, c, nil)
		var got Chart
		_ = json.Unmarshal(rec.Body.Bytes(), &got)
		if got.State != want && codeOf(rec) != want {
			t.Errorf("session %d: got %s, want %s", id, rec.Body, want)
		}
		if strings.Contains(rec.Body.String(), "mask") || strings.Contains(rec.Body.String(), "grants") {
			t.Errorf("session %d: the answer tells what is allowed: %s", id, rec.Body)
		}
	}
	if rec := w.ask("GET", "/api/chart?patient=Patient/a", nil, c, nil); rec.Code != 200 || !strings.Contains(rec.Body.String(), `"purpose":"TREAT"`) {
		t.Errorf("her open chart: got %d %s", rec.Code, rec.Body)
	}
	for name, s := range map[string]session{"for another purpose": {account: me, role: staff, name: "doctor", purpose: "HRESCH"}, "of somebody else": {account: other, role: staff, name: "nurse", purpose: "TREAT"}} {
		if rec := w.ask("GET", "/api/chart?patient=Patient/a", nil, w.as(t, s), nil); rec.Code != 404 {
			t.Errorf("a chart %s: got %d %s", name, rec.Code, rec.Body)
		}
	}
	if rec := w.ask("DELETE", "/api/chart/"+tx.Hash{5}.String(), nil, c, nil); rec.Code != 404 || len(b.closed) > 0 {
		t.Errorf("closing another's: got %d %s", rec.Code, rec.Body)
	}
	if rec := w.ask("DELETE", "/api/chart/"+tx.Hash{1}.String(), nil, c, nil); rec.Code != 204 || !slices.Equal(b.closed, []tx.Hash{{1}}) {
		t.Errorf("closing her own: got %d %s", rec.Code, rec.Body)
	}
}

func TestClinicianFindsOnlyPseudonymsOfPatients(t *testing.T) {
	w := newWorld(t)
	b := &books{refs: map[tx.Account]string{{1}: "Patient/a"}}
	w.Desk = b
	for _, a := range []tx.Account{{1}, {2}} {
		w.people[a] = identity.Principal{Account: a, Class: ledger.ClassPatient, Active: true}
	}
	w.people[tx.Account{3}] = identity.Principal{Account: tx.Account{3}, Class: ledger.ClassPractitioner, Active: true}
	c := w.as(t, session{account: tx.Account{3}, role: staff, name: "doctor"})
	for a, want := range map[byte]string{1: `"reference":"Patient/a"`, 2: `"reference":""`, 3: "unknown", 9: "unknown"} {
		if rec := w.ask("GET", "/api/patients/"+tx.Account{a}.String(), nil, c, nil); !strings.Contains(rec.Body.String(), want) {
			t.Errorf("account %d: got %s, want %s", a, rec.Body, want)
		}
	}
	for a, want := range map[byte]string{1: "Patient/a", 2: "Patient/new", 3: "unknown"} {
		if rec := w.ask("POST", "/api/patients/"+tx.Account{a}.String(), "{}", c, nil); !strings.Contains(rec.Body.String(), want) {
			t.Errorf("adopting %d: got %s, want %s", a, rec.Body, want)
		}
	}
	if len(b.refs) != 2 {
		t.Errorf("got the references %v", b.refs)
	}
}

func TestAdministratorNeedsThePrivilegeAtEachRequest(t *testing.T) {
	w := newWorld(t)
	var got []string
	w.Admin = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = append(got, r.Method+" "+r.URL.String()+" "+string(b)+r.Header.Get("Cookie"))
		rw.WriteHeader(http.StatusOK)
	})
	boss := tx.Account{3}
	w.people[boss] = identity.Principal{Account: boss, Class: ledger.ClassPractitioner, Active: true, Privileges: identity.PrivAdmin}
	c := w.as(t, session{account: boss, role: admin, name: "boss"})
	try := func() (codes []int) {
		for _, x := range [][2]string{{"GET", "/api/admin/status"}, {"POST", "/api/admin/staff/nurse?as=boss"}, {"POST", "/api/admin/import?wait=active&as=boss"}} {
			codes = append(codes, w.ask(x[0], x[1], "body", c, nil).Code)
		}
		return codes
	}
	if codes := try(); !slices.Equal(codes, []int{200, 200, 200}) || !slices.Equal(got, []string{"GET /v1/status ", "POST /v1/staff/nurse body", "POST /v1/import?wait=active body"}) {
		t.Errorf("got %v %q", codes, got)
	}
	w.people[boss] = identity.Principal{Account: boss, Class: ledger.ClassPractitioner, Active: true}
	if codes := try(); !slices.Equal(codes, []int{403, 403, 403}) || len(got) != 3 {
		t.Errorf("without the privilege: got %v", codes)
	}
	for _, path := range []string{"/api/admin/tx", "/api/admin/vault%2fscrub"} {
		w.people[boss] = identity.Principal{Account: boss, Class: ledger.ClassPractitioner, Active: true, Privileges: identity.PrivAdmin}
		if rec := w.ask("GET", path, nil, c, nil); rec.Code != 404 {
			t.Errorf("%s: got %d", path, rec.Code)
		}
	}
}

// chainOf is a chain of one block.
type chainOf struct {
	Chain
	txs []Tx
}

func (c chainOf) Txs(context.Context, int64) ([]Tx, error) { return c.txs, nil }

func TestBlocksNameNoPatient(t *testing.T) {
	w := newWorld(t)
	patient, doctor := tx.Account{1}, tx.Account{3}
	w.people[patient] = identity.Principal{Account: patient, Class: ledger.ClassPatient, Member: tx.Account{9}, Active: true}
	w.people[doctor] = identity.Principal{Account: doctor, Class: ledger.ClassPractitioner, Member: tx.Account{9}, Active: true}
	w.Blocks = chainOf{txs: []Tx{{Kind: "consent.grant", Bytes: 300, Signer: patient}, {Kind: "access.request", Code: 5, Signer: doctor}, {Kind: "x.y", Signer: tx.Account{77}, Of: tx.Account{77}}}}
	rec := w.ask("GET", "/api/blocks/10/txs", nil, nil, nil)
	for _, a := range []tx.Account{patient, doctor, {77}} {
		if strings.Contains(rec.Body.String(), a.String()) {
			t.Errorf("the answer names %s: %s", a, rec.Body)
		}
	}
	var got []Tx
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || len(got) != 3 || got[0].By != "patient" || got[0].Of != (tx.Account{}) || got[1].Of != (tx.Account{9}) || got[2].By != "" {
		t.Errorf("got %s, %v", rec.Body, err)
	}
	for path, want := range map[string]int{"/api/blocks/11/txs": 404, "/api/blocks/0/txs": 400, "/api/blocks/x/txs": 400} {
		if rec := w.ask("GET", path, nil, nil, nil); rec.Code != want {
			t.Errorf("%s: got %d, want %d", path, rec.Code, want)
		}
	}
}

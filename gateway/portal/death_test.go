package portal

import (
	"context"
	"testing"
	"time"

	"salus/client"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

func TestStaffRecordsDeathsOnlyFreshlySignedIn(t *testing.T) {
	w := newWorld(t)
	var got []recovery.Terms
	w.Sign = func(_ context.Context, _ string, kind tx.Kind, m tx.Message) (client.Committed, error) {
		if r, ok := m.(*recovery.Request); ok && kind == recovery.KindRequest {
			got = append(got, r.Terms)
		}
		return client.Committed{Height: 7}, nil
	}
	finished := 0
	w.Finish = func(context.Context, *recovery.Finish) (client.Committed, error) {
		finished++
		return client.Committed{}, nil
	}
	w.Mandate = func(tx.Account) (mask, except uint64, err error) { return 1<<32 - 1, 1<<24 - 1, nil }
	w.answers = map[string]any{"recovery/patient": recovery.PatientStatus{Number: 4}, "recovery/case": recovery.Case{Member: w.Self}}
	executor := tx.Account{5}
	bodies := map[string]CaseOf{
		"death":    {Patient: tx.Account{1}, Kind: recovery.Death, Document: tx.Hash{1}},
		"life":     {Patient: tx.Account{1}, Kind: recovery.Life, Document: tx.Hash{1}},
		"executor": {Patient: tx.Account{1}, Kind: recovery.Executor, Document: tx.Hash{1}, Executor: &executor, NotAfter: 99},
	}
	check := func(name string, s session, want, finish int) {
		t.Helper()
		c := w.as(t, s)
		for kind, b := range bodies {
			if rec := w.ask("POST", "/api/duties/case", b, c, nil); rec.Code != want {
				t.Errorf("%s: %s: got %d %s, want %d", name, kind, rec.Code, rec.Body, want)
			}
		}
		if rec := w.ask("POST", "/api/duties/finish", recovery.Finish{Case: tx.Hash{1}}, c, nil); rec.Code != finish {
			t.Errorf("%s: finish: got %d %s, want %d", name, rec.Code, rec.Body, finish)
		}
	}
	check("the registry", w.staffOf(tx.Account{3}, identity.PrivReproof), 200, 200)
	if len(got) != 3 || finished != 1 {
		t.Fatalf("signed %d requests, finished %d; want 3 and 1", len(got), finished)
	}
	for _, terms := range got {
		if terms.Number != 5 || (terms.Kind == recovery.Executor) != (terms.Executor != nil) {
			t.Errorf("got %+v", terms)
		}
		if m := terms.Executor; m != nil && (m.Account != executor || m.NotAfter != 99 || m.Purposes != consent.PurposesOf(consent.PWATRNY)) {
			t.Errorf("got the mandate %+v", m)
		}
	}
	late := w.staffOf(tx.Account{3}, identity.PrivReproof)
	late.proved = w.now.Add(-freshly - time.Second)
	check("signed in before", late, 403, 200)
	check("without the privilege", w.staffOf(tx.Account{3}, identity.PrivReview), 403, 403)
	c := w.as(t, w.staffOf(tx.Account{3}, identity.PrivReproof))
	for name, b := range map[string]CaseOf{
		"keys":                        {Patient: tx.Account{1}, Kind: recovery.Keys, Document: tx.Hash{1}},
		"an executor without a name":  {Patient: tx.Account{1}, Kind: recovery.Executor, Document: tx.Hash{1}},
		"a death with an executor":    {Patient: tx.Account{1}, Kind: recovery.Death, Document: tx.Hash{1}, Executor: &executor},
		"a death that nobody saw":     {Patient: tx.Account{1}, Kind: recovery.Death},
		"somebody executing her own ": {Patient: executor, Kind: recovery.Executor, Document: tx.Hash{1}, Executor: &executor},
	} {
		if rec := w.ask("POST", "/api/duties/case", b, c, nil); rec.Code/100 != 4 {
			t.Errorf("%s: got %d", name, rec.Code)
		}
	}
	w.answers["recovery/case"] = recovery.Case{Member: tx.Account{8}}
	check("a case of another organisation", w.staffOf(tx.Account{3}, identity.PrivReproof), 200, 404)
	if finished != 2 {
		t.Errorf("finished %d, want 2", finished)
	}
}

// Who is not named learns nothing of a patient, not even whether there is one.
func TestActingIsToldToWhoIsNamed(t *testing.T) {
	w := newWorld(t)
	w.time = 1000
	me, other := tx.Account{1}, tx.Account{2}
	proxy := func(a tx.Account, from, until uint64) consent.Consents {
		return consent.Consents{Proxies: []consent.StandingProxy{{Proxy: consent.Proxy{Account: a, NotBefore: from, NotAfter: until, Purposes: consent.PurposesOf(consent.PWATRNY, consent.TREAT)}}}}
	}
	named := recovery.Case{ID: tx.Hash{7}, Status: recovery.Waiting, From: 2000, Terms: recovery.Terms{Kind: recovery.Executor, Executor: &consent.Mandate{Account: me}}}
	for name, x := range map[string]struct {
		at    recovery.PatientStatus
		all   consent.Consents
		state string
		may   int
	}{
		"nobody":                           {recovery.PatientStatus{}, consent.Consents{}, "none", 0},
		"another's proxy":                  {recovery.PatientStatus{}, proxy(other, 0, 0), "none", 0},
		"a proxy in her life":              {recovery.PatientStatus{}, proxy(me, 0, 0), "acting", 1},
		"a proxy that has ended":           {recovery.PatientStatus{}, proxy(me, 0, 1000), "none", 0},
		"a proxy to come":                  {recovery.PatientStatus{}, proxy(me, 1001, 0), "none", 0},
		"a proxy after her death":          {recovery.PatientStatus{Deceased: 5}, proxy(me, 0, 0), "none", 0},
		"her executor":                     {recovery.PatientStatus{Deceased: 5, Executor: me}, proxy(me, 0, 2000), "acting", 1},
		"somebody who is to be executor":   {recovery.PatientStatus{Deceased: 5, Running: []recovery.Case{named}}, consent.Consents{}, "waiting", 0},
		"while another is to be executor ": {recovery.PatientStatus{Deceased: 5, Running: []recovery.Case{{ID: tx.Hash{7}, Status: recovery.Waiting, Terms: recovery.Terms{Executor: &consent.Mandate{Account: other}}}}}, consent.Consents{}, "none", 0},
	} {
		w.answers = map[string]any{"recovery/patient": x.at, "consent/grants": x.all}
		got := decoded[Acting](t, w.ask("GET", "/api/acting/"+other.String(), nil, w.as(t, session{account: me, role: patient}), nil))
		if got.State != x.state || len(got.Purposes) != x.may || (got.State == "none") != (got.Case == tx.Hash{} && len(got.Purposes) == 0 && got.Until == 0 && got.From == 0 && !got.Executor) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if rec := w.ask("GET", "/api/acting/"+other.String(), nil, w.as(t, w.staffOf(tx.Account{3}, identity.PrivReproof)), nil); rec.Code != 403 {
		t.Errorf("staff: got %d", rec.Code)
	}
}

package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// staffOf puts somebody of this organisation on the ledger and signs her in.
func (w *world) staffOf(account tx.Account, privileges uint32) session {
	w.people[account] = identity.Principal{Account: account, Class: ledger.ClassPractitioner, Member: w.Self, Active: true, Privileges: privileges}
	return session{account: account, role: staff, name: "nurse", proved: w.now}
}

func TestDutiesAreShownToWhoHasThem(t *testing.T) {
	w := newWorld(t)
	her := emergency.Case{ID: tx.Hash{1}, Actor: tx.Account{3}, Reason: emergency.OVRER, Overdue: emergency.Attestation}
	another := emergency.Case{ID: tx.Hash{2}, Actor: tx.Account{4}, Reason: emergency.OVRPJ}
	papers := recovery.Case{ID: tx.Hash{3}, Member: w.Self, Status: recovery.Gathering, Terms: recovery.Terms{Kind: recovery.Keys, Document: tx.Hash{1}}}
	guardians := recovery.Case{ID: tx.Hash{4}, Status: recovery.Gathering, Terms: recovery.Terms{Kind: recovery.Keys}}
	w.answers = map[string]any{
		"emergency/waiting": emergency.Waiting{Cases: []emergency.Case{her, another}}, "emergency/counts": emergency.Counts{Declared: 2},
		"emergency/flags": emergency.Flagged{Flags: emergency.Again}, "governance/members": governance.MemberList{},
		"emergency/conduct": emergency.Standing{Suspended: true}, "recovery/running": recovery.Running{Cases: []recovery.Case{papers, guardians}},
	}
	for name, x := range map[string]struct {
		privileges              uint32
		emergencies, recoveries int
	}{
		"nobody":       {identity.PrivRead, 1, 0}, // what she declared herself
		"the reviewer": {identity.PrivReview, 2, 0},
		"the registry": {identity.PrivReproof, 1, 1},
	} {
		c := w.as(t, w.staffOf(tx.Account{3}, x.privileges))
		got := decoded[Duties](t, w.ask("GET", "/api/duties", nil, c, nil))
		if len(got.Emergencies) != x.emergencies || len(got.Recoveries) != x.recoveries || !got.Suspended || got.Counts.Declared != 2 || !slices.Equal(got.Emergencies[0].Flags, []string{"again"}) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestReviewersAreShownWhatElsewhereIsTheirs(t *testing.T) {
	w := newWorld(t)
	clinic, hospital := tx.Account{10}, tx.Account{11}
	stewarded, stranger := tx.Account{20}, tx.Account{21}
	for patient, steward := range map[tx.Account]tx.Account{stewarded: w.Self, stranger: clinic} {
		w.people[patient] = identity.Principal{Account: patient, Class: ledger.ClassPatient, Member: steward, Active: true}
	}
	waiting := map[tx.Account][]emergency.Case{
		w.Self:   {{ID: tx.Hash{1}, Actor: tx.Account{3}, Member: w.Self, Reason: emergency.OVRER, Patient: stranger}},
		clinic:   {{ID: tx.Hash{2}, Actor: tx.Account{30}, Member: clinic, Reason: emergency.OVRER, Patient: stewarded}, {ID: tx.Hash{3}, Actor: tx.Account{30}, Member: clinic, Reason: emergency.OVRER, Patient: stranger}},
		hospital: {{ID: tx.Hash{4}, Actor: tx.Account{31}, Member: hospital, Reason: emergency.OVRER, Patient: stranger, Overdue: emergency.Review}},
	}
	class := governance.Hospital
	w.answers = map[string]any{
		"emergency/waiting": func(arg []byte) any {
			var q emergency.ByAccount
			if err := tx.Decode(arg, &q); err != nil {
				t.Error(err)
			}
			return emergency.Waiting{Cases: waiting[q.Account]}
		},
		"emergency/counts": emergency.Counts{}, "emergency/flags": emergency.Flagged{}, "emergency/conduct": emergency.Standing{},
		"governance/members": func([]byte) any {
			return governance.MemberList{Members: []governance.Member{{Account: w.Self, Class: class}, {Account: clinic, Class: governance.Clinic}, {Account: hospital, Class: governance.Hospital}}}
		},
	}
	shown := func(privileges uint32) (ids []byte) {
		for _, k := range decoded[Duties](t, w.ask("GET", "/api/duties", nil, w.as(t, w.staffOf(tx.Account{3}, privileges)), nil)).Emergencies {
			ids = append(ids, k.ID[0])
		}
		return ids
	}
	if got := shown(identity.PrivReview); !slices.Equal(got, []byte{1, 2}) {
		t.Errorf("the steward's reviewer sees %v, want 1 and 2", got)
	}
	if got := shown(identity.PrivRead | identity.PrivEmergency); !slices.Equal(got, []byte{1}) {
		t.Errorf("who reviews nothing sees %v, want what she declared", got)
	}
	class = governance.Regulator
	if got := shown(identity.PrivReview); !slices.Equal(got, []byte{4, 1, 2, 3}) {
		t.Errorf("a regulator's reviewer sees %v, want all, the overdue one first", got)
	}
	if got := shown(identity.PrivRead); !slices.Equal(got, []byte{1}) {
		t.Errorf("a regulator's other staff sees %v, want what she declared", got)
	}
}

func TestStaffProvesIdentitiesOnlyFreshlySignedIn(t *testing.T) {
	w := newWorld(t)
	var signed []tx.Kind
	w.Sign = func(_ context.Context, name string, kind tx.Kind, _ tx.Message) (client.Committed, error) {
		if name != "nurse" {
			t.Errorf("signed as %q", name)
		}
		signed = append(signed, kind)
		return client.Committed{}, nil
	}
	w.answers = map[string]any{"recovery/patient": recovery.PatientStatus{Number: 4}}
	key := draw(t, "a").Public()
	reproof, approve := Reproof{Patient: tx.Account{1}, Key: key, Document: tx.Hash{1}}, recovery.Approve{Case: tx.Hash{1}}
	cancel, review := recovery.Cancel{Case: tx.Hash{1}}, emergency.Judge{Case: tx.Hash{1}, Verdict: emergency.Justified, Findings: tx.Hash{2}}
	attest := emergency.Attest{Case: tx.Hash{1}, Account: tx.Hash{2}}
	ask := func(s session) map[string]int {
		c, out := w.as(t, s), map[string]int{}
		for path, m := range map[string]any{"reproof": reproof, "approve": approve, "cancel": cancel, "review": review, "attest": attest} {
			out[path] = w.ask("POST", "/api/duties/"+path, m, c, nil).Code
		}
		return out
	}
	check := func(name string, got map[string]int, refused ...string) {
		t.Helper()
		for path, code := range got {
			if want := map[bool]int{true: 403, false: 200}[slices.Contains(refused, path)]; code != want {
				t.Errorf("%s: %s: got %d, want %d", name, path, code, want)
			}
		}
	}
	check("the registry", ask(w.staffOf(tx.Account{3}, identity.PrivReproof)))
	late := w.staffOf(tx.Account{3}, identity.PrivReproof)
	late.proved = w.now.Add(-freshly - time.Second)
	check("signed in before", ask(late), "reproof", "approve")
	check("without the privilege", ask(w.staffOf(tx.Account{3}, identity.PrivReview)), "reproof", "approve", "cancel")
	away := w.staffOf(tx.Account{3}, identity.PrivReproof)
	p := w.people[tx.Account{3}]
	p.Member = tx.Account{8}
	w.people[tx.Account{3}] = p
	check("of another organisation", ask(away), "reproof", "approve", "cancel")
	if !slices.Contains(signed, recovery.KindRequest) || !slices.Contains(signed, emergency.KindReview) {
		t.Errorf("signed %v", signed)
	}
	if rec := w.ask("POST", "/api/duties/review", emergency.Judge{Case: tx.Hash{1}, Verdict: emergency.Justified}, w.as(t, w.staffOf(tx.Account{3}, identity.PrivReview)), nil); rec.Code != 422 {
		t.Errorf("a review without findings: got %d %s", rec.Code, rec.Body)
	}
}

// TestCasesAreTheirPatientsOwn: of another's emergencies, recoveries and erasures nothing is said, not even that they are.
func TestCasesAreTheirPatientsOwn(t *testing.T) {
	w := newWorld(t)
	me, other := tx.Account{1}, tx.Account{2}
	c := w.as(t, session{account: me, role: patient})
	for _, x := range []struct {
		of   tx.Account
		want int
	}{{me, 200}, {other, 404}} {
		w.answers = map[string]any{
			"emergency/case": emergency.Case{Patient: x.of, Reason: emergency.OVRER}, "emergency/flags": emergency.Flagged{Flags: emergency.Again}, "erasure/case": erasure.Case{Patient: x.of},
			"erasure/certificate": erasure.Certificate{Case: erasure.Case{Patient: x.of}},
			"recovery/case":       recovery.Case{Terms: recovery.Terms{Patient: x.of}},
		}
		for path := range w.answers {
			if rec := w.ask("GET", "/api/query/"+path+"?arg="+hexOf(tx.MustEncode(emergency.ByCase{Case: tx.Hash{1}})), nil, c, nil); rec.Code != x.want {
				t.Errorf("%s of %v: got %d %s, want %d", path, x.of == me, rec.Code, rec.Body, x.want)
			}
		}
	}
	if rec := w.ask("GET", "/api/receipts/erasure/"+tx.Hash{1}.String(), nil, c, nil); rec.Code != 404 {
		t.Errorf("a receipt of another's: got %d", rec.Code)
	}
	for path, arg := range map[string]any{"recovery/patient": recovery.ByAccount{Account: other}, "emergency/directive": emergency.ByPatient{Patient: other}} {
		if rec := w.ask("GET", "/api/query/"+path+"?arg="+hexOf(tx.MustEncode(arg)), nil, c, nil); rec.Code != 403 {
			t.Errorf("%s of another: got %d", path, rec.Code)
		}
	}
	w.answers = map[string]any{"erasure/holds": erasure.HoldList{Holds: []erasure.LegalHold{{Patient: me}, {Patient: other}, {Batch: tx.Hash{1}}}}}
	rec := w.ask("GET", "/api/query/erasure/holds?arg=", nil, c, nil)
	var got erasure.HoldList
	if err := tx.DecodeAny(rec.Body.Bytes(), &got, rec.Body.Len()); err != nil || len(got.Holds) != 2 || got.Holds[0].Patient != me || got.Holds[1].Patient != (tx.Account{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestAFreshSignInAsksForTheProofAnew: who is signed in goes on without one, but not to prove identities.
func TestAFreshSignInAsksForTheProofAnew(t *testing.T) {
	f := newFirm(t)
	c := f.as(t, f.staffOf(tx.Account{3}, identity.PrivReproof))
	for path, want := range map[string]bool{"/api/staff/start": false, "/api/staff/start?fresh=1": true} {
		rec := f.ask("GET", path, nil, c, nil)
		if got := strings.Contains(rec.Header().Get("Location"), "prompt=login"); rec.Code != http.StatusSeeOther || got != want {
			t.Errorf("%s: got %d %s", path, rec.Code, rec.Header().Get("Location"))
		}
	}
}

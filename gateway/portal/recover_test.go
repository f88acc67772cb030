package portal

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"salus/client"
	"salus/internal/passkey"
	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

func draw(t *testing.T, seed string) *passkey.Passkey {
	t.Helper()
	k, err := passkey.New(strings.NewReader(strings.Repeat(seed, 64)), "portal.example.org", origin)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func decoded[T any](t *testing.T, rec *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if rec.Code != 200 {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWhoLostHerKeysSeesOnlyTheCaseOfHerNewOne: the session of a new key says nothing of cases that ask for another,
// and is good for nothing else.
func TestWhoLostHerKeysSeesOnlyTheCaseOfHerNewOne(t *testing.T) {
	w := newWorld(t)
	me := tx.Account{1}
	mine, thief := draw(t, "a"), draw(t, "b")
	k := recovery.Case{
		ID: tx.Hash{7}, Status: recovery.Waiting, Needed: 2, From: 100, Until: 200,
		Terms: recovery.Terms{Patient: me, Number: 1, Kind: recovery.Keys, Keys: []tx.PublicKey{mine.Public()}},
	}
	w.answers = map[string]any{"recovery/patient": recovery.PatientStatus{Number: 1, Last: k.ID, Running: []recovery.Case{k}}, "recovery/case": k}
	start := func(key *tx.PublicKey, proof Proof) *httptest.ResponseRecorder {
		return w.ask("POST", "/api/recover", RecoverStart{me, key, proof}, nil, nil)
	}
	own, other := mine.Public(), thief.Public()
	c := start(&own, w.prove(t, mine, me, nil)).Result().Cookies()[0]
	if got := decoded[Recovering](t, w.ask("GET", "/api/recover", nil, c, nil)); got.State != "waiting" || got.Case != k.ID || got.From != 100 {
		t.Errorf("got %+v", got)
	}
	for _, path := range []string{"/api/nonce", "/api/receipts/log", "/api/duties", "/api/query/consent/grants?arg=a0", "/api/chart"} {
		if rec := w.ask("GET", path, nil, c, nil); rec.Code != 403 || codeOf(rec) != "role" {
			t.Errorf("%s: got %d %s", path, rec.Code, rec.Body)
		}
	}
	c = start(&other, w.prove(t, thief, me, nil)).Result().Cookies()[0]
	if got := decoded[Recovering](t, w.ask("GET", "/api/recover", nil, c, nil)); got.State != "none" || got.Case != (tx.Hash{}) {
		t.Errorf("another key: got %+v", got)
	}
	if rec := w.ask("POST", "/api/recover/finish", "{}", c, nil); rec.Code != 404 {
		t.Errorf("another key finishes: got %d", rec.Code)
	}
	// She comes back without knowing her key; somebody whose key nobody asked for does not.
	if rec := start(nil, w.prove(t, mine, tx.Account{}, nil)); rec.Code != 200 {
		t.Errorf("coming back: got %d %s", rec.Code, rec.Body)
	}
	for name, rec := range map[string]*httptest.ResponseRecorder{
		"a key that nobody asked for": start(nil, w.prove(t, thief, tx.Account{}, nil)),
		"another's proof":             start(&own, w.prove(t, thief, me, nil)),
	} {
		if rec.Code != 401 || codeOf(rec) != "proof" {
			t.Errorf("%s: got %d %s", name, rec.Code, rec.Body)
		}
	}
}

func TestTheCaseIsFinishedForItsKeyAlone(t *testing.T) {
	w := newWorld(t)
	me, key := tx.Account{1}, draw(t, "a")
	k := recovery.Case{ID: tx.Hash{7}, Status: recovery.Waiting, Terms: recovery.Terms{Patient: me, Kind: recovery.Keys, Keys: []tx.PublicKey{key.Public()}}}
	w.answers = map[string]any{"recovery/patient": recovery.PatientStatus{Last: k.ID}, "recovery/case": k}
	c := w.as(t, session{account: me, role: newcomer, key: key.Public().ID()})
	if rec := w.ask("POST", "/api/recover/finish", "{}", c, nil); rec.Code != 404 {
		t.Errorf("a portal that finishes nothing: got %d", rec.Code)
	}
	var asked []tx.Hash
	w.Finish = func(_ context.Context, m *recovery.Finish) (client.Committed, error) {
		asked = append(asked, m.Case)
		if len(asked) == 1 {
			return client.Committed{}, recovery.ErrEarly
		}
		w.people[me] = identity.Principal{Account: me, Class: ledger.ClassPatient, Active: true, Keys: identity.Ring{{Public: key.Public(), From: 1}}}
		return client.Committed{}, nil
	}
	if rec := w.ask("POST", "/api/recover/finish", "{}", c, nil); rec.Code != 422 || codeOf(rec) != "0x0e19" {
		t.Errorf("before the lock ends: got %d %s", rec.Code, rec.Body)
	}
	if got := decoded[Recovering](t, w.ask("POST", "/api/recover/finish", "{}", c, nil)); got.State != "live" || len(asked) != 2 || asked[1] != k.ID {
		t.Errorf("got %+v, asked for %v", got, asked)
	}
}

// TestGuardiansAreToldOnlyWhatTheirCardOpens: without the salt of a commitment nobody learns anything of a patient.
func TestGuardiansAreToldOnlyWhatTheirCardOpens(t *testing.T) {
	w := newWorld(t)
	me, patient := tx.Account{2}, tx.Account{1}
	salt, paper := tx.Hash{5}, tx.KeyID{6}
	w.answers = map[string]any{"recovery/patient": recovery.PatientStatus{Guardians: recovery.Guardians{Version: 1, Threshold: 2, Commitments: []tx.Hash{
		recovery.CommitAccount(salt, patient, me), recovery.CommitKey(salt, patient, paper),
	}}}}
	c := w.as(t, session{account: me, role: patientRole})
	for name, x := range map[string]struct {
		ask  GuardianOf
		want int
	}{
		"her card":         {GuardianOf{patient, salt, nil}, 200},
		"a paper card":     {GuardianOf{patient, salt, &paper}, 200},
		"another salt":     {GuardianOf{patient, tx.Hash{9}, nil}, 404},
		"another key":      {GuardianOf{patient, salt, &tx.KeyID{8}}, 404},
		"another's of her": {GuardianOf{tx.Account{3}, salt, nil}, 404},
	} {
		if rec := w.ask("POST", "/api/guardian", x.ask, c, nil); rec.Code != x.want {
			t.Errorf("%s: got %d %s, want %d", name, rec.Code, rec.Body, x.want)
		}
	}
}

const patientRole = patient

package portal

import (
	"encoding/json"
	"testing"

	"salus/ledger"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

func TestClaimCodeIsShownToWhoMayWriteWhileItOpensSomething(t *testing.T) {
	w := newWorld(t)
	nurse, reader, stranger := tx.Account{3}, tx.Account{4}, tx.Account{5}
	code := record.ClaimCode{Patient: tx.Account{1}, Secret: make([]byte, 32)}
	claim := identity.ClaimSigner(code.Patient, [32]byte(code.Secret)).Public()
	text, err := code.Text()
	if err != nil {
		t.Fatal(err)
	}
	practitioner := func(a, member tx.Account, may uint32) {
		w.people[a] = identity.Principal{Account: a, Class: ledger.ClassPractitioner, Member: member, Active: true, Privileges: may}
	}
	practitioner(nurse, w.Self, identity.PrivRead|identity.PrivWrite)
	practitioner(reader, w.Self, identity.PrivRead)
	practitioner(stranger, tx.Account{8}, identity.PrivRead|identity.PrivWrite)
	open := identity.Principal{Account: code.Patient, Class: ledger.ClassPatient, Active: true, Claim: identity.ClaimCommit(claim)}
	w.people[code.Patient] = open
	w.ClaimKey = func(tx.Account) (tx.PublicKey, bool) { return claim, true }
	w.ClaimCode = func(reference string) (record.ClaimCode, error) {
		switch reference {
		case "Patient/a":
			return code, nil
		case "Patient/elsewhere":
			return record.ClaimCode{}, record.ErrNotSteward
		}
		return record.ClaimCode{}, record.ErrUnknownPatient
	}
	ask := func(who tx.Account, r role, reference string) (got Handed, code string) {
		rec := w.ask("POST", "/api/claims", HandOver{reference}, w.as(t, session{account: who, role: r, name: "key"}), nil)
		_ = json.Unmarshal(rec.Body.Bytes(), &got)
		return got, codeOf(rec)
	}
	if got, c := ask(nurse, staff, "Patient/a"); got.Code != text {
		t.Errorf("got %q %s, want the code", got.Code, c)
	}
	for _, x := range []struct {
		name string
		who  tx.Account
		role role
		of   string
		want string
	}{
		{"who may only read", reader, staff, "Patient/a", "role"},
		{"another organisation's practitioner", stranger, staff, "Patient/a", "role"},
		{"who is gone from the ledger", tx.Account{6}, staff, "Patient/a", "role"},
		{"a patient's session", code.Patient, patient, "Patient/a", "role"},
		{"a patient of nobody here", nurse, staff, "Patient/b", "unknown"},
		{"no patient", nurse, staff, "", "unknown"},
		{"a patient whom another stewards", nurse, staff, "Patient/elsewhere", "0x2202"},
	} {
		if got, c := ask(x.who, x.role, x.of); c != x.want || got.Code == text {
			t.Errorf("%s: got %q %q, want %s", x.name, got.Code, c, x.want)
		}
	}
	taken := open
	taken.Claim = tx.Hash{}
	w.people[code.Patient] = taken
	if got, c := ask(nurse, staff, "Patient/a"); c != "claimed" || got.Code == text {
		t.Errorf("after the claim: got %q %q, want claimed", got.Code, c)
	}
}

package smart

import (
	"errors"
	"net/http"
	"testing"
)

// Tokens are issued, refreshed and refused with an event that says to whom, for which patient and why; and not at all if
// that cannot be kept. What was not issued can be asked for again.
func TestNoTokenIsIssuedWithoutItsEvent(t *testing.T) {
	w := newWorld(t)
	code := w.code("public", "launch/patient offline_access patient/*.rs", doctor, "purpose", "TREAT", "patient", "p1")
	service := func() *answer {
		return w.post("/token", form("grant_type", "client_credentials", "scope", "system/Observation.rs", "client_assertion_type", assertionType, "client_assertion", w.assertion("backend")))
	}
	full := errors.New("the disk is full")
	set := func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.full = err
	}
	set(full)
	w.wantError(w.post("/token", redeemForm("public", code)), http.StatusInternalServerError, "server_error")
	w.wantError(service(), http.StatusInternalServerError, "server_error")
	set(nil)
	a := w.post("/token", redeemForm("public", code))
	refresh := func() *answer {
		return w.post("/token", form("grant_type", "refresh_token", "client_id", "public", "refresh_token", a.str("refresh_token")))
	}
	set(full)
	w.wantError(refresh(), http.StatusInternalServerError, "server_error")
	set(nil)
	if b := refresh(); a.status != http.StatusOK || b.status != http.StatusOK || service().status != http.StatusOK {
		t.Fatalf("got %d and %d, want tokens", a.status, b.status)
	}
	w.wantError(w.post("/token", redeemForm("public", "x")), http.StatusBadRequest, "invalid_grant")
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []Event
	for _, e := range w.events {
		e.Grant = ""
		got = append(got, e)
	}
	person := Event{What: "granted", Client: "public", User: "staff-1", FHIRUser: "Practitioner/d1", Patient: "p1", Purpose: "TREAT"}
	again := person
	again.What = "refreshed"
	want := []Event{person, again, {What: "granted", Client: "backend"}, {What: "refused", Client: "public", Why: "invalid_grant"}}
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
}

// What ends, ends also while nothing can be recorded.
func TestAGrantEndsAlsoUnrecorded(t *testing.T) {
	w := newWorld(t)
	a := w.grant("public", "launch/patient patient/*.rs", doctor, "purpose", "TREAT", "patient", "p1")
	w.mu.Lock()
	w.full = errors.New("the disk is full")
	w.mu.Unlock()
	if a := w.post("/revoke", form("client_id", "public", "token", a.str("access_token"))); a.status != http.StatusOK {
		t.Errorf("got %d, want it revoked", a.status)
	}
	if _, err := w.bears(a.str("access_token")); err == nil {
		t.Error("a revoked token is taken")
	}
}

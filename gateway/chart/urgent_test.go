package chart

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/ledger/module/consent"
)

// What stops a declaration before the ledger is asked: who calls, what for, how fresh, and what is said.
func TestWhoDeclaresAnEmergencyHasJustSignedInAndSaysWhy(t *testing.T) {
	good := Caller{Name: "er-doctor", Purpose: consent.BTG, Verified: time.Now()}
	reason := search.Pair{Name: "reason", Value: "OVRER"}
	patient := search.Pair{Name: "patient", Value: "Patient/a"}
	for _, c := range []struct {
		rule   string
		change func(*Caller)
		params []search.Pair
		code   string
	}{
		{"treatment is no emergency", func(c *Caller) { c.Purpose = consent.TREAT }, []search.Pair{patient, reason}, "emergency-caller"},
		{"emergency treatment is none either", func(c *Caller) { c.Purpose = consent.ETREAT }, []search.Pair{patient, reason}, "emergency-caller"},
		{"no purpose", func(c *Caller) { c.Purpose = 0 }, []search.Pair{patient, reason}, "emergency-caller"},
		{"a backend service, a patient", func(c *Caller) { c.Name = "" }, []search.Pair{patient, reason}, "emergency-caller"},
		{"an app that may not read", func(c *Caller) { c.May = func(rest.Interaction, string) bool { return false } }, []search.Pair{patient, reason}, "rest-forbidden"},
		{"a token for another patient", func(c *Caller) { c.Patient = "Patient/b" }, []search.Pair{patient, reason}, "rest-forbidden"},
		{"no reason", nil, []search.Pair{patient}, "emergency-reason"},
		{"an empty reason", nil, []search.Pair{patient, {Name: "reason"}}, "emergency-reason"},
		{"a reason in words", nil, []search.Pair{patient, {Name: "reason", Value: "because"}}, "emergency-reason"},
		{"a purpose as the reason", nil, []search.Pair{patient, {Name: "reason", Value: "BTG"}}, "emergency-reason"},
		{"two reasons", nil, []search.Pair{patient, reason, reason}, "emergency-reason"},
		{"nobody", nil, []search.Pair{reason}, "emergency-patient"},
		{"everybody", nil, []search.Pair{{Name: "patient", Value: "Patient?name=a"}, reason}, "emergency-patient"},
		{"two patients", nil, []search.Pair{patient, {Name: "patient", Value: "Patient/b"}, reason}, "emergency-patient"},
		{"no time", nil, []search.Pair{patient, reason, {Name: "seconds", Value: "0"}}, "emergency-ttl"},
		{"a negative time", nil, []search.Pair{patient, reason, {Name: "seconds", Value: "-1"}}, "emergency-ttl"},
		{"the second step with the first", nil, []search.Pair{patient, reason, {Name: "widen", Value: "true"}}, "emergency-parameter"},
		{"a sign-in of this morning", func(c *Caller) { c.Verified = time.Now().Add(-3 * time.Hour) }, []search.Pair{patient, reason}, "emergency-step-up"},
		{"a code or a provider, though she has a passkey", func(c *Caller) { c.Passkey = true }, []search.Pair{patient, reason}, "emergency-passkey"},
		{"a passkey's answer about somebody else", func(c *Caller) { c.Passkey, c.Declared = true, Confirmed("Patient/b", "OVRER", 3600) }, []search.Pair{patient, reason}, "emergency-passkey"},
		{"a passkey's answer for another reason", func(c *Caller) { c.Passkey, c.Declared = true, Confirmed("Patient/a", "OVRPS", 3600) }, []search.Pair{patient, reason}, "emergency-passkey"},
		{"a passkey's answer for a shorter time", func(c *Caller) { c.Passkey, c.Declared = true, Confirmed("Patient/a", "OVRER", 60) }, []search.Pair{patient, reason}, "emergency-passkey"},
		{"a passkey's answer for the second step", func(c *Caller) { c.Passkey, c.Declared = true, Confirmed("Patient/a", "", 0) }, []search.Pair{patient, reason}, "emergency-passkey"},
		{"a passkey's answer of this morning", func(c *Caller) {
			c.Passkey, c.Declared, c.Verified = true, Confirmed("Patient/a", "OVRER", 3600), time.Now().Add(-3*time.Hour)
		}, []search.Pair{patient, reason}, "emergency-step-up"},
		{"a sign-in that nobody tells the time of", func(c *Caller) { c.Verified = time.Time{} }, []search.Pair{patient, reason}, "emergency-step-up"},
	} {
		who := good
		if c.change != nil {
			c.change(&who)
		}
		s := &Service{Config: Config{Caller: func(*http.Request) (Caller, error) { return who, nil }}}
		reply, err := s.breakGlass(t.Context(), &rest.Call{Method: http.MethodPost, Type: "Patient", Params: c.params, Leave: &rest.Leave{May: who.May}})
		got := ""
		if err != nil {
			got = rest.FaultOf(err).Issues[0].Code
		} else if reply.Status == http.StatusUnauthorized && strings.Contains(reply.Header.Get("WWW-Authenticate"), `error="insufficient_user_authentication"`) && strings.Contains(reply.Header.Get("WWW-Authenticate"), `max_age="120"`) {
			got = "emergency-step-up"
		}
		if got != c.code {
			t.Errorf("%s: got %q (%v), want %s", c.rule, got, err, c.code)
		}
		if c.code == "emergency-step-up" { // nor does it widen
			if reply, err := s.widenGlass(t.Context(), &rest.Call{Method: http.MethodPost, Type: "Patient", Params: []search.Pair{patient}, Leave: &rest.Leave{}}); err != nil || reply.Status != http.StatusUnauthorized {
				t.Errorf("%s: the second step: got %v, %v", c.rule, reply, err)
			}
		}
	}
}

package smart

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/gateway/rest"
)

func TestScopeSyntax(t *testing.T) {
	for _, s := range []string{
		"patient/Observation.rs", "user/*.cruds", "system/Patient.c", "patient/*.read", "patient/Observation.write", "user/*.*",
		"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory", "patient/Observation.r?a=b&c=d%20e",
		"openid", "fhirUser", "launch", "launch/patient", "offline_access", "online_access", "profile",
	} {
		if got, err := ParseScope(s); err != nil || got.String() != s {
			t.Errorf("%s: got %q, %v", s, got, err)
		}
	}
	// ".dus" is not a scope request (SMART 2.2), ".read" must not become ".rd".
	for _, s := range []string{
		"", "patient/Observation.", "patient/Observation", "patient/Observation.dus", "patient/Observation.sr", "patient/Observation.rr", "patient/Observation.rx",
		"patient/observation.rs", "patient/.rs", "patient/**.rs", "Patient/Observation.rs", "other/Observation.rs", "patient/Observation.read?a=b",
		"patient/Observation.rs?", "patient/Observation.rs?a", "patient/Observation.rs?a=", "patient/Observation.rs?=b", "patient/Observation.rs?a=%zz",
		"patient/Observation.rs?a=b&", "patient/Obs\"ervation.rs", "patient/Observation.rs\\", "patient/Observation.rs é", "launch/", "launch/practitioner",
		"patient/Observation.rs?" + strings.Repeat("a=b&", 20) + "a=b", "patient/Observation.rs?a=" + strings.Repeat("b", 2000),
	} {
		if got, err := ParseScope(s); err == nil {
			t.Errorf("%q: got %q, want a refusal", s, got)
		}
	}
}

func FuzzParseScope(f *testing.F) {
	for _, s := range []string{"patient/Observation.rs?category=a|b", "user/*.*", "launch/patient", "system/X.cruds", "patient/*.write"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseScope(s)
		if err == nil && got.String() != s {
			t.Errorf("got %q from %q", got, s)
		}
	})
}

// drawScope makes a scope.
func drawScope(t *rapid.T) Scope {
	s := Scope{
		Level: rapid.SampledFrom([]Level{PatientLevel, UserLevel, SystemLevel}).Draw(t, "level"),
		Type:  rapid.SampledFrom([]string{"*", "Observation", "Patient", "Condition"}).Draw(t, "type"),
		Verbs: Verbs(rapid.IntRange(1, 31).Draw(t, "verbs")),
		Query: rapid.SampledFrom([]string{"", "", "a=1", "b=2"}).Draw(t, "query"),
	}
	if s.Query == "" && v1Word(s.Verbs) != "" {
		s.V1 = rapid.Bool().Draw(t, "v1")
	}
	return s
}

// An access is one thing that scopes allow or do not: which conditions hold is part of it.
func allows(scopes []Scope, l Level, typ string, v Verbs, holds map[string]bool) bool {
	for _, s := range scopes {
		ok := s.Level == l && (s.Type == "*" || s.Type == typ) && s.Verbs&v != 0
		for _, p := range s.pairs() {
			ok = ok && holds[p.Name]
		}
		if ok {
			return true
		}
	}
	return false
}

func TestNarrowIsWhatBothAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		asked := rapid.SliceOfN(rapid.Custom(drawScope), 0, 4).Draw(t, "asked")
		allowed := rapid.SliceOfN(rapid.Custom(drawScope), 0, 4).Draw(t, "allowed")
		given := narrow(asked, allowed)
		for _, l := range []Level{PatientLevel, UserLevel, SystemLevel} {
			for _, typ := range []string{"Observation", "Patient", "Condition", "Encounter"} {
				for v := Create; v <= Search; v <<= 1 {
					for _, holds := range []map[string]bool{{}, {"a": true}, {"b": true}, {"a": true, "b": true}} {
						want := allows(asked, l, typ, v, holds) && allows(allowed, l, typ, v, holds)
						if got := allows(given, l, typ, v, holds); got != want {
							t.Fatalf("%s/%s.%s with %v: got %v, want %v (%s)", l, typ, v, holds, got, want, scopeText(given))
						}
					}
				}
			}
		}
		for _, s := range given {
			if again, err := ParseScope(s.String()); err != nil || again != s {
				t.Fatalf("%s does not parse as itself", s)
			}
		}
	})
}

func TestVerbsForInteractions(t *testing.T) {
	all := []rest.Interaction{rest.Create, rest.Read, rest.VRead, rest.History, rest.Update, rest.Patch, rest.Delete, rest.Search}
	want := map[string]string{
		"c": "create", "r": "read vread history-instance", "u": "update patch", "d": "delete", "s": "search-type",
	}
	for letter, list := range want {
		tok := &Token{Kind: ForUser, User: "u", Scopes: scopesOf(t, "user/Observation."+letter)}
		var got []string
		for _, i := range all {
			if tok.May(i, "Observation") {
				got = append(got, string(i))
			}
			if tok.May(i, "Patient") {
				t.Errorf("%s: %s of another type is allowed", letter, i)
			}
		}
		if strings.Join(got, " ") != list {
			t.Errorf("%s: got %v, want %s", letter, got, list)
		}
	}
	if (&Token{Kind: ForUser, User: "u", Scopes: scopesOf(t, "user/*.cruds")}).May("operation", "Patient") {
		t.Error("an interaction without a verb is allowed")
	}
}

func TestScopesNeedTheirContext(t *testing.T) {
	all := scopesOf(t, "patient/Observation.r user/Condition.r system/Patient.r")
	for _, c := range []struct {
		tok  Token
		want string
	}{
		{Token{Kind: ForPatient, User: "u", Patient: "p"}, "Observation Condition"},
		{Token{Kind: ForUser, User: "u"}, "Condition"}, // no patient in context: patient scopes open nothing
		{Token{Kind: ForSystem}, "Patient"},
		{Token{Kind: ForSystem, Patient: "p", User: "u"}, "Patient"},
		{Token{}, ""},
	} {
		c.tok.Scopes = all
		var got []string
		for _, typ := range []string{"Observation", "Condition", "Patient"} {
			if c.tok.May(rest.Read, typ) {
				got = append(got, typ)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.tok.Kind, got, c.want)
		}
	}
}

func TestConditionedScopesDoNotWrite(t *testing.T) {
	tok := &Token{Kind: ForUser, User: "u", Scopes: scopesOf(t, "user/Observation.cruds?category=laboratory user/*.cruds?_id=x")}
	for _, i := range []rest.Interaction{rest.Create, rest.Update, rest.Patch, rest.Delete} {
		if tok.May(i, "Observation") {
			t.Errorf("%s under a condition that cannot be checked", i)
		}
	}
	if !tok.May(rest.Read, "Observation") || tok.May(rest.Read, "Patient") {
		t.Error("reading is not as the scopes say")
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct{ scopes, want string }{
		{"user/Observation.rs", ""},
		{"user/*.rs user/Observation.rs?category=a", ""},
		{"user/Observation.rs?category=a", "category"},
		{"user/Observation.rs?category=a&status=final", "category+status"},
		{"user/Observation.rs?category=a user/Observation.rs?code=b", "category | code"},
		{"user/Observation.r?category=a user/Observation.rs", ""}, // a union: the wider one counts
		// Different for reading and searching: both, in either.
		{"user/Observation.r?category=a user/Observation.s?code=b", "category+code"},
		{"user/Observation.r?category=a user/Observation.s", "category"},
		{"user/Observation.s?category=a", "category"},
		{"user/Observation.c", "never"},
		{"system/Observation.rs", "never"},
	} {
		tok := &Token{Kind: ForUser, User: "u", Scopes: scopesOf(t, c.scopes), Issued: time.Unix(0, 0)}
		within, err := tok.Within(params{}, "Observation")
		if err != nil {
			t.Errorf("%s: %v", c.scopes, err)
		}
		lists, ok := within["Observation"]
		var alternatives []string
		for _, l := range lists {
			var names []string
			for _, clause := range l {
				names = append(names, clause.Param.Code)
			}
			alternatives = append(alternatives, strings.Join(names, "+"))
		}
		got := strings.Join(alternatives, " | ")
		if ok && len(lists) == 0 {
			got = "never"
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.scopes, got, c.want)
		}
	}
	bad := &Token{Kind: ForUser, User: "u", Scopes: scopesOf(t, "user/Observation.rs?patient.birthdate=1990")}
	if _, err := bad.Within(params{}); err == nil {
		t.Error("a chain is taken for a condition")
	}
}

func TestWhatIsKeptAnswersTheSameQuestionOnly(t *testing.T) {
	tok := &Token{Kind: ForUser, User: "u", Scopes: scopesOf(t, "user/Observation.rs?category=a"), kept: new(kept)}
	for range 2 {
		for _, served := range [][]string{{"Patient"}, {"Patient", "Condition"}, nil} {
			within, err := tok.Within(params{}, served...)
			if err != nil || len(within) != 1+len(served) {
				t.Errorf("%v: got %v, %v", served, within, err)
			}
		}
	}
}

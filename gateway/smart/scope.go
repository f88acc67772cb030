package smart

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"salus/fhir/search"
)

// ErrScope is the error of a text that is no scope this server knows.
var ErrScope = errors.New("smart: not a scope")

// Limits on a scope's text.
const (
	maxScope  = 1024 // bytes of one
	maxScopes = 128  // in one request
	maxPairs  = 8    // of the query part
)

// A Level says whose resources a scope is about (SMART 2.2, "Scopes for requesting
// FHIR Resources").
type Level string

// The levels.
const (
	PatientLevel Level = "patient" // the one in context
	UserLevel    Level = "user"    // what the person at the browser may see
	SystemLevel  Level = "system"  // what the backend service may see
)

// Verbs is a set of interactions: a subset of "cruds".
type Verbs uint8

// The verbs.
const (
	Create Verbs = 1 << iota
	Read
	Update
	Delete
	Search

	readVerbs  = Read | Search
	writeVerbs = Create | Update | Delete
)

const verbLetters = "cruds"

// String writes the letters in the only order that SMART knows.
func (v Verbs) String() string {
	var b strings.Builder
	for i, r := range verbLetters {
		if v&(1<<i) != 0 {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// parseVerbs reads letters in their order; ".dus" is not defined.
func parseVerbs(s string) (v Verbs, ok bool) {
	rest := verbLetters
	for _, r := range s {
		i := strings.IndexRune(rest, r)
		if i < 0 {
			return 0, false
		}
		v |= 1 << (len(verbLetters) - len(rest) + i)
		rest = rest[i+1:]
	}
	return v, v != 0
}

// v1 are the words of SMART App Launch 1.0 and what they mean since 2.0.
var v1 = map[string]Verbs{"read": readVerbs, "write": writeVerbs, "*": readVerbs | writeVerbs}

func v1Word(v Verbs) string {
	for w, meaning := range v1 {
		if v == meaning {
			return w
		}
	}
	return ""
}

// A Scope is one scope: of resources, or, with an empty Level, another that Name
// holds ("openid", "launch/patient").
type Scope struct {
	Level Level
	Type  string // of resource, or "*"
	Verbs Verbs
	V1    bool   // written as in SMART 1.0
	Query string // "category=laboratory", as it was written; conditions that must all hold
	Name  string
}

// plain are the scopes without resources that this server knows.
var plain = map[string]bool{
	"openid": true, "fhirUser": true, "profile": true, "offline_access": true, "online_access": true,
	"launch": true, "launch/patient": true, "launch/encounter": true,
}

// ParseScope reads one scope (SMART 2.2, "FHIR Resource Scope Syntax"). What it
// reads, String writes again.
func ParseScope(s string) (Scope, error) {
	if plain[s] {
		return Scope{Name: s}, nil
	}
	if len(s) > maxScope || strings.ContainsFunc(s, notScopeChar) {
		return Scope{}, ErrScope
	}
	level, rest, ok := strings.Cut(s, "/")
	if !ok || level != string(PatientLevel) && level != string(UserLevel) && level != string(SystemLevel) {
		return Scope{}, ErrScope
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	typ, verbs, ok := strings.Cut(rest, ".")
	if !ok || !typeName(typ) {
		return Scope{}, ErrScope
	}
	out := Scope{Level: Level(level), Type: typ, Query: query}
	if out.Verbs, out.V1 = v1[verbs]; !out.V1 {
		if out.Verbs, ok = parseVerbs(verbs); !ok {
			return Scope{}, ErrScope
		}
	}
	// Version 1 has no query part.
	if hasQuery && (out.V1 || out.pairs() == nil) {
		return Scope{}, ErrScope
	}
	return out, nil
}

// notScopeChar is what RFC 6749 section 3.3 leaves out.
func notScopeChar(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }

// typeName reports whether s has the form of a resource type, or is "*". Whether
// there is such a type is for who serves them.
func typeName(s string) bool {
	if s == "*" {
		return true
	}
	return len(s) > 1 && len(s) <= 64 && s[0] >= 'A' && s[0] <= 'Z' && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	})
}

// pairs are the parameters of the query part, decoded; nil if there is none or it is
// malformed.
func (s Scope) pairs() []search.Pair {
	parts := strings.Split(s.Query, "&")
	if len(parts) > maxPairs {
		return nil
	}
	var pairs []search.Pair
	for _, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if !ok || err != nil || err2 != nil || n == "" || v == "" {
			return nil
		}
		pairs = append(pairs, search.Pair{Name: n, Value: v})
	}
	return pairs
}

// String writes the scope.
func (s Scope) String() string {
	if s.Level == "" {
		return s.Name
	}
	verbs := s.Verbs.String()
	if s.V1 {
		verbs = v1Word(s.Verbs)
	}
	out := string(s.Level) + "/" + s.Type + "." + verbs
	if s.Query != "" {
		out += "?" + s.Query
	}
	return out
}

// MarshalText writes the scope.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a scope.
func (s *Scope) UnmarshalText(b []byte) (err error) {
	*s, err = ParseScope(string(b))
	return err
}

// parseScopes reads a scope parameter: what is unknown is left out, what stands twice
// is taken once. ok is false if there is too much of it.
func parseScopes(text string) (scopes []Scope, ok bool) {
	fields := strings.Fields(text)
	if len(fields) > maxScopes {
		return nil, false
	}
	for _, f := range fields {
		if s, err := ParseScope(f); err == nil {
			scopes = add(scopes, s)
		}
	}
	return scopes, true
}

func add(list []Scope, s Scope) []Scope {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func scopeText(scopes []Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = s.String()
	}
	return strings.Join(words, " ")
}

// named reports whether a scope without resources is in the list.
func named(scopes []Scope, name string) bool {
	for _, s := range scopes {
		if s.Level == "" && s.Name == name {
			return true
		}
	}
	return false
}

// has reports whether a scope of that level is in the list.
func has(scopes []Scope, l Level) bool {
	for _, s := range scopes {
		if s.Level == l {
			return true
		}
	}
	return false
}

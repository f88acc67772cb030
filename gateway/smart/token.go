package smart

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"salus/fhir/search"
	"salus/gateway/rest"
)

// A Kind says in whose place an app acts.
type Kind string

// The kinds.
const (
	ForPatient Kind = "patient" // within one patient's compartment, whoever is at the browser
	ForUser    Kind = "user"    // what the person at the browser may see
	ForSystem  Kind = "system"  // a backend service, nobody at a browser
)

// A Token is what an access token allows. It is never changed: whoever holds the
// pointer may keep what she derived from it beside it.
type Token struct {
	Client   string
	Kind     Kind
	User     string    `json:",omitempty"` // the person's id; "" of a system token
	FHIRUser string    `json:",omitempty"` // "Practitioner/123"
	Patient  string    `json:",omitempty"` // id of the patient in context
	Purpose  string    `json:",omitempty"` // HL7 v3 PurposeOfUse; "" where nobody stated one
	Scopes   []Scope   // as granted
	Launch   *Launch   `json:",omitempty"` // what the EHR had open
	Issued   time.Time // to the second
	Expires  time.Time

	// SignedIn is when the person behind it last signed in (auth_time), unix seconds; 0 if nobody did.
	SignedIn int64 `json:",omitempty"`
	// Declared is what of an emergency she confirmed with a passkey when she signed in; "" for nothing.
	Declared string `json:",omitempty"`

	// Grant is what the token is of; tokens of one grant end together.
	Grant   string `json:",omitempty"`
	Named   bool   `json:",omitempty"` // an ID token went with it
	Session string `json:",omitempty"` // of online access: it ends with the session

	kept *kept // what Within gave last; nil of a token that no server holds
}

// kept is the last answer of Within: every request of a token asks the same.
type kept struct{ last atomic.Pointer[seen] }

type seen struct {
	params search.Params
	served []string
	within map[string][][]search.Clause
}

// get returns what was kept for the same question.
func (k *kept) get(params search.Params, served []string) map[string][][]search.Clause {
	if k == nil {
		return nil
	}
	s := k.last.Load()
	if s == nil || !sameable(params) || s.params != params || !slices.Equal(s.served, served) {
		return nil
	}
	return s.within
}

func (k *kept) put(params search.Params, served []string, within map[string][][]search.Clause) {
	if k != nil && sameable(params) {
		k.last.Store(&seen{params, slices.Clone(served), within})
	}
}

// sameable reports whether == on it does not panic.
func sameable(p search.Params) bool { return p != nil && reflect.ValueOf(p).Comparable() }

// need is the verb for an interaction; 0 for one that no scope allows (SMART 2.2,
// "Scopes for requesting FHIR Resources").
func need(i rest.Interaction) Verbs {
	switch i {
	case rest.Create:
		return Create
	case rest.Read, rest.VRead, rest.History:
		return Read
	case rest.Update, rest.Patch:
		return Update
	case rest.Delete:
		return Delete
	case rest.Search:
		return Search
	}
	return 0
}

// speaks reports whether a scope is one that this token acts by.
func (t *Token) speaks(s Scope) bool {
	switch s.Level {
	case SystemLevel:
		return t.Kind == ForSystem
	case UserLevel:
		return t.Kind != ForSystem && t.User != ""
	case PatientLevel:
		return t.Kind != ForSystem && t.Patient != ""
	}
	return false
}

// May reports whether the token's scopes allow an interaction with resources of a
// type. It is the upper bound: which resources those are is for Within and the Guard.
func (t *Token) May(i rest.Interaction, resourceType string) bool {
	verb := need(i)
	return verb != 0 && slices.ContainsFunc(t.Scopes, func(s Scope) bool { return t.applies(s, verb, resourceType) })
}

func (t *Token) applies(s Scope, verb Verbs, resourceType string) bool {
	if !t.speaks(s) || s.Verbs&verb == 0 || s.Type != "*" && s.Type != resourceType {
		return false
	}
	// See enforceable: a condition goes with one type, and with reading.
	return s.Query == "" || s.Type != "*" && verb&readVerbs != 0
}

// ErrCondition is the error of a query part that cannot be a condition.
var ErrCondition = errors.New("smart: the query part of a scope is no condition on that type")

// maxLists bounds the alternatives for one type.
const maxLists = 256

// Within are the conditions on what the token sees of each type, of which one list
// must hold: the query parts of its scopes, for rest.Leave. A type that it sees whole
// is not in the map; a type among those served that it may neither read nor search
// has an empty list, which nothing satisfies, so that no chain, _has or count tells
// of it. Where reading and searching are granted under different conditions, both
// must hold for either. The answer must not be changed: it is given again.
func (t *Token) Within(params search.Params, served ...string) (map[string][][]search.Clause, error) {
	if within := t.kept.get(params, served); within != nil {
		return within, nil
	}
	within, err := t.within(params, served)
	if err != nil {
		return nil, err
	}
	t.kept.put(params, served, within)
	return within, nil
}

func (t *Token) within(params search.Params, served []string) (map[string][][]search.Clause, error) {
	types := slices.Clone(served)
	for _, s := range t.Scopes {
		if s.Level != "" && s.Type != "*" {
			types = append(types, s.Type)
		}
	}
	slices.Sort(types)
	within := map[string][][]search.Clause{}
	for _, typ := range slices.Compact(types) {
		read, find := t.conditions(Read, typ), t.conditions(Search, typ)
		var lists [][]string
		switch {
		case read == nil && find == nil:
			within[typ] = [][]search.Clause{}
			continue
		case find == nil:
			lists = each(read)
		case read == nil:
			lists = each(find)
		case slices.Contains(read, ""), slices.Equal(read, find):
			lists = each(find)
		case slices.Contains(find, ""):
			lists = each(read)
		default:
			lists = both(read, find)
		}
		if len(lists) > maxLists {
			return nil, ErrCondition
		}
		if slices.ContainsFunc(lists, func(l []string) bool { return len(l) == 1 && l[0] == "" }) {
			continue
		}
		for _, l := range lists {
			all, err := t.clauses(typ, l, params)
			if err != nil {
				return nil, err
			}
			within[typ] = append(within[typ], all)
		}
	}
	return within, nil
}

// conditions are the query parts under which a verb is granted, "" for none; nil if
// it is not granted.
func (t *Token) conditions(verb Verbs, typ string) (queries []string) {
	for _, s := range t.Scopes {
		if t.applies(s, verb, typ) {
			queries = append(queries, s.Query)
		}
	}
	slices.Sort(queries)
	return slices.Compact(queries)
}

func each(queries []string) (lists [][]string) {
	for _, q := range queries {
		lists = append(lists, []string{q})
	}
	return lists
}

func both(a, b []string) (lists [][]string) {
	for _, x := range a {
		for _, y := range b {
			lists = append(lists, []string{x, y})
		}
	}
	return lists
}

func (t *Token) clauses(typ string, queries []string, params search.Params) (all []search.Clause, err error) {
	for _, q := range queries {
		c, err := condition(Scope{Type: typ, Query: q}, params, t.Issued)
		if err != nil {
			return nil, err
		}
		all = append(all, c...)
	}
	return all, nil
}

// condition reads the query part of a scope as search clauses. What asks another
// resource (a chain, _has), joins conditions (_filter), needs a terminology, or says how to present results is
// refused: it is experimental in SMART 2.2, and a condition must not depend on what
// the reader may not see.
func condition(s Scope, params search.Params, now time.Time) ([]search.Clause, error) {
	q, err := search.Parse(s.Type, s.pairs(), search.Options{Params: params, Now: now})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCondition, err)
	}
	if len(q.Where) != len(s.pairs()) || len(q.Sort)+len(q.Include)+len(q.RevInclude)+len(q.Elements) > 0 {
		return nil, ErrCondition
	}
	for _, c := range q.Where {
		if c.Chain != nil || c.Has != nil || c.Tree != nil {
			return nil, ErrCondition
		}
		switch c.Modifier {
		case search.In, search.NotIn, search.Above, search.Below:
			return nil, ErrCondition
		}
	}
	return q.Where, nil
}

// A Refused says why a request has no token that counts. It is rest.ErrUnauthorized,
// with the challenge that goes into WWW-Authenticate (RFC 6750 section 3).
type Refused struct{ Challenge string }

// ErrUnauthorized is what every Refused is.
var ErrUnauthorized = rest.ErrUnauthorized

// Error says no more than the challenge does.
func (r *Refused) Error() string { return "smart: " + r.Challenge }

// Unwrap makes it ErrUnauthorized.
func (r *Refused) Unwrap() error { return ErrUnauthorized }

var (
	errNoToken  = &Refused{`Bearer realm="fhir"`}
	errBadToken = &Refused{`Bearer realm="fhir", error="invalid_token", error_description="the access token is unknown, expired or revoked"`}
	errTwice    = &Refused{`Bearer realm="fhir", error="invalid_request", error_description="send one access token, in the Authorization header"`}
)

// Authenticate returns the token that a request bears in its Authorization header.
// Errors: *Refused, which is ErrUnauthorized, and those of the Keeper.
func (s *Server) Authenticate(r *http.Request) (*Token, error) {
	header := r.Header.Values("Authorization")
	if len(header) == 0 {
		return nil, errNoToken
	}
	scheme, secret, ok := strings.Cut(header[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil, errNoToken
	}
	if len(header) > 1 {
		return nil, errTwice
	}
	return s.token(strings.TrimSpace(secret))
}

// token is the access token with that secret. Lookups are by hash: how long one takes
// tells nothing of the secrets there are.
func (s *Server) token(secret string) (*Token, error) {
	if len(secret) != secretLen {
		return nil, errBadToken
	}
	key := keyOf(rowToken, secret)
	t, fresh := s.cache.find(key)
	if t == nil {
		var err error
		if t, err = load[Token](s.Keeper, key); errors.Is(err, ErrNoRow) {
			return nil, errBadToken
		} else if err != nil {
			return nil, err
		}
		t.kept = new(kept)
		s.cache.hold(key, t, fresh)
	}
	if !s.Now().Before(t.Expires) {
		return nil, errBadToken
	}
	return t, nil
}

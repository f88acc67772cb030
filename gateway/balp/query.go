package balp

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A QueryError is a search that is not understood. Nothing in it is of the query but the parameter's
// name, and that only where R4 or this room defines it.
type QueryError struct{ Param, Text string }

// Error implements error.
func (e *QueryError) Error() string {
	return fmt.Sprintf("balp: search parameter %s: %s", e.Param, e.Text)
}

// A Query is a search of AuditEvents with the parameters of R4 (6.4.6): action, address, agent,
// agent-name, date, entity, entity-type, outcome, patient, policy, site, source, subtype and type, _id,
// and of the result _count, _sort (date or -date) and _cursor. Every parameter must hold; of a list
// with commas one value. Codes match exactly.
type Query struct {
	terms  []term
	from   time.Time // narrows the scan
	to     time.Time
	oldest bool
	count  int
	after  string
}

type term struct{ param, value string }

// DefaultCount and MaxCount are how many events a page has.
const (
	DefaultCount = 50
	MaxCount     = 1000
)

var params = []string{
	"_id", "action", "address", "agent", "agent-name", "date", "entity", "entity-type", "outcome", "patient", "policy", "site", "source", "subtype", "type",
}

// ParseQuery reads the parameters of a search. Errors: *QueryError.
func ParseQuery(v url.Values) (q Query, err error) {
	q.count = DefaultCount
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range v[name] {
			if err := q.add(name, value); err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

func (q *Query) add(name, value string) error {
	switch name {
	case "_count":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return &QueryError{name, "a number is needed"}
		}
		q.count = min(n, MaxCount)
	case "_sort":
		if value != "date" && value != "-date" {
			return &QueryError{name, "events are sorted by date or -date"}
		}
		q.oldest = value == "date"
	case "_cursor":
		q.after = value
	case "_format", "_pretty", "_total": // how the answer is written is not this room's
	default:
		if !slices.Contains(params, name) {
			return &QueryError{"unknown", "AuditEvent has no such search parameter here"}
		}
		if value == "" {
			return &QueryError{name, "a value is needed"}
		}
		if name == "date" {
			if err := q.period(value); err != nil {
				return err
			}
		}
		q.terms = append(q.terms, term{name, value})
	}
	return nil
}

// period checks dates, and narrows the scan by those that are not alternatives.
func (q *Query) period(value string) error {
	alternatives := strings.Split(value, ",")
	for _, one := range alternatives {
		prefix, from, to, err := dateOf(one)
		if err != nil {
			return err
		}
		if len(alternatives) > 1 {
			continue
		}
		if (prefix == "eq" || prefix == "ge" || prefix == "sa" || prefix == "gt") && from.After(q.from) {
			q.from = from
		}
		if (prefix == "eq" || prefix == "le" || prefix == "eb" || prefix == "lt") && (q.to.IsZero() || to.Before(q.to)) {
			q.to = to
		}
	}
	return nil
}

var prefixes = []string{"eq", "ne", "gt", "ge", "lt", "le", "sa", "eb"}

// dateOf reads a value of a date parameter (R4 3.1.1.4.7): the time that it covers, the end exclusive.
func dateOf(s string) (prefix string, from, to time.Time, err error) {
	prefix = "eq"
	if len(s) > 2 && slices.Contains(prefixes, s[:2]) {
		prefix, s = s[:2], s[2:]
	}
	for _, f := range []struct {
		layout            string
		year, month, days int
		span              time.Duration
	}{
		{"2006", 1, 0, 0, 0},
		{"2006-01", 0, 1, 0, 0},
		{"2006-01-02", 0, 0, 1, 0},
		{"2006-01-02T15:04Z07:00", 0, 0, 0, time.Minute},
		{"2006-01-02T15:04:05Z07:00", 0, 0, 0, time.Second},
	} {
		if from, err = time.Parse(f.layout, s); err == nil {
			to = from.AddDate(f.year, f.month, f.days).Add(f.span)
			if from.Nanosecond() != 0 {
				to = from.Add(time.Millisecond)
			}
			return prefix, from, to, nil
		}
	}
	return "", from, to, &QueryError{"date", "a FHIR date or dateTime with an optional prefix is needed"}
}

func dateMatches(value string, at time.Time) bool {
	prefix, from, to, err := dateOf(value)
	if err != nil {
		return false
	}
	in := !at.Before(from) && at.Before(to)
	switch prefix {
	case "ne":
		return !in
	case "gt", "sa":
		return !at.Before(to)
	case "ge":
		return !at.Before(from)
	case "lt", "eb":
		return at.Before(from)
	case "le":
		return at.Before(to)
	}
	return in
}

// matches says whether every term holds of an event as it is written.
func (q *Query) matches(a *auditEvent, at time.Time) bool {
	for _, t := range q.terms {
		if !slices.ContainsFunc(strings.Split(t.value, ","), func(v string) bool { return t.holds(v, a, at) }) {
			return false
		}
	}
	return true
}

func (t *term) holds(v string, a *auditEvent, at time.Time) bool {
	switch t.param {
	case "_id":
		return a.ID == v
	case "date":
		return dateMatches(v, at)
	case "action":
		return token(v, coding{"http://hl7.org/fhir/audit-event-action", a.Action, ""})
	case "outcome":
		return token(v, coding{"http://terminology.hl7.org/CodeSystem/audit-event-outcome", string(a.Outcome), ""})
	case "type":
		return token(v, a.Type)
	case "subtype":
		return slices.ContainsFunc(a.Subtype, func(c coding) bool { return token(v, c) })
	case "site":
		return a.Source.Site == v
	case "source":
		return refers(v, &a.Source.Observer)
	case "entity", "entity-type":
		return slices.ContainsFunc(a.Entity, func(e entity) bool {
			return t.param == "entity" && e.What != nil && refers(v, e.What) || t.param == "entity-type" && e.Type != nil && token(v, *e.Type)
		})
	case "patient":
		return a.about(v)
	}
	return slices.ContainsFunc(a.Agent, func(g agent) bool {
		switch t.param {
		case "agent":
			return refers(v, &g.Who)
		case "agent-name":
			return strings.HasPrefix(strings.ToLower(g.Who.Display), strings.ToLower(v))
		case "address":
			return g.Network != nil && g.Network.Address == v
		case "policy":
			return slices.Contains(g.Policy, v)
		}
		return false
	})
}

// about says whether a patient takes part, as the one whose record it is or as an agent.
func (a *auditEvent) about(v string) bool {
	if !strings.Contains(v, "/") && !strings.Contains(v, "|") {
		v = "Patient/" + v
	}
	return slices.ContainsFunc(a.Entity, func(e entity) bool { return e.Role != nil && *e.Role == rolePatient && refers(v, e.What) }) ||
		slices.ContainsFunc(a.Agent, func(g agent) bool { return strings.HasPrefix(g.Who.Reference, "Patient/") && refers(v, &g.Who) })
}

func token(v string, c coding) bool {
	system, code, ok := strings.Cut(v, "|")
	if !ok {
		return v == c.Code
	}
	return (code == "" || code == c.Code) && system == c.System
}

// refers matches a reference by "Type/id", by id, or an identifier by "system|value".
func refers(v string, r *reference) bool {
	if system, value, ok := strings.Cut(v, "|"); ok {
		return r.Identifier != nil && r.Identifier.System == system && r.Identifier.Value == value
	}
	if r.Reference == "" {
		return r.Identifier != nil && r.Identifier.Value == v
	}
	base, _, _ := strings.Cut(r.Reference, "/_history/")
	_, id, _ := strings.Cut(base, "/")
	return r.Reference == v || base == v || id == v
}

package rest

import (
	"net/http"
	"slices"

	"salus/fhir/search"
	"salus/store"
)

// search answers a search in one type (R4 3.1.0.10), of one patient's compartment if owner is not
// "".
func (s *Server) search(a *ask, typ, owner string) (*answer, error) {
	if err := a.may(Search, typ); err != nil {
		return nil, err
	}
	query, err := s.conditions(a, typ)
	if err != nil {
		return nil, err
	}
	q, err := search.Parse(typ, query, s.reading(a))
	if err != nil {
		return nil, err
	}
	return s.answerSearch(a, q, owner)
}

// reading is how the query of a search is read.
func (s *Server) reading(a *ask) search.Options {
	o := search.Options{Params: s.Params, Now: s.Now(), Lenient: a.lenient, Also: transport}
	if s.Terminology != nil {
		o.Terminology = s.Terminology(a.ctx, a.leave)
	}
	return o
}

// searchSystem searches the types that _type names, or everything served.
func (s *Server) searchSystem(a *ask) (*answer, error) {
	query, err := s.conditions(a, "")
	if err != nil {
		return nil, err
	}
	q, err := search.Parse("", query, s.reading(a))
	if err != nil {
		return nil, err
	}
	if len(q.Types) == 0 {
		q.Types = slices.Clone(s.Types)
	}
	for _, t := range q.Types {
		if !s.serves(t) {
			return nil, errType
		}
		if err := a.may(Search, t); err != nil {
			return nil, err
		}
	}
	return s.answerSearch(a, q, "")
}

// compartment searches what is in a patient's compartment (R4 3.2.0): one type, or "*" for all.
func (s *Server) compartment(a *ask, id, typ string) (*answer, error) {
	if _, err := s.find(s.in(a), a, "Patient", id); err != nil {
		return nil, err
	}
	if typ != "*" {
		if !s.serves(typ) {
			return nil, errType
		}
		return s.search(a, typ, "Patient/"+id)
	}
	query, err := s.conditions(a, "")
	if err != nil {
		return nil, err
	}
	q, err := search.Parse("", query, s.reading(a))
	if err != nil {
		return nil, err
	}
	if len(q.Types) == 0 {
		q.Types = slices.Clone(s.Types)
	}
	for _, t := range q.Types {
		if err := a.may(Search, t); err != nil {
			return nil, err
		}
	}
	return s.answerSearch(a, q, "Patient/"+id)
}

func (s *Server) answerSearch(a *ask, q *search.Query, compartment string) (*answer, error) {
	p, err := s.in(a).search(a.ctx, store.Search{Query: q, Sight: a.leave.sight(), Compartment: compartment, Count: s.PageSize})
	if err != nil {
		return nil, err
	}
	p.Included = slices.DeleteFunc(p.Included, func(v store.Version) bool { return a.may(Read, v.Type) != nil })
	return s.searchset(a, q, p)
}

// included is said with a page that may lack some of what was to be included.
var included = Issue{
	Severity: "warning", Type: "incomplete", Code: "rest-included",
	Text: "a page brings at most 1,000 included resources, and there may be more: ask for fewer matches with _count, or search for the others by themselves",
}

// searchset is the Bundle of a page.
func (s *Server) searchset(a *ask, q *search.Query, p *store.Page) (*answer, error) {
	b := bundle{Type: "searchset"}
	if p.Total >= 0 {
		b.Total = &p.Total
	}
	var own []search.Pair
	for i, x := range a.query {
		ignored := slices.ContainsFunc(q.Ignored, func(n *search.Issue) bool { return n.Place == i })
		if x.Name != "_cursor" && !ignored {
			own = append(own, x)
		}
	}
	b.link("self", s.address(a, own))
	if p.Next != "" {
		b.link("next", s.address(a, append(slices.Clone(own), search.Pair{Name: "_cursor", Value: p.Next})))
	}
	add := func(list []store.Version, m string) error {
		for i := range list {
			v := &list[i]
			body, err := s.subset(a, v.Type, present(v))
			if err != nil {
				return err
			}
			b.Entry = append(b.Entry, entry{FullURL: s.url(v), Resource: body, Search: &mode{m}})
		}
		return nil
	}
	if err := add(p.Matches, "match"); err != nil {
		return nil, err
	}
	if err := add(p.Included, "include"); err != nil {
		return nil, err
	}
	issues := slices.Clone(a.leave.Issues)
	for _, n := range q.Ignored {
		issues = append(issues, Issue{Severity: "warning", Type: "not-supported", Code: n.Code, Text: n.Text, Expression: n.Param})
	}
	if p.Cut {
		issues = append(issues, included)
	}
	if len(issues) > 0 {
		b.Entry = append(b.Entry, entry{Resource: outcomeOf(issues), Search: &mode{"outcome"}})
	}
	return &answer{status: http.StatusOK, body: b.encode()}, nil
}

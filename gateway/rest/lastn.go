package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"salus/fhir/search"
	"salus/store"
)

// maxLastN bounds how many observations one $lastn looks at.
const maxLastN = 10_000

var (
	errLastNMax     = fault(http.StatusBadRequest, "value", "rest-lastn-max", "max is a number from 1")
	errLastNPatient = fault(http.StatusBadRequest, "required", "rest-lastn-patient", "$lastn needs the parameter patient or subject")
	errLastNForm    = fault(http.StatusBadRequest, "invalid", "rest-lastn-parameter", "$lastn takes search parameters and max, no paging, sorting or including")
	errLastNMany    = fault(http.StatusBadRequest, "too-costly", "rest-lastn-many", "too many observations match; name a category, codes or dates")
)

// LastN is Observation/$lastn (R4 Observation-lastn): the last max observations of each code.
// Observations that share a coding have one code; so have those that have a coding in common with
// a third. Without any coding, the text is the code.
func LastN() Operation {
	return Operation{
		Name: "lastn", Types: []string{"Observation"}, ReadOnly: true,
		Definition: "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
		Handle: func(ctx context.Context, c *Call) (*Reply, error) {
			return c.lastN(ctx)
		},
	}
}

func (c *Call) lastN(ctx context.Context) (*Reply, error) {
	if !c.Leave.Allows(Search, "Observation") {
		return nil, errForbidden
	}
	limit := 1
	var ps []search.Pair
	for _, p := range c.Params {
		if p.Name != "max" {
			ps = append(ps, p)
			continue
		}
		n, err := strconv.Atoi(p.Value)
		if err != nil || n < 1 {
			return nil, errLastNMax
		}
		limit = min(n, maxLastN)
	}
	q, err := search.Parse("Observation", ps, search.Options{Params: c.Server.Params, Now: c.Server.Now()})
	if err != nil {
		return nil, err
	}
	if len(q.Sort)+len(q.Include)+len(q.RevInclude) > 0 || q.Cursor != "" || q.Count >= 0 || q.Total != 0 || q.Summary != 0 || len(q.Elements) > 0 {
		return nil, errLastNForm
	}
	if c.Leave.Owner == "" && !slices.ContainsFunc(q.Where, func(w search.Clause) bool {
		return w.Has == nil && w.Param != nil && (w.Param.Code == "patient" || w.Param.Code == "subject") && w.Modifier != search.Not && w.Modifier != search.Missing
	}) {
		return nil, errLastNPatient
	}
	if date, ok := c.Server.Params.Param("Observation", "date"); ok {
		q.Sort = []search.Order{{Param: date, Descending: true}}
	}
	list, err := c.collect(ctx, q)
	if err != nil {
		return nil, err
	}
	b := bundle{Type: "searchset"}
	b.link("self", c.Server.address(&ask{path: []string{"Observation", "$lastn"}}, c.Params))
	groups, taken := codeGroups(list), map[int]int{}
	for i := range list {
		if taken[groups[i]]++; taken[groups[i]] > limit {
			continue
		}
		b.Entry = append(b.Entry, entry{FullURL: c.Server.url(&list[i]), Resource: present(&list[i]), Search: &mode{"match"}})
	}
	n := int64(len(b.Entry))
	b.Total = &n
	if len(c.Leave.Issues) > 0 {
		b.Entry = append(b.Entry, entry{Resource: outcomeOf(c.Leave.Issues), Search: &mode{"outcome"}})
	}
	return &Reply{Body: b.encode()}, nil
}

// collect reads all pages of a query.
func (c *Call) collect(ctx context.Context, q *search.Query) (list []store.Version, err error) {
	q.Count = search.MaxCount
	for {
		p, err := c.Server.Store.Search(ctx, store.Search{Query: q, Sight: c.Leave.sight()})
		if err != nil {
			return nil, err
		}
		list = append(list, p.Matches...)
		switch {
		case len(list) > maxLastN:
			return nil, errLastNMany
		case p.Next == "":
			return list, nil
		}
		q.Cursor = p.Next
	}
}

// codeGroups numbers observations so that those of one code have one number.
func codeGroups(list []store.Version) []int {
	parent := make([]int, len(list))
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := map[[2]string]int{}
	for i := range list {
		parent[i] = i
		var x struct {
			Code struct {
				Coding []struct{ System, Code string }
				Text   string
			}
		}
		if json.Unmarshal(list[i].Body, &x) != nil {
			continue // a group of its own
		}
		var keys [][2]string
		for _, k := range x.Code.Coding {
			keys = append(keys, [2]string{k.System, k.Code})
		}
		if len(keys) == 0 {
			keys = [][2]string{{"\x00text", search.Fold(x.Code.Text)}}
		}
		for _, k := range keys {
			if at, ok := first[k]; ok {
				parent[root(i)] = root(at)
			} else {
				first[k] = i
			}
		}
	}
	out := make([]int, len(list))
	for i := range list {
		out[i] = root(i)
	}
	return out
}

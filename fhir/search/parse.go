package search

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Options says how a query string is read.
type Options struct {
	Params  Params
	Now     time.Time // for the prefix ap
	Lenient bool      // Prefer: handling=lenient: leave out what is unknown, and say so in Ignored
	// Also lists parameters that are the transport's, as _format and _pretty; they are passed over.
	Also []string
	// Terminology resolves :in, :not-in, :above and :below of tokens; nil refuses them.
	Terminology Terminology
}

// A Pair is one parameter of a query string, decoded, in its order.
type Pair struct{ Name, Value string }

// Parse reads the query of a search in one resource type, or in all if resourceType is "". An
// error is an *Issue.
func Parse(resourceType string, pairs []Pair, o Options) (*Query, error) {
	p := &parser{Options: o, q: &Query{Count: -1}, seen: map[string]bool{}}
	if resourceType != "" {
		if !o.Params.Known(resourceType) {
			return nil, issue(CodeResourceType, "")
		}
		p.q.Types = []string{resourceType}
	}
	if len(pairs) > MaxClauses {
		return nil, issue(CodeTooMany, "")
	}
	// _type comes first: it says what the other parameters mean.
	for i, x := range pairs {
		if x.Name == "_type" {
			if err := p.types(x.Value, resourceType); err != nil {
				err.Place = i
				return nil, err
			}
		}
	}
	for i, x := range pairs {
		if x.Name == "_type" || slices.Contains(o.Also, x.Name) {
			continue
		}
		err := p.take(x)
		if p.failed != nil {
			return nil, p.failed
		}
		if err == nil {
			continue
		}
		err.Place = i
		if !o.Lenient || !lenient(err.Code) {
			return nil, err
		}
		p.q.Ignored = append(p.q.Ignored, err)
	}
	return p.q, nil
}

// lenient reports whether a caller that asked for it may go on without what is wrong: only what
// is unknown may be left out, never what is known and malformed.
func lenient(code string) bool {
	return code == CodeUnknownParam || code == CodeNotSupported || code == CodeEmptyValue
}

type parser struct {
	Options
	q    *Query
	seen map[string]bool // result parameters that may stand once

	failed error // of Terminology: not about the query
	tests  int   // of all _filter
	codes  int   // that terminology made of the query so far
}

func (p *parser) types(value, given string) *Issue {
	if given != "" || len(p.q.Types) > 0 {
		return issue(CodeRepeated, "_type")
	}
	for _, t := range split(value, ',') {
		if !p.Params.Known(t) {
			return issue(CodeResourceType, "_type")
		}
		if !slices.Contains(p.q.Types, t) {
			p.q.Types = append(p.q.Types, t)
		}
	}
	return nil
}

// take reads one parameter.
func (p *parser) take(x Pair) *Issue {
	name, modifier, _ := strings.Cut(x.Name, ":")
	if !slices.Contains(resultParams, name) {
		c, err := p.clause(p.q.Types, x.Name, x.Value, MaxChain)
		if err != nil && err.Code == CodeUnknownParam && slices.Contains(fullText, name) {
			return issue(CodeNotSupported, name)
		}
		if err != nil {
			return err
		}
		p.q.Where = append(p.q.Where, *c)
		return nil
	}
	if x.Value == "" {
		return issue(CodeEmptyValue, name)
	}
	switch name {
	case "_filter":
		if modifier != "" {
			return issue(CodeModifier, name)
		}
		c, err := p.filter(x.Value)
		if err == nil {
			p.q.Where = append(p.q.Where, *c)
		}
		return err
	case "_include":
		return p.include(&p.q.Include, name, modifier, x.Value)
	case "_revinclude":
		return p.include(&p.q.RevInclude, name, modifier, x.Value)
	}
	switch {
	case modifier != "":
		return issue(CodeModifier, name)
	case p.seen[name]:
		return issue(CodeRepeated, name)
	}
	p.seen[name] = true
	return p.result(name, x.Value)
}

// resultParams are the parameters that say what the answer looks like (R4 3.1.1.5), and those of
// the standard that this package knows and does not offer.
var resultParams = []string{
	"_sort", "_include", "_revinclude", "_count", "_total", "_summary", "_elements", "_cursor",
	"_contained", "_containedType", "_filter", "_query", "_list",
}

// fullText are those that a server may offer or not.
var fullText = []string{"_text", "_content"}

// result reads a result parameter that may stand once.
func (p *parser) result(name, value string) *Issue {
	switch name {
	case "_sort":
		return p.sort(value)
	case "_count":
		return p.count(value)
	case "_elements":
		return p.elements(value)
	case "_cursor":
		p.q.Cursor = value
		return nil
	case "_total":
		return word(name, value, &p.q.Total, map[string]Total{"none": TotalNone, "estimate": TotalEstimate, "accurate": TotalAccurate})
	case "_summary":
		return word(name, value, &p.q.Summary, map[string]Summary{
			"false": SummaryFalse, "true": SummaryTrue, "text": SummaryText, "data": SummaryData, "count": SummaryCount,
		})
	}
	return issue(CodeNotSupported, name)
}

// word reads a parameter that takes one of a few words.
func word[V any](name, value string, to *V, words map[string]V) *Issue {
	v, ok := words[value]
	if !ok {
		return issue(CodeResult, name)
	}
	*to = v
	return nil
}

func (p *parser) count(value string) *Issue {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || len(value) > 9 {
		return issue(CodeResult, "_count")
	}
	p.q.Count = min(n, MaxCount)
	return nil
}

func (p *parser) elements(value string) *Issue {
	for _, e := range split(value, ',') {
		if e == "" || len(e) > 64 || strings.Trim(e, letters) != "" {
			return issue(CodeResult, "_elements")
		}
		p.q.Elements = append(p.q.Elements, e)
	}
	if len(p.q.Elements) > MaxClauses {
		return issue(CodeTooMany, "_elements")
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (p *parser) sort(value string) *Issue {
	keys := split(value, ',')
	if len(keys) > 8 {
		return issue(CodeTooMany, "_sort")
	}
	for _, k := range keys {
		code, down := strings.CutPrefix(k, "-")
		param, err := p.param(p.q.Types, code)
		if err != nil && err.Code == CodeIndexing {
			return err
		}
		if err != nil {
			return issue(CodeSort, "_sort")
		}
		switch {
		case param.Kind == Composite, param.Kind == Special, param.Kind == Spot, param.Words:
			return issue(CodeSort, "_sort")
		}
		p.q.Sort = append(p.q.Sort, Order{Param: param, Descending: down})
	}
	return nil
}

func (p *parser) include(to *[]Include, name, modifier, value string) *Issue {
	if modifier != "" && modifier != "iterate" && modifier != "recurse" {
		return issue(CodeModifier, name)
	}
	i := Include{Iterate: modifier != ""}
	parts := strings.Split(value, ":")
	switch {
	case value == "*" && name == "_revinclude":
		return issue(CodeInclude, name) // all that refers here: of a type, and not of all at once
	case value == "*":
		i.Source = "*"
	case len(parts) < 2 || len(parts) > 3 || !p.Params.Known(parts[0]):
		return issue(CodeInclude, name)
	default:
		i.Source = parts[0]
		if parts[1] != "*" {
			param, ok := p.Params.Param(parts[0], parts[1])
			if !ok || param.Kind != Reference {
				return issue(CodeInclude, name)
			}
			if param.Unready {
				return issue(CodeIndexing, param.Code)
			}
			i.Param = param
		}
		if len(parts) == 3 {
			i.Target = parts[2]
			if !p.Params.Known(i.Target) || i.Param != nil && !i.Param.leadsTo(i.Target) {
				return issue(CodeInclude, name)
			}
		}
	}
	if i.Param == nil && name == "_revinclude" {
		if err := p.referrers(i); err != nil {
			return err
		}
	} else {
		*to = append(*to, i)
	}
	if len(p.q.Include)+len(p.q.RevInclude) > MaxClauses {
		return issue(CodeTooMany, name)
	}
	return nil
}

// referrers takes a _revinclude of every reference of a type: what refers to something is found by parameter.
func (p *parser) referrers(of Include) *Issue {
	lister, ok := p.Params.(Lister)
	if !ok {
		return issue(CodeInclude, "_revinclude")
	}
	for _, param := range lister.List(of.Source) {
		switch {
		case param.Kind != Reference, of.Target != "" && !param.leadsTo(of.Target):
			continue
		case param.Unready:
			return issue(CodeIndexing, param.Code)
		}
		one := of
		one.Param = param
		p.q.RevInclude = append(p.q.RevInclude, one)
	}
	return nil
}

// param finds a parameter that all of the types have.
func (p *parser) param(types []string, code string) (*Param, *Issue) {
	if len(types) == 0 {
		types = []string{"Resource"} // searching everything: only what every resource has
	}
	var found *Param
	for _, t := range types {
		x, ok := p.Params.Param(t, code)
		if !ok || found != nil && found.Kind != x.Kind {
			return nil, issue(CodeUnknownParam, "")
		}
		if x.Unready {
			return nil, issue(CodeIndexing, x.Code)
		}
		found = found.with(x)
	}
	return found, nil
}

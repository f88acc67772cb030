package rest

import (
	"slices"
	"strings"

	"salus/fhir/search"
)

// The conditions of a write are read within its transaction, which must not ask for value sets: they
// are in the store, and expanding one takes long. So they are asked for before the transaction begins,
// in what the caller may see, and the condition finds the answers here.

// A foreseen is what the conditions of a request asked of terminology, by the question.
type foreseen map[string]answered

type answered struct {
	values []search.Value
	err    error
}

// foresee asks what value sets and hierarchies of codes a condition on a type stands for. What is wrong
// with the condition is said when it is read.
func (s *Server) foresee(a *ask, typ string, condition []search.Pair) {
	if s.Terminology == nil || !slices.ContainsFunc(condition, asksCodes) {
		return
	}
	if a.codes == nil {
		a.codes = foreseen{}
	}
	o := search.Options{Params: s.Params, Now: s.Now(), Also: transport, Terminology: foreseeing{a.codes, s.Terminology(a.ctx, a.leave)}}
	_, _ = search.Parse(typ, condition, o) // only for what it asks
}

// asksCodes reports whether a parameter has a modifier that terminology resolves, or may have one within.
func asksCodes(p search.Pair) bool {
	return p.Name == "_filter" || slices.ContainsFunc([]string{":in", ":not-in", ":above", ":below"}, func(m string) bool { return strings.HasSuffix(p.Name, m) })
}

// foreseeing asks and remembers.
type foreseeing struct {
	foreseen
	from search.Terminology
}

func (f foreseeing) once(question string, ask func() ([]search.Value, error)) ([]search.Value, error) {
	if x, ok := f.foreseen[question]; ok {
		return x.values, x.err
	}
	vs, err := ask()
	f.foreseen[question] = answered{vs, err}
	return vs, err
}

// In implements search.Terminology.
func (f foreseeing) In(valueSet string) ([]search.Value, error) {
	return f.once("in "+valueSet, func() ([]search.Value, error) { return f.from.In(valueSet) })
}

// Above implements search.Terminology.
func (f foreseeing) Above(system, code string) ([]search.Value, error) {
	return f.once("above "+system+"|"+code, func() ([]search.Value, error) { return f.from.Above(system, code) })
}

// Below implements search.Terminology.
func (f foreseeing) Below(system, code string) ([]search.Value, error) {
	return f.once("below "+system+"|"+code, func() ([]search.Value, error) { return f.from.Below(system, code) })
}

func (f foreseen) find(question string) ([]search.Value, error) {
	x, ok := f[question]
	if !ok {
		return nil, search.Refuse(search.CodeNotSupported) // nobody foresaw it
	}
	return x.values, x.err
}

// In implements search.Terminology.
func (f foreseen) In(valueSet string) ([]search.Value, error) { return f.find("in " + valueSet) }

// Above implements search.Terminology.
func (f foreseen) Above(system, code string) ([]search.Value, error) {
	return f.find("above " + system + "|" + code)
}

// Below implements search.Terminology.
func (f foreseen) Below(system, code string) ([]search.Value, error) {
	return f.find("below " + system + "|" + code)
}

// foreseeWrite does so for the condition of a write: that of its address, or of If-None-Exist.
func (s *Server) foreseeWrite(a *ask) {
	condition := a.query
	if a.ifNoneExist != "" {
		ps, err := pairs(strings.TrimPrefix(a.ifNoneExist, "?"))
		if err != nil {
			return // said later
		}
		condition = ps
	}
	s.foresee(a, a.path[0], condition)
}

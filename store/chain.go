package store

import "salus/fhir/search"

// chain: what the reference leads to must be seen, and satisfy the rest.
func (b *builder) chain(alias string, types []string, c *search.Clause) (sqlText, error) {
	rows, err := b.chained(types, c)
	return text(alias+".rid IN ("+rows.s+")", rows.args...), err
}

// chained selects the row numbers of what a chain is satisfied by.
func (b *builder) chained(types []string, c *search.Clause) (sqlText, error) {
	ids := b.params(types, c.Param, search.Plain)
	if len(ids) == 0 {
		return noRows, nil
	}
	var ors []sqlText
	for i, t := range c.Chain.Types {
		a := b.alias()
		inner, err := b.clause(a, []string{t}, &c.Chain.Clause[i])
		if err != nil {
			return nothing, err
		}
		seen, err := b.seen(a, []string{t})
		if err != nil {
			return nothing, err
		}
		w := join([]sqlText{seen, inner}, " AND ")
		ors = append(ors, text("target IN (SELECT "+a+".type || '/' || "+a+".id FROM resource "+a+" WHERE "+w.s+")", w.args...))
	}
	w := join(ors, " OR ")
	return text("SELECT rid FROM idx_ref WHERE p IN ("+marks(len(ids))+") AND ("+w.s+")", append(ids, w.args...)...), nil
}

// has: something that is seen refers here, and satisfies the rest.
func (b *builder) has(alias string, h *search.Has) (sqlText, error) {
	ids := b.params([]string{h.Type}, h.By, search.Plain)
	if len(ids) == 0 {
		return nothing, nil
	}
	a := b.alias()
	inner, err := b.clause(a, []string{h.Type}, &h.Clause)
	if err != nil {
		return nothing, err
	}
	seen, err := b.seen(a, []string{h.Type})
	if err != nil {
		return nothing, err
	}
	w := join([]sqlText{seen, inner}, " AND ")
	return text(alias+".type || '/' || "+alias+".id IN (SELECT f.target FROM idx_ref f JOIN resource "+a+" ON "+a+".rid = f.rid WHERE f.p IN ("+marks(len(ids))+") AND ("+w.s+"))",
		append(ids, w.args...)...), nil
}

package index

import "strings"

// Subset names the members of a type's JSON that _summary=true keeps (elements that are marked so,
// R4 3.1.1.5.8), and those that are always kept: mandatory ones, and those that change the meaning
// of others. A choice has the names of all its types.
func (x *Index) Subset(resourceType string) (summary, mandatory []string) {
	p := x.plans[resourceType]
	if p == nil {
		return nil, nil
	}
	return p.summary, p.mandatory
}

func (p *planner) subset(typ string) (summary, mandatory []string) {
	t := p.model.Type(typ)
	for _, e := range p.set.Type(typ).Elements {
		name, ok := strings.CutPrefix(e.Path, typ+".")
		if !ok || strings.Contains(name, ".") || e.Slice != "" {
			continue
		}
		f := t.Field(strings.TrimSuffix(name, "[x]"))
		if f == nil {
			continue
		}
		for _, o := range f.Types {
			if e.Summary {
				summary = append(summary, o.JSON)
			}
			if e.Min > 0 || e.Modifier {
				mandatory = append(mandatory, o.JSON)
			}
		}
	}
	return summary, mandatory
}

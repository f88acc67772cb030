package search

import "slices"

// A Terminology knows codes: what the modifiers of tokens :in, :not-in, :above and :below stand for.
// Every value that it returns has System, HasSystem and Text. Errors: an *Issue that Refuse made, of
// which the parameter is filled in; every other error is not about the query.
type Terminology interface {
	// In returns the codes of a value set: by its canonical, with a version after "|", or by its
	// address on this server ("ValueSet/x").
	In(valueSet string) ([]Value, error)
	// Above and Below return a code with all that subsume it, or that it subsumes.
	Above(system, code string) ([]Value, error)
	Below(system, code string) ([]Value, error)
}

// Refuse makes the Issue of a code of this package.
func Refuse(code string) *Issue { return issue(code, "") }

// resolve puts the codes into a clause that a modifier stands for.
func (p *parser) resolve(c *Clause, value string) *Issue {
	code := c.Param.Code
	if p.Terminology == nil {
		return issue(CodeNotSupported, code)
	}
	seen := map[[2]string]bool{}
	alternatives := split(value, ',')
	if len(alternatives) > MaxClauses {
		return issue(CodeTooMany, code)
	}
	for _, s := range alternatives {
		if s == "" {
			return issue(CodeEmptyValue, code)
		}
		vs, err := p.stands(c.Modifier, s)
		if i, ok := err.(*Issue); ok { //nolint:errorlint // an Issue is never wrapped here
			return issue(i.Code, code)
		}
		if err != nil {
			p.failed = err
			return issue(CodeTerminology, code)
		}
		for _, v := range vs {
			if k := [2]string{v.System, v.Text}; !seen[k] {
				seen[k] = true
				c.Values = append(c.Values, v)
			}
		}
		if p.codes+len(c.Values) > MaxCodes {
			return issue(CodeTooCostly, code)
		}
	}
	p.codes += len(c.Values)
	c.Values = slices.Clip(c.Values)
	if c.Modifier == NotIn {
		c.Modifier = Not
	} else {
		c.Modifier = Plain
	}
	return nil
}

// stands is what one alternative stands for: a value set, or a code with its system.
func (p *parser) stands(m Modifier, s string) ([]Value, error) {
	if m == In || m == NotIn {
		return p.Terminology.In(unescape(s))
	}
	parts := split(s, '|')
	if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
		return nil, issue(CodeModifierValue, "") // which hierarchy is meant, only a system says
	}
	if m == Above {
		return p.Terminology.Above(unescape(parts[0]), unescape(parts[1]))
	}
	return p.Terminology.Below(unescape(parts[0]), unescape(parts[1]))
}

package search

import (
	"slices"
	"strings"
)

// clause reads a parameter that resources must satisfy: code, code:modifier, a chain
// (code.code, code:Type.code) or _has:Type:reference:code. links is how many more may follow.
func (p *parser) clause(types []string, name, value string, links int) (*Clause, *Issue) {
	if rest, has := strings.CutPrefix(name, "_has:"); has {
		return p.has(types, rest, value, links)
	}
	if first, rest, chained := strings.Cut(name, "."); chained {
		return p.chain(types, first, links, func(t string) (*Clause, *Issue) { return p.clause([]string{t}, rest, value, links-1) })
	}
	code, modifier, modified := strings.Cut(name, ":")
	param, err := p.param(types, code)
	if err != nil {
		return nil, err
	}
	if param.Kind == Special {
		return nil, issue(CodeNotSupported, param.Code) // also with :missing, which nothing could answer
	}
	c := &Clause{Param: param}
	if modified {
		if err := c.modify(modifier, p.Params); err != nil {
			return nil, err
		}
	}
	if value == "" {
		return nil, issue(CodeEmptyValue, param.Code)
	}
	if c.Modifier == Missing {
		if value != "true" && value != "false" {
			return nil, issue(CodeModifierValue, param.Code)
		}
		c.Missing = value == "true"
		return c, nil
	}
	if param.Words {
		return p.worded(param, value)
	}
	switch c.Modifier {
	case In, NotIn, Above, Below:
		if param.Kind == Token {
			if err := p.resolve(c, value); err != nil {
				return nil, err
			}
			return c, nil
		}
	}
	for _, v := range split(value, ',') {
		vs, err := p.values(c, v)
		if err != nil {
			return nil, err
		}
		if c.Values = append(c.Values, vs...); len(c.Values) > MaxValues {
			return nil, issue(CodeTooMany, param.Code)
		}
	}
	p.measured(c)
	return c, nil
}

// worded reads the alternatives of a parameter whose values are words.
func (p *parser) worded(param *Param, value string) (c *Clause, err *Issue) {
	for _, v := range split(value, ',') {
		one, err := p.words(param, unescape(v))
		if err != nil {
			return nil, err
		}
		if c == nil {
			c = one
		} else {
			c = joined(Or, c, one)
		}
	}
	return c, nil
}

// measured asks for quantities in base units where they have such.
func (p *parser) measured(c *Clause) {
	if m, ok := p.Params.(Measurer); ok && c.Param.Kind == Quantity {
		if in, ok := m.Base(c.Values); ok {
			c.Modifier, c.Values = InBase, in
		}
	}
}

// modify reads a modifier.
func (c *Clause) modify(s string, params Params) *Issue {
	if c.Param.Kind == Reference && params.Known(s) {
		if !c.Param.leadsTo(s) {
			return issue(CodeModifier, c.Param.Code)
		}
		c.Modifier, c.Target = Typed, s
		return nil
	}
	i := slices.Index(modifierNames[:Typed], s)
	m := Modifier(max(i, 0))
	if c.Param.Words && m != Missing {
		return issue(CodeModifier, c.Param.Code)
	}
	if c.Param.Kind == Reference && (m == Above || m == Below) {
		return issue(CodeNotSupported, c.Param.Code) // hierarchies of resources
	}
	if i <= 0 || m != Missing && !slices.Contains(modifiers[c.Param.Kind], m) || c.Param.Code == "_id" && m != Missing && m != Not {
		return issue(CodeModifier, c.Param.Code)
	}
	c.Modifier = m
	return nil
}

// chain reads what must hold at the other end of a reference, which then reads for each of its types.
func (p *parser) chain(types []string, first string, links int, then func(typ string) (*Clause, *Issue)) (*Clause, *Issue) {
	code, target, typed := strings.Cut(first, ":")
	param, err := p.param(types, code)
	if err != nil {
		return nil, err
	}
	switch {
	case param.Kind != Reference, links == 0:
		return nil, issue(CodeChain, param.Code)
	case typed && (!p.Params.Known(target) || !param.leadsTo(target)):
		return nil, issue(CodeChain, param.Code)
	}
	targets := param.Targets
	if typed {
		targets = []string{target}
	}
	ch := &Chain{}
	var why *Issue
	for _, t := range targets {
		c, err := then(t)
		if err != nil && err.Code == CodeIndexing {
			return nil, err // of this type nothing would be found, though there may be something
		}
		if err != nil {
			why = err
			continue
		}
		ch.Types, ch.Clause = append(ch.Types, t), append(ch.Clause, *c)
	}
	// Where the chain names no type, it means every type that has the parameter (R4 3.1.1.4.13).
	if len(ch.Types) == 0 {
		if why != nil && why.Code != CodeUnknownParam {
			return nil, why
		}
		return nil, issue(CodeChain, param.Code)
	}
	return &Clause{Param: param, Chain: ch}, nil
}

// has reads Type:reference:code[...], a chain the other way (R4 3.1.1.4.14).
func (p *parser) has(types []string, rest, value string, links int) (*Clause, *Issue) {
	parts := strings.SplitN(rest, ":", 3)
	if len(parts) < 3 || links == 0 || !p.Params.Known(parts[0]) {
		return nil, issue(CodeChain, "_has")
	}
	by, ok := p.Params.Param(parts[0], parts[1])
	if !ok || by.Kind != Reference {
		return nil, issue(CodeChain, "_has")
	}
	if by.Unready {
		return nil, issue(CodeIndexing, by.Code)
	}
	for _, t := range types {
		if !by.leadsTo(t) {
			return nil, issue(CodeChain, "_has")
		}
	}
	c, err := p.clause([]string{parts[0]}, parts[2], value, links-1)
	if err != nil {
		return nil, err
	}
	return &Clause{Has: &Has{Type: parts[0], By: by, Clause: *c}}, nil
}

// values reads one alternative of a clause. A reference without a type stands for one of each
// type that the parameter may lead to.
func (p *parser) values(c *Clause, s string) ([]Value, *Issue) {
	if s == "" {
		return nil, issue(CodeEmptyValue, c.Param.Code)
	}
	if c.Param.Kind == Reference && c.Modifier != Identifier {
		return p.references(c, unescape(s))
	}
	v, err := p.value(c.Param, c.Modifier, s)
	if err != nil {
		return nil, err
	}
	return []Value{v}, nil
}

func (p *parser) value(param *Param, m Modifier, s string) (v Value, err *Issue) {
	bad := issue(CodeValue, param.Code)
	switch param.Kind {
	case String:
		v.Text = unescape(s)
		if m != Exact {
			if v.Text = Fold(v.Text); v.Text == "" {
				return v, bad // nothing but spaces and marks would be found in everything
			}
		}
		return v, nil
	case URI:
		v.Text = unescape(s)
		return v, nil
	case Token, Reference: // a reference with :identifier
		return token(m, s, bad)
	case Number:
		v.Prefix, s = cutPrefix(s)
		r, ok := parseNumber(s, v.Prefix)
		if !ok {
			return v, bad
		}
		v.Range = r
		return v, nil
	case Date:
		v.Prefix, s = cutPrefix(s)
		r, ok := Instants(s)
		if !ok {
			return v, bad
		}
		if v.Range = r; v.Prefix == AP {
			v.Range = near(r, p.Now)
		}
		return v, nil
	case Quantity:
		return quantity(s, bad)
	case Composite:
		return p.composite(param, s, bad)
	case Spot:
		return circle(s, bad)
	}
	return v, issue(CodeNotSupported, param.Code)
}

// token reads [code], [system]|[code], |[code] and [system]|; with :of-type, which takes
// system|code|value, Text is the value and System and Code the type.
func token(m Modifier, s string, bad *Issue) (v Value, err *Issue) {
	parts := split(s, '|')
	for i := range parts {
		parts[i] = unescape(parts[i])
	}
	switch {
	case m == Text:
		if v.Text = Fold(unescape(s)); v.Text == "" {
			return v, bad
		}
	case m == OfType:
		if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
			return v, bad
		}
		v = Value{System: parts[0], HasSystem: true, Code: parts[1], Text: parts[2]}
	case len(parts) == 1:
		v.Text = parts[0]
	case len(parts) == 2 && (parts[0] != "" || parts[1] != ""):
		v = Value{System: parts[0], HasSystem: true, Text: parts[1]}
	default:
		return v, bad
	}
	return v, nil
}

// quantity reads [prefix][number]|[system]|[code].
func quantity(s string, bad *Issue) (v Value, err *Issue) {
	parts := split(s, '|')
	if len(parts) != 1 && len(parts) != 3 {
		return v, bad
	}
	var n string
	v.Prefix, n = cutPrefix(parts[0])
	r, ok := parseNumber(n, v.Prefix)
	if !ok {
		return v, bad
	}
	v.Range = r
	if len(parts) == 3 {
		v.System, v.Code = unescape(parts[1]), unescape(parts[2])
		if v.HasSystem = v.System != ""; v.HasSystem && v.Code == "" {
			return v, bad
		}
	}
	return v, nil
}

func (p *parser) composite(param *Param, s string, bad *Issue) (v Value, err *Issue) {
	parts := split(s, '$')
	if len(parts) != len(param.Components) {
		return v, bad
	}
	for i, part := range parts {
		of := param.Components[i].Param
		if part == "" || of.Kind == Composite || of.Kind == Spot {
			return v, bad
		}
		if of.Kind == Reference {
			refs, err := p.references(&Clause{Param: of}, unescape(part))
			if err != nil || len(refs) != 1 {
				return v, bad
			}
			v.Parts = append(v.Parts, refs[0])
			continue
		}
		x, err := p.value(of, Plain, part)
		if err != nil {
			return v, bad
		}
		v.Parts = append(v.Parts, x)
	}
	return v, nil
}

// references reads an id, Type/id or an absolute URL.
func (p *parser) references(c *Clause, s string) ([]Value, *Issue) {
	if i := strings.Index(s, "/_history/"); i > 0 {
		s = s[:i] // a version of it is it
	}
	if l, ok := p.Params.(Localizer); ok {
		s = l.Local(s)
	}
	if strings.Contains(s, ":") { // http:, https:, urn:
		return []Value{{Text: s}}, nil
	}
	targets := c.Param.Targets
	if typ, id, typed := strings.Cut(s, "/"); typed {
		if !p.Params.Known(typ) || !wellFormedID(id) || c.Target != "" && c.Target != typ {
			return nil, issue(CodeValue, c.Param.Code)
		}
		return []Value{{Text: s}}, nil
	}
	if !wellFormedID(s) {
		return nil, issue(CodeValue, c.Param.Code)
	}
	if c.Target != "" {
		targets = []string{c.Target}
	}
	vs := make([]Value, 0, len(targets))
	for _, t := range targets {
		vs = append(vs, Value{Text: t + "/" + s})
	}
	return vs, nil
}

// wellFormedID reports whether s is a FHIR id (R4 2.24.0.1).
func wellFormedID(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, letters+"-.") == ""
}

// split splits at a separator that no backslash escapes (R4 3.1.1.4.3).
func split(s string, sep byte) (parts []string) {
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// unescape takes the backslashes of \, \| \$ and \\ away; others stand for themselves.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,|$\`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

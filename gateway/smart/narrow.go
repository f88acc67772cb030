package smart

// covers reports whether b is allowed where s is.
func (s Scope) covers(b Scope) bool {
	if s.Level != b.Level {
		return false
	}
	if s.Level == "" {
		return s.Name == b.Name
	}
	return (s.Type == "*" || s.Type == b.Type) && s.Verbs&b.Verbs == b.Verbs && (s.Query == "" || s.Query == b.Query)
}

// meet is what both scopes allow; ok is false if that is nothing.
func (s Scope) meet(b Scope) (out Scope, ok bool) {
	if s.Level == "" || s.Level != b.Level {
		return out, false
	}
	out = Scope{Level: s.Level, Type: s.Type, Verbs: s.Verbs & b.Verbs, Query: s.Query}
	switch {
	case s.Type == "*":
		out.Type = b.Type
	case b.Type != "*" && b.Type != s.Type:
		return out, false
	}
	switch {
	case s.Query == "":
		out.Query = b.Query
	case b.Query != "" && b.Query != s.Query:
		out.Query += "&" + b.Query // parameters that must all hold
		if out.pairs() == nil || len(out.String()) > maxScope {
			return out, false
		}
	}
	out.V1 = (s.V1 || b.V1) && out.Query == "" && v1Word(out.Verbs) != ""
	return out, out.Verbs != 0
}

// narrow is what of the asked scopes lies within the allowed ones, in the words in
// which it was asked where that is possible.
func narrow(asked, allowed []Scope) (given []Scope) {
	for _, a := range asked {
		whole := false
		for _, b := range allowed {
			if b.covers(a) {
				whole = true
			}
		}
		if whole {
			given = add(given, a)
			continue
		}
		for _, b := range allowed {
			if m, ok := b.meet(a); ok {
				given = add(given, m)
			}
		}
	}
	if len(given) > maxScopes {
		return given[:maxScopes]
	}
	return given
}

// enforceable leaves out what no answer could be held to: a condition on writing, as
// what is written is not yet there to be searched; a condition on all types at once;
// types that known does not know.
func enforceable(scopes []Scope, known func(string) bool) (out []Scope) {
	for _, s := range scopes {
		if s.Level != "" {
			if s.Query != "" {
				if s.Type == "*" {
					continue
				}
				s.Verbs &= readVerbs
			}
			if s.Verbs == 0 || s.Type != "*" && known != nil && !known(s.Type) {
				continue
			}
		}
		out = add(out, s)
	}
	return out
}

// without leaves out a level.
func without(scopes []Scope, l Level) (out []Scope) {
	for _, s := range scopes {
		if s.Level != l {
			out = append(out, s)
		}
	}
	return out
}

// withoutNamed leaves out scopes that have no resources.
func withoutNamed(scopes []Scope, names ...string) (out []Scope) {
	for _, s := range scopes {
		drop := false
		for _, n := range names {
			drop = drop || s.Level == "" && s.Name == n
		}
		if !drop {
			out = append(out, s)
		}
	}
	return out
}

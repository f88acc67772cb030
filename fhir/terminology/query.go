package terminology

import "context"

// Codes are those of a value set, for the search modifiers :in and :not-in: at most MaxCodes. Errors:
// those of Expand.
func (e *Engine) Codes(ctx context.Context, v *ValueSet) ([]Coding, error) {
	list, _, err := e.selected(ctx, &Expand{Set: v, Count: -1})
	if err != nil {
		return nil, err
	}
	if len(list) > MaxCodes {
		return nil, ErrTooCostly.about(v.URL)
	}
	out := make([]Coding, 0, len(list))
	for i := range list {
		out = append(out, Coding{System: list[i].system, Code: list[i].code})
	}
	return out, nil
}

// Below are a code and all beneath it, for the search modifier :below: at most MaxCodes. Errors: as of
// Lookup, ErrHierarchy.
func (e *Engine) Below(ctx context.Context, system, code string) ([]Coding, error) {
	return e.around(ctx, system, code, false)
}

// Above are a code and all above it, for the search modifier :above.
func (e *Engine) Above(ctx context.Context, system, code string) ([]Coding, error) {
	return e.around(ctx, system, code, true)
}

func (e *Engine) around(ctx context.Context, system, code string, up bool) (out []Coding, err error) {
	s, err := e.Source.CodeSystem(ctx, system, "")
	if err != nil {
		return nil, err
	}
	if err := s.whole(); err != nil {
		return nil, err
	}
	if !s.subsumes {
		return nil, ErrHierarchy.about(system)
	}
	at := s.find(code)
	if at < 0 {
		return nil, ErrNoCode.about(system)
	}
	for i, in := range s.reach(at, up) {
		if in {
			out = append(out, Coding{System: system, Code: s.Concepts[i].Code})
		}
	}
	if len(out) > MaxCodes {
		return nil, ErrTooCostly.about(system)
	}
	return out, nil
}

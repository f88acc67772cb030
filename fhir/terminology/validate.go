package terminology

import (
	"context"
	"errors"
)

// A Verdict is whether a code is valid, why not, and what it is called.
type Verdict struct {
	Valid            bool
	Message, Display string
}

// A Check is the question of $validate-code.
type Check struct {
	Codings  []Coding // one of them must be valid
	Abstract bool     // codes that are not to be chosen are valid too
	Language string
}

// In tells whether a value set has the code (R4 ValueSet-validate-code). An error says that it cannot
// be told: what is needed is not loaded.
func (e *Engine) In(ctx context.Context, v *ValueSet, q *Check) (Verdict, error) {
	return q.each(func(c *Coding) (Verdict, error) {
		s := e.selector(ctx, Versions{})
		s.open = append(s.open, v.URL)
		x, ok, err := s.has(v, c.System, c.Version, c.Code)
		if err != nil {
			return Verdict{}, err
		}
		if !ok {
			out := Verdict{Message: "the code is not in the value set"}
			if cs, err := e.Source.CodeSystem(ctx, c.System, c.Version); err == nil && cs.Content == "complete" && cs.Concept(c.Code) == nil {
				out.Message = "the code system has no such code"
			} else if err != nil && !errors.Is(err, ErrNoSystem) {
				return out, err
			}
			return out, nil
		}
		display, designations := x.names(q.Language)
		if k := x.concept(); k != nil {
			designations = append(designations, Designation{Value: k.Display})
		}
		return q.named(c, x.concept(), display, designations), nil
	})
}

// Of tells whether a code system has the code (R4 CodeSystem-validate-code). Codings of other systems
// are not valid.
func (s *CodeSystem) Of(q *Check) (Verdict, error) {
	return q.each(func(c *Coding) (Verdict, error) {
		if c.System != "" && c.System != s.URL {
			return Verdict{Message: "the code is of another code system"}, nil
		}
		if c.Version != "" && s.Version != "" && c.Version != s.Version {
			return Verdict{}, ErrNoSystem.about(canonical(s.URL, c.Version))
		}
		k := s.Concept(c.Code)
		if k == nil {
			if err := s.whole(); err != nil {
				return Verdict{}, err
			}
			return Verdict{Message: "the code system has no such code"}, nil
		}
		return q.named(c, k, s.display(k, q.Language), k.Designations), nil
	})
}

// each asks for one coding after the other; the first that is valid decides. An error counts if none is.
func (q *Check) each(f func(c *Coding) (Verdict, error)) (out Verdict, err error) {
	var bad *Verdict
	for i := range q.Codings {
		v, e := f(&q.Codings[i])
		switch {
		case e != nil:
			err = e
		case v.Valid:
			return v, nil
		case bad == nil:
			bad = &v
		}
	}
	if err != nil {
		return out, err
	}
	if bad == nil {
		return Verdict{Message: "there is no code to validate"}, nil
	}
	return *bad, nil
}

// named judges a code that is there by its display, and by whether it may be chosen.
func (q *Check) named(c *Coding, k *Concept, display string, designations []Designation) Verdict {
	v := Verdict{Valid: true, Display: display}
	if k != nil && k.Abstract && !q.Abstract {
		return Verdict{Message: "the code is abstract: it groups others and is not to be chosen", Display: display}
	}
	if c.Display == "" {
		return v
	}
	as := Concept{Display: display, Designations: designations}
	if as.named(c.Display) || k != nil && k.named(c.Display) {
		return v
	}
	if display == "" && len(designations) == 0 {
		v.Message = "what the code is called is not known here; the display was not checked"
		return v
	}
	return Verdict{Message: "the display is not one of this code", Display: display}
}

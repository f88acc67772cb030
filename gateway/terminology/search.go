package terminology

import (
	"context"
	"errors"

	"salus/fhir/search"
	"salus/fhir/terminology"
	"salus/gateway/rest"
)

// Search is what a caller's searches know of codes, for rest.Config.
func (s *Service) Search(ctx context.Context, l *rest.Leave) search.Terminology {
	return searching{s, ctx, l}
}

type searching struct {
	*Service
	ctx   context.Context //nolint:containedctx // it lives as long as the request
	leave *rest.Leave
}

// In implements search.Terminology.
func (s searching) In(ref string) ([]search.Value, error) {
	v, err := s.set(ref)
	if err != nil {
		return nil, refused(err)
	}
	return values(s.engine(s.leave).Codes(s.ctx, v))
}

func (s searching) set(ref string) (*terminology.ValueSet, error) {
	id, own := relative(ref, s.Base, "ValueSet")
	if !own {
		url, version := terminology.Cut(ref)
		return s.engine(s.leave).Source.ValueSet(s.ctx, url, version)
	}
	if !s.leave.Allows(rest.Read, "ValueSet") {
		return nil, terminology.ErrNoValueSet
	}
	v, err := stored{s.Service, s.leave}.see(s.ctx, "ValueSet", id)
	if err != nil {
		return nil, err
	}
	return terminology.ParseValueSet(v.Body)
}

// Above implements search.Terminology.
func (s searching) Above(system, code string) ([]search.Value, error) {
	return values(s.engine(s.leave).Above(s.ctx, system, code))
}

// Below implements search.Terminology.
func (s searching) Below(system, code string) ([]search.Value, error) {
	return values(s.engine(s.leave).Below(s.ctx, system, code))
}

func values(list []terminology.Coding, err error) ([]search.Value, error) {
	if err != nil {
		return nil, refused(err)
	}
	out := make([]search.Value, 0, len(list))
	for _, c := range list {
		out = append(out, search.Value{System: c.System, HasSystem: true, Text: c.Code})
	}
	return out, nil
}

// refused is an error as a search says it.
func refused(err error) error {
	var e *terminology.Error
	switch {
	case gone(err):
		return search.Refuse(search.CodeNoTerminology)
	case !errors.As(err, &e):
		return err
	}
	switch e.Kind {
	case terminology.NotFound:
		return search.Refuse(search.CodeNoTerminology)
	case terminology.TooCostly:
		return search.Refuse(search.CodeTooCostly)
	}
	return search.Refuse(search.CodeTerminology)
}

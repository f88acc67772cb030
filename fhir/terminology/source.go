package terminology

import (
	"context"
	"errors"
	"strings"
)

// A Source gives resources by their canonicals. Without a version it chooses: the latest that is
// active, else the latest. Errors: ErrNoSystem, ErrNoValueSet, or what reading says.
type Source interface {
	CodeSystem(ctx context.Context, url, version string) (*CodeSystem, error)
	ValueSet(ctx context.Context, url, version string) (*ValueSet, error)
	// ConceptMaps returns the maps with a canonical, or, if url is "", those that have a group
	// from or to a system. None is no error.
	ConceptMaps(ctx context.Context, url, version, system string) ([]*ConceptMap, error)
}

// Join makes one Source of several: the first that has a resource gives it.
func Join(s ...Source) Source { return joined(s) }

type joined []Source

func (j joined) CodeSystem(ctx context.Context, url, version string) (*CodeSystem, error) {
	for _, s := range j {
		if c, err := s.CodeSystem(ctx, url, version); !errors.Is(err, ErrNoSystem) {
			return c, err
		}
	}
	return nil, ErrNoSystem.about(canonical(url, version))
}

func (j joined) ValueSet(ctx context.Context, url, version string) (*ValueSet, error) {
	for _, s := range j {
		if v, err := s.ValueSet(ctx, url, version); !errors.Is(err, ErrNoValueSet) {
			return v, err
		}
	}
	return nil, ErrNoValueSet.about(canonical(url, version))
}

func (j joined) ConceptMaps(ctx context.Context, url, version, system string) (out []*ConceptMap, err error) {
	for _, s := range j {
		m, err := s.ConceptMaps(ctx, url, version, system)
		if err != nil {
			return nil, err
		}
		out = append(out, m...)
		if url != "" && len(out) > 0 {
			return out[:1], nil
		}
	}
	return out, nil
}

func canonical(url, version string) string {
	if version == "" {
		return url
	}
	return url + "|" + version
}

// Cut splits a canonical into its address and its version. A fragment is part of the address.
func Cut(canonical string) (url, version string) {
	url, version, _ = strings.Cut(canonical, "|")
	return url, version
}

// Later reports whether version a is later than b: numbers in them count as numbers.
func Later(a, b string) bool {
	for a != "" && b != "" {
		x, restA := chunk(a)
		y, restB := chunk(b)
		if x != y {
			if digit(x[0]) && digit(y[0]) {
				x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
				if len(x) != len(y) {
					return len(x) > len(y)
				}
			}
			if x != y {
				return x > y
			}
		}
		a, b = restA, restB
	}
	return a != "" && b == ""
}

// chunk takes a run of digits, or of anything else, off.
func chunk(s string) (first, rest string) {
	i := 1
	for i < len(s) && digit(s[i]) == digit(s[0]) {
		i++
	}
	return s[:i], s[i:]
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
